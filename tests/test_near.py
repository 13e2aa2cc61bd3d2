"""Near-duplicates: events without a message id that repeat another within the window are marked, and merged where the source says so."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Q

from ingestion.accepted import near
from ingestion.accepted.near import decide, find_near_duplicates, found_of
from ingestion.accepted.past import ask_past, run_past
from ingestion.accepted.takeback import decide as decide_on
from ingestion.accepted.takeback import look_at_batch, put_back, work_on
from ingestion.models import NearDuplicate, NearDuplicateSetting, Replay, TakeBack, Unpaired
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.replay import ask, run_replay
from ingestion.quarantine.undo import undo
from ingestion.watching.rollup import roll_up
from profiles.models import Arrival, Batch, Customer, Event, Tally, Tie
from profiles.timeline import timeline
from staff.models import User
from taxonomy.current import current, refresh
from taxonomy.models import MappingRule, Source, Tag
from taxonomy.publish import publish
from tests.test_replay import map_name

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
PHONE = "+8613800138000"


def said(seconds: float = 0, **more) -> dict:
    at = (NOW - timedelta(hours=1) + timedelta(seconds=seconds)).isoformat()
    return {"event": "product_view", "phone": PHONE, "occurred_at": at, "attributes": {"product_id": "p1"}} | more


def send(*events: dict, source="website") -> None:
    receive([Incoming(json.dumps(one).encode()) for one in events], source_code=source, door="api", received_at=NOW, current=current())


def arrive(*events: dict, **more) -> None:
    send(*events, **more)
    roll_up(NOW)


def seconds(event: Event) -> float:
    return (event.occurred_at - NOW + timedelta(hours=1)).total_seconds()


def pairs() -> dict[float, tuple[float, str]]:
    """{seconds of the near-duplicate: (seconds of what it repeats, state)}."""
    return {seconds(one.event): (seconds(one.of), one.state) for one in NearDuplicate.objects.order_by("event__occurred_at")}


def counted() -> list[float]:
    """By the page of the customer, which reads what counts."""
    return sorted(seconds(one) for customer in Customer.objects.all() for one in timeline(customer)[0])


def setting(source="website", **chosen) -> None:
    NearDuplicateSetting.objects.update_or_create(source=Source.objects.get(code=source), defaults=chosen)


@pytest.fixture
def merging(standard):
    setting(merge=True)


@pytest.fixture
def steward(db):
    return User.objects.create_user("steward@example.com", "x")


def take_back_delivery_of(at: float, by: User) -> TakeBack:
    batch = next(one.batch_id for one in Event.objects.all() if seconds(one) == at)
    act = look_at_batch(Batch.objects.get(pk=batch), by=by, now=NOW + timedelta(minutes=1))
    work_on(act.pk)
    act.refresh_from_db()
    decide_on(act, reason="wrong", by=by, now=NOW + timedelta(minutes=1))
    work_on(act.pk)
    return act


def put_it_back(act: TakeBack, by: User) -> None:
    act.refresh_from_db()
    put_back(act, reason="right after all", by=by, now=NOW + timedelta(minutes=1))
    work_on(act.pk)


def test_what_repeats_another_within_the_window_is_marked_and_goes_on_counting(standard):
    arrive(said(0), said(8), said(30))
    assert pairs() == {8: (0, "marked")}
    assert counted() == [0, 8, 30]


def test_where_the_source_says_so_only_the_first_counts_and_first_verdicts_stay(merging):
    arrive(said(0), said(8))
    assert pairs() == {8: (0, "merged")}
    assert counted() == [0]
    tally = Tally.objects.get()
    assert (tally.received, tally.accepted, tally.duplicate) == (2, 2, 0)


OTHERS = {
    "its message id": [said(0, id="a"), said(1, id="b")],
    "the message id of one": [said(0), said(1, id="b")],
    "another customer": [said(0), said(1, phone="+8613800138001")],
    "another tag": [said(0), said(1, event="login", attributes={})],
    "another attribute": [said(0), said(1, attributes={"product_id": "p2"})],
    "one attribute more": [said(0), said(1, attributes={"product_id": "p1", "category": "tea"})],
    "something else beside the plan": [said(0), said(1, attributes={"product_id": "p1", "note": "x"})],
    "another identifier, which would be lost": [said(0), said(1, identifiers={"user_id": "u1"})],
    "a time past the window": [said(0), said(10.001)],
    "nobody": [said(0, phone=None), said(1, phone=None)],
}  # fmt: skip


@pytest.mark.parametrize("why", OTHERS)
def test_what_differs_is_no_near_duplicate(merging, why):
    arrive(*OTHERS[why])
    assert pairs() == {}


def test_another_source_says_it_for_itself(standard):
    setting("partner", merge=True)
    arrive(said(0))
    arrive(said(1), source="partner")
    assert Event.objects.filter(standing=1).count() == 2
    assert pairs() == {}


def test_the_end_of_the_window_is_in_it_and_the_same_moment_too(merging):
    arrive(said(0), said(10), said(10, name="the same, sent otherwise"))
    assert {one[0] for one in pairs().values()} == {0.0}
    assert counted() == [0]


def test_each_source_has_its_window_and_zero_looks_for_none(standard):
    setting(window_seconds=60)
    setting("partner", window_seconds=0)
    arrive(said(0), said(60))
    arrive(said(0), said(1), source="partner")
    assert Event.objects.filter(standing=1).count() == 4
    assert pairs() == {60: (0, "marked")}


def test_a_source_whose_identical_rows_are_separate_is_left_alone_until_it_says_a_window(standard):
    Source.objects.filter(code="website").update(separate_rows=True)
    publish(notes="", by=None)
    refresh()
    arrive(said(0), said(1))
    assert pairs() == {}
    setting(window_seconds=5)
    arrive(said(3))
    assert pairs() == {3: (0, "marked")}


@pytest.mark.parametrize("at_once", [True, False])
def test_a_chain_is_measured_from_the_one_that_stands(merging, at_once):
    """0, 8, 16, 24 with a window of ten: 8 repeats 0; 16 is too far from 0 and stands; 24 repeats 16."""
    chain = [said(at) for at in (0, 8, 16, 24)]
    if at_once:
        arrive(*chain)
    else:
        for one in chain:
            arrive(one)
    assert pairs() == {8: (0, "merged"), 24: (16, "merged")}
    assert counted() == [0, 16]


def test_a_chain_is_marked_as_it_would_be_merged(standard):
    arrive(*(said(at) for at in (0, 8, 16, 24)))
    assert pairs() == {8: (0, "marked"), 24: (16, "marked")}


def test_out_of_order_in_one_stretch_the_earliest_stands(merging):
    send(said(8))
    send(said(0))
    roll_up(NOW)
    assert pairs() == {8: (0, "merged")}


def test_what_comes_late_repeats_what_counts_already(merging):
    arrive(said(8))
    arrive(said(0))
    assert pairs() == {0: (8, "merged")}
    assert counted() == [8]


def test_what_waits_to_be_counted_is_no_partner_before_its_turn(merging, monkeypatch):
    send(said(0))
    send(said(5))
    monkeypatch.setattr("ingestion.watching.rollup.EVENTS_AT_ONCE", 1)
    roll_up(NOW)
    assert pairs() == {5: (0, "merged")}


def test_it_is_found_stretch_by_stretch_as_at_once(merging, monkeypatch):
    monkeypatch.setattr(near, "EVENTS_AT_ONCE", 1)
    for at in (0, 8, 16, 24):
        send(said(at))
    roll_up(NOW)
    assert pairs() == {8: (0, "merged"), 24: (16, "merged")}


def test_killed_in_the_middle_it_does_nothing_twice(merging, monkeypatch):
    send(said(0), said(8))
    with monkeypatch.context() as killed:
        killed.setattr(near, "queue_untied", lambda *_arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            roll_up(NOW)
    assert pairs() == {}
    assert not Arrival.objects.exists()
    assert Unpaired.objects.exists()
    assert find_near_duplicates(NOW) == 1
    assert pairs() == {8: (0, "merged")}
    assert find_near_duplicates(NOW) == 0


def test_of_two_at_once_one_does_it(merging):
    send(said(0), said(8))
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [near._LOCK])
            roll_up(NOW)
            assert pairs() == {}
            # To close alone would let go of it some time after.
            cursor.execute("SELECT pg_advisory_unlock_all()")
    finally:
        other.close()
    roll_up(NOW)
    assert pairs() == {8: (0, "merged")}


def test_looking_at_everything_again_changes_nothing(merging):
    arrive(*(said(at) for at in (0, 8, 16)))
    before = pairs()
    ids = sorted(Event.objects.values_list("pk", flat=True))
    with connection.cursor() as cursor:
        near.queue_near(cursor, [ids[0], ids[1]], [ids[-1], ids[1]])
    assert find_near_duplicates(NOW) == 1
    assert pairs() == before


def test_who_is_kept_apart_counts_again_and_is_never_merged_again(merging, steward):
    arrive(said(0), said(8))
    assert decide(Q(of__occurred_at__lt=NOW), "keep", by=steward.pk, now=NOW) == 1
    assert counted() == [0, 8]
    ids = list(Event.objects.values_list("pk", flat=True))
    with connection.cursor() as cursor:
        near.queue_near(cursor, ids, ids)
    find_near_duplicates(NOW)
    assert pairs() == {8: (0, "kept")}
    assert counted() == [0, 8]


def test_a_person_merges_what_was_marked_or_kept(standard, steward):
    arrive(said(0), said(8))
    everything = Q()
    assert decide(everything, "merge", by=steward.pk, now=NOW) == 1
    assert counted() == [0]
    decide(everything, "keep", by=steward.pk, now=NOW)
    assert (counted(), decide(everything, "keep", by=steward.pk, now=NOW)) == ([0, 8], 0)
    assert decide(everything, "merge", by=steward.pk, now=NOW) == 1
    assert (counted(), pairs()) == ([0], {8: (0, "merged")})


def test_what_a_person_merged_stays_merged_when_it_is_looked_at_anew(standard, steward):
    arrive(said(0), said(8))
    decide(Q(), "merge", by=steward.pk, now=NOW)
    ids = list(Event.objects.values_list("pk", flat=True))
    with connection.cursor() as cursor:
        near.queue_near(cursor, ids, ids)
    find_near_duplicates(NOW + timedelta(days=1))
    assert (pairs(), counted()) == ({8: (0, "merged")}, [0])
    assert list(NearDuplicate.objects.values_list("decided_by", "found_at")) == [(steward.pk, NOW)]


def test_all_of_a_source_and_time_count_again_at_once(merging, steward, monkeypatch):
    monkeypatch.setattr(near, "DECIDED_AT_ONCE", 2)
    setting("partner", merge=True)
    arrive(*(said(20 * number + more) for number in range(5) for more in (0, 1)))
    arrive(said(0), said(1), source="partner")
    website = Source.objects.get(code="website").pk
    login = Tag.objects.get(code="login").pk
    assert decide(found_of(website, tag_id=None, since=None, until=NOW), "keep", by=None, now=NOW) == 0
    assert decide(found_of(website, tag_id=login, since=None, until=NOW + timedelta(1)), "keep", by=None, now=NOW) == 0
    assert decide(found_of(website, tag_id=None, since=NOW, until=NOW + timedelta(1)), "keep", by=steward.pk, now=NOW) == 5
    assert NearDuplicate.objects.filter(state="kept", decided_by=steward).count() == 5
    assert NearDuplicate.objects.filter(state="merged").count() == 1


def test_when_the_one_that_stands_is_taken_back_the_next_stands_in_its_place(merging, steward):
    for at in (0, 3, 6):
        arrive(said(at))
    act = take_back_delivery_of(0, steward)
    assert pairs() == {6: (3, "merged")}
    assert counted() == [3]
    put_it_back(act, steward)
    assert len(counted()) == 1


def test_what_was_merged_is_taken_back_with_its_delivery_and_put_back_as_it_was(merging, steward):
    arrive(said(0))
    arrive(said(8))
    act = take_back_delivery_of(8, steward)
    assert (counted(), pairs()) == ([0], {})
    take_back_delivery_of(0, steward)
    assert counted() == []
    put_it_back(act, steward)
    assert counted() == [8]


def test_a_decision_to_keep_both_outlives_taking_back(merging, steward):
    arrive(said(0))
    arrive(said(8))
    decide(Q(), "keep", by=steward.pk, now=NOW)
    put_it_back(take_back_delivery_of(0, steward), steward)
    assert (counted(), pairs()) == ([0, 8], {8: (0, "kept")})


def test_nothing_is_merged_into_what_does_not_count(standard, steward):
    arrive(said(0))
    arrive(said(8))
    decide(Q(), "keep", by=steward.pk, now=NOW)
    take_back_delivery_of(0, steward)
    assert decide(Q(), "merge", by=steward.pk, now=NOW) == 0
    assert counted() == [8]


def test_sent_again_what_was_merged_is_a_duplicate(merging):
    arrive(said(0), said(8))
    arrive(said(8))
    assert Event.objects.count() == 2
    assert sum(one.duplicate for one in Tally.objects.all()) == 1


def test_what_a_replay_lets_in_is_looked_at_and_its_undoing_parts_it(merging):
    arrive(said(0), said(8, event="goods_seen"))
    assert pairs() == {}
    map_name("goods_seen", "product_view")
    replay = run_replay(ask(Replay(source=Source.objects.get(code="website"))).pk)
    assert (replay.fixed, pairs()) == (1, {8: (0, "merged")})
    assert undo(replay.pk) == 1
    assert (pairs(), counted()) == ({}, [0])
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == 1


def test_the_past_read_anew_keeps_together_what_stays_equal_and_parts_what_does_not(merging):
    map_name("goods_seen", "product_view")
    arrive(said(0, event="goods_seen"), said(5, event="goods_seen"), said(8))
    assert pairs() == {5: (0, "merged"), 8: (0, "merged")}
    MappingRule.objects.filter(name="goods_seen").update(tag=Tag.objects.get(code="login"))
    publish(notes="", by=None)
    refresh()
    replay = run_past(ask_past(Replay(source=Source.objects.get(code="website"))).pk)
    assert replay.fixed == 2
    assert pairs() == {5: (0, "merged")}
    assert counted() == [0, 8]
    undo(replay.pk)
    assert (pairs(), counted()) == ({0: (8, "merged"), 5: (8, "merged")}, [8]), "8 stood meanwhile"


def test_ties_are_drawn_from_what_counts(merging, steward):
    arrive(*(said(at, identifiers={"user_id": "u1"}) for at in (8,)))
    arrive(said(0, identifiers={"user_id": "u1"}))
    assert Tie.objects.get().first_at == NOW - timedelta(hours=1) + timedelta(seconds=8)
    decide(Q(), "keep", by=steward.pk, now=NOW)
    assert Tie.objects.get().first_at == NOW - timedelta(hours=1)


def test_one_customer_with_very_many_events_costs_no_more_than_a_limit(merging, monkeypatch):
    monkeypatch.setattr(near, "LOOKED_AT", 2)
    arrive(*(said(number / 100) for number in range(50)))
    assert len(pairs()) == 49
