"""A file comes in whole: interrupted and started again it ends as if never interrupted; its failed rows come back mended."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from django.core.management import call_command

from ingestion import chunk
from ingestion.imports import failed_rows, outcome, run_import, take_file
from ingestion.models import ImportRun, QuarantineReason
from profiles.models import Event, Tally
from taxonomy.models import Source

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = ["id", "event", "phone", "occurred_at", "order_id", "product_id", "price", "quantity"]


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture
def source(standard):
    """A source whose files are flat rows."""
    source = Source.objects.get(code="website")
    source.pk, source.code, source.envelope = None, "files", {"preset": "flat"}
    source.region, source.currency = "CN", "CNY"
    source._state.adding = True
    source.id = None
    import uuid

    source.id = uuid.uuid4()
    source.save()
    from taxonomy.publish import publish

    publish(notes="files", by=None)
    return source


def rows(number: int, **changed: dict[int, str]) -> list[list[str]]:
    made = [[f"m{at}", "purchase", f"138001380{at % 90 + 10}", "2026-03-01 10:00:00", f"o{at}", "p1", "9.90", "1"] for at in range(number)]
    for column, values in changed.items():
        for at, value in values.items():
            made[at][HEADER.index(column)] = value
    return made


def write(path: Path, lines: list[list[str]], header=HEADER) -> Path:
    text = io.StringIO()
    csv.writer(text).writerows([header, *lines])
    path.write_text(text.getvalue())
    return path


def imported(path: Path, source: Source, **more) -> ImportRun:
    return run_import(take_file(path, source=source, file_name=path.name, **more).pk)


def test_counts_add_up_and_duplicates_are_one(source, tmp_path):
    path = write(tmp_path / "a.csv", [*rows(100, quantity={3: "many"}), *rows(2)])
    found = outcome(imported(path, source))
    assert (found.received, found.counts["accepted"], found.counts["duplicate"], found.counts["quarantined"]) == (102, 99, 2, 1)
    assert found.causes == [("attribute.wrong_type", 1)]
    assert sum(tally.received for tally in Tally.objects.all()) == 102


def test_an_interrupted_import_ends_as_if_never_interrupted(source, tmp_path, monkeypatch):
    monkeypatch.setattr("ingestion.doors.files.BLOCK_BYTES", 2_000)
    monkeypatch.setattr(
        "ingestion.imports.blocks",
        lambda path, found: __import__("ingestion.doors.files", fromlist=["blocks"]).blocks(path, found, block_bytes=2_000),
    )
    path = write(tmp_path / "a.csv", rows(300))
    run = take_file(path, source=source, file_name="a.csv")
    stored: list[int] = []
    real = chunk.store_block

    def failing(run_id, block):
        if len(stored) == 3:
            raise KeyboardInterrupt
        stored.append(block.index)
        real(run_id, block)

    monkeypatch.setattr("ingestion.chunk.store_block", failing)
    with pytest.raises(KeyboardInterrupt):
        run_import(run.pk)
    assert 0 < Event.objects.count() < 300
    monkeypatch.setattr("ingestion.chunk.store_block", real)
    assert take_file(path, source=source, file_name="a.csv").pk == run.pk
    found = outcome(run_import(run.pk))
    assert found.counts == {"accepted": 300, "changed": found.counts["changed"], "duplicate": 0, "quarantined": 0, "refused": 0}
    assert Event.objects.count() == sum(tally.received for tally in Tally.objects.all()) == 300


def test_failed_rows_come_back_and_mended_ones_close_the_held(source, tmp_path):
    path = write(tmp_path / "a.csv", rows(5, quantity={1: "two", 3: "three"}))
    run = imported(path, source)
    back = list(csv.DictReader(io.StringIO(b"".join(failed_rows(run)).decode())))
    assert [row["order_id"] for row in back] == ["o1", "o3"]
    assert all(row["_tagline_id"] and "attributes.quantity" in row["_reason"] for row in back)
    for row in back:
        row["quantity"], row["id"] = "2", ""
    mended = write(tmp_path / "mended.csv", [list(row.values()) for row in back], list(back[0]))
    assert outcome(imported(mended, source)).counts["accepted"] == 2
    assert not QuarantineReason.objects.filter(open=True).exists()
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 5


def test_a_dry_run_reports_and_stores_nothing(source, tmp_path):
    path = write(tmp_path / "a.csv", rows(10, phone={2: "12"}))
    found = outcome(imported(path, source, dry_run=True))
    assert (found.counts["accepted"], found.counts["quarantined"]) == (9, 1)
    assert not Event.objects.exists()
    assert not Tally.objects.exists()


def test_the_command_imports_gzip_and_prints_json(source, tmp_path, capsys):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(write(tmp_path / "a.csv", rows(7)).read_bytes()))
    call_command("import_events", str(path), source="files", json=True)
    assert json.loads(capsys.readouterr().out)["accepted"] == 7


def test_a_shifted_row_is_refused_and_handed_back(source, tmp_path):
    path = write(tmp_path / "a.csv", [*rows(2), [*rows(1)[0], "one too many"]])
    run = imported(path, source)
    assert outcome(run).counts["refused"] == 1
    assert b"one too many" in b"".join(failed_rows(run))


def test_a_large_file_is_stored_by_several_processes(source, tmp_path, monkeypatch):
    monkeypatch.setattr("ingestion.blocks.SMALL_BYTES", 0)
    path = write(tmp_path / "a.csv", rows(200))
    assert outcome(imported(path, source)).counts["accepted"] == 200
    assert Event.objects.count() == 200
