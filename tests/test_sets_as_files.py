"""Every set of real data as the files it is: what becomes of each row, counted against Python's own reading of the file.

First rows here; whole files by `make proof`, which writes what became of them into docs/sets.md.
"""

from pathlib import Path

import pytest
from conftest import publish_starter
from sets import SETS, FileSet, make_sets, write_row

from ingestion.doors.files import sniff
from ingestion.imports.matchings import keep
from ingestion.imports.run import Outcome, outcome, run_import, take_file
from profiles.models import Event
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
    return found


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
        assert {name: known[name] for name in one.figures} == one.figures
        write_row(one.name, sum(1 for _ in one.rows(text)), found)
        events += found.received
    record_property("figure", f"{events:,} events of {len(files)} files")
