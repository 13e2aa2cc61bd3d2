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

from ingestion.discovery.discover import MOST
from ingestion.discovery.discovered import limits_hit, up_to_now
from ingestion.models import Cause, CauseDay, Discovered, Replay, Sighting, Withdrawal
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import add_up, trends
from ingestion.quarantine.replay import ask, run_replay
from ingestion.quarantine.undo import undo
from ingestion.watching.again import look_again
from ingestion.watching.health import tag_health
from ingestion.watching.intake import intake
from ingestion.watching.rollup import roll_up
from ingestion.watching.scorecard import scorecards
from ingestion.watching.use import tags_of
from profiles.models import Batch, FormerReading, Original
from staff.models import User
from taxonomy import recent
from taxonomy.current import current
from taxonomy.models import Source
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


@pytest.fixture(params=["never looked at", "looked at while there was one"])
def many_readings(request):
    """Of other events, as many as a replay leaves, before PostgreSQL has looked at them."""
    make = """
        INSERT INTO profiles_formerreading (event_id, replaced_at, replaced_by, standing)
        SELECT 1000000 + g, now(), gen_random_uuid(), 2 FROM generate_series(1, 20000) AS g
    """
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE profiles_formerreading SET (autovacuum_enabled = false)")
        cursor.execute(make)
        if request.param != "never looked at":
            cursor.execute("DELETE FROM profiles_formerreading WHERE event_id < 1020000")
            cursor.execute("VACUUM ANALYZE profiles_formerreading")
            cursor.execute(make)
        yield
        cursor.execute("ALTER TABLE profiles_formerreading RESET (autovacuum_enabled)")


def test_the_first_verdict_is_found_by_its_event_however_many_were_just_read_anew(steward, many_readings):
    batch = send("product_view")
    with CaptureQueriesContext(connection) as asked:
        taken_back(batch, steward)
        receive([Incoming(bytes(Original.objects.get().record))], source_code="website", door="api", received_at=NOW, current=current())
    asking = [one["sql"] for one in asked if "FROM profiles_formerreading" in one["sql"]]
    assert len(asking) == 4
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


def test_a_replayed_event_is_taken_back_from_the_rule_that_read_it_first(steward):
    rule = next(one for one in items_of(newest()).items() if one[1]["kind"] == "rule")
    batch = arrive({"event": "gibberish"})
    event = batch.events.get()
    FormerReading.objects.create(event=event, replaced_by=uuid4(), standing=2, report=event.report)
    batch.events.update(rule_id=rule[0], report=None, attributes={}, standing=1, tag_id=rule[1]["tag"])
    taken_back(batch, steward)
    assert [(one.rule, one.held) for one in Withdrawal.objects.all()] == [(None, 1)]
    assert Discovered.objects.get().name == "gibberish" and up_to_now(Discovered.objects.get()).count == 0


def discovered(client) -> tuple:
    """Of every state how many; the names to decide on with their events and share; what is said of each."""
    page = client.get(reverse("admin:ingestion_discovered_changelist")).context
    rows = [(one["name"], one["row"].count, round(one["percent"], 1)) for one in page["rows"]]
    said = {}
    for row in Discovered.objects.exclude(kind="rest"):
        line = client.get(reverse("admin:ingestion_discovered_change", args=[row.pk])).context["line"]
        said[row.name] = (line["row"].count, line["state"])
    return {state: count for state, _label, count in page["states"]}, rows, said


def test_names_that_only_a_wrong_delivery_sent_are_not_offered_to_decide(client, standard):
    steward = User.objects.create_superuser("steward@example.com", "x")
    client.force_login(steward)
    colour = {"event": "product_view", "attributes": {"product_id": "p1", "colour": "red"}}
    size = {"event": "product_view", "attributes": {"product_id": "p1", "size": "XL"}}
    arrive({"event": "gibberish"}, {"event": "product_view"}, colour)
    before = discovered(client)
    assert before[0] == {"open": 2, "drafted": 0, "released": 0, "ignored": 0, "taken_back": 0}
    batch = arrive({"event": "gibberish"}, {"event": "wrongfile"}, {"event": "wrongfile"}, colour, size, at=NOW + timedelta(minutes=1))
    imported = discovered(client)
    assert (imported[0]["open"], imported[2]["gibberish"], imported[2]["wrongfile"]) == (4, (2, "open"), (2, "open"))
    act = taken_back(batch, steward)
    after = discovered(client)
    assert after == (before[0] | {"taken_back": 2}, before[1], before[2] | dict.fromkeys(("wrongfile", "size"), (0, "taken_back")))
    listed = client.get(reverse("admin:ingestion_discovered_changelist"), {"state": "taken_back"})
    assert "wrongfile" in listed.content.decode() and "&lt; 0.1%" not in listed.content.decode()
    look_again(NOW + timedelta(hours=3))  # now it stands in the rows themselves
    assert discovered(client) == after
    arrive({"event": "wrongfile"}, at=NOW + timedelta(hours=4))
    assert discovered(client)[2]["wrongfile"] == (1, "open")
    taken_back(Batch.objects.latest("received_at"), steward)
    put_again(act, steward)
    assert discovered(client) == imported


