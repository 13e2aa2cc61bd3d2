"""A source's page: what came adds up, hour by hour and day by day, with what is stored; how late, how read, by which keys."""

import json
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ingestion.admin.health import duration_text
from ingestion.models import Hook, ReadingDay, StoredHour, WriteKey
from ingestion.pipeline import Incoming, receive
from ingestion.watching.intake import intake
from ingestion.watching.rollup import roll_up
from profiles.models import Event, FormerReading, Tally
from staff.models import Department, User
from taxonomy.current import current
from taxonomy.models import Category, Grant, Source

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(hour=4, minute=30, second=0, microsecond=0)  # half past noon in Shanghai


def today() -> date:
    return timezone.localdate(NOW, timezone.get_default_timezone())


def send(*events: dict | bytes, at=NOW, source="website", ago=timedelta(minutes=5)):
    base = {"phone": "+8613800138000", "occurred_at": (at - ago).isoformat()}
    incoming = [Incoming(one if isinstance(one, bytes) else json.dumps({**base, **one}).encode()) for one in events]
    return receive(incoming, source_code=source, door="api", received_at=at, current=current())


def logins(*ids: str) -> list[dict]:
    return [{"id": one, "event": "login"} for one in ids]


@pytest.fixture
def website(standard):
    return Source.objects.get(code="website")


def found(website, days=14):
    return intake(website, today(), days, NOW)


def of_all_kinds(at=NOW, name="a") -> None:
    """Two accepted, one duplicate, one held, one refused."""
    send(*logins(f"{name}1", f"{name}2", f"{name}1"), {"id": f"{name}x", "event": "nonsense"}, b"[1", at=at)


def test_received_is_the_sum_of_the_four_and_reconciles_before_and_after_it_was_counted(website):
    of_all_kinds()
    for _ in range(2):
        came = found(website)
        total = came.total
        assert (total.received, total.accepted, total.duplicate, total.quarantined, total.refused) == (5, 2, 1, 1, 1)
        assert (total.stored_accepted, total.stored_held, came.astray) == (2, 1, [])
        assert ((hour := came.hours[-1]).stored_accepted, hour.stored_held, came.hours_astray) == (2, 1, [])
        roll_up(NOW)
    assert (len(came.days), came.days[-1].at, came.days[-1].received) == (14, today(), 5)


def test_half_of_it_counted_and_half_not_reconciles_too(website):
    of_all_kinds()
    roll_up(NOW)
    of_all_kinds(name="b")
    came = found(website)
    assert came.astray == came.hours_astray == [] and came.total.stored_accepted == came.hours[-1].stored_accepted == 4


@pytest.mark.parametrize("lost", ["stored", "answered"])
def test_what_is_lost_shows(website, lost):
    of_all_kinds()
    roll_up(NOW)
    if lost == "stored":
        ReadingDay.objects.filter(accepted=False).delete()
        StoredHour.objects.update(held=0)
    else:
        Tally.objects.update(accepted=0)
    came = found(website)
    assert [one.at for one in came.astray] == [today()] and [one.at for one in came.hours_astray] == [NOW.replace(minute=0)]


def test_what_went_from_one_hour_to_another_shows_though_the_day_adds_up(website):
    of_all_kinds()
    of_all_kinds(at=NOW - timedelta(hours=1), name="b")
    roll_up(NOW)
    StoredHour.objects.filter(hour=NOW.replace(minute=0)).update(accepted=0)
    StoredHour.objects.filter(hour=NOW.replace(minute=0) - timedelta(hours=1)).update(accepted=4)
    came = found(website)
    assert came.astray == [] and [one.stored_accepted for one in came.hours_astray] == [4, 0]


def test_what_was_mended_later_is_stored_as_it_came_and_hours_long_past_are_forgotten(website):
    of_all_kinds()
    roll_up(NOW)
    Event.objects.filter(attributes__isnull=True).update(attributes={}, standing=Event.Standing.COUNTED)
    assert found(website).hours_astray == [] and StoredHour.objects.count() == 1
    roll_up(NOW + timedelta(days=3))
    assert not StoredHour.objects.exists()


def test_what_came_before_hours_were_kept_is_counted_anew_by_its_first_verdict(website):
    of_all_kinds()
    roll_up(NOW)
    held = Event.objects.get(attributes__isnull=True)
    FormerReading.objects.create(event=held, replaced_by=uuid4(), standing=Event.Standing.HELD)
    Event.objects.filter(pk=held.pk).update(attributes={}, standing=Event.Standing.COUNTED)
    StoredHour.objects.all().delete()
    assert found(website).hours_astray
    with connection.cursor() as cursor:
        cursor.execute(import_module("ingestion.migrations.0003_stored_hour")._COUNT, [settings.TIME_ZONE])
    assert found(website).hours_astray == []


