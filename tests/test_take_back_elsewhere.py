"""What is taken back is told of nowhere else either: streams, what came lately, subscribers, letters, how much a rule read, a plan tried."""

from datetime import timedelta

import pytest
from conftest import empty_the_queue
from django.utils import timezone

from ingestion.discovery import carried
from ingestion.models import Cause, Dispatch, Stopped, Stream, Subscriber
from ingestion.outgoing.announce import announce
from ingestion.trial import try_plan
from ingestion.watching.digest import news_for
from ingestion.watching.intake import intake
from ingestion.watching.rollup import roll_up
from ingestion.watching.streams import judge_streams
from profiles import recent
from staff.models import Department, User
from taxonomy.models import Tag
from taxonomy.publish import items_of, newest
from taxonomy.released import by_code
from taxonomy.standardize import compile_plan
from tests.test_take_back import put_again, taken_back
from tests.test_take_back_counts import NOW, arrive, send, steward  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


def test_streams_are_judged_without_what_is_taken_back(steward):  # noqa: F811
    arrive({"event": "product_view"}, at=NOW - timedelta(days=9))
    arrive({"event": "product_view"}, at=NOW - timedelta(days=2))
    before = streams_by_tag()
    act = taken_back(arrive({"event": "product_view"}, {"event": "login"}), steward)
    assert streams_by_tag() == before
    put_again(act, steward)
    assert {tag: one[:2] for tag, one in streams_by_tag().items()} == {"": (3, 1), "product_view": (2, 1), "login": (1, 0)}


def streams_by_tag() -> dict:
    judge_streams(NOW)
    codes = dict(Tag.objects.values_list("pk", "code"))
    rows = Stream.objects.filter(source=by_code("source", "website").pk)
    return {codes.get(one.tag_id, ""): (one.week, one.week_before, one.last_at, one.first_day) for one in rows}


def test_a_source_of_which_all_is_taken_back_has_no_stream(steward):  # noqa: F811
    taken_back(arrive({"event": "product_view"}, {"event": "gibberish"}), steward)
    judge_streams(NOW)
    assert not Stream.objects.exists() and not Stopped.objects.exists()


def test_what_came_lately_is_not_hidden_behind_what_is_taken_back(steward, monkeypatch):  # noqa: F811
    monkeypatch.setattr(recent, "_LOOKED_AT", 2)
    monkeypatch.setattr(carried, "_LOOKED_AT", 2)
    source = by_code("source", "website").pk
    send("product_view", "nonsense")

    def seen():
        lately = recent.seen_lately()
        sent = sorted(event.name for _source, event in carried.events_sent([str(source)]))
        return sorted(one["name"] for one in recent.names_seen(source)), sorted(lately.names[str(source)]), lately.tags, sent

    before = seen()
    assert before[0] == before[1] == before[3] == ["nonsense", "product_view"]
    batch = send("login", "gibberish", "rubbish")
    after = seen()
    assert after != before
    act = taken_back(batch, steward)
    assert seen() == before
    put_again(act, steward)
    assert seen() == after


def test_nobody_is_told_of_an_event_that_was_taken_back_meanwhile(steward):  # noqa: F811
    empty_the_queue()
    one = Subscriber.objects.create(name="shop", url="https://shop.example.com/hook", events=["events.accepted"])
    one.tags.set(Tag.objects.filter(code__in=["login", "product_view"]))
    send("product_view")
    batch = send("login")
    roll_up(NOW)
    taken_back(batch, steward)
    announce(NOW)
    [told] = Dispatch.objects.values_list("body", flat=True)
    assert "product_view" in told and "login" not in told
    empty_the_queue()


def test_what_was_taken_back_is_not_told_as_fixed(steward):  # noqa: F811
    person = User.objects.create_user("kim@example.com", "x", department=Department.objects.first())
    batch = send("gibberish")
    since = timezone.now()
    taken_back(batch, steward)
    Cause.objects.update(person=person)
    assert Cause.objects.get().held == 0
    assert len(news_for(person, since, timezone.now())) == 0


def test_how_much_a_rule_read_is_told_without_what_is_taken_back(steward):  # noqa: F811
    def read():
        found = intake(by_code("source", "website"), NOW.date(), 14, NOW)
        return found.mapped, found.native

    mapped = {"event": "item_detail_view", "attributes": {"sku": "p1"}}
    arrive(mapped, {"event": "product_view"})
    batch = arrive(mapped, mapped, {"event": "product_view"})
    assert read() == (3, 2)
    act = taken_back(batch, steward)
    assert read() == (1, 1)
    put_again(act, steward)
    assert read() == (3, 2)


def test_a_plan_is_tried_on_so_many_of_those_left(steward):  # noqa: F811
    plan = compile_plan(items_of(newest()))

    def tried():
        done = try_plan(plan, plan, since=NOW - timedelta(days=1), until=NOW + timedelta(days=1), today=NOW.date())
        return done.accepted, done.accepted_in_all

    send("product_view")
    batch = send("product_view", "product_view", "gibberish")
    assert tried() == (3, 3)
    act = taken_back(batch, steward)
    assert tried() == (1, 1)
    put_again(act, steward)
    assert tried() == (3, 3)
