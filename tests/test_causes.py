"""Causes: sums of what is held, kept without a pass over it, and given to whoever answers for them."""

import json
import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from ingestion.models import Cause, CauseDay, CauseMove, QuarantineReason, Replay
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import add_up, assign, open_causes_of, trends
from ingestion.quarantine.replay import ask, run_replay
from ingestion.quarantine.undo import undo
from staff.models import Department, Notice, User
from taxonomy.current import current
from taxonomy.models import Source

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def hold(*events: dict, at=NOW, source="website") -> None:
    incoming = [Incoming(json.dumps(event).encode()) for event in events]
    receive(incoming, source_code=source, door="api", received_at=at, current=current())


def purchase(number: int, **attributes) -> dict:
    more = {"order_id": f"o{number}", "product_id": "p1", "price": "9.90", "quantity": "two", **attributes}
    return {"id": f"m{number}", "event": "purchase", "phone": "13800138000", "attributes": more}


def cause(path="attributes.quantity") -> Cause:
    add_up(timezone.now())
    return Cause.objects.get(path=path)


def person(email="kim@example.com", role="marketer", **fields) -> User:
    found = User.objects.create_user(email, language="en", **fields)
    found.groups.add(Group.objects.get(name=role))
    return found


def counted() -> dict[tuple, tuple[int, int, int]]:
    """{cause: (held, of these leading, arrived)} by a pass over all reasons."""
    found: dict[tuple, list[int]] = {}
    for one in QuarantineReason.objects.all():
        sums = found.setdefault((one.source_id, one.code, one.path, one.name), [0, 0, 0])
        sums[0] += one.open
        sums[1] += one.open and one.leads
        sums[2] += 1
    return {key: tuple(sums) for key, sums in found.items()}


def kept() -> dict[tuple, tuple[int, int, int]]:
    add_up(timezone.now())
    found = {}
    for one in Cause.objects.all():
        arrived = sum(one.days.values_list("arrived", flat=True))
        if one.held or one.events or arrived:
            found[one.source_id, one.code, one.path, one.name] = (one.held, one.events, arrived)
    return found


def test_the_sums_are_those_of_a_pass_over_everything_whatever_is_done(standard):
    chance = random.Random(7)
    for round in range(12):
        hold(*(purchase(100 * round + number, quantity=chance.choice(["two", "x"]), price=chance.choice(["9", "?"])) for number in range(5)), at=NOW + timedelta(hours=7 * round))  # fmt: skip
        rows = list(QuarantineReason.objects.all())
        some = [one.pk for one in chance.sample(rows, 4)]
        change = chance.choice(["open", "fix", "delete", "rename"])
        if change == "delete":
            QuarantineReason.objects.filter(pk__in=some).delete()
        elif change == "rename":
            QuarantineReason.objects.filter(pk__in=some).update(name="other")
        else:
            QuarantineReason.objects.filter(pk__in=some).update(
                open=change == "open", fixed_at=None if change == "open" else timezone.now()
            )
        if round % 2:
            assert kept() == counted()
    assert kept() == counted()
    assert not CauseMove.objects.exists()


def test_adding_up_twice_adds_nothing(standard, django_assert_num_queries):
    hold(purchase(1))
    assert cause().held == 1
    with django_assert_num_queries(3):  # a savepoint, a look, and its end
        add_up(timezone.now())
    assert cause().held == 1


def test_entries_of_a_list_are_one_place(standard):
    from ingestion.quarantine.reasons import write_reasons
    from profiles.entries import Delivery, Entry
    from taxonomy.standardize import Violation, decode_json, read, standardize

    plan, record = current().plan, json.dumps(purchase(1)).encode()
    (raw,) = read(decode_json(record), plan.sources["website"], plan, received_at=NOW, original=record)
    wrong = [Violation("attribute.wrong_type", f"attributes.items[{at}].price", "x") for at in range(3)]
    entry = Entry(record, raw, msgspec.structs.replace(standardize(raw, plan), violations=wrong), key=b"k" * 16, event_id=1)
    source = str(Source.objects.get(code="website").pk)
    with connection.cursor() as cursor:
        write_reasons(cursor, [Delivery(uuid4(), source, "", "api", NOW, 1, [entry], lambda _sent: None)], [])
    assert (cause("attributes.items[].price").held, QuarantineReason.objects.count()) == (1, 1)


def test_an_event_with_two_reasons_counts_once_among_events(standard):
    hold(purchase(1, price="?"))
    add_up(timezone.now())
    assert sorted(Cause.objects.values_list("held", "events")) == [(1, 0), (1, 1)]


