"""What the columns of a file mean: a layout is matched once, read so again and again, and its rows stay what they are."""

import csv
import io
import json
import uuid
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from ingestion.doors.files import Column, FileFormat, Matching, RowEvent, UnreadableFile, compile_matching, compile_places
from ingestion.doors.files.matching import COMMA, POINT, SERIAL, plain_number, reads_as
from ingestion.imports.check_file import as_json, check_file
from ingestion.imports.failed import failed_rows
from ingestion.imports.matchings import ENVELOPE, fingerprint, in_force, keep, use_again
from ingestion.imports.run import follow, match, outcome, run_import, take_file
from ingestion.models import FileMatching, ImportChunk, ImportRun, QuarantineReason, Replay, SpecLink
from ingestion.quarantine.causes import cause_of
from ingestion.quarantine.headings import headings_of
from ingestion.quarantine.replay import ask, run_replay
from profiles.models import Batch, Event
from profiles.original import shown_original
from profiles.sight import Sight
from staff.masking import STARS
from staff.models import User
from taxonomy.current import current
from taxonomy.models import Source
from taxonomy.publish import publish
from taxonomy.standardize.read import Fields

HEADER = ["单号", "行号", "会员手机", "日期", "时间", "商品", "单价", "数量", "券"]
SHARED = (
    Column("会员手机", "phone"), Column("日期", "occurred_at", "%d/%m/%Y"), Column("时间", "time_of_day", "%H:%M"),
    Column("单号", "id"), Column("行号", "id"),
)  # fmt: skip
BOUGHT = (
    Column("商品", "attribute.product_id"), Column("单价", "attribute.price", POINT), Column("数量", "attribute.quantity"),
    Column("单号", "attribute.order_id"),
)  # fmt: skip
PURCHASE = Matching(SHARED, (RowEvent(name="purchase", columns=BOUGHT),)).in_order()


def rows(number: int, **changed: dict[int, str]) -> list[list[str]]:
    made = [["R1", str(at), f"138001380{at + 10}", "03/04/2026", "14:05", "p1", "¥1,009.90", "1", ""] for at in range(number)]
    for column, values in changed.items():
        for at, value in values.items():
            made[at][HEADER.index(column)] = value
    return made


def as_csv(lines: list[list[str]], header: list[str] = HEADER) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([header, *lines])
    return text.getvalue().encode("gb18030")


# pure


def read(matching: Matching, **cells: str) -> list[Fields]:
    found = compile_matching(matching)(dict(zip(HEADER, rows(1)[0], strict=True)) | cells)
    return [one for one in found if one is not None]


def test_a_row_becomes_the_fields_of_its_event():
    assert read(PURCHASE) == [
        Fields(
            name="purchase", phone="13800138010", region=None, identifiers={}, occurred_at="2026-04-03 14:05:00", message_id="R1-0",
            source_version=None, attributes={"product_id": "p1", "price": "1009.90", "quantity": "1", "order_id": "R1"}, notes=[],
        )
    ]  # fmt: skip


@pytest.mark.parametrize("row", [{"日期": "2026-04-03"}, {"时间": "25:00"}], ids=["date", "clock"])
def test_a_time_that_is_not_written_as_said_is_left_for_the_core_to_say_so(row):
    written = {"日期": "03/04/2026", "时间": "14:05"} | row
    assert read(PURCHASE, **row)[0].occurred_at == f"{written['日期']} {written['时间']}"


def test_a_date_without_a_time_of_day_is_that_day():
    assert read(PURCHASE, 时间="")[0].occurred_at == "2026-04-03 00:00:00"


@pytest.mark.parametrize(
    ("row", "way", "moment"),
    [
        ({"时间": "24:00"}, "%H:%M", "2026-04-04 00:00:00"),
        ({"时间": "24:00:00"}, "%H:%M:%S", "2026-04-04 00:00:00"),
        ({"时间": "24:00"}, "%H:%M:%S|%H:%M", "2026-04-04 00:00:00"),
        ({"时间": "24:00", "日期": "31/12/2026"}, "%H:%M", "2027-01-01 00:00:00"),
        ({"时间": "24:01"}, "%H:%M", "03/04/2026 24:01"),
        ({"时间": "24:00:01"}, "%H:%M:%S", "03/04/2026 24:00:01"),
        ({"时间": "24:00", "日期": "31/12/9999"}, "%H:%M", "31/12/9999 24:00"),
    ],
    ids=str,
)
def test_the_end_of_a_day_is_the_midnight_that_ends_it(row, way, moment):
    columns = tuple(Column(column.heading, column.target, way) if column.target == "time_of_day" else column for column in PURCHASE.columns)
    assert read(Matching(columns, PURCHASE.events), **row)[0].occurred_at == moment


