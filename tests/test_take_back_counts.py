"""What is taken back is in no month, trend or sum of a source, and in them again when put back."""

import json
from datetime import UTC, datetime, timedelta
from importlib import import_module
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ingestion.models import Cause, CauseDay, Replay, Withdrawal
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import add_up, trends
from ingestion.quarantine.replay import ask, run_replay
from ingestion.quarantine.undo import undo
from ingestion.watching.health import tag_health
from ingestion.watching.intake import intake
from ingestion.watching.rollup import roll_up
from ingestion.watching.scorecard import scorecards
from ingestion.watching.use import tags_of
from profiles.models import Batch, Original
from staff.models import User
from taxonomy import recent
from taxonomy.current import current
from taxonomy.publish import items_of, newest
from taxonomy.released import by_code
from tests.test_take_back import put_again, taken_back

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def steward(standard):
    return User.objects.create_user("steward@example.com", "x")


def send(*names: str, at=NOW) -> Batch:
    events = [{"id": uuid4().hex, "event": name, "phone": "13800138000", "attributes": {"product_id": "p1"}} for name in names]
    incoming = [Incoming(json.dumps(one).encode()) for one in events]
    return Batch.objects.get(pk=receive(incoming, source_code="website", door="api", received_at=at, current=current()).batch_id)


def seen() -> tuple:
    """The month's accepted, quarantined, top cause and its events; the trend of gibberish; how many were fixed, whenever."""
    add_up(NOW)
    card, _before = scorecards(by_code("source", "website"), NOW.date().replace(day=1), months=2, shown=str)
    trend = trends(Cause.objects.filter(name="gibberish").values_list("pk", flat=True), NOW.date())
    fixed = CauseDay.objects.aggregate(fixed=Sum("fixed"))["fixed"]
    return card.accepted, card.quarantined, card.top.cause.name, card.top_events, sum(map(sum, trend.values())), fixed


def withdrawn(tag: str = "") -> int:
    """Of the source, or of a tag."""
    if tag:
        return tag_health(by_code("tag", tag), NOW.date(), 14, None, by_code("source", "website")).withdrawn
    return intake(by_code("source", "website"), NOW.date(), 14, NOW).withdrawn


def test_a_month_and_a_trend_are_without_what_is_taken_back(steward):
    send("product_view", "nonsense")
    send("product_view", at=NOW - timedelta(days=30))
    batch = send("product_view", "gibberish", "gibberish", "gibberish")
    before = (2, 4, "gibberish", 3, 3, 0)
    assert (seen(), withdrawn()) == (before, 0)
    act = taken_back(batch, steward)
    assert (seen(), withdrawn()) == ((1, 1, "nonsense", 1, 0, 0), 4)
    put_again(act, steward)
    assert (seen(), withdrawn()) == (before, 0)


def test_what_was_let_in_before_it_was_taken_back_leaves_by_its_first_verdict(steward):
    send("product_view", "gibberish")
    batch = send("rubbish", "rubbish")
    mends = [{"path": "event", "seen": "rubbish", "target": "event", "value": "product_view"}]
    replay = run_replay(ask(Replay(name="rubbish", mends=mends)).pk)
    before = (1, 3, "rubbish", 2, 1, 2)
    assert (replay.fixed, seen()) == (2, before)
    act = taken_back(batch, steward)
    assert ((act.counted, act.held), seen()) == ((2, 0), (1, 1, "gibberish", 1, 1, 0))
    undo(replay.pk)
    assert seen() == (1, 1, "gibberish", 1, 1, 0)
    put_again(act, steward)
    assert seen() == (1, 3, "rubbish", 2, 1, 0)


