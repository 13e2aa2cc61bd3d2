"""What came in before and would count a second time is told before it is imported."""

from dataclasses import replace
from functools import partial

import pytest

from ingestion.doors.files import FileFormat, blocks
from ingestion.imports.again import again_words
from ingestion.imports.failed import failed_rows
from ingestion.imports.run import take_file
from profiles.models import Batch, Event
from staff.models import User
from tests.test_sent_again import HEADER, ROW, UNKNOWN, load, released, source  # noqa: F401
from tests.test_take_back import taken_back

pytestmark = pytest.mark.django_db(transaction=True)

GOOD, BAD = ROW.replace("m1", "", 1), UNKNOWN.replace("m1", "", 1)
NO_IDS = HEADER.removeprefix("id,")


@pytest.fixture
def draft(source, tmp_path):  # noqa: F811
    """Makes a draft of these lines: its warnings."""

    def draft(*lines: str | bytes, name: str = "b") -> list[str]:
        path = tmp_path / name
        path.write_bytes(b"".join((line.encode() + b"\n") if isinstance(line, str) else line for line in lines))
        return again_words(take_file(path, source=source, file_name=name, is_draft=True))

    return draft


def bare(*rows: str) -> list[str]:
    return [NO_IDS, *(row.removeprefix(",") for row in rows)]


def test_the_same_file_again_says_that_every_row_counts_twice(load, draft):  # noqa: F811
    released(separate_rows=True)
    assert draft(*bare(GOOD, GOOD)) == []
    load(*bare(GOOD, GOOD))
    [said] = draft(*bare(GOOD, GOOD))
    assert "every row counts a second time" in said


def test_once_it_is_taken_back_nothing_is_said(load, draft):  # noqa: F811
    released(separate_rows=True)
    run, _ = load(*bare(GOOD, GOOD))
    taken_back(Batch.objects.get(pk=run.pk), User.objects.create_user("s@example.com", "x"))
    assert draft(*bare(GOOD, GOOD), name="a") == []


@pytest.mark.parametrize("is_separate", [True, False])
def test_with_ids_or_where_like_rows_are_one_the_same_file_is_told_as_ever(load, draft, is_separate):  # noqa: F811
    if is_separate:
        released(separate_rows=True)
    lines = [HEADER, ROW] if is_separate else bare(GOOD)
    load(*lines)
    [said] = draft(*lines)
    assert "is not counted again" in said
    assert draft(*lines, ROW.replace("m1", "m2"), name="a") == []


@pytest.mark.parametrize("otherwise", [b"o1", b"o2"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_failed_rows_that_were_mended_before_are_the_events_that_mended_them(load, draft, otherwise, dry_run):  # noqa: F811
    released(separate_rows=True)
    run, _ = load(*bare(BAD, BAD, GOOD))
    mended = b"".join(failed_rows(run)).replace(b"bad,", b"purchase,")
    load(mended)
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 3
    assert draft(mended.replace(b"o1", otherwise), name="again")[:-1] == []
    _, told = load(mended.replace(b"o1", otherwise), dry_run=dry_run)
    assert (told.counts["accepted"], told.counts["duplicate"]) == (0, 2)
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 3


def test_the_whole_file_mended_is_told_by_its_name(load, draft):  # noqa: F811
    released(separate_rows=True)
    load(*bare(BAD, GOOD))
    [said] = draft(*bare(GOOD, GOOD), name="a")
    assert "A file of this name" in said
    assert draft(*bare(GOOD, GOOD, GOOD), name="c") == []


def test_an_id_that_is_given_up_on_the_matching_page_is_told_at_once(load, draft, source, tmp_path):  # noqa: F811
    released(separate_rows=True)
    load(HEADER, ROW)
    path = tmp_path / "d"
    path.write_text(f"{HEADER}\n{ROW}\n{ROW.replace('m1', 'm2')}\n")
    run = take_file(path, source=source, file_name="a", is_draft=True)
    assert again_words(run) == []
    without = replace(FileFormat(**run.format), columns=[name for name in HEADER.split(",") if name != "id"])
    assert "A file of this name" in again_words(run, without)[0]


def mended_rows(load, *rows: str) -> bytes:  # noqa: F811
    """Held rows, mended once: the file that mended them."""
    run, _ = load(*bare(*rows))
    mended = b"".join(failed_rows(run)).replace(b"bad,", b"purchase,")
    load(mended)
    return mended


def counted() -> int:
    return Event.objects.filter(standing=Event.Standing.COUNTED).count()


def test_nor_do_they_count_again_once_what_was_held_is_taken_back(load):  # noqa: F811
    released(separate_rows=True)
    mended = mended_rows(load, BAD)
    held = Event.objects.get(standing=Event.Standing.CORRECTED)
    taken_back(Batch.objects.get(pk=held.batch_id), User.objects.create_user("s@example.com", "x"))
    assert counted() == 1
    _, told = load(mended.replace(b"o1", b"o2"))
    assert (told.counts["duplicate"], counted()) == (1, 1)


def test_a_mend_that_is_held_too_gives_way_to_the_next_of_the_same_row(load):  # noqa: F811
    released(separate_rows=True)
    run, _ = load(*bare(BAD))
    first = b"".join(failed_rows(run))
    load(first.replace(b"bad,", b"worse,"))
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == 1
    load(first.replace(b"bad,", b"purchase,"))
    assert (Event.objects.filter(standing=Event.Standing.HELD).count(), counted()) == (0, 1)


def test_a_row_with_an_id_of_its_own_is_an_event_of_its_own_whatever_it_names(load):  # noqa: F811
    run, _ = load(HEADER, UNKNOWN)
    mended = b"".join(failed_rows(run)).replace(b"bad,", b"purchase,")
    load(mended.replace(b"m1,", b"m2,"))
    load(mended.replace(b"m1,", b"m3,"))
    assert counted() == 2


@pytest.mark.parametrize("block", [64, 1_000_000])
def test_rows_of_one_file_that_name_the_same_are_each_an_event_wherever_its_blocks_end(load, monkeypatch, block):  # noqa: F811
    monkeypatch.setattr("ingestion.imports.run.blocks", partial(blocks, block_bytes=block))
    released(separate_rows=True)
    run, _ = load(*bare(BAD))
    mended = b"".join(failed_rows(run)).replace(b"bad,", b"purchase,")
    twice = mended + mended.splitlines(keepends=True)[-1].replace(b"o1", b"o2")
    assert load(twice, dry_run=True)[1].counts["accepted"] == 2
    load(twice)
    assert counted() == 2
    assert load(twice + b"\n")[1].counts["duplicate"] == 2
    assert counted() == 2