def test_an_id_of_several_columns_is_none_where_one_is_empty():
    assert read(PURCHASE, 行号=" ")[0].message_id is None


@pytest.mark.parametrize("row", [{"单号": "2.10381E+18"}, {"行号": "1E+16"}, {"单号": "2.10381E+18", "行号": ""}], ids=str)
def test_a_row_has_no_id_where_a_spreadsheet_cut_a_part_of_it(row):
    both = replace_events(PURCHASE, *PURCHASE.events, COUPON)
    assert [(one.message_id, one.notes[0].code, one.notes[0].path) for one in read(both, 券="C1", **row)] == [
        (None, "envelope.wrong_type", "id")
    ] * 2


@pytest.mark.parametrize("part", ["AB-2.1E+18", "2.1e+18", "1.3800138000E+10", "E+", "2.1E+18x"])
def test_an_id_of_which_nothing_is_cut_stays(part):
    assert [one.message_id for one in read(PURCHASE, 单号=part)] == [f"{part}-0"]


def test_blanks_around_a_cell_are_no_part_of_it():
    assert read(PURCHASE, 会员手机="\t13800138000 ")[0].phone == "13800138000"


def test_a_row_of_nothing_that_is_read_tells_of_no_event():
    assert compile_matching(PURCHASE)(dict.fromkeys(HEADER, " ")) == [None]


_HEADINGS = st.sampled_from(HEADER)
_TARGETS = st.sampled_from(["phone", "occurred_at", "time_of_day", "id", "region", "source_version", "identifier.crm_id"])
_WRITTEN = {"occurred_at": "%d/%m/%Y", "time_of_day": "%H:%M", "attribute.a": POINT}
_SHARED = st.builds(lambda heading, target: Column(heading, target, _WRITTEN.get(target, "")), _HEADINGS, _TARGETS)
_OWN = st.builds(
    lambda heading, target: Column(heading, target, _WRITTEN.get(target, "")), _HEADINGS, st.sampled_from(["attribute.a", "attribute.b"])
)
_EVENT = st.builds(
    RowEvent, name=st.just("purchase"), column=st.just("") | _HEADINGS, only_if=st.just("") | _HEADINGS,
    columns=st.lists(_OWN, max_size=3).map(tuple), says=st.just(()) | st.just(("R1",)),
)  # fmt: skip
_CELL = st.sampled_from(["", " ", "R1", " 03/04/2026 ", "14:05", "¥1,009.90", "2.1E+18", None, 7, Decimal("1.50"), ["x"]])


@given(
    st.builds(Matching, st.lists(_SHARED, max_size=4).map(tuple), st.lists(_EVENT, min_size=1, max_size=3).map(tuple)),
    st.lists(_HEADINGS, unique=True),
    st.data(),
)
def test_a_row_says_the_same_by_its_columns_and_by_their_places(matching, columns, data):
    values = data.draw(st.lists(_CELL, min_size=len(columns), max_size=len(columns)))
    expected = compile_matching(matching)(dict(zip(columns, values, strict=True)))
    assert compile_places(matching, tuple(columns))(values) == expected


COUPON = RowEvent(name="coupon_redeem", only_if="券", columns=(Column("券", "attribute.coupon_id"),))


def test_a_row_tells_of_several_events_each_with_its_own_id():
    both = replace_events(PURCHASE, *PURCHASE.events, COUPON)
    assert [(one.name, one.message_id) for one in read(both, 券="C1")] == [("purchase", "R1-0"), ("coupon_redeem", "R1-0:coupon_redeem")]
    assert [one.name for one in read(both)] == ["purchase"]


