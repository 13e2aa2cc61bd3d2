"""The past read anew: what the rules of now read otherwise changes, what they would hold stays, and all of it can be taken back."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from ingestion.accepted.past import ask_past, preview_past, run_past
from ingestion.models import CauseDay, QuarantineReason, Replay, Replayed
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import add_up
from ingestion.quarantine.replay import ask, run_replay
from ingestion.quarantine.undo import undo
from profiles.models import Customer, Event, FormerReading, Tally, Tie
from staff.models import AccessLog, User
from taxonomy.current import current, refresh
from taxonomy.models import Attribute, Grant, MappingRule, Source, Tag
from taxonomy.publish import publish
from tests.test_replay import map_name, purchase, state

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def send(*events: dict, source="website", received_at=NOW):
    incoming = [Incoming(json.dumps(event).encode()) for event in events]
    return receive(incoming, source_code=source, door="api", received_at=received_at, current=current())


def past(**more) -> Replay:
    return Replay(source=Source.objects.get(code="website"), **more)


def read_past(**more) -> Replay:
    return run_past(ask_past(past(**more)).pk)


def remap(name: str, tag: str) -> None:
    MappingRule.objects.filter(name=name).update(tag=Tag.objects.get(code=tag))
    publish(notes="mapped otherwise", by=None)
    refresh()


def log_in(client, role: str, **more) -> None:
    person = User.objects.create_user(f"{role}@example.com", language="en", **more)
    person.groups.add(Group.objects.get(name=role))
    client.force_login(person)


def test_a_changed_rule_is_applied_to_what_was_accepted(standard):
    map_name("goods_paid", "product_view")
    send(*(purchase(number, event="goods_paid") for number in range(3)), purchase(9))
    tallies = list(Tally.objects.values_list("accepted", "quarantined"))
    remap("goods_paid", "purchase")

    found = preview_past(past())
    assert (found.in_all, found.tried, found.changed, found.held, found.same) == (4, 4, 3, 0, 1)
    assert set(Event.objects.values_list("tag__code", flat=True)) == {"product_view", "purchase"}, "a preview stores nothing"
    assert not FormerReading.objects.exists()

    done = read_past()

    assert (done.status, done.fixed, done.held, done.untouched, done.seen) == ("finished", 3, 0, 1, 4)
    assert set(Event.objects.values_list("tag__code", flat=True)) == {"purchase"}
    assert [former.tag_id for former in FormerReading.objects.all()] == [Tag.objects.get(code="product_view").pk] * 3
    assert list(Tally.objects.values_list("accepted", "quarantined")) == tallies, "first verdicts never change"


def test_doing_it_twice_changes_nothing(standard):
    map_name("goods_paid", "product_view")
    send(purchase(1, event="goods_paid"))
    remap("goods_paid", "purchase")
    first = read_past()
    before = state()
    assert (first.fixed, read_past().fixed, run_past(first.pk).fixed) == (1, 0, 1)
    assert state() == before
    assert FormerReading.objects.count() == 1


def test_what_the_release_would_hold_stays_accepted_and_is_told(standard):
    send(purchase(1), purchase(2, attributes={"quantity": 5}))
    quantity = Attribute.objects.get(code="quantity")
    quantity.constraints = {"maximum": "4"}
    quantity.save()
    publish(notes="few", by=None)
    refresh()

    found = preview_past(past())
    assert (found.changed, found.held, found.same) == (0, 1, 1)
    assert found.causes == {("attribute.out_of_range", "attributes.quantity"): 1}
    done = read_past()

    assert (done.fixed, done.held) == (0, 1)
    assert set(Event.objects.values_list("standing", flat=True)) == {Event.Standing.COUNTED}
    assert not QuarantineReason.objects.exists()


def test_taken_back_everything_is_as_it_was_ties_included(standard):
    map_name("member_ping", "product_view")
    rule = MappingRule.objects.get(name="member_ping")
    send(purchase(1, event="member_ping", identifiers={"device": "d1"}))
    before, ties = state(), list(Tie.objects.values_list("weaker_id", "stronger_id"))
    assert ties
    rule.tag = Tag.objects.get(code="purchase")
    rule.save()
    publish(notes="bought", by=None)
    refresh()
    done = read_past()
    assert Event.objects.get().tag.code == "purchase"

    assert undo(done.pk) == 1

    assert state() == before
    assert list(Tie.objects.values_list("weaker_id", "stronger_id")) == ties
    assert not FormerReading.objects.exists()
    assert Replay.objects.get().status == Replay.Status.UNDONE


def test_reasons_of_an_event_that_was_let_in_before_stay_closed_when_it_is_taken_back(standard):
    send(purchase(1, event="goods_paid"))
    map_name("goods_paid", "product_view")
    run_replay(ask(Replay()).pk)
    remap("goods_paid", "purchase")
    done = read_past()
    assert done.fixed == 1
    undo(done.pk)
    assert Event.objects.get().tag.code == "product_view"
    assert not QuarantineReason.objects.filter(open=True).exists()


def test_reasons_of_an_event_that_a_replay_once_left_held_otherwise_stay_too(standard):
    send(purchase(1, event="goods_paid"))
    otherwise = run_replay(ask(Replay(mends=[{"path": "event", "seen": "goods_paid", "target": "event", "value": "nonsense"}])).pk)
    assert otherwise.held == 1
    undo(otherwise.pk)
    map_name("goods_paid", "product_view")
    assert run_replay(ask(Replay()).pk).fixed == 1

    def told() -> tuple[list, list]:
        add_up(NOW)
        days = CauseDay.objects.order_by("cause__name").values_list("cause__name", "arrived", "fixed")
        return list(days), list(QuarantineReason.objects.values_list("name", "open"))

    before = told()
    assert before[1] == [("goods_paid", False)]
    remap("goods_paid", "purchase")
    done = read_past()
    assert done.fixed == 1
    undo(done.pk)
    assert told() == before


def test_what_it_looked_at_only_inherits_no_reading_of_what_left_it_held(standard):
    send(purchase(1, event="goods_paid", attributes={"quantity": 5, "order_id": ""}))
    before = state()
    name = {"path": "event", "seen": "goods_paid", "target": "event", "value": "purchase"}
    order = {"path": "attributes.order_id", "seen": "", "target": "attributes.order_id", "value": "o1"}
    left = run_replay(ask(Replay(mends=[name])).pk)
    let_in = run_replay(ask(Replay(mends=[name, order | {"seen": None}])).pk)
    assert (left.held, let_in.fixed) == (1, 1)
    quantity = Attribute.objects.get(code="quantity")
    quantity.constraints = {"maximum": "4"}
    quantity.save()
    publish(notes="few", by=None)
    refresh()
    assert read_past().held == 1
    undo(let_in.pk)
    undo(left.pk)
    assert (state(), FormerReading.objects.count()) == (before, 0)


def test_what_staff_put_right_stays_right(standard):
    send(purchase(1, phone="mobile of Ann"), purchase(2))
    held = Event.objects.get(message_id="m1")
    reason = held.reasons.get()
    mends = [{"path": "phone", "seen": "mobile of Ann", "target": "phone", "value": "13800138000"}]
    assert run_replay(ask(Replay(source=reason.source, code=reason.code, path=reason.path, name=reason.name, mends=mends)).pk).fixed == 1
    before = state()
    done = read_past()
    assert (done.fixed, done.held) == (0, 0)
    assert state() == before


def test_only_the_tag_and_time_asked_for_are_read(standard):
    map_name("goods_paid", "product_view")
    send(purchase(1, event="goods_paid", occurred_at="2026-02-25T09:00:00Z"), received_at=NOW - timedelta(days=3))
    send(purchase(2, event="goods_paid"), purchase(3))
    remap("goods_paid", "purchase")
    assert preview_past(past(since=NOW - timedelta(days=1))).in_all == 2
    assert preview_past(past(until=NOW - timedelta(days=1))).in_all == 1
    assert read_past(tag=Tag.objects.get(code="product_view"), since=NOW - timedelta(days=1)).fixed == 1
    assert Replayed.objects.count() == 1


def test_what_was_taken_back_is_not_read(standard):
    map_name("goods_paid", "product_view")
    send(purchase(1, event="goods_paid"))
    Event.objects.update(standing=Event.Standing.TAKEN_BACK)
    remap("goods_paid", "purchase")
    assert preview_past(past()).in_all == 0
    assert read_past().fixed == 0


def test_a_steward_sees_what_it_does_says_why_and_can_take_it_back(standard, client):
    map_name("goods_paid", "product_view")
    send(purchase(1, event="goods_paid"))
    remap("goods_paid", "purchase")
    log_in(client, "data_steward")
    asked = {"source": Source.objects.get(code="website").pk}
    page = reverse("admin:ingestion_replay_add")

    tried = client.post(page, {**asked, "act": "try"})
    assert tried.context["found"].changed == 1
    assert '<section class="tl-card tl-outcome tl-gap" id="outcome" aria-live="polite" tabindex="-1" autofocus>' in tried.content.decode()
    without = client.post(page, {**asked, "act": "read"})
    assert without.context["form"].errors["why"]
    assert 'aria-describedby="why-not" autofocus>' in without.content.decode() and 'tabindex="-1" autofocus' not in without.content.decode()
    why = {"act": "read", "why": "the shop sells", "shown": tried.context["shown"]}
    for unseen in (asked | why | {"shown": ""}, asked | why | {"tag": Tag.objects.get(code="purchase").pk}):
        again = client.post(page, unseen)
        assert "Nothing is done yet" in again.content.decode() and not Replay.objects.exists()
    begun = client.post(page, asked | why)
    replay = Replay.objects.get()
    assert begun.url == reverse("admin:ingestion_replay_change", args=[replay.pk])
    run_past(replay.pk)
    assert client.get(begun.url).context["replay"].fixed == 1
    key = bytes(Event.objects.get().key).hex()
    shown = client.get(reverse("customer_event", args=[Customer.objects.get().public_id, key]))
    assert [one["tag"].code for one in shown.context["former"]] == ["product_view"]
    client.post(begun.url, {"act": "undo"})
    assert Event.objects.get().tag.code == "product_view"


def test_the_attributes_of_which_one_is_missing_are_named(standard, client):
    map_name("goods_paid", "product_view")
    send({**purchase(1, event="goods_paid"), "attributes": {"order_id": "o1", "product_id": "p1", "quantity": 1}})
    remap("goods_paid", "purchase")
    log_in(client, "data_steward")
    tried = client.post(reverse("admin:ingestion_replay_add"), {"source": Source.objects.get(code="website").pk, "act": "try"})
    assert [where for _title, where, _count in tried.context["reasons"]] == ["Unit price (price) or Line total (amount)"]


def test_who_may_only_mend_held_events_may_not_read_the_past(standard, client):
    log_in(client, "sales_rep")
    assert client.get(reverse("admin:ingestion_replay_add")).status_code == 403


def examples_for(client, role: str) -> list[tuple[str, str, str]]:
    log_in(client, role)
    tried = client.post(reverse("admin:ingestion_replay_add"), {"source": Source.objects.get(code="website").pk, "act": "try"})
    ((key, rows),) = tried.context["examples"]
    assert key == Event.objects.get().public_id
    assert all(str(text) in tried.content.decode() for row in rows for text in row)
    return [(str(label), before, after) for label, before, after in rows]


def test_what_differs_of_an_event_is_shown_as_it_was_and_as_it_would_be(standard, client):
    map_name("goods_paid", "product_view")
    send(purchase(1, event="goods_paid", occurred_at="2026-02-25T09:00:00Z"))
    remap("goods_paid", "purchase")
    Event.objects.update(attributes={"product_id": "p0", "quantity": 1, "note": "call 13912345678"}, occurred_at=NOW)
    rows = {label: (before, after) for label, before, after in examples_for(client, "data_steward")}
    assert rows["tag"] == ("View a product", "Purchase")
    assert (rows["Product"], rows["Order"]) == (("p0", "p1"), ("", "o1"))
    assert rows["time"][0] != rows["time"][1] and "2026-02-25" in rows["time"][1]
    assert rows["Order (unplanned attributes)"] == ("o1", "")
    assert rows["note"] == ("call 139****5678", "")
    assert "Quantity" not in rows, "it stays"


def test_whom_an_event_is_about_is_shown_masked(standard, client):
    send(purchase(1, identifiers={"email": "ann@example.com"}))
    send(purchase(2, phone="13900139000"))
    first, other = Event.objects.order_by("pk")
    Event.objects.filter(pk=first.pk).update(subject=other.subject, identifiers={"email": "bob@example.com"})
    Event.objects.filter(pk=other.pk).update(standing=Event.Standing.TAKEN_BACK)
    log_in(client, "data_steward")
    page = client.post(reverse("admin:ingestion_replay_add"), {"source": Source.objects.get(code="website").pk, "act": "try"})
    ((_key, rows),) = page.context["examples"]
    assert [(str(label), *sides) for label, *sides in rows] == [
        ("whom it is about", "phone +86 139****9000", "phone +86 138****8000"),
        ("e-mail", "b***@example.com", "a***@example.com"),
    ]


def test_a_tag_that_is_hidden_from_the_reader_shows_no_more_than_what_differs(standard, client):
    map_name("goods_paid", "product_view")
    send(purchase(1, event="goods_paid"))
    remap("goods_paid", "purchase")
    Grant.objects.create(department_id="marketing", may="read", category=Tag.objects.get(code="purchase").category)
    Tag.objects.filter(code="purchase").update(owner="marketing")
    Source.objects.filter(code="website").update(owner="sales")
    publish(notes="", by=None)
    refresh()
    log_in(client, "data_steward", department_id="sales")
    page = client.post(reverse("admin:ingestion_replay_add"), {"source": Source.objects.get(code="website").pk, "act": "try"})
    ((_key, rows),) = page.context["examples"]
    assert {side for _label, *sides in rows for side in map(str, sides)} <= {"(not shown to you)", "View a product"}


def test_who_may_not_see_customers_sees_no_more_than_what_differs(standard, client):
    map_name("goods_paid", "product_view")
    send(purchase(1, event="goods_paid"))
    remap("goods_paid", "purchase")
    person = User.objects.create_user("both@example.com", language="en")
    person.groups.add(*Group.objects.filter(name__in=["engineer", "administrator"]))
    client.force_login(person)
    page = client.post(reverse("admin:ingestion_replay_add"), {"source": Source.objects.get(code="website").pk, "act": "try"})
    ((key, rows),) = page.context["examples"]
    told = [(str(label), *map(str, sides)) for label, *sides in rows]
    assert {label for label, *_sides in told} == {"tag", "attributes", "unplanned attributes", "refinements"}
    assert {side for _label, *sides in told for side in sides} == {"(not shown to you)"}
    assert reverse("event", args=[key]) not in page.content.decode() and client.get(reverse("event", args=[key])).status_code == 403
    assert not AccessLog.objects.exists()


def test_whose_events_are_shown_is_recorded(standard, client):
    map_name("goods_paid", "product_view")
    send(purchase(1, event="goods_paid"))
    remap("goods_paid", "purchase")
    examples_for(client, "data_steward")
    logged = AccessLog.objects.get()
    assert (logged.action, logged.customer) == (AccessLog.Action.ORIGINAL, Customer.objects.get().public_id)
    assert logged.reason == f"event {Event.objects.get().public_id}"
