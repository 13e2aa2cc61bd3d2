"""What is sent again is told by what it says, as its own door and its own file's columns have it, not by its bytes."""

import json
import uuid
from datetime import UTC, datetime

import pytest

from ingestion.imports.failed import failed_rows
from ingestion.imports.run import Outcome, outcome, run_import, take_file
from ingestion.models import ImportRun, QuarantineReason, Replay
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.replay import ask, run_replay
from ingestion.quarantine.undo import undo
from profiles.models import Batch, Event
from staff.models import User
from taxonomy.current import current, refresh
from taxonomy.models import Source
from taxonomy.publish import publish
from tests.test_take_back import put_again, taken_back

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
HELD, COUNTED = Event.Standing.HELD, Event.Standing.COUNTED
HEADER = "id,event,phone,occurred_at,order_id,product_id,price,quantity"
ROW = "m1,purchase,13800138000,2026-03-01 10:00:00,o1,p1,9.90,1"
UNKNOWN = ROW.replace("purchase", "bad")


@pytest.fixture
def source(standard, settings, tmp_path):
    """The website with flat records, released."""
    settings.UPLOAD_DIR = tmp_path / "uploads"
    return released(envelope={"preset": "flat"}, region="CN", currency="CNY")


def released(**fields) -> Source:
    Source.objects.filter(code="website").update(**fields)
    publish(notes="again", by=None)
    refresh()
    return Source.objects.get(code="website")


@pytest.fixture
def load(source, tmp_path):
    """Imports these bytes or lines: (the run, what became of it)."""

    def load(*lines: str | bytes, **more) -> tuple[ImportRun, Outcome]:
        path = tmp_path / uuid.uuid4().hex
        path.write_bytes(b"".join((line.encode() + b"\n") if isinstance(line, str) else line for line in lines))
        run = run_import(take_file(path, source=source, file_name="a", **more).pk)
        return run, outcome(run)

    return load


def post(*records: dict) -> dict[str, int]:
    incoming = [Incoming(json.dumps(record).encode()) for record in records]
    return receive(incoming, source_code="website", door="api", received_at=NOW, current=current()).counts


def verdicts(found: Outcome) -> tuple[int, int, int]:
    """Accepted, duplicate, quarantined."""
    return found.counts["accepted"], found.counts["duplicate"], found.counts["quarantined"]


def swapped(line: str) -> str:
    first, second, *rest = line.split(",")
    return ",".join([second, first, *rest])


@pytest.mark.parametrize("dry_run", [True, False])
def test_rows_under_a_mended_header_are_read_anew_and_close_what_was_held(load, dry_run):
    assert verdicts(load(HEADER.replace("phone", "mobile"), ROW)[1]) == (0, 0, 1)
    assert verdicts(load(HEADER, ROW, dry_run=dry_run)[1]) == (1, 0, 0)
    assert Event.objects.filter(standing=HELD).count() == int(dry_run)
    assert QuarantineReason.objects.filter(open=True).exists() == dry_run


@pytest.mark.parametrize("line", [ROW, UNKNOWN])
@pytest.mark.parametrize("dry_run", [True, False])
def test_the_same_row_with_its_columns_in_another_order_is_the_same(load, line, dry_run):
    load(HEADER, line)
    for header, row in [(swapped(HEADER), swapped(line)), (HEADER.replace(",", ";"), line.replace(",", ";")), (HEADER, line)]:
        assert verdicts(load(header, row, dry_run=dry_run)[1]) == (0, 1, 0)
    assert Event.objects.count() == 1


def test_other_cells_in_other_columns_are_other_content(load):
    load(HEADER, UNKNOWN)
    assert verdicts(load(swapped(HEADER), swapped(ROW))[1]) == (1, 0, 0)


def test_the_same_event_through_another_door_is_the_same(load):
    record = dict(zip(HEADER.split(","), UNKNOWN.split(","), strict=True))
    assert post(record)["quarantined"] == 1
    assert verdicts(load(HEADER, UNKNOWN)[1]) == (0, 1, 0)
    assert verdicts(load(json.dumps(record))[1]) == (0, 1, 0)
    assert post(record)["duplicate"] == 1
    assert Event.objects.count() == 1