def test_further_events_of_one_name_have_ids_of_their_own():
    second = RowEvent(name="coupon_redeem", only_if="行号", columns=(Column("行号", "attribute.coupon_id"),))
    both = replace_events(PURCHASE, *PURCHASE.events, COUPON, second, RowEvent(name="purchase"))
    ids = ["R1-0", "R1-0:coupon_redeem", "R1-0:coupon_redeem:2", "R1-0:purchase"]
    assert [one.message_id for one in read(both, 券="C1")] == ids
    assert [one.message_id for one in read(both)] == ["R1-0", "R1-0:coupon_redeem:2", "R1-0:purchase"], "whichever others are told"


@pytest.mark.parametrize(("cell", "is_told"), [("1", True), (" Yes ", True), ("0", False), ("", False), ("10", False)], ids=str)
def test_a_further_event_is_told_only_where_a_column_says_so(cell, is_told):
    flagged = RowEvent(name="email_click", only_if="券", says=("1", "yes"))
    assert len(read(replace_events(PURCHASE, *PURCHASE.events, flagged), 券=cell)) == 1 + is_told


def test_an_event_of_a_row_can_have_its_own_time():
    paid = RowEvent(name="paid", only_if="券", columns=(Column("券", "occurred_at", "%Y%m%d"),))
    assert [one.occurred_at for one in read(replace_events(PURCHASE, *PURCHASE.events, paid), 券="20260501")] == [
        "2026-04-03 14:05:00", "2026-05-01 00:00:00",
    ]  # fmt: skip


def replace_events(matching: Matching, *events: RowEvent) -> Matching:
    return Matching(matching.columns, events)


@pytest.mark.parametrize(
    ("written", "notation", "plain"),
    [
        ("¥1,234.50", POINT, "1234.50"), ("-¥ 12", POINT, "-12"), ("1 234.5元", POINT, "1234.5"), ("１２.5", POINT, "12.5"),
        ("1.234,50", COMMA, "1234.50"), ("12,5 EUR", COMMA, "12.5"), ("+7", POINT, "7"),
        ("12,50", POINT, "12,50"), ("1.5", COMMA, "1.5"), ("12 34", POINT, "12 34"), ("two", POINT, "two"), ("", POINT, ""),
    ],
    ids=str,
)  # fmt: skip
def test_a_number_written_with_separators_is_read_and_nothing_else_is(written, notation, plain):
    assert plain_number(written, notation) == plain


def test_days_as_a_spreadsheet_counts_them_are_a_time():
    assert str(reads_as("45292.5", SERIAL)) == "2024-01-01 12:00:00"
    assert reads_as("0.5", SERIAL) is None
    assert reads_as("nan", SERIAL) is None


def test_a_time_that_is_not_written_so_is_none_however_often_it_is_asked():
    for text in ("2000-01-01 14:05", "".join(["2000-01-01", " 14:05"])):
        assert reads_as(text, "%Y-%m-%d %H:%M:%S") is None


def test_a_format_holds_its_matching_as_it_is_stored():
    file_format = FileFormat("csv", columns=HEADER, matching=replace_events(PURCHASE, *PURCHASE.events, COUPON))
    assert FileFormat(**file_format.as_json()) == file_format
    assert FileFormat(kind="csv").matching is None


def test_a_layout_is_told_by_its_headings_in_any_order_and_a_failed_rows_file_has_that_of_its_file():
    assert fingerprint(HEADER) == fingerprint([*reversed(HEADER), "_tagline_id", "_reason"])
    assert fingerprint(HEADER) != fingerprint(HEADER[1:])


# with the database


@pytest.fixture
def till(standard, settings, tmp_path):
    """A source whose own records are read by an envelope that knows none of the file's columns."""
    settings.UPLOAD_DIR = tmp_path / "uploads"
    website = Source.objects.get(code="website")
    website.envelope = {"preset": "custom", "event": "evt", "phone": "tel", "occurred_at": "at", "time_format": "epoch_ms"}
    website.region, website.currency = "CN", "CNY"
    website.save()
    publish(notes="till", by=None)
    return website


@pytest.fixture
def load(till, tmp_path):
    def load(lines: list[list[str]], header: list[str] = HEADER, **more) -> ImportRun:
        path = tmp_path / uuid.uuid4().hex
        path.write_bytes(as_csv(lines, header))
        return run_import(take_file(path, source=till, file_name="till.csv", **more).pk)

    return load


def kept(till: Source, matching: Matching = PURCHASE) -> FileMatching:
    return keep(matching, source=till, headings=HEADER, file_name="till.csv", by=None)


