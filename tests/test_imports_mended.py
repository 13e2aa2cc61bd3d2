"""What an import holds back comes home and comes back mended; whatever stops it, it goes on."""

import json
import uuid
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from ingestion.doors.files import FileFormat, blocks
from ingestion.imports.chunk import store_block
from ingestion.imports.failed import failed_rows, has_failed_rows
from ingestion.imports.run import Outcome, outcome, run_import, take_file
from ingestion.jobs import import_file
from ingestion.models import ImportRun, QuarantineReason, TrialKey
from ingestion.pipeline import Incoming, receive
from profiles.models import Event, Link, Tally, Tie
from staff.models import User
from taxonomy.current import current, refresh
from taxonomy.models import Source
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "id,event,phone,occurred_at,order_id,product_id,price,quantity"
OWN, FLAT = {}, {"preset": "flat"}
MANY = {
    "preset": "custom", "events": "lines", "event": "event", "phone": "$.phone", "occurred_at": "$.at", "attributes": "a",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture
def source_with(standard):
    """Makes the source "files" with an envelope, released."""

    def make(envelope: dict) -> Source:
        source = Source.objects.get(code="website")
        source.pk, source.code, source.envelope, source.region, source.currency = uuid.uuid4(), "files", envelope, "CN", "CNY"
        source._state.adding = True
        source.save()
        publish(notes="files", by=None)
        return source

    return make


@pytest.fixture
def load(tmp_path):
    """Imports a text as a file of a source: (the run, what became of it)."""

    def load(source: Source, text: str, **more) -> tuple[ImportRun, Outcome]:
        path = tmp_path / uuid.uuid4().hex
        path.write_text(text)
        run = run_import(take_file(path, source=source, file_name="a", **more).pk)
        return run, outcome(run)

    return load


def rows(number: int, event: str = "purchase") -> str:
    return "".join(f"m{at},{event},13800138000,2026-03-01 10:00:00,o{at},p1,9.90,1\n" for at in range(number))


def lines(*records: dict) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def purchase(**more) -> dict:
    return {
        "event": "purchase", "phone": "+8613800138000", "occurred_at": "2026-03-01T09:00:00Z",
        "attributes": {"order_id": "o1", "product_id": "p1", "price": "9.90", "quantity": 1}, **more,
    }  # fmt: skip


def back(run: ImportRun) -> list[bytes]:
    return b"".join(failed_rows(run)).splitlines()


def held() -> int:
    return Event.objects.filter(standing=Event.Standing.HELD).count()


def test_a_record_with_several_failed_events_comes_back_once_and_so_do_all_after_it(source_with, load):
    two = [{"event": "bad", "a": {"n": 1}}, {"event": "bad", "a": {"n": 2}}]
    many = [{"phone": "13800138000", "at": f"2026-03-01 10:00:0{second}", "lines": two} for second in range(5)]
    run, found = load(source_with(MANY), lines(*many))
    returned = [json.loads(line) for line in back(run)]
    assert found.counts["quarantined"] == 10
    assert [record["at"] for record in returned] == [record["at"] for record in many]
    assert all(len(record["_tagline_id"].split()) == 2 for record in returned)


def test_mended_json_lines_close_what_they_mend(source_with, load):
    source = source_with(OWN)
    run, _ = load(source, lines(*(purchase(event="bad", phone=f"+861380013{n:04d}") for n in range(3))))
    returned = [json.loads(line) for line in back(run)]
    assert held() == 3
    _, found = load(source, lines(*({**record, "event": "purchase"} for record in returned)))
    assert found.counts["accepted"] == 3
    assert held() == 0
    assert not QuarantineReason.objects.filter(open=True).exists()


def test_only_what_waits_still_or_was_refused_comes_back(source_with, load):
    source = source_with(OWN)
    run, found = load(source, lines(*(purchase(id=f"m{n}", event="bad") for n in range(5))) + "no json\n")
    assert (found.counts["quarantined"], found.counts["refused"]) == (5, 1)
    returned = [json.loads(line) for line in back(run)]
    load(source, lines(*({**record, "event": "purchase"} for record in returned[:2])))
    Event.objects.filter(message_id="m2").update(standing=Event.Standing.DISCARDED)
    Event.objects.filter(message_id="m3").update(standing=Event.Standing.TAKEN_BACK)
    assert [json.loads(line) for line in back(run)] == returned[4:]
    Event.objects.filter(message_id="m4").update(standing=Event.Standing.DISCARDED)
    assert [json.loads(line) for line in back(run)] == returned[5:]
    assert has_failed_rows(run)
    tried, _ = load(source, lines(*(purchase(id=f"t{n}", event="bad") for n in range(5))), dry_run=True)
    assert len(back(tried)) == 5


def test_it_is_one_query_that_finds_what_waits(source_with, load, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("ingestion.imports.run.blocks", lambda path, found: blocks(path, found, block_bytes=400))
    run, _ = load(source_with(OWN), lines(*(purchase(event="bad", phone=f"+861380013{n:04d}") for n in range(20))))
    assert run.chunks.count() > 1
    with django_assert_num_queries(1):
        assert len(back(run)) == 20
    Event.objects.update(standing=Event.Standing.DISCARDED)
    assert (back(run), has_failed_rows(run)) == ([], False)


def test_whether_any_row_waits_is_known_without_a_look_at_events_once_the_source_holds_none(source_with, load):
    source = source_with(OWN)
    run, _ = load(source, lines(*(purchase(id=f"m{n}", event="bad") for n in range(3))))
    load(source, lines(purchase(id="other", event="bad")))
    refused, _ = load(source, lines(purchase(id="m9")) + "no json\n")
    assert has_failed_rows(run)
    load(source, lines(*(purchase(id=f"m{n}") for n in range(3))))
    assert held() == 1 and not has_failed_rows(run)
    load(source, lines(purchase(id="other")))
    with CaptureQueriesContext(connection) as queries:
        assert (has_failed_rows(run), has_failed_rows(refused)) == (False, True)
    assert not [one for one in queries if "profiles_event" in one["sql"]]


def test_a_record_of_which_one_event_waits_names_all_and_tells_why_that_one_does(source_with, load):
    record = {"phone": "13800138000", "at": "2026-03-01 10:00:00", "lines": [{"event": f"bad{n}", "a": {}} for n in range(2)]}
    run, _ = load(source_with(MANY), lines(record))
    Event.objects.filter(name="bad0").update(standing=Event.Standing.DISCARDED)
    [returned] = [json.loads(line) for line in back(run)]
    assert len(returned["_tagline_id"].split()) == 2
    assert "bad1" in returned["_reason"] and "bad0" not in returned["_reason"]


def test_a_mended_many_event_record_closes_all_it_held(source_with, load):
    source = source_with(MANY)
    record = {"phone": "13800138000", "at": "2026-03-01 10:00:00", "lines": [{"event": "bad", "a": {"n": n}} for n in range(2)]}
    run, _ = load(source, lines(record))
    returned = json.loads(back(run)[0])
    returned["lines"] = [{"event": "login", "a": {"n": n}} for n in range(2)]
    _, found = load(source, lines(returned))
    assert (found.counts["accepted"], held()) == (2, 0)


def test_a_line_that_was_no_json_is_mended_in_its_text(source_with, load):
    source = source_with(OWN)
    run, found = load(source, lines(purchase()) + '{"event": "login", "phone": "+8613800138000", \n')
    assert found.counts["refused"] == 1
    returned = json.loads(back(run)[0])
    returned["_record"] = returned["_record"].rstrip(", ") + "}"
    assert load(source, lines(returned))[1].counts["accepted"] == 1


def test_a_mended_row_that_arrived_in_the_meantime_closes_the_held_one_too(source_with, load):
    source = source_with(FLAT)
    good = rows(1).removeprefix("m0")
    run, _ = load(source, f"{HEADER}\n{good.replace('purchase', 'bad')}{good}")
    assert held() == 1
    _, found = load(source, "\n".join(line.decode() for line in back(run)).replace("bad", "purchase"))
    assert found.counts["duplicate"] == 1
    assert held() == 0


def test_what_was_mended_still_answers_with_its_first_verdict(source_with, load):
    source = source_with(FLAT)
    bad = HEADER + "\n" + rows(1, "bad")
    run, _ = load(source, bad)
    load(source, "\n".join(line.decode() for line in back(run)).replace("bad", "purchase").replace("m0,", ","))
    row = dict(zip(HEADER.split(","), rows(1, "bad").strip().split(","), strict=True))
    again = receive(
        [Incoming(b"{}", row)], source_code="files", door="api", received_at=Event.objects.first().received_at, current=current()
    )
    assert (again.entries[0].status, again.entries[0].first.verdict) == ("duplicate", "quarantined")


def test_a_dry_run_finds_the_duplicates_of_other_blocks_and_leaves_nothing(source_with, load, monkeypatch):
    monkeypatch.setattr("ingestion.imports.run.blocks", lambda path, found: blocks(path, found, block_bytes=500))
    source = source_with(FLAT)
    text = HEADER + "\n" + (rows(20) + rows(5, "bad").replace("m", "h")) * 2
    tried = load(source, text, dry_run=True)[1].counts
    assert not TrialKey.objects.exists()
    assert not Event.objects.exists()
    assert tried == load(source, text)[1].counts
    assert (tried["accepted"], tried["duplicate"], tried["quarantined"]) == (20, 25, 5)


def test_a_block_that_an_orphaned_worker_stored_is_stored_once(source_with, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "\n" + rows(3))
    run = take_file(path, source=source_with(FLAT), file_name="a")
    refresh()
    run.release_id, run.started_at = current().release_id, run.created_at
    run.save()
    (block,) = blocks(Path(run.path), FileFormat(**run.format))
    store_block(run.pk, block)
    store_block(run.pk, block)
    assert outcome(run).received == sum(tally.received for tally in Tally.objects.all()) == 3


def test_links_of_an_import_killed_before_it_drew_them_are_drawn_when_it_goes_on(source_with, tmp_path, monkeypatch):
    def killed() -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.csv"
    path.write_text("id,event,phone,occurred_at,identifier.user_id\nm1,login,13800138000,2026-03-01 10:00:00,user-1\n")
    run = take_file(path, source=source_with(FLAT), file_name="a")
    monkeypatch.setattr("ingestion.pipeline.settle_soon", killed)
    with pytest.raises(KeyboardInterrupt):
        run_import(run.pk)
    assert not Link.objects.filter(evidence=Link.Evidence.TIE).exists()
    monkeypatch.undo()
    assert run_import(run.pk).status == ImportRun.Status.FINISHED
    assert Link.objects.filter(evidence=Link.Evidence.TIE).count() == 1
    assert not Tie.objects.filter(settled=False).exists()


def work() -> None:
    worker = app.with_connector(app.connector.get_worker_connector())
    with worker.open():
        worker.run_worker(wait=False, install_signal_handlers=False, listen_notify=False)


def test_the_job_imports_the_file(source_with, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "\n" + rows(3))
    run = take_file(path, source=source_with(FLAT), file_name="a")
    import_file.defer(run_id=str(run.pk))
    work()
    assert outcome(run).counts["accepted"] == 3


def test_a_job_that_fails_marks_its_run_is_tried_again_and_the_page_can_go_on(source_with, tmp_path, monkeypatch, client):
    def gone(*_args) -> None:
        raise OperationalError("gone")

    path = tmp_path / "a.csv"
    path.write_text(HEADER + "\n" + rows(3))
    run = take_file(path, source=source_with(FLAT), file_name="a")
    monkeypatch.setattr("ingestion.imports.run.store_block", gone)
    import_file.defer(run_id=str(run.pk))
    work()
    run.refresh_from_db()
    assert (run.status, run.error) == (ImportRun.Status.FAILED, "import.stopped")
    assert ProcrastinateJob.objects.get(args__run_id=str(run.pk)).status == "todo"
    client.force_login(User.objects.create_superuser("a@example.com", "x"))
    url = f"/admin/ingestion/importrun/{run.pk}/change/"
    assert client.get(url).context["may_go_on"]
    monkeypatch.undo()
    client.post(url)
    work()
    assert outcome(run).counts["accepted"] == 3


def test_the_failed_rows_before_the_damage_of_a_file_come_back(source_with, load):
    """The import came no further either, so what stands behind is no matter of theirs."""
    source = source_with(OWN)
    run, found = load(source, json.dumps([{"id": "a", "event": "no such thing", "phone": "+8613800138000"}]) + "]]")
    assert (run.status, run.error, found.counts["quarantined"]) == ("failed", "file.after_list", 1)
    [back] = json.loads(b"".join(failed_rows(run)))
    assert back["id"] == "a" and back["_reason"]
