"""Every set of real data as the files it is: what becomes of each row, counted against Python's own reading of the file.

First rows here; whole files by `make proof`, which writes what became of them into docs/sets.md.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from conftest import publish_starter
from django.core.management import call_command
from sets import DAYS, SETS, FileSet, make_sets, write_row

from ingestion.doors.files import sniff
from ingestion.imports.matchings import keep
from ingestion.imports.run import Outcome, outcome, run_import, take_file
from ingestion.models import ImportRun
from profiles.models import Event, Original, Tally
from taxonomy.models import Source
from taxonomy.publish import publish

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs("shared-data")]

SAMPLE = 100


@pytest.fixture
def make(departments, settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"
    publish_starter()

    def make(sets: list[FileSet]) -> None:
        make_sets(sets)
        publish(notes="sets", by=None)

    return make


def load(one: FileSet, text: str, folder: Path) -> Outcome:
    """Import the text as a file, and compare with what was counted from its cells."""
    path = folder / Path(one.path).name.removesuffix(".zst")
    path.write_text(text, encoding="utf-8", newline="")
    source = Source.objects.get(code=one.code)
    if one.matching:
        keep(one.matching, source=source, headings=sniff(path, **one.said).columns, file_name=path.name, by=None)
    found = outcome(run_import(take_file(path, source=source, file_name=path.name, **one.said).pk))
    counts = {name: count for name, count in found.counts.items() if name != "changed"}
    assert found.received == sum(counts.values())
    assert (counts, dict(found.causes)) == tuple(map(dict, one.expected(text))), one.name
    assert strings_stored(one) == one.strings(one.rows(text))
    return found


def strings_stored(one: FileSet) -> set[str]:
    """The different strings of a set's column `written`, out of the records that were stored."""
    if one.written is None:
        return set()
    stored = Original.objects.filter(event__source__code=one.code).values_list("record", flat=True)
    return one.strings(one.cells("\n".join(bytes(record).decode() for record in stored)))


def test_the_first_rows_of_every_set_become_what_their_cells_say(make, tmp_path):
    make(SETS)
    for one in SETS:
        load(one, one.head(one.text(), SAMPLE), tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize("folder", sorted({one.folder for one in SETS}))
def test_a_whole_set_becomes_what_its_cells_say(folder, make, tmp_path, record_property):
    files = [one for one in SETS if one.folder == folder]
    make(files)
    events = 0
    for one in files:
        text = one.text()
        found = load(one, text, tmp_path)
        accepted = Event.objects.filter(source__code=one.code, standing=Event.Standing.COUNTED)
        known = found.counts | {"received": found.received, "people": accepted.values("subject").distinct().count()}
        known["strings"] = len(strings_stored(one))
        assert {name: known[name] for name in one.figures} == one.figures
        write_row(one.name, sum(1 for _ in one.rows(text)), found)
        events += found.received
    record_property("figure", f"{events:,} events of {len(files)} files")


def drop(root: Path, source: str, files: Iterable[tuple[str, str]]) -> list[dict]:
    """Drop {name: text} into the source's folder and have it watched, one after the other; the reports beside them."""
    reports = []
    for name, text in files:
        (root / source).mkdir(exist_ok=True)
        (root / source / name).write_text(text, encoding="utf-8", newline="")
        call_command("watch", str(root), once=True, settle=0)
        reports.append(json.loads((root / source / "done" / f"{name}.report.json").read_text()))
    return reports


def drop_days(days: list[tuple[FileSet, str]], root: Path) -> list[dict]:
    """Drop each day; then each again, under another name; then all in one file. Each row is counted once, by its day."""
    source = DAYS[0].code
    first = drop(root, source, ((Path(one.path).name, text) for one, text in days))
    for report, (one, text) in zip(first, days, strict=True):
        counts, causes = one.expected(text)
        assert {name: report[name] for name in counts} == counts, one.name
        assert (report["causes"], report["imported_before"]) == (causes, False)
    stored = Event.objects.count()
    assert stored == sum(report["accepted"] + report["quarantined"] for report in first)

    again = drop(root, source, ((f"again-{Path(one.path).name}", text) for one, text in days))
    assert [(report["import"], report["imported_before"]) for report in again] == [(report["import"], True) for report in first]
    rows = sum(report["received"] for report in first)
    assert sum(tally.received for tally in Tally.objects.all()) == rows

    header = days[0][1].splitlines(keepends=True)[0]
    [together] = drop(root, source, [("together.csv", header + "".join(text.removeprefix(header) for _one, text in days))])
    assert (together["received"], together["duplicate"]) == (rows, rows)
    assert Event.objects.count() == stored
    return first


def test_a_day_that_is_dropped_counts_once_however_often_it_is_delivered(make, tmp_path):
    make(DAYS)
    drop_days([(one, one.head(one.text(), SAMPLE)) for one in DAYS], tmp_path)


@pytest.mark.proof
def test_whole_days_that_are_dropped_count_once(make, tmp_path, record_property):
    make(DAYS)
    days = [(one, one.text()) for one in DAYS]
    for report, (one, text) in zip(drop_days(days, tmp_path), days, strict=True):
        write_row(one.name, sum(1 for _ in one.rows(text)), outcome(ImportRun.objects.get(pk=report["import"])))
    record_property("figure", f"{Event.objects.count():,} events of {len(DAYS)} days, each dropped three times")