database = pytest.mark.django_db(transaction=True)


@database
def test_a_file_with_the_same_headings_is_read_by_the_matching_in_force(till, load):
    used = kept(till)
    run = load([row[::-1] for row in rows(5)], HEADER[::-1])
    assert (run.matching, outcome(run).counts["accepted"]) == (used, 5)
    event = Event.objects.order_by("id").first()
    assert (event.message_id, event.attributes["price"]["amount"], event.occurred_at.date().isoformat()) == (
        "R1-0", Decimal("1009.90"), "2026-04-03",
    )  # fmt: skip


@database
def test_a_matching_is_kept_once_and_gone_back_to_as_a_new_one(till):
    first = kept(till)
    assert kept(till) == first
    second = kept(till, replace_events(PURCHASE, RowEvent(name="refund", columns=BOUGHT)))
    assert (second.number, in_force(till, HEADER)) == (2, second)
    third = use_again(first, by=None)
    assert (third.number, third.again, third.matching, in_force(till, HEADER)) == (3, 1, PURCHASE, third)
    assert [*FileMatching.objects.newest_of_each()] == [third]


@database
def test_an_import_keeps_the_matching_that_it_began_with(till, tmp_path):
    kept(till)
    path = tmp_path / "till.csv"
    path.write_bytes(as_csv(rows(2)))
    run = take_file(path, source=till, file_name="till.csv")
    kept(till, replace_events(PURCHASE, RowEvent(name="unheard_of")))
    assert outcome(run_import(run.pk)).counts["accepted"] == 2


@database
def test_a_file_with_other_columns_is_not_read_by_guess(till, load):
    kept(till)
    with pytest.raises(UnreadableFile) as caught:
        load([[*row, "x"] for row in rows(1)], [*HEADER, "积分"])
    assert (caught.value.code, caught.value.values) == ("file.unmatched", {"new": "积分"})
    assert not ImportRun.objects.exists()
    assert outcome(load([[*row, "x"] for row in rows(1)], [*HEADER, "积分"], matching=1)).counts["accepted"] == 1
    assert outcome(load([["purchase", "13800138000", "1767225600000"]], ["evt", "tel", "at"])).received == 1
    assert outcome(load(rows(1), matching=ENVELOPE)).counts["quarantined"] == 1


@database
def test_a_matching_whose_columns_are_missing_is_not_used(till, load):
    kept(till)
    with pytest.raises(UnreadableFile, match=r"matching\.missing"):
        load([row[1:] for row in rows(1)], HEADER[1:], matching=1)
    with pytest.raises(UnreadableFile, match=r"matching\.unknown"):
        load(rows(1), matching=7)


@database
def test_the_command_names_a_matching(till, tmp_path, capsys):
    kept(till)
    path = tmp_path / "other.csv"
    path.write_bytes(as_csv([[*row, "x"] for row in rows(3)], [*HEADER, "积分"]))
    with pytest.raises(CommandError, match="积分"):
        call_command("import_events", str(path), source="website")
    call_command("import_events", str(path), source="website", matching=1, json=True)
    assert '"accepted": 3' in capsys.readouterr().out


@database
def test_rows_sent_twice_are_one_event_also_without_an_id(till, load):
    kept(till, Matching(tuple(column for column in SHARED if column.target != "id"), (RowEvent(name="purchase", columns=BOUGHT),)))
    assert outcome(load(rows(4))).counts["accepted"] == 4
    assert outcome(load(rows(4)[::-1])).counts["duplicate"] == 4


def rows_back(run) -> list[list[str]]:
    """The failed rows as they are downloaded, the header first."""
    return list(csv.reader(io.StringIO(b"".join(failed_rows(run)).decode("gb18030"))))


@database
@pytest.mark.parametrize("mend", [True, False])
def test_failed_rows_come_back_as_they_were_and_close_what_was_held(till, load, mend, tmp_path):
    kept(till)
    run = load(rows(4, 数量={1: "two", 3: "three"}))
    back = rows_back(run)
    assert back[0] == [*HEADER, "_tagline_id", "_reason"]
    assert back[1][: len(HEADER)] == rows(4, 数量={1: "two"})[1]
    for row in back[1:]:
        row[HEADER.index("数量")] = "2" if mend else row[HEADER.index("数量")]
    found = outcome(load(back[1:], back[0]))
    assert (found.counts["accepted"], found.counts["duplicate"]) == ((2, 0) if mend else (0, 2))
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == (0 if mend else 2)
    assert found.closed == (2 if mend else 0)


