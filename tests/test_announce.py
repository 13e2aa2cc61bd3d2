"""Accepted events of chosen tags are told to subscribers, each once in a message that is sent until taken, whatever is killed."""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import empty_the_queue, wait_until
from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from cdp import jobs
from ingestion.jobs import announce_events
from ingestion.models import Dispatch, ReadingDay, Replay, Subscriber, Unannounced
from ingestion.outgoing import announce as module
from ingestion.outgoing.announce import MOST_WAITING, announce
from ingestion.outgoing.calling import Answer, NotCalled
from ingestion.outgoing.dispatches import attempt, dispatch, forget_old
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.replay import ask, run_replay
from ingestion.quarantine.undo import undo
from ingestion.watching import rollup
from ingestion.watching.rollup import roll_up
from profiles.models import Arrival, Customer, Event
from staff.models import User
from taxonomy.current import current, refresh
from taxonomy.models import Attribute, MappingRule, Source, Tag
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def subscriber(standard):
    empty_the_queue()
    yield subscribe("login", "purchase")
    empty_the_queue()


def subscribe(*tags: str, sources: tuple[str, ...] = (), **more) -> Subscriber:
    one = Subscriber.objects.create(**{"name": "shop", "url": "https://shop.example.com/hook", "events": ["events.accepted"], **more})
    one.tags.set(Tag.objects.filter(code__in=tags))
    one.sources.set(Source.objects.filter(code__in=sources))
    return one


def send(*events: dict, source="website", at=NOW):
    base = {"phone": "+8613800138000", "occurred_at": (at - timedelta(minutes=5)).isoformat()}
    incoming = [Incoming(json.dumps({**base, **event}).encode()) for event in events]
    return receive(incoming, source_code=source, door="api", received_at=at, current=current())


def logins(*ids, **more) -> list[dict]:
    return [{"id": str(one), "event": "login", **more} for one in ids]


def purchase(number: int = 1, **more) -> dict:
    attributes = {"order_id": f"o{number}", "product_id": "p1", "price": "9.90", "quantity": 1}
    return {"id": f"m{number}", "event": "purchase", "attributes": attributes, **more}


def told(subscriber=None) -> list[dict]:
    """The events of all messages, in their order."""
    messages = Dispatch.objects.filter(**({"subscriber": subscriber} if subscriber else {})).order_by("created_at")
    return [event for one in messages for event in json.loads(one.body)["data"]["events"]]


def take_all(status: int = 200) -> None:
    """Every message is answered so, until none waits and none is to be made."""
    while waiting := list(Dispatch.objects.filter(state="waiting")):
        for one in waiting:
            attempt(one.pk, one.round, one.attempts, call=lambda *_args, **_named: Answer(status, None))
        announce(NOW)


def told_ids(subscriber=None) -> list[str]:
    """The sender's ids of the events told, each as often as it was."""
    sent = {one.public_id: one.message_id for one in Event.objects.all()}
    return sorted(sent[event["id"]] for event in told(subscriber))


def ids(*numbers) -> list[str]:
    return sorted(map(str, numbers))


def test_an_accepted_event_of_a_chosen_tag_is_told_with_what_a_receiver_needs(subscriber):
    send(purchase(), {"id": "v", "event": "product_view", "attributes": {"product_id": "p"}}, {"id": "x", "event": "nonsense"})
    roll_up(NOW)
    assert announce(NOW) == 1
    message = json.loads(Dispatch.objects.get().body)
    assert message["type"] == "events.accepted"
    (event,) = message["data"]["events"]
    assert (event["tag"], event["source"], event["customer"]) == ("purchase", "website", str(Customer.objects.get().public_id))
    assert event["id"] == Event.objects.get(message_id="m1").public_id
    assert event["occurred_at"] == "2026-03-01T09:55:00Z"
    assert event["attributes"]["order_id"] == "o1"


def test_refinements_go_along_but_for_those_that_say_something_personal(subscriber):
    viewers = subscribe("product_view")
    send({"id": "v", "event": "product_view", "attributes": {"product_id": "p7"}})
    roll_up(NOW)
    announce(NOW)
    assert told(viewers)[0]["refinements"] == ["product_view_p7"]
    Attribute.objects.filter(code="product_id").update(personal="identity")
    send({"id": "w", "event": "product_view", "attributes": {"product_id": "p8"}})
    roll_up(NOW)
    announce(NOW)
    assert told(viewers)[1]["refinements"] == []


