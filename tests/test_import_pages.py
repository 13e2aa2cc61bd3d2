"""The pages of imports: what became of each file, how it stands, and what a source's file looks like before one is made."""

import csv
import io
from datetime import timedelta
from html import unescape

import pytest
from conftest import publish_starter
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from test_imports import HEADER, rows, source, write  # noqa: F401

from ingestion.doors.files import UnreadableFile
from ingestion.imports.failed import failed_rows
from ingestion.imports.run import follow, outcome, release_draft, run_import, standing_of, take_file
from ingestion.imports.sample import sample_of
from ingestion.models import ImportChunk, ImportRun, TakeBack
from profiles.models import Event
from profiles.original import shown_original
from profiles.sight import Sight
from staff.models import User
from taxonomy.dictionary.standard import standard as released
from taxonomy.models import Source
from taxonomy.publish import newest, publish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture
def steward(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("steward@example.com", "x"))
    return client


def test_the_list_says_what_became_of_each_file(source, steward, tmp_path):  # noqa: F811
    for name in ("a", "b"):
        path = write(tmp_path / f"{name}.csv", [*rows(1100, quantity={3: "many"}), *rows(2)])
        run_import(take_file(path, source=source, file_name=path.name, dry_run=True).pk)
    page = steward.get(reverse("admin:ingestion_importrun_changelist"))
    cells = [cell.split("<")[0].strip() for cell in page.content.decode().split(">")]
    assert [cells.count(one) for one in ("1,102", "1,099", "finished · dry run")] == [2, 2, 2]


def test_an_import_leads_to_what_is_held_and_to_the_import_of_the_mended_rows(source, steward, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(5, quantity={3: "many"}))
    run = run_import(take_file(path, source=source, file_name=path.name).pk)
    page = unescape(steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk])).content.decode())
    assert f"{reverse('admin:ingestion_quarantinereason_changelist')}?source=files&code=attribute.wrong_type" in page
    again = f"{reverse('admin:ingestion_importrun_add')}?source={source.pk}"
    assert "a colleague can take it back" not in page
    assert again in page and f'<option value="{source.pk}" selected>' in steward.get(again).content.decode()


def test_rows_that_were_refused_lead_to_no_list_of_what_is_held(source, steward, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", [*rows(5, quantity={3: "many"}), ["short"]])
    run = run_import(take_file(path, source=source, file_name=path.name).pk)
    page = unescape(steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk])).content.decode())
    assert page.count("all that the source has held for it") == 1
    assert "code=record.columns" not in page
    assert "<small>row 7</small>" in page


def test_rows_that_were_refused_are_told_by_their_numbers_and_so_are_failed_rows(source, steward, tmp_path):  # noqa: F811
    lines = rows(12, quantity={1: "two"})
    for at in (2, 4, 5, 6, 8, 11):
        lines[at] = lines[at][:-1]
    run = run_import(take_file(write(tmp_path / "a.csv", lines), source=source, file_name="a.csv").pk)
    page = steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk])).content.decode()
    assert "<small>rows 4, 6, 7, 8, 10 …</small>" in page
    failed = csv.DictReader(io.StringIO(b"".join(failed_rows(run)).decode("utf-8-sig")))
    reasons = [row["_reason"] for row in failed]
    assert [one.partition(":")[0] for one in reasons] == [f"Row {number} of a.csv" for number in (3, 4, 6, 7, 8, 10, 13)]
    assert f"The row has {len(lines[2])} cells and the header {len(lines[0])} columns." in reasons[1]


def test_an_import_that_was_taken_back_is_put_back_and_says_so(source, steward, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(5, quantity={3: "many"}))
    run = run_import(take_file(path, source=source, file_name=path.name).pk)
    place = reverse("admin:ingestion_importrun_change", args=[run.pk])
    take, mended = reverse("admin:take_back_batch", args=[run.pk]), "Import the mended file"
    before = steward.get(place).content.decode()
    assert take in before and mended in before
    act = TakeBack.objects.create(
        source=source, batch_id=run.pk, state="taken", reason="wrong", received_until=timezone.now(), decided_at=timezone.now(),
        looked_by=(by := User.objects.get()), decided_by=by,
    )  # fmt: skip
    after = steward.get(place).content.decode()
    assert take not in after and mended not in after
    assert after.count(act.get_absolute_url()) == 2 and "Put it back" in after
    listed = reverse("admin:ingestion_importrun_changelist")
    assert "taken back" in after and "taken back" in steward.get(listed).content.decode().partition('id="result_list"')[2]
    TakeBack.objects.update(state="put")
    assert take in steward.get(place).content.decode()