@database
@pytest.mark.parametrize("dry_run", [True, False])
def test_rows_of_a_mended_file_that_were_not_mended_are_told_and_come_back_again(till, load, dry_run, admin_client):
    kept(till)
    run = load(rows(4, 数量={1: "two", 3: "three"}))
    back = rows_back(run)
    back[1][HEADER.index("数量")] = "2"
    again = load(back[1:], back[0], dry_run=dry_run)
    page = admin_client.get(reverse("admin:ingestion_importrun_change", args=[again.pk]))
    assert (page.context["closed"], page.context["unmended"], page.context["failed"]) == (0 if dry_run else 1, 1, 0)
    assert "No row failed" not in page.content.decode()
    assert reverse("admin:ingestion_importrun_failed_rows", args=[again.pk]) in page.content.decode()
    left = list(csv.reader(io.StringIO(b"".join(failed_rows(again)).decode("gb18030"))))
    assert [row[: len(HEADER) + 1] for row in left[1:]] == [back[2][: len(HEADER) + 1]]
    left[1][HEADER.index("数量")] = "3"
    load(left[1:], left[0])
    page = admin_client.get(reverse("admin:ingestion_importrun_change", args=[again.pk]))
    assert page.context["unmended"] == 0 and "No row failed" in page.content.decode()


@database
def test_what_is_wrong_is_told_by_the_file_s_own_columns(till, load, admin_client):
    kept(till)
    run = load(rows(5, 数量={1: "two", 3: "three"}, 单价={3: "much", 4: "x"}, 会员手机={2: "12"}))
    reasons = [row[-1] for row in csv.reader(io.StringIO(b"".join(failed_rows(run)).decode("gb18030")))][1:]
    assert "数量 (attributes.quantity)" in reasons[0] and "会员手机 (phone)" in reasons[1]
    page = admin_client.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
    places = {code: found for code, *_, found in page.context["causes"]}
    assert sorted(places["attribute.wrong_type"]) == [("单价", 2), ("数量", 2)]
    tried = load(rows(2, 数量={1: "many"}), dry_run=True)
    page = admin_client.get(reverse("admin:ingestion_importrun_change", args=[tried.pk]))
    assert any("数量 → Quantity (quantity)" in short for _, events in page.context["examples"] for one in events for short, _ in one.why)


@database
@pytest.mark.parametrize(
    ("origin", "heading"), [("", "数量"), ("price", "单价"), ("qty", "qty")], ids=["as it is", "by a rule", "of the rule's name"]
)
def test_a_cause_in_quarantine_names_the_file_s_own_column(till, load, admin_client, django_assert_num_queries, origin, heading):
    kept(till)
    load(rows(3, 数量={1: "two"}, 会员手机={2: "12"}))
    if heading == "qty":  # a column of its own name, which a rule takes
        batch = Batch.objects.get()
        batch.format = json.loads(
            json.dumps(batch.format, ensure_ascii=False).replace("attribute.quantity", "attribute.qty").replace("数量", "qty")
        )
        batch.save()
    if origin:
        said = {"code": "attribute.wrong_type", "path": "attributes.quantity", "seen": "two", "values": {"from": origin}}
        Event.objects.filter(reasons__path="attributes.quantity").update(report={"violations": [said]})
    page = admin_client.get(reverse("admin:ingestion_quarantinereason_changelist"))
    assert {group.path: told for group, _trend, told in page.context["lines"]} == {"attributes.quantity": heading, "phone": "会员手机"}
    assert f"<code>{heading}</code> (<code>attributes.quantity</code>)" in page.content.decode()
    found = {group.path: group.cause for group, *_ in page.context["lines"]}
    with django_assert_num_queries(1):
        assert len(headings_of(found.values())) == 2
    assert "<code>会员手机</code> (<code>phone</code>)" in admin_client.get(found["phone"].get_absolute_url()).content.decode()