def test_money_keeps_its_digits(subscriber):
    send(purchase(attributes={"order_id": "o", "product_id": "p", "price": "9.90", "quantity": 1}))
    roll_up(NOW)
    announce(NOW)
    assert "9.90" in Dispatch.objects.get().body


def test_each_is_told_once_however_often_it_is_counted_and_sent(subscriber):
    send(*logins("a", "b"))
    roll_up(NOW)
    announce(NOW)
    send(*logins("b", "c"))
    for _ in range(3):
        roll_up(NOW)
        announce(NOW)
    assert told_ids() == ids("a", "b", "c")
    assert not Unannounced.objects.exists()


def test_sources_narrow_it_and_those_switched_off_or_told_of_else_are_told_nothing(subscriber):
    tills = subscribe("login", sources=("till",))
    off, releases = subscribe("login", active=False), subscribe("login", events=["release.published"])
    send(*logins("a"))
    send(*logins("b"), source="till")
    roll_up(NOW)
    announce(NOW)
    assert told_ids(subscriber) == ids("a", "b")
    assert told_ids(tills) == ids("b")
    assert told(off) == told(releases) == []


def test_a_message_holds_a_hundred_events_at_most_and_less_where_they_are_large(subscriber, monkeypatch):
    send(*logins(*range(201)))
    roll_up(NOW)
    announce(NOW)
    sizes = [len(json.loads(body)["data"]["events"]) for body in Dispatch.objects.order_by("created_at").values_list("body", flat=True)]
    assert sizes == [100, 100, 1]
    monkeypatch.setattr(module, "MESSAGE_BYTES", 1000)
    Dispatch.objects.all().delete()
    send(*logins(*range(300, 310)))
    roll_up(NOW)
    announce(NOW)
    bodies = Dispatch.objects.values_list("body", flat=True)
    assert len(bodies) > 3 and all(len(body) < 1200 for body in bodies)
    assert told_ids() == ids(*range(300, 310))


def test_a_receiver_that_is_down_holds_few_messages_and_gets_everything_once_it_is_back(subscriber):
    for number in range(MOST_WAITING + 3):
        send(*logins(f"n{number}"))
        roll_up(NOW)
        announce(NOW)
    assert (Dispatch.objects.count(), Unannounced.objects.count()) == (MOST_WAITING, 3)
    for one in Dispatch.objects.all():
        attempt(one.pk, 0, 0, call=lambda *_args, **_named: Answer(503, None))
    assert announce(NOW) == 0
    take_all()
    assert told_ids() == ids(*(f"n{number}" for number in range(MOST_WAITING + 3)))


def test_one_that_is_down_does_not_hold_up_another(subscriber):
    other = subscribe("login")
    for number in range(MOST_WAITING + 1):
        send(*logins(number))
        roll_up(NOW)
        announce(NOW)
        Dispatch.objects.filter(subscriber=other).update(state="delivered")
    assert (len(told(subscriber)), len(told(other))) == (MOST_WAITING, MOST_WAITING + 1)


def test_one_that_is_switched_off_has_no_queue(subscriber):
    send(*logins("a"))
    roll_up(NOW)
    Subscriber.objects.update(active=False)
    assert announce(NOW) == 0 and not Unannounced.objects.exists()


@pytest.mark.parametrize("where", ["fold", "discover"])
def test_a_rollup_that_dies_tells_nothing_and_the_next_tells_all(subscriber, monkeypatch, where):
    send(*logins("a", "b"))

    def die(*_args) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rollup, where, die)
    with pytest.raises(KeyboardInterrupt):
        roll_up(NOW)
    announce(NOW)
    assert told() == [] and Arrival.objects.exists()
    monkeypatch.undo()
    roll_up(NOW)
    announce(NOW)
    assert told_ids() == ids("a", "b")