def test_a_day_is_the_company_s_and_an_hour_too(website):
    midnight = NOW.replace(hour=16, minute=0) - timedelta(days=1)  # in Shanghai
    of_all_kinds(at=midnight - timedelta(seconds=1), name="before")
    of_all_kinds(at=midnight, name="after")
    came = found(website)
    assert [one.received for one in came.days[-2:]] == [5, 5] and came.astray == came.hours_astray == []
    hours = {one.at.astimezone(UTC): one.received for one in came.hours}
    assert (len(hours), hours[midnight - timedelta(hours=1)], hours[midnight]) == (24, 5, 5)
    assert sum(hours.values()) == 10 and max(hours) == NOW.replace(minute=0)


def test_other_sources_and_other_days_are_left_out(website):
    of_all_kinds(at=NOW - timedelta(days=14))
    send(*logins("t"), source="till")
    assert found(website).total.received == 0
    assert found(website, 30).total.received == 5


def test_it_says_how_late_events_come(website):
    assert found(website).lateness is None
    for number in range(20):
        send(*logins(f"n{number}"), ago=timedelta(seconds=10) if number < 18 else timedelta(hours=3))
    send({"id": "x", "event": "nonsense"}, ago=timedelta(days=9))
    late = found(website).lateness
    assert (late.events, late.median) == (20, timedelta(seconds=10))
    assert timedelta(hours=2) < late.p95 <= timedelta(hours=3)


def test_it_tells_what_rules_read_from_what_came_in_the_standard_s_names(website):
    assert found(website).mapped_percent is None
    send(*logins("a", "b"), {"id": "c", "event": "item_detail_view", "attributes": {"item": {"id": "p1"}, "product_id": "p1"}})
    roll_up(NOW)
    rows = ReadingDay.objects.filter(accepted=True)
    mapped = sum(rows.filter(rule__isnull=False).values_list("count", flat=True))
    native = sum(rows.filter(rule=None).values_list("count", flat=True))
    assert native == 2 and mapped == 1
    assert (found(website).mapped, found(website).native) == (1, 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (119.4, "119 seconds"), (120, "2 minutes"), (7199, "120 minutes"), (7200, "2 hours"), (172_800, "2 days")],
)
def test_a_length_of_time_is_told_in_words(seconds, text):
    assert duration_text(timedelta(seconds=seconds)) == text


@pytest.fixture
def steward(client, standard):
    person = User.objects.create_user(email="s@example.com", password="x", is_staff=True, department=Department.objects.get(code="data"))
    person.groups.add(Group.objects.get(name="data_steward"))
    client.force_login(person)
    return client


def page(client, website):
    return client.get(f"/admin/ingestion/stream/source/{website.pk}/")


def test_the_page_shows_it_with_the_check_the_causes_and_the_keys(steward, website):
    now = timezone.now()  # the page reads the clock itself
    key = WriteKey(source=website, name="live shop", last_used_at=now)
    key.set_secret()
    key.save()
    Hook.objects.create(source=website, name="Shopify, main")
    of_all_kinds(at=now)
    text = page(steward, website).content.decode()
    for shown in ("reconciles", "live shop", key.hint, "Shopify, main", "never", "nonsense", "/desk/?cause="):
        assert shown in text, shown
    assert "does not reconcile" not in text and "In each of these hours as many" in text
    Tally.objects.update(quarantined=7)
    text = page(steward, website).content.decode()
    assert text.count("does not reconcile") == 2 and "In these hours the answers" in text and "In each of these hours" not in text


def test_an_empty_source_has_a_page_that_says_so(steward, website):
    text = page(steward, website).content.decode()
    assert "Nothing came in the last 24 hours." in text and "Nothing of it is held." in text


def test_its_queries_do_not_grow(steward, website):
    counts, now = [], timezone.now()
    for times in (1, 6):
        for number in range(times):
            of_all_kinds(name=f"{times}-{number}", at=now - timedelta(hours=number))
            key = WriteKey(source=website)
            key.set_secret()
            key.save()
            Hook.objects.create(source=website)
            send({"id": f"{times}-{number}", "event": f"nonsense{number}"}, at=now)
        roll_up(now)
        page(steward, website)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page(steward, website)
        counts.append(len(queries))
    assert counts[0] == counts[1], counts


def test_a_limited_reader_sees_no_counts_of_what_they_may_not_read(client, website):
    person = User.objects.create_user(email="m@example.com", password="x", is_staff=True, department=Department.objects.get(code="sales"))
    person.groups.add(Group.objects.get(name="marketer"))
    Grant.objects.create(category=Category.objects.first(), may="read", department=Department.objects.get(code="marketing"))
    client.force_login(person)
    of_all_kinds()
    answer = page(client, website)
    assert answer.status_code == 200 and "intake" not in answer.context
    assert "Received, by first verdict" not in answer.content.decode()