@database
def test_a_cause_whose_newest_event_came_through_no_matching_names_its_place_alone(till, load, admin_client):
    kept(till)
    load(rows(1, 数量={0: "two"}))
    Batch.objects.update(format=None)
    page = admin_client.get(reverse("admin:ingestion_quarantinereason_changelist"))
    assert [(group.path, heading) for group, _trend, heading in page.context["lines"]] == [("attributes.quantity", "")]


@database
def test_of_a_row_with_several_events_sent_again_each_closes_only_its_own(till, load):
    kept(till, replace_events(PURCHASE, RowEvent(name="login"), RowEvent(name="purchase", columns=BOUGHT)))
    run = load(rows(1, 数量={0: "two"}))
    assert outcome(run).counts == {"accepted": 1, "changed": 0, "duplicate": 0, "quarantined": 1, "refused": 0}
    back = rows_back(run)
    again = outcome(load(back[1:], back[0]))
    assert (again.counts["duplicate"], Event.objects.filter(standing=Event.Standing.HELD).count()) == (2, 1)
    back[1][HEADER.index("数量")] = "2"
    mended = outcome(load(back[1:], back[0]))
    assert (mended.counts["accepted"], mended.counts["duplicate"]) == (1, 1)
    assert not Event.objects.filter(standing=Event.Standing.HELD).exists()


@database
@pytest.mark.parametrize("is_separate", [True, False])
def test_what_a_row_told_of_beside_what_is_mended_counts_once_without_an_id_too(till, load, is_separate):
    Source.objects.filter(pk=till.pk).update(separate_rows=is_separate, namespace="rows")
    publish(notes="rows", by=None)
    without_id = tuple(column for column in SHARED if column.target != "id")
    kept(till, Matching(without_id, (RowEvent(name="login"), RowEvent(name="purchase", columns=BOUGHT))))
    run = load(rows(2, 数量={0: "two"}))
    assert (outcome(run).counts["accepted"], outcome(run).counts["quarantined"]) == (3, 1)
    for quantity, accepted, held in (("two", 0, 0), ("three", 0, 1), ("2", 1, 0)):
        header, *back = rows_back(run)
        back[0][HEADER.index("数量")] = quantity
        for dry_run in (True, False):
            again = load(back, header, dry_run=dry_run)
            assert [outcome(again).counts[name] for name in ("accepted", "quarantined")] == [accepted, held]
        run = again
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 4
    assert not Event.objects.filter(standing=Event.Standing.HELD).exists()


@database
@pytest.mark.parametrize(("before", "after"), [("C1", ""), ("", "C1")], ids=["an event is told no more", "an event is told too"])
@pytest.mark.parametrize("with_id", [True, False], ids=["by id", "without an id"])
def test_a_mended_row_may_tell_of_other_events_than_before(till, load, before, after, with_id):
    """Each event keeps its place and its id, whichever others its row tells of."""
    shared = tuple(column for column in SHARED if with_id or column.target != "id")
    kept(till, Matching(shared, (RowEvent(name="login", only_if="券"), RowEvent(name="product_view", columns=BOUGHT[:1]), RowEvent(name="purchase", columns=BOUGHT))))  # fmt: skip
    run = load(rows(1, 数量={0: "two"}, 券={0: before}))
    header, back = rows_back(run)
    back[HEADER.index("数量")], back[HEADER.index("券")] = "2", after
    load([back], header)
    assert not Event.objects.filter(standing=Event.Standing.HELD).exists()
    counted = Event.objects.filter(standing=Event.Standing.COUNTED)
    assert sorted(counted.values_list("tag__code", flat=True)) == ["login", "product_view", "purchase"]


@database
def test_two_events_of_one_name_in_a_row_are_two_also_sent_again(till, load):
    kept(till, replace_events(PURCHASE, *PURCHASE.events, RowEvent(name="login"), RowEvent(name="login", only_if="券")))
    assert outcome(load(rows(1, 券={0: "C1"}))).counts["accepted"] == 3
    assert outcome(load(rows(2, 券={0: "C1"}))).counts["duplicate"] == 3
    assert sorted(Event.objects.filter(tag__code="login").values_list("message_id", flat=True)) == [
        "R1-0:login", "R1-0:login:2", "R1-1:login",
    ]  # fmt: skip