def test_what_dies_between_messages_makes_them_again_and_leaves_none_of_the_first(subscriber, monkeypatch):
    send(*logins(*range(150)))
    roll_up(NOW)
    whole, made = dispatch, []

    def die_at_second(*args, **named):
        made.append(1)
        if len(made) == 2:
            raise KeyboardInterrupt
        return whole(*args, **named)

    monkeypatch.setattr(module, "dispatch", die_at_second)
    with pytest.raises(KeyboardInterrupt):
        announce(NOW)
    assert not Dispatch.objects.exists() and Unannounced.objects.count() == 2
    monkeypatch.undo()
    announce(NOW)
    assert told_ids() == ids(*range(150))


def test_many_at_once_make_each_message_once(subscriber):
    send(*logins(*range(350)))

    def work() -> None:
        for _ in range(5):
            roll_up(NOW)
            announce(NOW)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    announce(NOW)
    assert told_ids() == ids(*range(350))


def let_in(name: str, tag: str) -> Replay:
    MappingRule.objects.create(
        source=Source.objects.get(code="website"), position=99, match="exact", name=name, tag=Tag.objects.get(code=tag)
    )
    publish(notes="mapped", by=None)
    refresh()
    return run_replay(ask(Replay()).pk)


def test_what_a_replay_lets_in_is_told_once_and_what_it_leaves_is_not(subscriber):
    send(*(purchase(number, event="goods_paid") for number in range(3)), purchase(9, event="other"))
    roll_up(NOW)
    announce(NOW)
    assert told() == []
    replay = let_in("goods_paid", "purchase")
    run_replay(replay.pk)
    announce(NOW)
    run_replay(ask(Replay()).pk)
    announce(NOW)
    assert told_ids() == ids("m0", "m1", "m2")
    undo(replay.pk)
    announce(NOW)
    assert len(told()) == 3


def test_what_was_held_again_before_it_was_told_is_not_told(subscriber):
    send(purchase(event="goods_paid"))
    undo(let_in("goods_paid", "purchase").pk)
    announce(NOW)
    assert told() == [] and not Unannounced.objects.exists()


def test_an_event_known_by_another_identifier_names_its_customer(subscriber):
    send(*logins("a", identifiers={"user_id": "u1"}))
    send({"id": "b", "event": "login", "phone": None, "identifiers": {"user_id": "u1"}})
    roll_up(NOW)
    announce(NOW)
    assert [one["customer"] for one in told()] == [str(Customer.objects.get().public_id)] * 2
    assert [one["phone"] for one in told()] == ["+86 138****8000", None]


def test_nobody_listening_costs_one_query_a_stretch_and_writes_nothing(standard, django_assert_num_queries):
    with connection.cursor() as cursor, django_assert_num_queries(1):
        module.queue_accepted(cursor, [1], [20_000])
    with django_assert_num_queries(1):
        announce(NOW)
    send(*logins("a"))
    roll_up(NOW)
    assert ReadingDay.objects.exists() and not Unannounced.objects.exists()


def test_where_nobody_waits_the_rollup_keeps_its_own_pace(standard):
    send(*logins("a"))
    announce_events(int(NOW.timestamp()))
    assert Arrival.objects.exists()
    one = subscribe("login")
    announce_events(int(NOW.timestamp()))
    assert not Arrival.objects.exists() and len(told(one)) == 1


PERSONAL = {"phone": "+8613800138000", "identifiers": {"email": "li@example.com", "user_id": "u1"}}


def test_without_the_switch_nothing_personal_leaves(subscriber):
    Attribute.objects.filter(code="product_id").update(personal="identity")
    send(
        purchase(1, **PERSONAL),
        {**purchase(2, **PERSONAL), "attributes": {"order_id": "call 13900139000", "product_id": "p1", "price": 1, "quantity": 1}},
    )
    roll_up(NOW)
    announce(NOW)
    first, second = sorted(told(), key=lambda one: len(one["attributes"]["order_id"]))
    assert first["phone"] == "+86 138****8000" and "identifiers" not in first
    assert "product_id" not in first["attributes"] and first["attributes"]["order_id"] == "o1"
    assert not any("p1" in one for one in first["refinements"])
    assert second["attributes"]["order_id"] == "call 139****9000"
    body = Dispatch.objects.get().body
    assert all(secret not in body for secret in ("13800138000", "13900139000", "li@example.com", "u1"))