@pytest.mark.parametrize("name", ["bad", "purchase"])
@pytest.mark.parametrize("message_id", ["m1", ""])
def test_numbers_of_an_object_and_their_digits_in_a_row_are_the_same(load, name, message_id):
    line = ROW.replace("purchase", name).replace("m1", message_id, 1)
    record = {key: cell for key, cell in zip(HEADER.split(","), line.split(","), strict=True) if cell}
    typed = json.dumps({**record, "quantity": 1}).replace('"9.90"', "9.90").encode()
    receipt = receive([Incoming(typed)], source_code="website", door="api", received_at=NOW, current=current())
    assert receipt.counts["quarantined" if name == "bad" else "accepted"] == 1
    assert verdicts(load(HEADER, line, dry_run=True)[1]) == (0, 1, 0)
    assert verdicts(load(HEADER, line)[1]) == (0, 1, 0)
    again = receive([Incoming(typed)], source_code="website", door="api", received_at=NOW, current=current())
    assert (again.entries[0].status, again.entries[0].differs) == ("duplicate", False)
    assert Event.objects.count() == 1


def test_a_value_whose_type_alone_was_wrong_is_mended_by_sending_it_in_the_right_one(load):
    record = {"id": "c1", "event": "customer_service_call", "phone": "13800138000", "occurred_at": "2026-03-01 10:00:00"}
    assert post({**record, "visit_date": 20260301})["quarantined"] == 1
    assert verdicts(load(",".join([*record, "visit_date"]), ",".join([*record.values(), "20260301"]))[1]) == (1, 0, 0)
    assert sorted(Event.objects.values_list("standing", flat=True)) == [COUNTED, Event.Standing.CORRECTED]


def test_an_id_reused_under_another_header_is_told(load):
    load(HEADER, ROW)
    record = dict(zip(HEADER.split(","), ROW.split(","), strict=True))
    for sent, differs in [(record, False), ({**record, "order_id": "o2"}, True)]:
        receipt = receive([Incoming(json.dumps(sent).encode())], source_code="website", door="api", received_at=NOW, current=current())
        assert (receipt.entries[0].status, receipt.entries[0].differs) == ("duplicate", differs)


@pytest.mark.parametrize("line", [UNKNOWN, UNKNOWN.replace("m1", "", 1), UNKNOWN.replace("m1", "", 1).replace("2026-03-01 10:00:00", "")])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_failed_rows_file_sent_back_as_it_is_changes_nothing(load, line, dry_run):
    """Whether its rows have an id, only a time, or neither."""
    run, _ = load(HEADER, line)
    returned = b"".join(failed_rows(run))
    for _ in range(2):
        assert verdicts(load(returned, dry_run=dry_run)[1]) == (0, 1, 0)
    assert list(Event.objects.values_list("standing", flat=True)) == [HELD]


def test_rows_that_the_source_says_are_separate_come_back_as_the_ones_they_are(load):
    released(separate_rows=True)
    run, _ = load(HEADER, UNKNOWN.replace("m1", "", 1), UNKNOWN.replace("m1", "", 1))
    assert verdicts(load(b"".join(failed_rows(run)))[1]) == (0, 2, 0)
    assert Event.objects.filter(standing=HELD).count() == 2


def test_many_unmended_rows_without_an_id_are_known_after_a_file_of_new_ones(load):
    line = UNKNOWN.replace("m1", "", 1).replace("2026-03-01 10:00:00", "")
    run, found = load(HEADER, *[line.replace("o1", f"o{number}") for number in range(1_000)])
    assert found.counts["quarantined"] == 1_000
    assert load(b"".join(failed_rows(run)))[1].counts["duplicate"] == 1_000


def test_of_a_failed_rows_file_only_what_was_mended_is_read_anew(load):
    run, _ = load(HEADER, UNKNOWN, UNKNOWN.replace("m1", "m2"))
    returned = b"".join(failed_rows(run)).replace(b"m2,bad", b"m2,purchase")
    assert verdicts(load(returned)[1]) == (1, 1, 0)
    assert sorted(Event.objects.values_list("standing", flat=True)) == [COUNTED, HELD, Event.Standing.CORRECTED]
    assert verdicts(load(HEADER, UNKNOWN)[1]) == (0, 1, 0)


