"""A proposal tried on what really arrived: what it would hold, let in and read otherwise, and nothing stored."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from plans import uuid_of

from ingestion import trial
from ingestion.pipeline import Incoming, receive
from ingestion.reread import reread
from ingestion.trial import try_plan
from profiles.models import Event
from staff.models import User
from taxonomy.current import current, refresh
from taxonomy.definition import apply_definition
from taxonomy.models import MappingRule, Source, Tag
from taxonomy.proposals.propose import propose
from taxonomy.publish import items_of, newest, publish
from taxonomy.standardize import compile_plan

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


def send(records: list[dict], door: str = "api", source: str = "website") -> None:
    incoming = [Incoming(json.dumps({"phone": "+8613800138000", "occurred_at": NOW.isoformat(), **record}).encode()) for record in records]
    receive(incoming, source_code=source, door=door, received_at=NOW, current=current())


def days() -> dict[str, str]:
    """The company's days around now, as the page asks for them."""
    return {"first": str((NOW - timedelta(days=1)).date()), "last": str((NOW + timedelta(days=1)).date())}


@pytest.fixture
def items(standard):
    return items_of(newest())


def tried(items, changed, **chosen):
    asked = {"since": NOW - timedelta(days=1), "today": NOW.date()} | chosen
    return try_plan(compile_plan(items), compile_plan(changed), **asked)


def test_the_same_plan_changes_nothing(items):
    send([{"id": str(n), "event": "login"} for n in range(5)] + [{"id": "x", "event": "nonsense"}])
    done = tried(items, items)
    assert (done.accepted, done.accepted_in_all, done.held, done.held_in_all, done.differences) == (5, 5, 1, 1, [])


def test_what_it_would_hold_let_in_and_read_otherwise(items):
    send([{"id": str(n), "event": "login"} for n in range(3)])
    send([{"id": f"u{n}", "event": "sign_me_in"} for n in range(4)])
    login, view = uuid_of(items, "tag", "login"), uuid_of(items, "tag", "product_view")
    rule = next(one for one in items.values() if one["kind"] == "rule" and one["source"] == uuid_of(items, "source", "website"))
    plain = rule | {"match": "exact", "condition": None, "rows": [], "position": 0}
    drafted = items | {login: items[login] | {"status": "draft"}}
    done = tried(items, drafted)
    assert [(one.outcome, one.before, one.count, list(one.reasons)) for one in done.differences] == [
        ("held", "login", 3, ["event.unknown event"])
    ]
    assert len(done.differences[0].examples) == 3

    mapped = items | {"99999999-0000-4000-8000-000000000000": plain | {"name": "sign_me_in", "tag": login}}
    done = tried(items, mapped)
    assert [(one.outcome, one.after, one.count) for one in done.differences] == [("let_in", "login", 4)]
    assert done.differences[0].examples[0].is_held

    turned = items | {"99999999-0000-4000-8000-000000000000": plain | {"name": "login", "tag": view}}
    done = tried(items, turned)
    assert {one.outcome for one in done.differences} <= {"held", "otherwise"}
    assert done.count("held") + done.count("otherwise") == 3


def test_a_source_that_goes_takes_its_events_with_it(items):
    send([{"id": "1", "event": "login"}])
    website = uuid_of(items, "source", "website")
    without = {item: one for item, one in items.items() if item != website and one.get("source") != website}
    assert tried(items, without).count("held") == 1


def test_only_the_days_and_sources_chosen_are_tried(items):
    send([{"id": "1", "event": "login"}])
    send([{"id": "2", "event": "login"}], source="partner")
    website, partner, till = (Source.objects.get(code=code).pk for code in ("website", "partner", "till"))
    for sources, count in (([till], 0), ([website], 1), ([website, till], 1), ([website, partner], 2), ([], 0), (None, 2)):
        done = tried(items, items, sources=sources)
        assert (done.accepted, done.accepted_in_all) == (count, count), sources
    assert tried(items, items, until=NOW).accepted == 0
    assert tried(items, items, until=NOW + timedelta(seconds=1)).accepted == 2
    assert tried(items, items, sample=0).accepted == 0