def test_with_the_switch_everything_is_told(subscriber):
    Subscriber.objects.update(personal=True)
    Attribute.objects.filter(code="product_id").update(personal="identity")
    send(purchase(1, **PERSONAL))
    roll_up(NOW)
    announce(NOW)
    (event,) = told()
    assert event["phone"] == "+8613800138000" and event["attributes"]["product_id"] == "p1"
    assert (event["identifiers"]["email"], event["identifiers"]["user_id"]) == ("li@example.com", "u1")


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("SKU1234567", "SKU1234567"), ("1234567", "1234567"), ("20261126000123", "20261126000123"), (13800138000, 13800138000),
        ("li@example.com", "l***@example.com"), ("13800138000", "138****8000"), ({"vip": 1, "list": [{"VIP": 2, "a": 3}]}, {"list": [{"a": 3}]}),
    ],
)  # fmt: skip
def test_ids_stay_and_what_surely_is_somebody_s_does_not(value, left):
    assert module.without_personal(value, {"vip"}) == left


def test_messages_are_forgotten_after_a_month_but_not_those_under_way(subscriber):
    old, waits, new = (dispatch(subscriber, "test", {}, at=NOW) for _ in range(3))
    Dispatch.objects.filter(pk__in=[old.pk, new.pk]).update(state="delivered")
    now = timezone.now()
    Dispatch.objects.filter(pk__in=[old.pk, waits.pk]).update(created_at=now - timedelta(days=31))
    forget_old(now)
    assert set(Dispatch.objects.values_list("pk", flat=True)) == {waits.pk, new.pk}


def test_who_set_it_up_is_told_when_it_is_switched_off_after_days_of_failure(subscriber, departments):
    owner = User.objects.create_user(email="owner@example.com", password="x")
    Subscriber.objects.update(created_by=owner)
    send(*logins("a"))
    roll_up(NOW)
    announce(NOW)
    one = Dispatch.objects.get()

    def call(*_args, **_named):
        raise NotCalled("timeout")

    for number in range(10):
        attempt(one.pk, 0, number, call=call)
    subscriber.refresh_from_db()
    assert not subscriber.active and subscriber.stopped_because
    assert owner.notices.get().values == {"name": "shop"}


@pytest.fixture
def receiver():
    """A server on this machine; it answers 500 to the first call of each message, then 204."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body, message = self.rfile.read(int(self.headers["Content-Length"])), self.headers["webhook-id"]
            server.seen.append((message, json.loads(body)))
            self.send_response(500 if [one for one, _ in server.seen].count(message) == 1 else 204)
            self.end_headers()

        def log_message(self, *_args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("waits", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_a_worker_killed_at_it_leaves_nothing_out(waits, subscriber, receiver, worker, process_environment):
    process_environment["WEBHOOKS_TO_PRIVATE_ADDRESSES"] = "1"
    Subscriber.objects.update(url=f"http://127.0.0.1:{receiver.server_port}/")
    first = worker()
    for number in range(4):
        send(*logins(*(f"{number}-{each}" for each in range(60))))
    wait_until(lambda: len(receiver.seen) >= 1)
    first.kill()
    first.wait()
    if not waits:
        give_on_what_the_killed_were_at()
    worker()
    wait_until(lambda: Dispatch.objects.exists() and not Unannounced.objects.exists() and not Arrival.objects.exists())
    # in the long form what it was at is given to another by a job of each minute, 30 s after its last sign of life
    wait_until(lambda: not Dispatch.objects.exclude(state="delivered").exists(), seconds=180)
    by_message = dict(receiver.seen)
    taken = [event["id"] for body in by_message.values() for event in body["data"]["events"]]
    assert sorted(taken) == sorted(one.public_id for one in Event.objects.all()) and len(taken) == 240


def test_what_is_told_has_the_names_of_the_release(subscriber):
    Tag.objects.update(code=Concat(Value("drafted_"), F("code")))
    Source.objects.update(code=Concat(Value("drafted_"), F("code")))
    send(purchase())
    roll_up(NOW)
    announce(NOW)
    [event] = told()
    assert (event["tag"], event["source"]) == ("purchase", "website")


def give_on_what_the_killed_were_at() -> None:
    """Let five minutes pass, and do what a job of each minute does."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '5 minutes'")
    asyncio.run(jobs.retry_stalled.func(timestamp=int(timezone.now().timestamp())))