@pytest.fixture
def many_readings():
    """Of other events, as many as a replay leaves, before PostgreSQL has looked at them."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE profiles_formerreading SET (autovacuum_enabled = false)")
        cursor.execute(
            "INSERT INTO profiles_formerreading (event_id, replaced_at, replaced_by, standing)"
            " SELECT 1000000 + g, now(), gen_random_uuid(), 2 FROM generate_series(1, 20000) AS g"
        )
        yield
        cursor.execute("ALTER TABLE profiles_formerreading RESET (autovacuum_enabled)")


def test_the_first_verdict_is_found_by_its_event_however_many_were_just_read_anew(steward, many_readings):
    batch = send("product_view")
    with CaptureQueriesContext(connection) as asked:
        taken_back(batch, steward)
        receive([Incoming(bytes(Original.objects.get().record))], source_code="website", door="api", received_at=NOW, current=current())
    asking = [one["sql"] for one in asked if "FROM profiles_formerreading" in one["sql"]]
    assert len(asking) == 2
    with connection.cursor() as cursor:
        for one in asking:
            cursor.execute(f"EXPLAIN {one}")
            assert "profiles_formerreading_event_id" in str(cursor.fetchall())


def test_a_tag_s_page_says_how_many_of_its_events_are_taken_back(steward, client):
    User.objects.filter(pk=steward.pk).update(is_superuser=True, language="en")
    client.force_login(steward)
    send("product_view", at=timezone.now())
    batch = send("product_view", "product_view", "login", "gibberish", at=timezone.now())
    roll_up(timezone.now())
    act = taken_back(batch, steward)
    url = reverse("admin:tag_health", args=[by_code("tag", "product_view").pk])
    page = client.get(url)
    assert (page.context["health"].total, page.context["health"].withdrawn) == (3, 2)
    assert "2 of these events were taken back" in page.content.decode()
    assert client.get(url, {"source": "app"}).context["health"].withdrawn == 0
    put_again(act, steward)
    assert client.get(url).context["health"].withdrawn == 0


def test_what_was_let_in_is_taken_back_from_the_tag_that_it_had_first(steward):
    send("product_view")
    batch = send("rubbish", "product_view")
    replay = run_replay(ask(Replay(name="rubbish", mends=[{"path": "event", "seen": "rubbish", "target": "event", "value": "login"}])).pk)
    act = taken_back(batch, steward)
    assert (replay.fixed, act.counted, withdrawn("product_view"), withdrawn("login"), withdrawn()) == (1, 2, 1, 0, 2)
    undo(replay.pk)
    put_again(act, steward)
    assert (withdrawn("product_view"), withdrawn("login"), withdrawn()) == (0, 0, 0)


def test_what_was_taken_back_before_tags_were_counted_is_given_its_tag(steward):
    taken_back(send("product_view", "product_view", "gibberish"), steward)
    Withdrawal.objects.update(tag=None)
    assert (withdrawn("product_view"), withdrawn()) == (0, 3)
    with connection.cursor() as cursor:
        cursor.execute(import_module("ingestion.migrations.0014_withdrawn_by_tag")._PART, [settings.TIME_ZONE])
    assert (withdrawn("product_view"), withdrawn()) == (2, 3)


def arrive(*events: dict, at=NOW) -> Batch:
    base = {"phone": "13800138000", "attributes": {"product_id": "p1"}}
    incoming = [Incoming(json.dumps({"id": uuid4().hex, **base, **one}).encode()) for one in events]
    batch = Batch.objects.get(pk=receive(incoming, source_code="website", door="api", received_at=at, current=current()).batch_id)
    roll_up(at)
    return batch


def test_who_uses_what_is_told_without_what_is_taken_back(steward):
    rule = UUID(next(item for item, one in items_of(newest()).items() if one["kind"] == "rule" and one["name"] == "item_detail_view"))
    own = by_code("tag", "product_view").pk
    website, yesterday = by_code("source", "website").pk, NOW - timedelta(days=1)

    def used():
        sent = recent.tags_sent([own], NOW.date())
        return recent.rule_use([rule]), recent.tag_use([own]), sent, tags_of(website)

    arrive({"event": "product_view"}, at=yesterday)
    before = used()
    assert before == ({}, {own: {website: (1, yesterday.date())}}, [], {own})
    mapped = {"event": "item_detail_view", "attributes": {"sku": "p1"}}
    batch = arrive(mapped, mapped, {"event": "product_view"})
    imported = used()
    assert imported == ({rule: (2, NOW.date())}, {own: {website: (4, NOW.date())}}, [(own, website)], {own})
    act = taken_back(batch, steward)
    assert used() == before
    put_again(act, steward)
    assert used() == imported