CUT = dict.fromkeys(range(4), "2.10381E+18")
NO_ORDER = RowEvent(name="purchase", columns=BOUGHT[:3])
ONE_ID = Matching(tuple(column for column in SHARED if column.heading != "行号"), (NO_ORDER, RowEvent(name="login")))
SAME_PHONE = dict.fromkeys(range(4), "13800138000")


@database
@pytest.mark.parametrize(
    ("matching", "changed", "events"),
    [
        (replace_events(PURCHASE, NO_ORDER), {"行号": dict.fromkeys(range(4), "1")}, 4),
        (replace_events(PURCHASE, NO_ORDER), {"会员手机": SAME_PHONE}, 4),
        (PURCHASE, {"行号": dict.fromkeys(range(4), "1")}, 4),
        (ONE_ID, {}, 8),
    ],
    ids=["one line each", "several lines", "order", "two events"],
)
def test_rows_with_an_id_of_which_a_part_is_cut_are_held_each_of_its_own(till, load, matching, changed, events):
    kept(till, matching)
    run = load(rows(4, 单号=CUT, **changed))
    assert outcome(run).counts["quarantined"] == events
    assert Event.objects.filter(standing=Event.Standing.HELD, reasons__code="envelope.wrong_type", reasons__path="id").count() == events
    back = rows_back(run)
    found = outcome(load(back[1:], back[0]))
    assert (found.counts["duplicate"], found.closed) == (events, 0)


@database
def test_held_rows_are_read_again_by_the_matching_of_their_import(till, load):
    kept(till, replace_events(PURCHASE, RowEvent(name="SALE", columns=BOUGHT)))
    load(rows(3))
    kept(till, replace_events(PURCHASE, RowEvent(name="something_else")))
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == 3
    from taxonomy.models import MappingRule, Tag

    MappingRule.objects.create(source=till, name="SALE", tag=Tag.objects.get(code="purchase"))
    publish(notes="rule", by=None)
    replay = ask(Replay(source=till))
    assert run_replay(replay.pk).fixed == 3
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 3


@database
def test_the_batch_says_by_itself_how_its_rows_are_read(till, load):
    kept(till)
    load(rows(1))
    assert FileFormat(**Batch.objects.get().format).matching == PURCHASE


@database
def test_a_try_tells_new_customers_from_known_ones_with_examples(till, load, monkeypatch):
    real = __import__("ingestion.doors.files", fromlist=["blocks"]).blocks
    monkeypatch.setattr("ingestion.imports.run.blocks", lambda path, found: real(path, found, block_bytes=200))
    kept(till)
    load(rows(2))
    again = [[row[0] + "b", *row[1:]] for row in rows(5, 数量={4: "many"})]
    run = load([*rows(2), *again, *again[:1], ["short"]], dry_run=True)
    assert ImportChunk.objects.filter(run=run).count() > 1
    found = outcome(run)
    assert (found.created, found.joined) == (2, 2)
    assert (found.received, found.counts["duplicate"], found.counts["quarantined"], found.counts["refused"]) == (9, 3, 1, 1)
    kinds = {kind for examples in run.chunks.values_list("examples", flat=True) for kind in examples}
    assert {"created", "joined", "duplicate", "quarantined", "refused"} <= kinds
    assert not run.trial_keys.exists()


@database
def test_what_was_tried_is_imported_from_the_same_file(till, load):
    kept(till)
    tried = load(rows(3), dry_run=True)
    run, _is_new = follow(tried, by=None)
    assert outcome(run_import(run.pk)).counts["accepted"] == 3
    assert Path(run.path).exists()


@database
def test_a_draft_is_matched_and_then_imported(till, tmp_path):
    path = tmp_path / "till.csv"
    path.write_bytes(as_csv(rows(2)))
    run = take_file(path, source=till, file_name="till.csv", is_draft=True)
    assert (run.matching, run.format["matching"]) == (None, None)
    used = match(run, PURCHASE, by=None)
    assert used.headings == HEADER
    run.refresh_from_db()
    assert FileFormat(**run.format) == replace(FileFormat(**run.format), matching=PURCHASE)
    assert take_file(path, source=till, file_name="till.csv", is_draft=True).matching == used