def test_its_page_takes_any_sources_and_days_and_says_what_is_wrong_with_them(items, client):
    send([{"id": "1", "event": "login"}])
    send([{"id": "2", "event": "login"}], source="partner")
    login = uuid_of(items, "tag", "login")
    apply_definition(login, items[login] | {"label_en": "Sign in"})
    root = User.objects.create_superuser("root@example.com", "x", language="en")
    place = reverse("trial", args=[propose([login], title="t", why="w", by=root).pk])
    client.force_login(root)

    def answer(**chosen):
        return client.post(place, {**days(), **chosen})

    of = {code: str(Source.objects.get(code=code).pk) for code in ("website", "partner", "till")}
    assert answer().context["trial"].accepted == 2
    both = answer(sources=[of["partner"], of["website"]])
    assert both.context["trial"].accepted == 2 and "Sources: " in both.content.decode()
    assert answer(sources=[of["partner"], of["till"]]).context["trial"].accepted == 1
    assert answer(first="2026-01-01", last="2026-01-02").context["trial"].accepted == 0
    for wrong, said in [
        ({"first": "soon"}, "from: Enter a valid date"),
        ({"first": "2026-01-03", "last": "2026-01-02"}, "first day comes after the last"),
        ({"sources": ["nonsense"]}, "sources: "),
        ({"sources": ["99999999-0000-4000-8000-000000000000"]}, "sources: "),
    ]:
        shown = answer(**wrong).content.decode()
        assert said in shown and "Tried on" not in shown


def test_its_page_explains_why_nothing_would_change(items, client):
    login = uuid_of(items, "tag", "login")
    apply_definition(login, items[login] | {"label_en": "Sign in"})
    root = User.objects.create_superuser("root@example.com", "x")
    place = reverse("trial", args=[propose([login], title="t", why="w", by=root).pk])
    client.force_login(root)

    def told() -> str:
        return client.post(place, days()).content.decode()

    assert "Nothing arrived in these days" in told()
    send([{"id": "p", "event": "product_view", "attributes": {"product_id": "p"}}])
    assert "no recent events of this tag: login" in told()
    send([{"id": "l", "event": "login"}])
    assert "read as before" in told()


def test_its_page_tells_and_stores_nothing(items, client):
    send([{"id": str(n), "event": "login"} for n in range(3)])
    login = uuid_of(items, "tag", "login")
    apply_definition(login, items[login] | {"status": "draft"})
    root = User.objects.create_superuser("root@example.com", "x")
    proposal = propose([login], title="t", why="w", by=root)
    client.force_login(root)
    before = Event.objects.count()
    page = client.post(reverse("trial", args=[proposal.pk]), days())
    assert page.status_code == 200
    assert [group["count"] for group in page.context["groups"]] == [3, 0, 0, 0, 0]
    example = page.context["groups"][0]["rows"][0]["examples"][0]
    assert client.get(reverse("event", args=[example.event]), follow=True).status_code == 200
    assert Event.objects.count() == before
    assert "+86138" not in page.content.decode()
    client.force_login(User.objects.create_user("nobody@example.com", "x"))
    assert client.post(reverse("trial", args=[proposal.pk])).status_code == 403


def test_the_attributes_of_which_one_is_missing_are_named(items, client):
    send([{"id": "1", "event": "login", "attributes": {"order_id": "o1", "product_id": "p1", "quantity": 1}}])
    rule = MappingRule.objects.create(
        source=Source.objects.get(code="website"), name="login", tag=Tag.objects.get(code="purchase"), position=0
    )
    root = User.objects.create_superuser("root@example.com", "x", language="en")
    client.force_login(root)
    proposal = propose([str(rule.pk)], title="t", why="w", by=root)
    page = client.post(reverse("trial", args=[proposal.pk]), days(), headers={"Accept-Language": "en"})
    [(reason, count)] = page.context["groups"][0]["rows"][0]["reasons"]
    assert (reason.endswith(" Unit price (price) or Line total (amount)"), count) == (True, 1), reason


def test_what_stays_held_for_another_reason_and_what_is_held_from_its_day_on(items):
    send([{"id": f"u{n}", "event": "look_at", "attributes": {}} for n in range(4)])
    send([{"id": "v", "event": "product_view", "attributes": {"product_id": "p"}}])
    view = uuid_of(items, "tag", "product_view")
    website = uuid_of(items, "source", "website")
    rule = {"kind": "rule", "source": website, "position": 0, "match": "exact", "name": "look_at", "condition": None, "tag": view, "rows": [], "keep_unmapped": True}  # fmt: skip
    done = tried(items, items | {"99999999-0000-4000-8000-000000000000": rule})
    assert [(one.outcome, one.count, list(one.reasons)) for one in done.differences] == [
        ("held_otherwise", 4, ["attribute.missing attributes.product_id"])
    ]

    price = uuid_of(items, "attribute", "price")
    uses = [
        use | ({"required": True, "watch_until": "2099-12-31"} if use["attribute"] == price else {}) for use in items[view]["attributes"]
    ]
    done = tried(items, items | {view: items[view] | {"attributes": uses}})
    assert [(one.outcome, one.count, list(one.reasons)) for one in done.differences] == [
        ("watched", 1, ["attribute.missing attributes.price"])
    ]


