"""A cause that holds more events than a subscriber's limit is told once, until it falls below again."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.models import Alarm, Dispatch, Replay, Subscriber
from ingestion.outgoing.alarms import raise_alarms
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.replay import ask, run_replay
from taxonomy.current import current
from taxonomy.models import Source

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def subscriber(standard):
    return Subscriber.objects.create(
        name="ops", url="https://ops.example.com/hook", events=["quarantine.exceeded"], held_events=3, held_minutes=60
    )


def hold(name: str, number: int, *, at=NOW, source="website", phone="+8613800138000") -> None:
    events = [
        {"id": f"{name}{at}{one}", "event": name, "phone": phone, "occurred_at": (at - timedelta(minutes=1)).isoformat()}
        for one in range(number)
    ]
    incoming = [Incoming(json.dumps(event).encode()) for event in events]
    receive(incoming, source_code=source, door="api", received_at=at, current=current())


def told() -> list[dict]:
    return [json.loads(body)["data"] for body in Dispatch.objects.order_by("created_at").values_list("body", flat=True)]


def test_a_cause_over_the_limit_is_told_once_with_where_to_look(subscriber):
    hold("strange", 3)
    hold("other", 2)
    assert [raise_alarms(NOW + timedelta(minutes=one)) for one in range(3)] == [1, 0, 0]
    (said,) = told()
    assert (said["source"], said["code"], said["name"], said["held"], said["limit"]) == ("website", "event.unknown", "strange", 3, 3)
    assert "/quarantine" in said["page"] or "quarantinereason" in said["page"]
    assert Dispatch.objects.get().event == "quarantine.exceeded"


def test_more_of_it_says_no_more_and_after_falling_below_it_is_told_again(subscriber):
    hold("strange", 3)
    raise_alarms(NOW)
    hold("strange", 5, at=NOW + timedelta(minutes=50))
    assert raise_alarms(NOW + timedelta(minutes=55)) == 0
    assert raise_alarms(NOW + timedelta(minutes=115)) == 0 and not Alarm.objects.exists()
    hold("strange", 3, at=NOW + timedelta(minutes=120))
    assert raise_alarms(NOW + timedelta(minutes=121)) == 1
    assert len(told()) == 2


def test_each_cause_and_source_counts_by_itself(subscriber):
    hold("strange", 2)
    hold("strange", 2, source="till")
    hold("other", 2)
    assert raise_alarms(NOW) == 0
    hold("strange", 1, source="till", at=NOW + timedelta(seconds=1))
    assert raise_alarms(NOW + timedelta(seconds=2)) == 1
    assert told()[0]["source"] == "till"


def test_older_ones_do_not_count_and_limits_are_each_subscriber_s_own(subscriber):
    patient = Subscriber.objects.create(
        name="p", url="https://p.example.com/", events=["quarantine.exceeded"], held_events=4, held_minutes=24 * 60
    )
    hold("strange", 2, at=NOW - timedelta(minutes=61))
    hold("strange", 2)
    assert raise_alarms(NOW) == 1
    assert Dispatch.objects.get().subscriber == patient


def test_only_chosen_sources(subscriber):
    subscriber.sources.set(Source.objects.filter(code="till"))
    hold("strange", 3)
    assert raise_alarms(NOW) == 0
    hold("strange", 3, source="till")
    assert raise_alarms(NOW) == 1


def test_those_switched_off_or_told_of_else_cost_one_query(standard, django_assert_num_queries):
    Subscriber.objects.create(name="a", url="https://a.example.com/", events=["quarantine.exceeded"], active=False)
    Subscriber.objects.create(name="b", url="https://b.example.com/", events=["release.published"])
    hold("strange", 200)
    with django_assert_num_queries(3):  # with the savepoint's two
        raise_alarms(NOW)
    assert not Dispatch.objects.exists()


def test_a_phone_sent_for_a_name_is_masked_unless_allowed(subscriber):
    hold("+8613900139000", 3)
    raise_alarms(NOW)
    assert "13900139000" not in Dispatch.objects.get().body
    Alarm.objects.all().delete()
    Dispatch.objects.all().delete()
    Subscriber.objects.update(personal=True)
    raise_alarms(NOW)
    assert "13900139000" in Dispatch.objects.get().body


@pytest.mark.django_db(transaction=True)
def test_what_is_let_go_of_counts_no_more(subscriber):
    hold("strange", 3)
    raise_alarms(NOW)
    run_replay(ask(Replay(act=Replay.Act.DISCARD)).pk)
    assert raise_alarms(NOW) == 0 and not Alarm.objects.exists()


def test_many_causes_are_told_a_hundred_at_a_time_those_with_most_events_first(subscriber, monkeypatch):
    monkeypatch.setattr("ingestion.outgoing.alarms.MOST_AT_ONCE", 2)
    for number in range(3):
        hold(f"name{number}", 3 + number)
    assert [raise_alarms(NOW) for _ in range(3)] == [2, 1, 0]
    assert [said["name"] for said in told()][:2] == ["name2", "name1"]