def test_a_row_cannot_pass_for_a_held_event_of_another_source(load):
    post({"id": "w1", "event": "bad", "phone": "+8613800138000", "occurred_at": "2026-03-01T09:00:00Z"})
    named = Event.objects.get().public_id
    other = Source.objects.get(code="website")
    other.pk, other.code = uuid.uuid4(), "other"
    other._state.adding = True
    other.save()
    publish(notes="other", by=None)
    refresh()
    record = {"event": "bad", "phone": "+8613800138000", "occurred_at": "2026-03-01T09:00:00Z"}
    incoming = Incoming(json.dumps(record).encode(), closes=named)
    receipt = receive([incoming], source_code="other", door="api", received_at=NOW, current=current())
    assert receipt.counts["quarantined"] == 1


def test_a_line_mended_in_its_text_is_read_so_ever_after(load):
    run, _ = load(
        json.dumps({"id": "n1", "event": "login", "phone": "13800138000"}), '{"id": "n2", "event": "bad", "phone": "13800138000",'
    )
    returned = json.loads(b"".join(failed_rows(run)))
    returned["_record"] = returned["_record"].rstrip(",") + "}"
    assert verdicts(load(json.dumps(returned))[1]) == (0, 0, 1)
    assert post({"id": "n2", "event": "bad", "phone": "13800138000"})["duplicate"] == 1


def test_two_events_of_one_record_with_one_id_are_told_apart(source):
    released(envelope={"preset": "custom", "events": "lines", "message_id": "id", "event": "event", "phone": "phone", "attributes": "a"})
    lines = [{"id": "x", "event": name, "phone": "+8613800138000", "a": {}} for name in ("bad", "login")]
    receipt = receive(
        [Incoming(json.dumps({"lines": lines}).encode())], source_code="website", door="api", received_at=NOW, current=current()
    )
    assert [entry.status for entry in receipt.entries] == ["quarantined", "accepted"]


@pytest.fixture
def steward(db):
    return User.objects.create_user("steward@example.com", "x")


DISCARDED, CORRECTED, TAKEN_BACK = Event.Standing.DISCARDED, Event.Standing.CORRECTED, Event.Standing.TAKEN_BACK


def let_go() -> Replay:
    """Discard all that is held."""
    return run_replay(ask(Replay(act=Replay.Act.DISCARD, why="a test")).pk)


def standings() -> list[int]:
    return list(Event.objects.order_by("id").values_list("standing", flat=True))


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("message_id", ["m1", ""])
def test_a_row_that_was_let_go_of_comes_in_corrected_and_only_so(load, dry_run, message_id):
    line = UNKNOWN.replace("m1", message_id)
    run, _ = load(HEADER, line)
    returned = b"".join(failed_rows(run))
    let_go()
    for sent in ((HEADER, line), (returned,), (returned.replace(b",bad,", b",worse,"),) if message_id else (returned,)):
        assert verdicts(load(*sent, dry_run=dry_run)[1]) == (0, 1, 0)
    assert standings() == [DISCARDED]
    assert verdicts(load(returned.replace(b",bad,", b",purchase,"), dry_run=dry_run)[1]) == (1, 0, 0)
    assert standings() == ([DISCARDED] if dry_run else [CORRECTED, COUNTED])


def test_a_till_that_corrects_what_was_let_go_of_is_heard_and_its_correction_can_be_taken_back(load, steward):
    load(HEADER, UNKNOWN)
    undone = let_go()
    run, found = load(HEADER, ROW)
    assert (verdicts(found), standings()) == ((1, 0, 0), [CORRECTED, COUNTED])
    act = taken_back(Batch.objects.get(pk=run.pk), steward)
    assert standings() == [DISCARDED, TAKEN_BACK]
    assert verdicts(load(HEADER, UNKNOWN)[1]) == (0, 1, 0)
    put_again(act, steward)
    assert standings() == [CORRECTED, COUNTED]
    assert undo(undone.pk) == 0
    assert standings() == [CORRECTED, COUNTED]
    taken_back(Batch.objects.get(pk=run.pk), steward)
    assert standings() == [HELD, TAKEN_BACK]


@pytest.mark.parametrize("sent", [UNKNOWN, ROW])
def test_of_an_import_taken_back_what_was_let_go_of_comes_in_again_too(load, steward, sent):
    run, _ = load(HEADER, ROW.replace("m1", "m0"), UNKNOWN)
    let_go()
    taken_back(Batch.objects.get(pk=run.pk), steward)
    assert standings() == [TAKEN_BACK] * 2
    assert load(HEADER, ROW.replace("m1", "m0"), sent)[1].counts["duplicate"] == 0
    assert standings() == [TAKEN_BACK] * 2 + [COUNTED, COUNTED if sent == ROW else HELD]