def watched_until(items, day: str, **more) -> dict:
    """The plan where a price is required of product_view, and only watched until a day."""
    view, price = uuid_of(items, "tag", "product_view"), uuid_of(items, "attribute", "price")
    asked = {"required": True, "watch_until": day}
    uses = [use | (asked if use["attribute"] == price else {}) for use in items[view]["attributes"]]
    return items | {view: items[view] | {"attributes": uses} | more}


TODAY = NOW.date()
LATER = [str(TODAY + timedelta(days=days)) for days in (1, 30, -1, -2)]


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        (LATER[1], LATER[0], 1),
        (LATER[0], LATER[1], 0),
        (LATER[1], LATER[1], 0),
        (LATER[2], LATER[3], 0),  # over, both: it holds what comes already
        (LATER[1], LATER[3], 1),
    ],
)
def test_a_day_that_is_moved_nearer_holds_what_is_watched_sooner(items, before, after, count):
    long_ago = (NOW - timedelta(days=6)).isoformat()
    send([{"id": "v", "event": "product_view", "occurred_at": long_ago, "attributes": {"product_id": "p"}}])
    # received before any of the days
    Event.objects.update(received_at=NOW - timedelta(days=5))
    done = tried(watched_until(items, before), watched_until(items, after), since=NOW - timedelta(days=9))
    told = [(one.outcome, one.count, list(one.reasons)) for one in done.differences]
    assert told == ([("watched", count, ["attribute.missing attributes.price"])] if count else [])


@pytest.mark.parametrize(("before", "count"), [(LATER[2], 0), (LATER[0], 1)])
def test_a_day_that_goes_once_it_is_over_holds_nothing_more(items, before, count):
    long_ago = (NOW - timedelta(days=6)).isoformat()
    send([{"id": "v", "event": "product_view", "occurred_at": long_ago, "attributes": {"product_id": "p"}}])
    # received while it was only watched
    Event.objects.update(received_at=NOW - timedelta(days=5))
    done = tried(watched_until(items, before), watched_until(items, ""), since=NOW - timedelta(days=9))
    told = [(one.outcome, one.count, list(one.reasons)) for one in done.differences]
    assert told == ([("held", count, ["attribute.missing attributes.price"])] if count else [])


@pytest.mark.parametrize(("before", "after", "count"), [("note", "quarantine", 1), ("note", "note", 0), ("quarantine", "note", 0)])
def test_what_is_only_noted_once_its_day_comes_is_not_held_by_it(items, before, after, count):
    send([{"id": "v", "event": "product_view", "attributes": {"product_id": "p"}}])
    plans = [watched_until(items, LATER[1], modes=[{"source": "", "mode": mode}]) for mode in (before, after)]
    assert tried(*plans).count("watched") == count
    assert tried(items, plans[1]).count("watched") == (after == "quarantine")


def test_a_record_of_many_events_is_read_once_by_each_plan(standard, monkeypatch):
    said = {name: name for name in ("event", "phone", "occurred_at", "attributes")}
    Source.objects.filter(code="website").update(envelope={"preset": "custom", "events": "lines", "message_id": "id", **said})
    publish(notes="many in a record", by=None)
    refresh()
    line = {"event": "login", "phone": "+8613800138000", "occurred_at": NOW.isoformat()}
    send([{"lines": [{"id": f"{record}-{at}", **line} for at in range(4)]} for record in range(2)])
    readings = []
    monkeypatch.setattr(trial, "reread", lambda record, *rest, **more: readings.append(record) or reread(record, *rest, **more))
    items = items_of(newest())
    assert (tried(items, items).accepted, len(readings)) == (8, 4)


def test_held_events_are_tried_whatever_the_days(items):
    send([{"id": "old", "event": "sign_me_in"}])
    Event.objects.update(received_at=Event.objects.get().received_at - timedelta(days=400))
    done = tried(items, items)
    assert (done.held, done.held_in_all) == (1, 1)
