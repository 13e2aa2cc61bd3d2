"""What arrived is counted by day, once, whatever commits when, and however often the rollup is killed."""

import json
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import OperationalError, connection, connections, transaction
from plans import uuid_of

from ingestion.discovery import discover
from ingestion.jobs import roll_up_events
from ingestion.models import AttributeDay, Discovered, ReadingDay, Sighting, ViolationDay
from ingestion.pipeline import Incoming, receive, store_alone
from ingestion.watching import rollup
from ingestion.watching.rollup import OTHER_VERSIONS, roll_up
from profiles.models import Arrival, Event
from taxonomy import recent
from taxonomy.current import current
from taxonomy.definition import draft_items
from taxonomy.models import Source, Tag

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def send(*events: dict, source="website", at=NOW, **more):
    base = {"phone": "+8613800138000", "occurred_at": (at - timedelta(minutes=5)).isoformat()}
    incoming = [Incoming(json.dumps({**base, **event}).encode()) for event in events]
    return receive(incoming, source_code=source, door="api", received_at=at, current=current(), **more)


def logins(*ids: str, **more) -> list[dict]:
    return [{"id": one, "event": "login", **more} for one in ids]


def counted() -> int:
    return sum(ReadingDay.objects.values_list("count", flat=True))


def test_events_are_counted_by_day_tag_release_and_standing(standard):
    send(*logins("a", "b"), {"id": "c", "event": "nonsense"})
    roll_up(NOW)
    rows = ReadingDay.objects.order_by("accepted").values_list("day", "source__code", "tag__code", "release", "accepted", "count")
    assert list(rows) == [
        (date(2026, 3, 1), "website", None, standard.pk, False, 1),
        (date(2026, 3, 1), "website", "login", standard.pk, True, 2),
    ]
    assert not Arrival.objects.exists()


def test_a_day_is_the_company_s_day_and_its_hours_are_kept(standard):
    late = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)  # half past midnight in Shanghai, where the company is
    send(*logins("a"), at=late)
    send(*logins("b"), at=late + timedelta(hours=2))
    roll_up(NOW)
    row = ReadingDay.objects.get()
    assert (row.day, row.hours, row.last_at) == (date(2026, 3, 2), 0b101, late + timedelta(hours=2))


def test_counting_again_adds_nothing(standard):
    send(*logins("a", "b"))
    roll_up(NOW)
    assert roll_up(NOW) == 0
    send(*logins("b", "c"))
    roll_up(NOW)
    assert counted() == 3


def test_a_correction_before_it_was_counted_leaves_two_verdicts(standard):
    send({"id": "a", "event": "nonsense"})
    send(*logins("a"))
    roll_up(NOW)
    assert dict(ReadingDay.objects.values_list("accepted", "count")) == {False: 1, True: 1}


def test_an_event_committed_after_a_later_one_was_counted_is_counted_too(standard):
    """Its ids were taken first, and it commits last: a cursor over ids would pass it over."""
    ready, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        def wait(_cursor) -> None:
            ready.set()
            assert go_on.wait(20)

        send(*logins("slow", phone="+8613800138001"), store=lambda delivery: store_alone(delivery, wait))
        connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    assert ready.wait(20)
    send(*logins("quick"))
    roll_up(NOW)
    assert counted() == 1
    go_on.set()
    thread.join()
    first, last = Event.objects.order_by("id").values_list("message_id", flat=True)
    assert (first, last) == ("slow", "quick")
    roll_up(NOW)
    assert counted() == 2


def test_a_rollup_that_dies_counts_nothing_and_the_next_counts_all(standard, monkeypatch):
    send(*logins("a", "b"))

    def die(*_args) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rollup, "discover", die)
    with pytest.raises(KeyboardInterrupt):
        roll_up(NOW)
    assert (counted(), Arrival.objects.count()) == (0, 1)
    monkeypatch.undo()
    roll_up(NOW)
    assert counted() == 2


@pytest.mark.parametrize("look", ["discover", "look_for_leaks"])
def test_what_looks_into_values_and_fails_stops_no_count(standard, monkeypatch, caplog, look):
    def fails(cursor, *_arguments):
        cursor.execute("INSERT INTO ingestion_sighting DEFAULT VALUES")  # as a value would that the database cannot take

    monkeypatch.setattr(rollup, look, fails)
    send(*logins("a", "b"))
    roll_up(NOW)
    assert counted() == 2 and not Arrival.objects.exists()
    assert "IntegrityError while looking at what arrived" in caplog.text and "DETAIL" not in caplog.text


