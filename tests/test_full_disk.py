"""A full disk, the database's or this machine's: an import says so, stores nothing half, and goes on to the same end when there is room."""

import gzip
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from ingestion.doors.files import blocks
from ingestion.imports import uploads
from ingestion.imports.run import outcome, run_import, standing_of, take_file
from ingestion.imports.uploads import finish_upload
from ingestion.models import ImportChunk, ImportRun, Upload
from ingestion.room import is_no_room
from profiles.models import Event, Tally
from tests.test_file_imports import as_workbook
from tests.test_imports import _uploads, rows, source, write  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
FULL = Path("/dev/full")  # whatever is written to it, Linux finds no room


@pytest.fixture
def full_database():
    """Makes the database say that its disk is full once two blocks are stored: (begin, end). The error is the server's own."""

    def run(*statements: str) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def begin() -> None:
        run(
            """
            CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF (SELECT count(*) FROM ingestion_importchunk) >= 2 THEN
                    RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
                END IF;
                RETURN NULL;
            END $$
            """,
            "CREATE TRIGGER full_disk AFTER INSERT ON profiles_original FOR EACH STATEMENT EXECUTE FUNCTION full_disk()",
        )

    def end() -> None:
        run("DROP TRIGGER IF EXISTS full_disk ON profiles_original", "DROP FUNCTION IF EXISTS full_disk()")

    yield begin, end
    end()


@pytest.mark.parametrize("is_small", [True, False], ids=["one process", "all cores"])
def test_an_import_that_meets_a_full_database_goes_on_to_the_same_end(source, tmp_path, monkeypatch, full_database, client, is_small):  # noqa: F811
    begin, end = full_database
    monkeypatch.setattr("ingestion.imports.run.blocks", partial(blocks, block_bytes=2_000))
    monkeypatch.setattr("ingestion.imports.run._SMALL_BYTES", 10**9 if is_small else 0)
    run = take_file(write(tmp_path / "a.csv", [*rows(200, quantity={9: "many"}), *rows(2)]), source=source, file_name="a.csv")
    begin()
    with pytest.raises(OSError) as error:  # noqa: PT011
        run_import(run.pk)
    assert is_no_room(error.value)
    run.refresh_from_db()
    assert (run.status, run.error, standing_of(run)) == (ImportRun.Status.FAILED, "import.no_room", "stopped")
    stored = Event.objects.count()
    assert 0 < stored == sum(ImportChunk.objects.values_list("rows", flat=True)) == sum(one.received for one in Tally.objects.all()) < 200
    end()
    found = outcome(run_import(run.pk))
    assert (found.received, found.counts["accepted"], found.counts["quarantined"], found.counts["duplicate"]) == (202, 199, 1, 2)
    assert Event.objects.count() == 200 and sum(one.received for one in Tally.objects.all()) == 202


def test_who_imports_is_told_that_the_disk_is_full(source, tmp_path, monkeypatch, full_database, admin_client):  # noqa: F811
    begin, end = full_database
    monkeypatch.setattr("ingestion.imports.run.blocks", partial(blocks, block_bytes=2_000))
    path = write(tmp_path / "a.csv", rows(200))
    begin()
    with pytest.raises(CommandError, match="disk is full"):
        call_command("import_events", str(path), source="files", json=True)
    page = admin_client.get(reverse("admin:ingestion_importrun_change", args=[ImportRun.objects.get().pk]))
    assert "The disk is full." in page.context["problem"] and page.context["may_go_on"]
    end()
    call_command("import_events", str(path), source="files", json=True)
    assert outcome(ImportRun.objects.get()).counts["accepted"] == 200


@pytest.mark.needs("full-device")
def test_of_a_file_that_finds_no_room_nothing_is_kept(source, tmp_path, settings, admin_client):  # noqa: F811
    path, run_id = write(tmp_path / "a.csv", rows(200)), uuid4()
    kept = Path(settings.UPLOAD_DIR) / str(run_id)
    kept.parent.mkdir()
    kept.symlink_to(FULL)
    with pytest.raises(OSError) as error:  # noqa: PT011
        take_file(path, source=source, file_name="a.csv", run_id=run_id)
    assert is_no_room(error.value)
    assert not kept.is_symlink() and not ImportRun.objects.exists()
    run = take_file(path, source=source, file_name="a.csv", run_id=run_id)
    assert outcome(run_import(run.pk)).counts["accepted"] == 200


@pytest.mark.needs("full-device")
def test_a_good_file_that_is_unpacked_on_a_full_disk_is_not_called_damaged(source, tmp_path, monkeypatch):  # noqa: F811
    path = tmp_path / "a.xlsx.gz"
    path.write_bytes(gzip.compress(as_workbook(rows(3))))
    upload = Upload.objects.create(source=source, file_name="a.xlsx.gz", size_bytes=path.stat().st_size, received_bytes=path.stat().st_size)
    part = uploads._path(upload.pk)
    part.write_bytes(path.read_bytes())

    def unpacking_fails() -> None:
        with monkeypatch.context() as full:
            full.setattr("ingestion.doors.files.unpack.tempfile.NamedTemporaryFile", lambda: FULL.open("wb", buffering=0))
            with pytest.raises(OSError) as error:  # noqa: PT011
                finish_upload(upload.pk)
        assert is_no_room(error.value)
        assert not Event.objects.exists()

    unpacking_fails()  # as it is looked at
    assert part.exists() and not ImportRun.objects.exists()
    with monkeypatch.context() as broken:
        broken.setattr("ingestion.imports.uploads.run_import", lambda _run_id: None)
        finish_upload(upload.pk)
    unpacking_fails()  # as it is imported
    assert ImportRun.objects.get().error == "import.no_room"
    finish_upload(upload.pk)
    assert outcome(ImportRun.objects.get()).counts["accepted"] == 3
