"""Held events read again: let in where the release or what staff give lets them, once, whatever is killed or sent meanwhile."""

import json
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob

from ingestion.jobs import queue_undo, replay_held, undo_replay
from ingestion.models import Cause, QuarantineReason, ReadingDay, Replay, Replayed, ReplayOffer
from ingestion.pipeline import Incoming, Receipt, receive
from ingestion.quarantine import replay as module
from ingestion.quarantine import stored
from ingestion.quarantine import undo as undoing
from ingestion.quarantine.causes import add_up
from ingestion.quarantine.offer import offer
from ingestion.quarantine.replay import ask, go_on, preview, run_replay, stop
from ingestion.quarantine.undo import ask_undo, undo
from ingestion.reread import reread
from ingestion.watching.rollup import roll_up
from profiles.models import Batch, Customer, Event, FormerReading, Link, Original, Tally, Tie
from staff.models import User
from taxonomy.current import current, refresh
from taxonomy.models import Grant, MappingRule, Proposal, Release, Source, Tag
from taxonomy.publish import publish
from tests.test_take_back import put_again, taken_back

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def send(*events: dict, source="website", **more) -> Receipt:
    incoming = [Incoming(json.dumps(event).encode()) for event in events]
    return receive(incoming, source_code=source, door="api", received_at=NOW, current=current(), **more)


def purchase(number: int = 1, **more) -> dict:
    attributes = {"order_id": f"o{number}", "product_id": "p1", "price": "9.90", "quantity": 1, **more.pop("attributes", {})}
    event = {"id": f"m{number}", "event": "purchase", "phone": "13800138000", "occurred_at": "2026-03-01T09:00:00Z", **more}
    return {**event, "attributes": attributes}


def replay(**more) -> Replay:
    return run_replay(ask(Replay(**more)).pk)


def state() -> dict[str, tuple]:
    """Everything a customer, a count or a colleague could see of the events."""
    return {
        event.message_id: (
            event.standing, event.tag and event.tag.code, event.subject and event.subject.value, event.occurred_at, event.attributes,
            event.identifiers, event.refinements, event.report and event.report["violations"],
            sorted(event.reasons.filter(open=True).values_list("code", "path")),
        )
        for event in Event.objects.select_related("tag", "subject")
    }  # fmt: skip


def map_name(name: str, tag: str, source: str = "website") -> None:
    MappingRule.objects.create(source=Source.objects.get(code=source), position=99, match="exact", name=name, tag=Tag.objects.get(code=tag))
    publish(notes="mapped", by=None)
    refresh()


def test_what_a_new_release_understands_is_let_in_as_if_it_always_had(standard):
    send(*(purchase(number, event="goods_paid", identifiers={"device": "d1"}) for number in range(3)), purchase(9, event="other"))
    map_name("goods_paid", "purchase")
    done = replay(source=Source.objects.get(code="website"), code="event.unknown", path="event", name="goods_paid")
    assert (done.status, done.in_all, done.fixed, done.held, done.untouched) == ("finished", 3, 3, 0, 0)
    as_replayed = state()
    assert Customer.objects.count() == 1
    assert Tie.objects.filter(settled=True).count() == 1
    assert Link.objects.filter(subject__kind="device").count() == 1
    Event.objects.all().delete()
    send(*(purchase(number, event="goods_paid", identifiers={"device": "d1"}) for number in range(3)), purchase(9, event="other"))
    assert state() == as_replayed


def test_first_verdicts_stay_what_they_were(standard):
    event = purchase(event="goods_paid")
    send(event)
    map_name("goods_paid", "purchase")
    replay()
    assert Event.objects.get().standing == Event.Standing.COUNTED
    tally = Tally.objects.get()
    assert (tally.accepted, tally.quarantined) == (0, 1)
    assert list(ReadingDay.objects.values_list("accepted", "count")) == [(False, 1)]
    again = send(event)
    assert (again.counts["duplicate"], again.entries[0].first.verdict) == (1, "quarantined")
    former = FormerReading.objects.get()
    assert (former.standing, former.report["violations"][0]["code"]) == (Event.Standing.HELD, "event.unknown")