def test_a_rollup_whose_connection_is_cut_in_the_middle_counts_once_in_the_end(standard, monkeypatch):
    send(*logins("a", "b"))
    whole = discover.discover

    def cut(cursor, firsts, lasts) -> None:
        whole(cursor, firsts, lasts)
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(rollup, "discover", cut)
    with pytest.raises(OperationalError):
        roll_up(NOW)
    connection.close()
    assert counted() == 0
    monkeypatch.undo()
    roll_up(NOW)
    assert (counted(), Arrival.objects.count()) == (2, 0)


def test_an_event_of_a_thousand_invented_attributes_is_counted_like_others(standard):
    send(*({"id": str(at), "event": "login", "attributes": {f"x{at}-{number}": "y" * 100 for number in range(900)}} for at in range(5)))
    roll_up(NOW)
    assert counted() == 5
    assert Discovered.objects.filter(kind="attribute").count() == 500
    assert ViolationDay.objects.get(code="attribute.unplanned").count == 5


def test_two_rollups_at_once_count_each_event_once(standard):
    for number in range(30):
        send(*logins(f"a{number}", f"b{number}"))

    def count() -> None:
        roll_up(NOW)
        connections.close_all()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    roll_up(NOW)
    assert counted() == 60


def test_while_another_rolls_up_it_leaves_the_queue_alone(standard):
    send(*logins("a"))
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [rollup.LOCK])
        thread = threading.Thread(target=lambda: (roll_up(NOW), connections.close_all()))
        thread.start()
        thread.join()
    assert (counted(), Arrival.objects.count()) == (0, 1)


def test_it_takes_a_stretch_at_a_time(standard, monkeypatch):
    monkeypatch.setattr(rollup, "EVENTS_AT_ONCE", 4)
    for number in range(5):
        send(*logins(f"a{number}", f"b{number}"))
    assert roll_up(NOW) == 3
    assert counted() == 10


def test_versions_of_a_source_are_kept_and_those_beyond_the_limit_join(standard, monkeypatch):
    monkeypatch.setattr(rollup, "MOST_VERSIONS", 2)
    send(*logins("a", "b", source_version="4.1"), *logins("c", source_version="4.2"))
    roll_up(NOW)
    send(*[login for number in range(5) for login in logins(f"x{number}", source_version=f"random {number}")], *logins("d"))
    roll_up(NOW)
    assert dict(ReadingDay.objects.values_list("source_version", "count")) == {"4.1": 2, "4.2": 1, OTHER_VERSIONS: 5, "": 1}
    assert set(Event.objects.filter(message_id="a").values_list("source_version", flat=True)) == {"4.1"}


@pytest.mark.parametrize("version", ["tab\tnew\nline\\", "x" * 5000, "版本 4", "\ud800"])
def test_whatever_a_source_calls_its_version_is_stored(standard, version):
    send(*logins("a", source_version=version))
    roll_up(NOW)
    assert counted() == 1
    assert len(ReadingDay.objects.get().source_version) <= 40


def test_violations_say_what_they_did(standard):
    purchase = {"event": "purchase", "attributes": {"order_id": "o", "price": "much", "colour": "red", "size": 4}}
    send({"id": "a", **purchase}, {"id": "b", "event": "login", "attributes": {"colour": "blue"}})
    Event.objects.filter(message_id="b").update(
        report={"violations": [
            {"code": "attribute.wrong_type", "path": "attributes.items[3].price"}, {"code": "attribute.set_aside", "path": "attributes.x", "mode": "watch"},
            {"code": "attribute.unplanned", "path": "attributes.colour", "mode": None},
        ]}
    )  # fmt: skip
    roll_up(NOW)
    rows = set(ViolationDay.objects.values_list("tag__code", "code", "path", "effect", "count"))
    assert {
        ("purchase", "attribute.wrong_type", "attributes.price", "held", 1),
        ("purchase", "attribute.unplanned", "", "noted", 1),
        ("login", "attribute.wrong_type", "attributes.items[].price", "watched", 1),
        ("login", "attribute.set_aside", "attributes.x", "watched", 1),
        ("login", "attribute.unplanned", "", "noted", 1),
    } <= rows