def test_who_may_not_see_the_rows_is_told_who_may_and_the_command_writes_them(source, client, tmp_path, capsys):  # noqa: F811
    path, failed = write(tmp_path / "a.csv", rows(5, quantity={3: "many"})), tmp_path / "failed.csv"
    call_command("import_events", str(path), source="files")
    assert "--failed FILE" in capsys.readouterr().out
    run = ImportRun.objects.get()
    engineer = User.objects.create_user("engineer@example.com", "x")
    engineer.groups.add(Group.objects.get(name="engineer"))
    client.force_login(engineer, "django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("admin:ingestion_importrun_change", args=[run.pk])).content.decode()
    assert reverse("admin:ingestion_importrun_failed_rows", args=[run.pk]) not in page and "whoever started the import" in page
    engineer.groups.set([Group.objects.get(name="marketer")])
    page = client.get(reverse("admin:ingestion_importrun_change", args=[run.pk])).content.decode()
    assert "a colleague can take it back: administrator or data steward." in page
    call_command("import_events", str(path), source="files", failed=failed)
    told = capsys.readouterr()
    assert str(failed) in told.out and "This file was imported on" in told.err
    assert [row["id"] for row in csv.DictReader(io.StringIO(failed.read_text("utf-8-sig")))] == ["m3"]
    assert failed.stat().st_mode & 0o777 == 0o600
    for wrong in (failed, path, tmp_path / "nowhere" / "x.csv"):
        with pytest.raises(CommandError, match="not there yet"):
            call_command("import_events", str(path), source="files", failed=wrong)


def test_a_draft_is_of_who_uploaded_it(source, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(3))
    mia, max_ = (User.objects.create_user(f"{name}@example.com", "x") for name in ("mia", "max"))
    of_mia = take_file(path, source=source, file_name="a.csv", by=mia, is_draft=True)
    assert take_file(path, source=source, file_name="a.csv", by=mia, is_draft=True) == of_mia
    assert take_file(path, source=source, file_name="a.csv", by=max_, is_draft=True) != of_mia


def test_two_people_do_not_import_the_same_file_at_once(source, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(3))
    drafts = [
        take_file(path, source=source, file_name="a.csv", by=User.objects.create_user(f"{name}@example.com", "x"), is_draft=True)
        for name in ("mia", "max")
    ]
    assert release_draft(drafts[0])
    with pytest.raises(UnreadableFile, match="under_way"):
        release_draft(drafts[1])
    assert release_draft(drafts[1], dry_run=True), "trying stores nothing"


def test_what_was_tried_is_imported_once_however_often_it_is_pressed(source, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(3))
    tried = run_import(take_file(path, source=source, file_name="a.csv", dry_run=True).pk)
    first, is_new = follow(tried, by=None)
    assert is_new and follow(tried, by=None) == (first, False)
    run_import(first.pk)
    assert follow(tried, by=None) == (first, False)
    retried = run_import(take_file(path, source=source, file_name="a.csv", dry_run=True).pk)
    assert follow(retried, by=None)[1], "tried after it was imported, it is imported again: the page says what that means"


def test_what_was_tried_is_not_imported_beside_another_import_of_it(source, steward, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(3))
    tried = run_import(take_file(path, source=source, file_name="a.csv", dry_run=True).pk)
    earlier = take_file(path, source=source, file_name="a.csv")
    ImportRun.objects.filter(pk=earlier.pk).update(created_at=tried.created_at - timedelta(hours=1))
    assert follow(tried, by=None) == (earlier, False)
    earlier.format["quote"] = "'"
    earlier.save()
    tried.started_by = User.objects.get(email="steward@example.com")
    tried.save()
    answer = steward.post(reverse("admin:ingestion_importrun_change", args=[tried.pk]), {"act": "import"}, follow=True)
    assert "has begun and has not ended" in answer.content.decode() and ImportRun.objects.count() == 2
    ImportRun.objects.filter(pk=earlier.pk).update(status=ImportRun.Status.FAILED)
    assert follow(tried, by=None)[1], "what broke off before anything was stored hinders nobody"


def test_of_what_stopped_and_was_taken_back_nothing_goes_on_and_the_file_is_imported_anew(source, steward, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(5))
    stopped = take_file(path, source=source, file_name="a.csv")
    ImportChunk.objects.create(run=stopped, index=0, rows=2, first_row=2, counts={}, causes={}, notes={}, failed_rows=[], examples={})
    ImportRun.objects.filter(pk=stopped.pk).update(status=ImportRun.Status.FAILED, error="import.stopped")
    assert take_file(path, source=source, file_name="a.csv") == stopped
    by = User.objects.get(email="steward@example.com")
    who = {"source": source, "looked_by": by, "decided_by": by, "reason": "wrong"}
    back = TakeBack.objects.create(batch_id=stopped.pk, state="taken", received_until=timezone.now(), decided_at=timezone.now(), **who)
    url = reverse("admin:ingestion_importrun_change", args=[stopped.pk])
    assert "may_go_on" in (page := steward.get(url)).context and not page.context["may_go_on"]
    assert "It was taken back." in steward.post(url, {}, follow=True).content.decode()
    assert run_import(stopped.pk).status == ImportRun.Status.FAILED
    anew = take_file(path, source=source, file_name="a.csv")
    assert anew != stopped and outcome(run_import(anew.pk)).counts["accepted"] == 5
    TakeBack.objects.filter(pk=back.pk).update(state="put", put_at=timezone.now(), put_by=by, put_reason="right after all")
    assert steward.get(url).context["may_go_on"]


def test_a_file_sent_again_begins_the_import_whose_start_was_lost(source, steward, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(5))
    lost = take_file(path, source=source, file_name="a.csv")
    for _twice in range(2):
        steward.post(
            reverse("admin:ingestion_importrun_add"), {"source": source.pk, "file": SimpleUploadedFile("a.csv", path.read_bytes())}
        )
    assert ProcrastinateJob.objects.filter(args__run_id=str(lost.pk)).count() == 1


def test_formats_that_differ_in_how_rows_are_numbered_read_alike(source, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(5))
    begun = take_file(path, source=source, file_name="a.csv")
    begun.format.pop("by_line")
    begun.save()
    assert take_file(path, source=source, file_name="a.csv", delimiter=",") == begun
    tried = take_file(path, source=source, file_name="a.csv", dry_run=True)
    assert follow(tried, by=None) == (begun, False)


def test_what_is_held_again_is_not_mended(source, tmp_path):  # noqa: F811
    path, again = write(tmp_path / "a.csv", rows(3, quantity={1: "many", 2: "many"})), tmp_path / "b.csv"
    run_import(take_file(path, source=source, file_name="a.csv").pk)
    write(again, rows(3, quantity={1: "several", 2: "2"}))
    mended = run_import(take_file(again, source=source, file_name="b.csv").pk)
    assert [chunk.counts["closed"] for chunk in mended.chunks.all()] == [1]


def test_another_reading_that_ended_is_not_taken_for_the_import(source, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(3))
    tried = run_import(take_file(path, source=source, file_name="a.csv", dry_run=True).pk)
    other = take_file(path, source=source, file_name="a.csv", quote="'")
    run_import(other.pk)
    made, is_new = follow(tried, by=None)
    assert is_new and made.format == tried.format != other.format


def test_what_has_begun_is_not_read_otherwise_in_silence(source, tmp_path):  # noqa: F811
    path = write(tmp_path / "a.csv", rows(3))
    begun = take_file(path, source=source, file_name="a.csv")
    assert take_file(path, source=source, file_name="a.csv") == begun == take_file(path, source=source, file_name="a.csv", delimiter=",")
    with pytest.raises(UnreadableFile, match="begun_otherwise"):
        take_file(path, source=source, file_name="a.csv", quote="'")


def test_rows_parted_by_several_signs_can_be_looked_at(source, steward, tmp_path):  # noqa: F811
    path = tmp_path / "a.txt"
    lines = [HEADER, *rows(2, quantity={1: "many"})]
    path.write_text("".join("+|".join(line) + "\n" for line in lines))
    run_import(take_file(path, source=source, file_name="a.txt", delimiter="+|").pk)
    for event in Event.objects.all():
        shown = shown_original(event.original, event, Sight(unmasked=True))
        assert dict(shown.cells)["order_id"] == event.message_id.replace("m", "o")
    exported = steward.get(reverse("admin:quarantine_export") + "?format=ndjson")
    assert b"many" in b"".join(exported.streaming_content)


@pytest.mark.parametrize(
    ("status", "error", "standing"),
    [
        ("waiting", "", "waiting"),
        ("running", "", "stopped"),  # nobody is at work on it
        ("failed", "import.stopped", "stopped"),
        ("failed", "file.damaged", "failed"),
        ("finished", "", "finished"),
    ],
)
def test_a_run_stands_as_it_really_does(source, steward, status, error, standing):  # noqa: F811
    run = ImportRun.objects.create(source=source, file_name="x.csv", path="/nowhere", status=status, error=error, format={})
    assert standing_of(run) == standing
    page = steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
    assert page.context["may_go_on"] is (standing in ("stopped", "failed"))


@pytest.mark.parametrize(("chosen", "takes"), [("", 0), ("newest", 1)])
def test_a_stopped_run_goes_on_by_the_release_it_began_with_or_by_the_newest(source, steward, chosen, takes):  # noqa: F811
    began = newest()
    run = ImportRun.objects.create(
        source=source, file_name="x.csv", path="/nowhere", status="failed", error="import.stopped", release=began
    )
    page = reverse("admin:ingestion_importrun_change", args=[run.pk])
    assert steward.get(page).context["releases"] == []
    source.label_en = "Files"
    source.save()
    publish(notes="t", by=None)
    assert steward.get(page).context["releases"] == (both := [began, newest()])
    steward.post(page, {"act": "go_on", "release": chosen})
    run.refresh_from_db()
    assert run.release == both[takes]


def test_a_run_that_is_at_work_is_running(source, tmp_path):  # noqa: F811
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    def seen_elsewhere(run: ImportRun) -> str:
        try:
            return standing_of(ImportRun.objects.get(pk=run.pk))
        finally:
            connections.close_all()

    seen = []
    run = take_file(write(tmp_path / "a.csv", rows(3)), source=source, file_name="a.csv")
    with ThreadPoolExecutor(1) as elsewhere:
        run_import(run.pk, on_progress=lambda run: seen.append(elsewhere.submit(seen_elsewhere, run).result()))
    assert seen == ["running"]


def test_every_source_has_a_sample_that_it_takes_when_it_is_imported(departments, tmp_path):
    publish_starter()
    known = released()
    for one in Source.objects.all():
        sample = sample_of(str(one.pk), known)
        path = tmp_path / f"{one.code}.{sample.kind}"
        path.write_text(sample.text)
        found = outcome(run_import(take_file(path, source=one, file_name=path.name, dry_run=True).pk))
        assert found.received == found.counts["accepted"] > 0, one.code


def test_the_upload_page_tells_of_the_source_and_offers_the_sample(departments, steward):
    publish_starter()
    till = Source.objects.get(code="till")
    told = steward.get(reverse("admin:ingestion_importrun_about", args=[till.pk])).content.decode()
    assert "<code>price_fen</code>" in told
    sample = steward.get(reverse("admin:ingestion_importrun_sample", args=[till.pk]))
    assert sample.content.startswith("\ufeffid,event,phone".encode())
    assert sample.headers["Content-Disposition"] == 'attachment; filename="till-sample.csv"'
    newer = Source.objects.create(code="newer", label_en="Newer", source_kind="file", owner_id="data")
    assert steward.get(reverse("admin:ingestion_importrun_sample", args=[newer.pk])).status_code == 404
    assert "not in the published standard" in steward.get(reverse("admin:ingestion_importrun_about", args=[newer.pk])).content.decode()


def test_a_sample_leaves_out_what_a_rule_takes_only_on_a_condition(departments):
    publish_starter()
    sample = sample_of(str(Source.objects.get(code="till").pk), released())
    assert [row["event"] for row in csv.DictReader(io.StringIO(sample.text))].count("SALE") == 1  # a returned one is a refund