@database
def test_a_row_of_another_encoding_is_shown_as_it_was_and_what_was_matched_to_an_identifier_is_hidden(till, load):
    kept(till, Matching((*SHARED, Column("商品", "identifier.crm_id")), (RowEvent(name="purchase", columns=BOUGHT),)))
    load([[*row[:5], "龙井茶", *row[6:]] for row in rows(1)])
    event = Event.objects.select_related("batch").get()
    whole = dict(shown_original(event.original, event, Sight(unmasked=True)).cells)
    assert (whole["商品"], whole["会员手机"]) == ("龙井茶", "13800138010")
    assert dict(shown_original(event.original, event, Sight(unmasked=False)).cells)["商品"] == STARS


@database
def test_held_rows_without_an_id_are_told_apart_by_their_cells(till, load, client):
    columns = tuple(column for column in SHARED if column.target != "id")
    kept(till, Matching(columns, (RowEvent(name="purchase", columns=BOUGHT),)).in_order())
    load(rows(3, 会员手机={1: "1.38E+10", 2: "1.38E+10"}, 单号={1: "R8", 2: "R9"}))
    cause = cause_of(QuarantineReason.objects.first())
    marketer = User.objects.create_user("desk@example.com", language="en")
    marketer.groups.add(Group.objects.get(name="marketer"))
    client.force_login(marketer)
    desk = client.get(reverse("admin:desk"), {"cause": cause.pk})
    assert [value["about"].partition(" · ")[0] for value in desk.context["values"]] == ["R9", "R8"]
    assert "1.38E+10" not in desk.content.decode()
    page = client.get(cause.get_absolute_url())
    assert [line["message_id"].partition(" · ")[0] for line in page.context["events"]] == ["R9", "R8"]
    sheet = load_workbook(io.BytesIO(client.get(reverse("admin:desk_table", args=[cause.pk])).content)).worksheets[-1]
    assert [row[4].partition(" · ")[0] for row in list(sheet.values)[1:]] == ["R9", "R8"]


@pytest.mark.django_db
def test_a_check_of_a_matched_file_names_its_own_columns(standard, tmp_path):
    till = Source.objects.get(code="till")
    keep(PURCHASE, source=till, headings=HEADER, file_name="a.csv", by=None)
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(rows(3, 会员手机={1: "no number"}, 数量={2: "two"})))
    obeyed = current()
    checked = check_file(path, obeyed.plan.sources["till"], current=obeyed, received_at=timezone.now())
    assert (checked.received, checked.failed) == (3, 2)
    assert [(one.row, one.column) for one in checked.findings] == [(3, "会员手机"), (4, "数量")]
    assert (checked.matching.number, as_json(checked)["matching"]) == (1, 1)


@pytest.mark.django_db
def test_a_partner_s_file_is_checked_by_the_matching_that_an_import_would_use_and_is_told_which(standard, client):
    till = Source.objects.get(code="till")
    used = kept(till)
    maker = User.objects.create_user("maker@example.com", is_superuser=True, language="en")
    address = f"{SpecLink.objects.create(source=till, created_by=maker).get_absolute_url()}?language=en"

    def check(where: str, lines: list[list[str]], header: list[str] = HEADER):
        answer = client.post(where, {"act": "check", "file": SimpleUploadedFile("a.csv", as_csv(lines, header))})
        return answer.content.decode()

    page = check(address, [row[::-1] for row in rows(3, 数量={2: "two"})], HEADER[::-1])
    assert (
        "1 row has a fault" in page
        and f"read as those of “till.csv” (matching {used.number} of" in page
        and "/admin/ingestion/filematching" not in page
    )
    assert "this source’s own records" in check(address, [["purchase", "13800138000"]], ["event", "phone"])
    client.force_login(maker)
    link = reverse("admin:ingestion_filematching_change", args=[used.pk])
    assert link in check(reverse("spec_of_source", args=[till.pk]), rows(1)) and link not in check(address, rows(1))


@pytest.mark.django_db
def test_the_command_that_checks_names_a_matching_and_says_which_read_the_columns(standard, tmp_path, capsys):
    kept(Source.objects.get(code="till"))
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(rows(3)))
    call_command("check_file", str(path), source="till")
    assert "Columns read by: matching 1" in capsys.readouterr().out
    path.write_bytes(as_csv([[*row, "x"] for row in rows(3)], [*HEADER, "积分"]))
    call_command("check_file", str(path), source="till", matching=1, json=True)
    assert '"matching": 1' in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("check_file", str(path), source="till", matching=7)