def test_attributes_are_counted_where_they_were_carried(standard):
    view = {"event": "product_view", "attributes": {"product_id": "p1"}}
    send({"id": "a", **view}, {"id": "b", **view}, {"id": "c", "event": "product_view", "attributes": {"product_id": "p", "price": 3}})
    roll_up(NOW)
    found = dict(AttributeDay.objects.filter(tag__code="product_view").values_list("attribute", "count"))
    assert (found["product_id"], found["price"]) == (3, 1)


def test_others_can_ask_who_uses_what(standard):
    items = draft_items()
    rule = next(item for item in items.values() if item["kind"] == "rule" and item["source"] == uuid_of(items, "source", "website"))
    ids = {item: one for one, item in ((one, item["name"]) for one, item in items.items() if item["kind"] == "rule")}
    send(*logins("a", "b"))
    roll_up(NOW)
    website, login = Source.objects.get(code="website"), Tag.objects.get(code="login")
    assert recent.tag_use([login.pk]) == {login.pk: {website.pk: (2, date(2026, 3, 1))}}
    assert recent.tag_use([]) == {}
    assert recent.rule_use([ids[rule["name"]]]) == {}
    ReadingDay.objects.update(rule=ids[rule["name"]])
    assert [tuple(use) for use in recent.rule_use([ids[rule["name"]]]).values()] == [(2, date(2026, 3, 1))]
    Event.objects.update(report={"violations": [{"code": "attribute.missing", "path": "attributes.x"}]})
    Arrival.objects.create(first_id=Event.objects.earliest("id").pk, last_id=Event.objects.latest("id").pk)
    roll_up(NOW)
    assert recent.watched([login.pk]) == [(website.pk, "attributes.x", "attribute.missing", 2, date(2026, 3, 1))]


def test_an_unknown_name_is_there_at_once_and_written_once_an_hour(standard):
    send({"id": "a", "event": "viewGoodsNew"})
    roll_up(NOW)
    send({"id": "b", "event": "viewGoodsNew"}, at=NOW + timedelta(minutes=10))
    roll_up(NOW + timedelta(minutes=10))
    row = Discovered.objects.get()
    assert (row.kind, row.name, row.count, row.last_at) == ("name", "viewGoodsNew", 1, NOW)
    assert Sighting.objects.count() == 1
    roll_up(NOW + timedelta(minutes=61))
    row.refresh_from_db()
    assert (row.count, row.first_at, row.last_at) == (2, NOW, NOW + timedelta(minutes=10))
    assert not Sighting.objects.exists()


def test_an_unplanned_attribute_is_kept_with_what_was_seen_of_it(standard):
    sent = [{"colour": "red"}, {"colour": 3}, {"colour": "13912345678"}, {"colour": [1]}, {"colour": None}, {"colour": {"a": 1}}]
    send(*({"id": str(at), "event": "login", "attributes": attributes} for at, attributes in enumerate(sent)))
    roll_up(NOW)
    row = Discovered.objects.get()
    assert (row.kind, row.tag.code, row.name, row.count) == ("attribute", "login", "colour", 5)
    assert row.kinds == {"text": 1, "integer": 1, "phone": 1, "list": 1, "object": 1}
    assert len(row.examples) == 3
    assert "13912345678" not in json.dumps(row.examples)


def test_of_a_source_that_sends_random_names_only_so_many_are_kept(standard, monkeypatch):
    monkeypatch.setitem(discover.MOST, "name", 5)
    send({"id": "known", "event": "known one"})
    roll_up(NOW)
    send(*({"id": str(number), "event": f"random {number}"} for number in range(20)), {"id": "k2", "event": "known one"})
    roll_up(NOW + timedelta(hours=2))
    assert Discovered.objects.filter(kind="name").count() == 5
    assert Discovered.objects.get(name="known one").count == 2
    assert Discovered.objects.get(kind="rest").count == 16
    roll_up(NOW + timedelta(days=9))
    assert not Discovered.objects.filter(kind="name", count=1).exists()


@pytest.mark.parametrize("name", ["", "名" * 999, "a\x00b", "'; DROP TABLE x; --", "{}%s%(x)s", "\ud83d"])
def test_hostile_names_and_attributes_are_counted_like_others(standard, name):
    send({"id": "a", "event": name}, {"id": "b", "event": "login", "attributes": {name or "x": name, "ok": 1}})
    roll_up(NOW)
    assert counted() == 2
    assert Discovered.objects.filter(kind="attribute", name="ok").exists()


def test_the_worker_s_job_counts(standard):
    send(*logins("a"))
    roll_up_events(timestamp=int(NOW.timestamp()))
    assert counted() == 1