def test_days_are_the_companys_and_a_trend_shows_them_all(standard, settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    hold(purchase(1), at=datetime(2026, 3, 1, 15, 59, tzinfo=UTC))
    hold(purchase(2), purchase(3), at=datetime(2026, 3, 1, 16, 1, tzinfo=UTC))
    found = cause()
    line = trends([found.pk], datetime(2026, 3, 3).date())[found.pk]
    assert line == [0] * 11 + [1, 2, 0]
    assert (found.first_at.minute, found.last_at.minute) == (59, 1)


def test_what_is_fixed_says_after_how_long_and_taking_it_back_undoes_that(standard):
    at = timezone.now() - timedelta(hours=5)
    hold(purchase(1), at=at)
    found = cause()
    mends = [{"path": "attributes.quantity", "seen": "two", "target": "attributes.quantity", "value": "2"}]
    replay = ask(Replay(source_id=found.source_id, code=found.code, path=found.path, name=found.name, mends=mends))
    assert run_replay(replay.pk).fixed == 1
    found = cause()
    day = CauseDay.objects.exclude(fixed=0).get()
    assert (found.held, found.emptied_at is not None, day.fixed) == (0, True, 1)
    assert day.fixed_after_seconds == pytest.approx(5 * 3600, abs=60)
    undo(replay.pk)
    found = cause()
    assert (found.held, found.emptied_at, CauseDay.objects.exclude(fixed=0).count()) == (1, None, 0)


def test_what_is_let_go_of_is_not_fixed(standard):
    hold(purchase(1))
    found = cause()
    run_replay(ask(Replay(source_id=found.source_id, code=found.code, path=found.path, name=found.name, act="discard", why="a test")).pk)
    assert (cause().held, CauseDay.objects.exclude(fixed=0).exists()) == (0, False)


def test_a_cause_goes_to_the_owner_of_its_tag_else_of_its_source(standard):
    from plans import small_plan_items

    from taxonomy.models import Tag

    assert {item["owner"] for item in small_plan_items().values() if item["kind"] == "source"} == {"marketing"}
    hold(purchase(1), {"id": "n", "event": "nonsense", "phone": "13800138000"})
    assert (cause().department_id, cause("event").department_id) == (Tag.objects.get(code="purchase").owner_id, "marketing")


def test_the_owner_follows_the_release_until_somebody_assigns_it(standard):
    from ingestion.quarantine.offer import offer
    from taxonomy.publish import publish

    hold({"id": "n", "event": "nonsense", "phone": "13800138000"})
    assert cause("event").department_id == "marketing"
    Source.objects.filter(code="website").update(owner="service")
    offer(publish(notes="t", by=None).pk)
    assert cause("event").department_id == "service"
    assign(cause("event"), department=Department.objects.get(pk="sales"), person=None, note="", by=person())
    Source.objects.filter(code="website").update(owner="product")
    offer(publish(notes="t", by=None).pk)
    assert cause("event").department_id == "sales"


def test_giving_it_to_somebody_is_recorded_and_they_are_told(client, standard):
    hold(purchase(1))
    me, other = person(department_id="marketing"), person("lee@example.com", department_id="sales")
    client.force_login(me)
    url = reverse("admin:quarantine_cause_assign", args=[cause().pk])
    client.post(url, {"department": "marketing", "person": other.pk, "note": "the till's"})
    found = cause()
    assert (found.department_id, found.person) == ("sales", other)
    assert Notice.objects.get(user=other).link == found.get_absolute_url()
    client.post(url, {"department": "service", "person": ""})
    assert [(one.department_id, one.person, one.by, one.note) for one in found.assignments.all()] == [
        ("service", None, me, ""),
        ("sales", other, me, "the till's"),
    ]
    page = client.get(found.get_absolute_url()).content.decode()
    assert "the till&#x27;s" in page


def test_who_has_no_department_and_is_named_alone_takes_nothing(client, standard):
    hold(purchase(1))
    client.force_login(person())
    client.post(reverse("admin:quarantine_cause_assign", args=[cause().pk]), {"person": "99"}, follow=True)
    assert not cause().assignments.exists()


def test_the_badge_counts_what_waits_for_me(client, standard, django_assert_num_queries):
    mine, theirs = person(department_id="marketing"), person("lee@example.com", department_id="marketing")
    hold(purchase(1), {"id": "n", "event": "nonsense", "phone": "13800138000"})
    add_up(timezone.now())
    assert open_causes_of(mine).count() == 2
    assign(cause("event"), department=Department.objects.get(pk="marketing"), person=theirs, note="", by=mine)
    with django_assert_num_queries(1):
        assert (open_causes_of(mine).count()) == 1
    client.force_login(theirs)
    page = client.get(reverse("admin:ingestion_quarantinereason_changelist"), {"of": "mine"})
    assert (page.context["waiting"], len(page.context["lines"])) == ("2", 2)
    assert "2 causes wait for you" in client.get("/admin/").content.decode()


def test_the_list_says_how_long_held_events_are_kept(client, standard):
    client.force_login(person())
    hold(purchase(1))
    page = client.get(reverse("admin:ingestion_quarantinereason_changelist"))
    assert "Held events are kept whole" in page.content.decode()
    assert page.context["oldest"] == NOW


def test_what_waits_for_somebody_who_leaves_goes_to_a_colleague(standard):
    from ingestion.watching.leave import belongings

    hold(purchase(1))
    kim, lee = person(department_id="marketing"), person("lee@example.com", department_id="sales")
    person("nowhere@example.com")
    assign(cause(), department=kim.department, person=kim, note="", by=lee)
    (theirs,) = [one for one in belongings(kim) if one.key == "causes"]
    assert (len(theirs.entries), theirs.takers) == (1, [lee])
    theirs.hand_over(lee)
    assert (cause().person, cause().department_id, cause().assignments.first().by) == (lee, "sales", kim)