def test_everything_twice_changes_nothing(standard):
    send(*(purchase(number, event="goods_paid") for number in range(5)), purchase(7, phone="12"))
    map_name("goods_paid", "purchase")
    first = replay()
    assert (first.fixed, first.held) == (5, 1)
    after, former = state(), FormerReading.objects.count()
    second = replay()
    assert (second.in_all, second.fixed, second.held) == (1, 0, 1)
    assert (state(), FormerReading.objects.count()) == (after, former)
    run_replay(first.pk)
    assert state() == after


@pytest.mark.parametrize(
    ("event", "mend", "code"),
    [
        (purchase(attributes={"quantity": "two"}), {"path": "attributes.quantity", "seen": "two", "target": "attributes.quantity", "value": "2"}, "quantity"),
        (purchase(attributes={"order_id": None}), {"path": "attributes.order_id", "seen": None, "target": "attributes.order_id", "value": "o77"}, "order_id"),
        (purchase(event="purchse"), {"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}, None),
        (purchase(phone="139001390"), {"path": "phone", "seen": "139001390", "target": "phone", "value": "13900139000"}, None),
    ],
)  # fmt: skip
def test_values_put_right_let_events_in_and_stay_to_be_seen(standard, event, mend, code):
    send(event)
    done = replay(mends=[mend])
    assert done.fixed == 1
    found = Event.objects.get()
    assert found.standing == Event.Standing.COUNTED
    (change,) = [one for one in found.report["changes"] if one["code"] == "value.mended"]
    assert (change["path"], change["to"]) == (mend["target"], mend["value"])
    assert code is None or code in found.attributes
    assert found.read_by == done.pk


def test_a_region_is_given_for_whatever_number_had_none(standard):
    for number, phone in enumerate(["13800138000", "13900139000"]):
        send({"id": f"m{number}", "event": "product_view", "phone": phone, "attributes": {"product_id": "1"}}, source="partner")
    done = replay(code="phone.region_unknown", mends=[{"path": "phone", "any": True, "target": "region", "value": "CN"}])
    assert done.fixed == 2
    assert set(Event.objects.values_list("subject__value", flat=True)) == {"+8613800138000", "+8613900139000"}


def test_a_fix_tells_what_still_holds(standard):
    send(purchase(event="purchse", attributes={"quantity": "two"}))
    done = replay(mends=[{"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}])
    assert (done.fixed, done.held) == (0, 1)
    assert list(QuarantineReason.objects.filter(open=True).values_list("code", "path")) == [("attribute.wrong_type", "attributes.quantity")]
    assert Replayed.objects.get().outcome == Replayed.Outcome.HELD


def test_an_event_that_cannot_be_read_any_more_remembers_the_attempt(standard):
    send(purchase(1, event="goods_paid"), purchase(2, event="goods_paid"))
    Original.objects.filter(event__message_id="m1").update(record=b'{"event"')
    Original.objects.filter(event__message_id="m2").update(item=7)
    done = replay()
    assert (done.fixed, done.held, done.untouched) == (0, 2, 0)
    assert set(Replayed.objects.values_list("outcome", flat=True)) == {Replayed.Outcome.HELD}
    assert set(Event.objects.values_list("standing", flat=True)) == {Event.Standing.HELD}


def test_a_preview_says_what_it_does_and_does_nothing(standard):
    send(*(purchase(number, attributes={"quantity": "two"} if number % 2 else {"quantity": "x"}) for number in range(6)))
    before = state()
    mends = [{"path": "attributes.quantity", "seen": "two", "target": "attributes.quantity", "value": "2"}]
    found = preview(Replay(mends=mends))
    assert (found.in_all, found.tried, found.fixed, found.held) == (6, 6, 3, 3)
    assert found.reasons == [("attribute.wrong_type", "attributes.quantity", 3)]
    assert (state(), FormerReading.objects.count(), Replay.objects.count()) == (before, 0, 0)
    done = replay(mends=mends)
    assert (done.fixed, done.held) == (found.fixed, found.held)


def test_discarded_events_count_nowhere_and_are_kept(standard):
    send(purchase(event="test_ping"))
    done = replay(act=Replay.Act.DISCARD, why="a monitor's test")
    assert (done.discarded, done.untouched) == (1, 0)
    event = Event.objects.get()
    assert (event.standing, event.original.record is not None) == (Event.Standing.DISCARDED, True)
    assert not QuarantineReason.objects.filter(open=True).exists()
    assert send(purchase(event="test_ping")).counts["duplicate"] == 1


def test_stopped_and_gone_on_with_it_does_each_event_once(standard, monkeypatch):
    monkeypatch.setattr(stored, "AT_ONCE", 2)
    send(*(purchase(number, event="goods_paid") for number in range(7)))
    map_name("goods_paid", "purchase")
    asked = ask(Replay())
    real = module._do

    def do(replay_id, ids):
        real(replay_id, ids)
        stop(Replay.objects.get(pk=asked.pk))

    monkeypatch.setattr(module, "_do", do)
    stopped = run_replay(asked.pk)
    assert (stopped.status, stopped.fixed, stopped.untouched) == ("stopped", 2, 5)
    monkeypatch.setattr(module, "_do", real)
    assert run_replay(asked.pk).fixed == 2, "a job that is given to another worker does not go on by itself"
    go_on(stopped)
    done = run_replay(asked.pk)
    assert (done.status, done.fixed, done.untouched, Replayed.objects.count()) == ("finished", 7, 0, 7)


def test_stopped_while_it_waits_it_does_nothing_until_it_is_to_go_on(standard):
    send(purchase(1, event="goods_paid"), purchase(2, event="goods_paid"))
    map_name("goods_paid", "purchase")
    asked = ask(Replay())
    stop(asked)
    stopped = run_replay(asked.pk)
    assert (stopped.status, stopped.fixed, stopped.untouched, Replayed.objects.count()) == ("stopped", 0, 2, 0)
    go_on(stopped)
    asked.refresh_from_db()
    assert asked.status == "waiting"
    stop(asked)
    assert run_replay(asked.pk).status == "stopped", "the second stop counts as the first"
    go_on(stopped)
    assert run_replay(asked.pk).fixed == 2


def test_killed_after_a_stop_was_asked_for_it_stops_when_it_is_begun_again(standard, monkeypatch):
    monkeypatch.setattr(stored, "AT_ONCE", 2)
    send(*(purchase(number, event="goods_paid") for number in range(5)))
    map_name("goods_paid", "purchase")
    asked = ask(Replay())
    real = module._do

    def do(replay_id, ids):
        real(replay_id, ids)
        stop(asked)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_do", do)
    with pytest.raises(KeyboardInterrupt):
        run_replay(asked.pk)
    monkeypatch.setattr(module, "_do", real)
    stopped = run_replay(asked.pk)
    assert (stopped.status, stopped.fixed, stopped.untouched) == ("stopped", 2, 3)


def test_a_stretch_holds_only_so_many_bytes(standard, monkeypatch):
    monkeypatch.setattr(stored, "BYTES_AT_ONCE", 1_000)
    send(*(purchase(number, event="goods_paid", context={"much": "x" * 400}) for number in range(5)))
    ids = list(Event.objects.order_by("id").values_list("id", flat=True))
    assert list(stored.stretches(ids)) == [[one] for one in ids]
    monkeypatch.setattr(stored, "BYTES_AT_ONCE", 1_500)
    assert list(stored.stretches(ids)) == [ids[:2], ids[2:4], ids[4:]]
    map_name("goods_paid", "purchase")
    assert run_replay(ask(Replay()).pk).fixed == 5


def test_a_record_of_many_events_is_read_once_for_all_of_them(standard, monkeypatch):
    said = {name: name for name in ("event", "phone", "occurred_at", "attributes")}
    Source.objects.filter(code="website").update(envelope={"preset": "custom", "events": "lines", "message_id": "id", **said})
    publish(notes="many in a record", by=None)
    refresh()
    orders = [[purchase(10 * order + line, event="goods_paid") for line in range(5)] for order in range(3)]
    send(*({"lines": lines} for lines in [*orders, [purchase(99, event="goods_paid")]]))
    map_name("goods_paid", "purchase")
    readings = []
    monkeypatch.setattr(stored, "reread", lambda record, *rest, **more: readings.append(record) or reread(record, *rest, **more))
    assert (preview(Replay()).fixed, len(readings)) == (16, 4)
    readings.clear()
    monkeypatch.setattr(stored, "AT_ONCE", 8)
    assert (replay().fixed, len(readings)) == (16, 5), "the order that two stretches share is read in both"
    assert {key: what[4]["order_id"] for key, what in state().items()} == {
        f"m{at}": f"o{at}" for at in (*range(5), *range(10, 15), *range(20, 25), 99)
    }


def test_killed_midway_and_begun_again_it_ends_as_if_never_interrupted(standard, monkeypatch):
    monkeypatch.setattr(stored, "AT_ONCE", 2)
    send(*(purchase(number, event="goods_paid") for number in range(5)), purchase(8, phone="12"))
    map_name("goods_paid", "purchase")
    asked = ask(Replay())
    real = module.note_outcomes
    calls = []

    def tell(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt  # in the middle of a commit
        return real(*arguments)

    monkeypatch.setattr(module, "note_outcomes", tell)
    with pytest.raises(KeyboardInterrupt):
        run_replay(asked.pk)
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 2
    done = run_replay(asked.pk)
    assert (done.fixed, done.held, FormerReading.objects.filter(standing=2).count()) == (5, 1, 5)


def test_an_event_corrected_by_its_sender_meanwhile_is_left_alone(standard, monkeypatch):
    send(purchase(attributes={"quantity": "two"}))
    asked = ask(Replay(mends=[{"path": "attributes.quantity", "seen": "two", "target": "attributes.quantity", "value": "2"}]))
    real = module.load

    def load(ids):
        found = real(ids)
        send(purchase(attributes={"quantity": 3}))
        return found

    monkeypatch.setattr(module, "load", load)
    done = run_replay(asked.pk)
    assert (done.fixed, done.untouched) == (0, 1)
    assert sorted(Event.objects.values_list("standing", flat=True)) == [Event.Standing.COUNTED, Event.Standing.CORRECTED]


def test_a_sender_who_corrects_while_it_is_let_in_makes_no_second_event(standard):
    """The sender looked it up held, and waits for the row that the replay has just let in."""
    for number in range(40):
        send(purchase(number, attributes={"quantity": "two"}))
    asked = ask(Replay(mends=[{"path": "attributes.quantity", "seen": "two", "target": "attributes.quantity", "value": "2"}]))
    failed: list[Exception] = []

    def correct() -> None:
        try:
            for number in range(40):
                send(purchase(number, attributes={"quantity": 3}))
        except Exception as error:  # told in the test's own thread
            failed.append(error)
        finally:
            connection.close()

    sender = threading.Thread(target=correct)
    sender.start()
    run_replay(asked.pk)
    sender.join()
    assert not failed
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 40
    assert Event.objects.filter(standing=Event.Standing.COUNTED).values("message_id").distinct().count() == 40


def test_what_arrives_after_it_was_asked_for_is_not_its_business(standard):
    send(purchase(1, event="goods_paid"))
    asked = ask(Replay())
    send(purchase(2, event="goods_paid"))
    map_name("goods_paid", "purchase")
    assert run_replay(asked.pk).fixed == 1
    assert QuarantineReason.objects.filter(open=True).count() == 1


def test_many_on_all_cores(standard, monkeypatch):
    monkeypatch.setattr(stored, "AT_ONCE", 50)
    monkeypatch.setattr(module, "SMALL", 0)
    send(*(purchase(number, event="goods_paid", phone=f"138{number:08}") for number in range(500)))
    map_name("goods_paid", "purchase")
    done = replay()
    assert (done.fixed, done.untouched, Customer.objects.count()) == (500, 0, 500)


def test_an_event_of_a_file_keeps_its_row_and_its_time(standard, tmp_path, settings):
    from ingestion.imports.run import run_import, take_file

    settings.UPLOAD_DIR = tmp_path / "uploads"
    path = tmp_path / "till.csv"
    path.write_text("id,event,phone,occurred_at,receipt,total,qty\n1,verkauf,13800138000,2026-02-01 10:00:00,r1,9.90,1\n")
    run_import(take_file(path, source=Source.objects.get(code="till"), file_name="till.csv").pk)
    (held,) = Event.objects.all()
    received = held.received_at
    roll_up(received + timedelta(minutes=1))
    done = replay(mends=[{"path": "event", "seen": "verkauf", "target": "event", "value": "SALE"}])
    assert done.fixed == 1
    held.refresh_from_db()
    assert (held.tag.code, held.occurred_at.date().isoformat(), held.received_at) == ("purchase", "2026-02-01", received)


@pytest.mark.parametrize("act", [Replay.Act.READ, Replay.Act.DISCARD])
def test_taken_back_everything_is_held_as_it_was(standard, act):
    send(
        *(purchase(number, event="purchse", identifiers={"device": "d1"}) for number in range(3)), purchase(5, attributes={"quantity": "x"})
    )
    before = state()
    done = replay(act=act, why="wrong", mends=[{"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}])
    assert done.fixed + done.discarded >= 3
    assert undo(done.pk) == done.fixed + done.discarded
    assert (state(), FormerReading.objects.count(), Tie.objects.count()) == (before, 0, 0)
    assert not Link.objects.filter(subject__kind="device", withdrawn_at=None).exists()
    assert undo(done.pk) == 0


def test_taken_back_what_was_left_held_is_held_for_its_former_reason(standard):
    send(purchase(1, event="purchse"), purchase(2, event="purchse", attributes={"order_id": ""}), purchase(3, attributes={"order_id": ""}))
    before = state()
    done = replay(mends=[{"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}])
    assert (done.fixed, done.held) == (1, 2)
    assert state()["m2"][-1] == [("attribute.missing", "attributes.order_id")] != before["m2"][-1]
    assert undo(done.pk) == 2
    assert (state(), FormerReading.objects.count()) == (before, 0)
    add_up(NOW)
    assert {(cause.code, cause.held) for cause in Cause.objects.filter(held__gt=0)} == {("event.unknown", 2), ("attribute.missing", 1)}


def given(name: str, quantity: str = "") -> list[dict]:
    """A name put right, and perhaps an amount."""
    amount = [{"path": "attributes.quantity", "seen": None, "target": "attributes.quantity", "value": quantity}] if quantity else []
    return [{"path": "event", "seen": "purchse", "target": "event", "value": name}, *amount]


# which are taken back in which order, and whose reading is left: the first's (of a purchase), the second's or none
@pytest.mark.parametrize("second", ["the same", "another", "none", "lets in"])
@pytest.mark.parametrize("order", ["first", "second", "first second", "second first"])
def test_an_event_is_held_for_what_the_newest_replay_that_stands_found(standard, second, order):
    found = {"the same": given("purchase"), "another": given("refund"), "none": [], "lets in": given("purchase", "1")}
    sent = {key: value for key, value in purchase(1)["attributes"].items() if key != "quantity"}
    send({**purchase(1, event="purchse"), "attributes": sent})
    states = {"": state()}
    made = {"first": replay(mends=given("purchase"))}
    states["first"] = state()
    assert states["first"]["m1"][-1] == [("attribute.missing", "attributes.quantity")]
    made["second"] = replay(mends=found[second])
    states["second"] = state()
    assert (states["second"] == states["first"]) is (second == "the same") and (states["second"] == states[""]) is (second == "none")
    for name in order.split():
        undo(made[name].pk)
    left = {"first": "second", "second": "first"}.get(order, "")
    assert state() == states[left]
    assert FormerReading.objects.exists() is bool(left)
    add_up(NOW)
    held = {(cause.code, cause.path) for cause in Cause.objects.filter(held__gt=0)}
    assert held == {*states[left]["m1"][-1]}


def test_taking_back_killed_midway_and_begun_again_ends_as_if_never_interrupted(standard, monkeypatch):
    monkeypatch.setattr(undoing, "AT_ONCE", 2)
    send(*(purchase(number, event="purchse", identifiers={"device": "d1"}) for number in range(5)))
    before = state()
    done = replay(mends=[{"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}])
    real, calls = undoing.queue_near, []

    def queue(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt  # in the middle of a commit
        return real(*arguments)

    monkeypatch.setattr(undoing, "queue_near", queue)
    assert ask_undo(done) and not ask_undo(done)
    with pytest.raises(KeyboardInterrupt):
        undo_replay(str(done.pk))
    done.refresh_from_db()
    assert (done.status, done.seen, Event.objects.filter(standing=Event.Standing.HELD).count()) == ("undoing", 2, 2)
    undo_replay(str(done.pk))
    done.refresh_from_db()
    assert (done.status, done.seen, state(), FormerReading.objects.count()) == ("undone", 5, before, 0)


def held_for_a_name(number: int) -> list[dict]:
    sent = {key: value for key, value in purchase(1)["attributes"].items() if key != "quantity"}
    return [{**purchase(n, event="purchse"), "attributes": {**sent, "order_id": f"o{n}"}} for n in range(number)]


def test_replays_that_read_many_otherwise_are_taken_back_one_after_the_other(standard):
    events = held_for_a_name(60)
    send(*events)
    before = state()
    first, second = replay(mends=given("purchase")), replay(mends=given("refund"))
    undo(first.pk)
    undo(second.pk)
    assert (state(), FormerReading.objects.count()) == (before, 0)
    assert {entry.first.verdict for entry in send(*events).entries if entry.first} == {"quarantined"}


def test_what_two_replays_found_and_a_third_let_in_is_as_it_came_once_all_are_taken_back(standard):
    send(*held_for_a_name(2))
    before = state()
    first, second = replay(mends=given("purchase")), replay(mends=given("purchase"))
    found = state()
    third = replay(mends=given("purchase", "1"))
    assert third.fixed == 2
    undo(first.pk)
    undo(third.pk)
    assert state() == found
    undo(second.pk)
    assert (state(), FormerReading.objects.count()) == (before, 0)


@pytest.mark.parametrize("at", ["wait_for_writers", "hand_over"])
@pytest.mark.parametrize(("one", "second"), [(0, "purchase"), (0, "refund"), (1, "refund")])
def test_of_two_replays_taken_back_at_once_no_reading_is_left(standard, monkeypatch, one, second, at):
    """The other begins once the one knows its events, or in the middle of its commit, and goes on as far as it can."""
    send(*held_for_a_name(2))
    before = state()
    made = [replay(mends=given("purchase")), replay(mends=given(second))]
    one, other = made.pop(one), made.pop()
    real = getattr(undoing, at)

    def undo_other() -> None:
        ask_undo(other)
        undo(other.pk)
        connection.close()

    beside = threading.Thread(target=undo_other)

    def meanwhile(*arguments):
        monkeypatch.setattr(undoing, at, real)
        beside.start()
        beside.join(0.5)
        return real(*arguments)

    monkeypatch.setattr(undoing, at, meanwhile)
    ask_undo(one)
    undo(one.pk)
    beside.join()
    assert (state(), FormerReading.objects.count()) == (before, 0)
    assert set(Replay.objects.values_list("status", flat=True)) == {"undone"}


@pytest.mark.parametrize("more", [0, 1])
def test_a_replay_that_somebody_is_just_asking_to_take_back_inherits_nothing(standard, more):
    send(*held_for_a_name(2))
    before = state()
    first, second, *others = [replay(mends=given("purchase")) for _ in range(2 + more)]
    found = state()

    def undo_first() -> None:
        undo(first.pk)
        connection.close()

    beside = threading.Thread(target=undo_first)
    with transaction.atomic():
        ask_undo(second)
        beside.start()
        beside.join(0.5)
    beside.join()
    undo(second.pk)
    assert state() == (found if others else before)
    for other in others:
        undo(other.pk)
    assert (state(), FormerReading.objects.count()) == (before, 0)


def test_a_large_replay_that_read_by_a_new_release_is_taken_back_in_the_background(standard, client, monkeypatch):
    monkeypatch.setattr("ingestion.admin.desk.AT_ONCE", 1)
    client.force_login(User.objects.create_superuser("boss@example.com"))
    send(*(purchase(number, event="goods_paid", attributes={"order_id": ""}) for number in range(2)), purchase(3, event="goods_paid"))
    map_name("goods_paid", "purchase")
    done = replay()
    assert (done.fixed, done.held) == (1, 2)
    client.post(reverse("admin:ingestion_replay_change", args=[done.pk]), {"act": "undo"})
    assert Replay.objects.get(pk=done.pk).status == Replay.Status.UNDOING
    assert ProcrastinateJob.objects.filter(task_name="ingestion.jobs.undo_replay", status="todo").count() == 1


def test_taking_back_is_queued_once(standard):
    asked = Replay.objects.create(last_event_id=0, status=Replay.Status.UNDOING)
    queue_undo(asked.pk)
    queue_undo(asked.pk)
    assert ProcrastinateJob.objects.filter(task_name="ingestion.jobs.undo_replay", status="todo").count() == 1


def test_a_replay_taken_back_leaves_what_was_taken_back_or_corrected_since(standard):
    send(purchase(1, event="purchse"), purchase(2, event="purchse"))
    done = replay(mends=[{"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}])
    Event.objects.filter(message_id="m1").update(standing=Event.Standing.TAKEN_BACK)
    assert undo(done.pk) == 1
    assert sorted(Event.objects.values_list("standing", flat=True)) == [Event.Standing.HELD, Event.Standing.TAKEN_BACK]


@pytest.mark.parametrize("act", [Replay.Act.READ, Replay.Act.DISCARD])
@pytest.mark.parametrize("put", [True, False])
def test_of_what_is_taken_back_an_undone_replay_leaves_nothing(standard, act, put):
    """Put back it is held, as if never read again; until then it stands in no quarantine, and nothing lets it in."""
    steward = User.objects.create_user("steward@example.com")
    mends = [{"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}]
    batch = Batch.objects.get(pk=send(*(purchase(number, event="purchse", identifiers={"device": "d1"}) for number in range(2))).batch_id)
    before = state()
    done = replay(act=act, why="wrong", mends=mends)
    taken = taken_back(batch, steward)
    assert taken.taken == 2
    undo(done.pk)
    assert Replay.objects.get().status == Replay.Status.UNDONE
    assert {event.standing for event in Event.objects.all()} == {Event.Standing.TAKEN_BACK}
    assert not QuarantineReason.objects.filter(open=True).exists()
    assert replay(mends=mends).fixed == 0
    if put:
        put_again(taken, steward)
        assert (taken.taken_over, state(), Tie.objects.count()) == (0, before, 0)
        assert replay(mends=mends).fixed == 2


@pytest.mark.parametrize("aside", ["taken back", "corrected"])
def test_what_it_left_held_and_stands_aside_waits_for_its_former_reason_once_it_is_held_again(standard, aside):
    steward = User.objects.create_user("steward@example.com")
    batch = Batch.objects.get(pk=send(purchase(1, event="purchse", attributes={"order_id": ""})).batch_id)
    before = state()
    done = replay(mends=given("purchase"))
    assert (done.held, state()["m1"][-1]) == (1, [("attribute.missing", "attributes.order_id")])
    correction = Batch.objects.get(pk=send(purchase(1)).batch_id) if aside == "corrected" else batch
    taken = taken_back(batch, steward) if aside == "taken back" else None
    undo(done.pk)
    assert not QuarantineReason.objects.filter(open=True).exists()
    if taken:
        put_again(taken, steward)
    else:
        taken_back(correction, steward)
    add_up(NOW)
    held = Event.objects.get(standing=Event.Standing.HELD)
    assert [one["code"] for one in held.report["violations"]] == ["event.unknown"]
    assert {(cause.code, cause.held) for cause in Cause.objects.filter(held__gt=0)} == {("event.unknown", 1)}
    assert aside == "corrected" or state() == before


def test_what_was_let_go_of_stays_so_when_it_is_taken_back_and_put_back(standard):
    steward = User.objects.create_user("steward@example.com")
    batch = Batch.objects.get(pk=send(purchase(1), purchase(2, event="purchse")).batch_id)
    replay(act=Replay.Act.DISCARD, why="wrong")
    before = state()
    taken = taken_back(batch, steward)
    assert (taken.counted, taken.held) == (1, 1)
    assert {event.standing for event in Event.objects.all()} == {Event.Standing.TAKEN_BACK}
    put_again(taken, steward)
    assert state() == before


def test_a_release_that_lets_held_events_in_is_offered(standard):
    owner = User.objects.create_user("owner@example.com", department_id="marketing")
    send(*(purchase(number, event="goods_paid") for number in range(4)), purchase(9, event="other"))
    map_name("goods_paid", "purchase")
    release = Release.objects.latest("id")
    assert offer(release.pk) == []
    made = ReplayOffer.objects.get()
    assert (made.source.code, made.events, made.tried) == ("website", 4, 5)
    assert owner.notices.get().values["count"] == "4"
    replay(source=made.source)
    assert not ReplayOffer.objects.exists()


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ({"code": "event.unknown", "path": "event", "name": "other"}, 4),
        ({"act": Replay.Act.DISCARD, "why": "x", "code": "event.unknown", "path": "event", "name": "other"}, 4),
        ({"code": "event.unknown", "path": "event", "name": "goods_paid"}, 3),
        ({"code": "event.unknown"}, 0),
        ({}, 0),
        ({"act": Replay.Act.DISCARD, "why": "x"}, 0),
    ],
)
def test_an_offer_stays_for_what_was_not_read_again(standard, asked, offered):
    send(purchase(1, event="goods_paid"), *(purchase(number, event="paid") for number in range(5, 8)))
    send(purchase(9, event="other"))
    map_name("goods_paid", "purchase")
    map_name("paid", "purchase")
    offer(Release.objects.latest("id").pk)
    source = Source.objects.get(code="website")
    replay_held(str(ask(Replay(source=source, **asked)).pk))
    assert [made.events for made in ReplayOffer.objects.all()] == [offered] * bool(offered)


def test_an_offer_stays_where_more_arrived_than_was_read_again_or_by_an_older_release(standard):
    send(purchase(1, event="goods_paid"))
    map_name("goods_paid", "purchase")
    offer(Release.objects.latest("id").pk)
    source = Source.objects.get(code="website")
    asked = ask(Replay(source=source))
    send(purchase(2, event="other"))
    run_replay(asked.pk)
    assert ReplayOffer.objects.exists()
    run_replay(ask(Replay(source=source, release=Release.objects.earliest("id"))).pk)
    assert ReplayOffer.objects.exists()
    replay_held(str(ask(Replay(source=source)).pk))
    assert not ReplayOffer.objects.exists()


def test_many_newer_events_of_one_cause_hide_no_other_that_a_release_mends(standard, monkeypatch):
    owner = User.objects.create_user("owner@example.com", department_id="marketing")
    send(*(purchase(number, event="buy") for number in range(6)))
    send(*(purchase(number, phone="") for number in range(10, 20)), purchase(30, event="other"))
    map_name("buy", "purchase")
    release = Release.objects.latest("id").pk
    monkeypatch.setattr("ingestion.quarantine.offer.preview", partial(preview, sample=5))
    assert offer(release) == []
    made = ReplayOffer.objects.get()
    assert (made.events, made.tried, made.in_all) == (2, 5, 17), "two of each of the large causes, what there is of the small one"
    assert owner.notices.get().values["tried"] == "5"
    Source.objects.filter(code="website").update(replay_held=True)
    publish(notes="by themselves", by=None)
    (started,) = offer(Release.objects.latest("id").pk)
    assert run_replay(started.pk).fixed == 6


@pytest.mark.parametrize(("held", "most", "each"), [([], 5, 5), ([3], 5, 5), ([9], 5, 5), ([1, 9, 9], 5, 2), ([9, 1, 1], 20, 20), ([1] * 5, 5, 5)])  # fmt: skip
def test_what_small_causes_leave_of_a_sample_the_others_get(held, most, each):
    assert module._of_each(held, most) == each
    assert sum(min(count, each) for count in held) <= most


def test_the_offer_reaches_who_owns_the_source_who_may_replay_and_who_wrote_the_release(standard):
    people = {
        name: User.objects.create_user(f"{name}@example.com") for name in ("owner", "author", "co_author", "replayer", "kept_out", "other")
    }
    User.objects.filter(pk=people["owner"].pk).update(department_id="marketing")
    rights = Permission.objects.filter(codename__in=["view_quarantinereason", "add_replay"])
    for name in ("replayer", "kept_out"):
        people[name].user_permissions.set(rights)
    for name in ("owner", "author", "co_author", "replayer"):
        Grant.objects.create(may="read", person=people[name])
    send(*(purchase(number, event="goods_paid") for number in range(4)))
    map_name("goods_paid", "purchase")
    release = Release.objects.latest("id")
    proposal = Proposal.objects.create(title="map", why="w", author=people["author"], state="released", release=release)
    proposal.co_authors.add(people["co_author"])
    offer(release.pk)
    links = {name: [notice.link for notice in person.notices.all()] for name, person in people.items()}
    page, desk = [reverse("admin:taxonomy_release_change", args=[release.pk])], [f"{reverse('admin:desk')}?source=website"]
    assert links == {"owner": page, "author": page, "co_author": page, "replayer": desk, "kept_out": [], "other": []}


def test_a_source_may_say_that_its_held_events_are_read_again_by_themselves(standard):
    Source.objects.filter(code="website").update(replay_held=True)
    send(*(purchase(number, event="goods_paid") for number in range(4)))
    map_name("goods_paid", "purchase")
    (started,) = offer(Release.objects.latest("id").pk)
    assert run_replay(started.pk).fixed == 4
    assert not ReplayOffer.objects.exists()


def test_a_release_passed_by_offers_nothing(standard):
    send(purchase(1, event="goods_paid"))
    map_name("goods_paid", "purchase")
    older = Release.objects.latest("id").pk
    map_name("something", "login")
    assert offer(older) == []
    assert not ReplayOffer.objects.exists()