def test_what_is_taken_back_before_it_was_counted_is_not_offered_either(steward):
    batch = send("wrongfile", "wrongfile")
    act = taken_back(batch, steward)
    roll_up(NOW)
    look_again(NOW)
    assert [up_to_now(one).count for one in Discovered.objects.all()] == [0]
    put_again(act, steward)
    assert [up_to_now(one).count for one in Discovered.objects.all()] == [2]


def test_what_came_under_names_beyond_the_limit_is_fewer_too(steward, monkeypatch):
    monkeypatch.setitem(MOST, Discovered.Kind.NAME, 1)
    arrive({"event": "known"}, {"event": "known"}, {"event": "beyond"})
    batch = arrive({"event": "beyond"}, {"event": "further"})
    rest = lambda: [one.count for one in limits_hit(Source.objects.all()).values()]  # noqa: E731
    assert rest() == [3]
    act = taken_back(batch, steward)
    assert rest() == [1]
    put_again(act, steward)
    assert rest() == [3]


def test_a_leak_of_which_nothing_is_left_is_open_no_more(client, standard):
    steward = User.objects.create_superuser("steward@example.com", "x")
    client.force_login(steward)
    phone, card = "13912345678", "6222021234567890128"

    def leaking(**attributes):
        return {"event": "product_view", "attributes": {"product_id": "p1", **attributes}}

    def leaks():
        look_again(NOW)
        url = reverse("admin:ingestion_leak_changelist")
        return {
            state: sorted((one["attribute"], one["row"].kind) for one in client.get(url, {"state": state}).context["rows"])
            for state in ("open", "taken_back")
        }

    arrive(leaking(category=phone))
    before = leaks()
    batch = arrive(leaking(category=phone, note=f"call {phone}"), leaking(note=f"paid with {card}"), at=NOW + timedelta(minutes=1))
    imported = leaks()
    assert imported == {"open": [("category", "phone"), ("note", "bank_card"), ("note", "phone")], "taken_back": []}
    act = taken_back(batch, steward)
    gone = [("note", "bank_card"), ("note", "phone")]
    assert leaks() == before | {"taken_back": gone}
    again = arrive(leaking(note=f"call {phone}"), at=NOW + timedelta(minutes=2))
    assert leaks()["taken_back"] == [("note", "bank_card")]
    taken_back(again, steward)
    assert leaks()["taken_back"] == gone
    put_again(act, steward)
    assert leaks() == imported


def test_when_a_cause_was_seen_is_told_without_what_is_taken_back(steward):
    def seen_at():
        add_up(NOW)
        return set(Cause.objects.values_list("name", "first_at", "last_at"))

    early, late = NOW - timedelta(hours=3), NOW - timedelta(hours=1)
    arrive({"event": "gibberish"}, at=NOW - timedelta(hours=2))
    before = seen_at()
    acts = [arrive({"event": "gibberish"}, {"event": "wrongfile"}, at=at) for at in (early, late)]
    imported = seen_at()
    assert imported == {("gibberish", early, late), ("wrongfile", early, late)}
    acts = [taken_back(batch, steward) for batch in acts]
    assert {one for one in seen_at() if one[0] == "gibberish"} == before
    for act in acts:
        put_again(act, steward)
    assert seen_at() == imported


def test_a_cause_all_of_whose_events_are_taken_back_begins_with_the_next(steward):
    def seen_at():
        add_up(NOW)
        return list(Cause.objects.filter(name="gibberish").values_list("held", "first_at", "last_at"))

    early, late = NOW - timedelta(days=60), NOW + timedelta(days=60)
    acts = [taken_back(arrive({"event": "gibberish"}, at=at), steward) for at in (early, late)]
    arrive({"event": "gibberish"})
    assert seen_at() == [(1, NOW, NOW)]
    put_again(acts[0], steward)
    assert seen_at() == [(2, early, NOW)]
    put_again(acts[1], steward)
    assert seen_at() == [(3, early, late)]
    run_replay(ask(Replay(name="gibberish", act="discard", why="x")).pk)
    arrive({"event": "gibberish"})
    assert seen_at() == [(1, early, late)]


def test_what_was_taken_back_before_it_was_seen_less_is_from_then_on(steward):
    arrive({"event": "gibberish"})
    batch = arrive(
        {"event": "gibberish"}, {"event": "wrongfile"}, {"event": "product_view", "attributes": {"product_id": "p", "size": "L"}}
    )
    rule = uuid4()
    batch.events.filter(name="product_view").update(rule_id=rule)
    act = taken_back(batch, steward)
    Sighting.objects.filter(count__lt=0).delete()
    Withdrawal.objects.update(rule=None)
    migration = import_module("ingestion.migrations.0016_less_seen")
    with connection.cursor() as cursor:
        cursor.execute(migration._PART, [settings.TIME_ZONE])
        cursor.execute(migration._LESS)
    assert {one.name: up_to_now(one).count for one in Discovered.objects.all()} == {"gibberish": 1, "wrongfile": 0, "size": 0}
    assert dict(Withdrawal.objects.values_list("rule").annotate(Sum("counted"))) == {None: 0, rule: 1}
    put_again(act, steward)
    assert {one.name: up_to_now(one).count for one in Discovered.objects.all()} == {"gibberish": 2, "wrongfile": 1, "size": 1}
