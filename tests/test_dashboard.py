"""The first page: numbers that add up, in the company's days, and first steps where there is nothing yet."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from cdp.dashboard import VERDICTS, machinery
from ingestion.models import Cause
from profiles.charts import HEIGHT, stacked_bars
from profiles.models import Tally
from staff.models import User
from taxonomy.models import Source

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("departments")]


@pytest.fixture
def shop(db):
    return Source.objects.create(code="test_shop", label_en="Shop", label_zh_hans="商城", source_kind="website", owner_id="data")


@pytest.fixture
def viewer(client):
    person = User.objects.create_user("viewer@example.com", language="en", is_superuser=True)
    client.force_login(person)
    return person


def tally(source, received_at, **counts):
    return Tally.objects.create(batch_id=uuid.uuid4(), source=source, received_at=received_at, **counts)


def open_dashboard(client):
    answer = client.get(reverse("admin:index"))
    assert answer.status_code == 200
    return answer


def test_without_events_it_tells_the_first_three_steps(client, viewer):
    answer = open_dashboard(client)
    assert len(answer.context["steps"]) == 3
    assert "chart" not in answer.context


def test_the_verdicts_add_up_to_what_was_received(client, viewer, shop):
    now = timezone.now()
    tally(shop, now, accepted=6, changed=4, duplicate=1, quarantined=2, refused=1)
    tally(shop, now - timedelta(days=3), accepted=10)
    context = open_dashboard(client).context
    assert {verdict.code: verdict.count for verdict in context["verdicts"]} == {
        "accepted": 16,
        "duplicate": 1,
        "quarantined": 2,
        "refused": 1,
    }
    assert sum(total for _day, _numbers, total in context["chart"].rows) == 20
    assert context["changed"] == 4
    assert sum(verdict.percent for verdict in context["verdicts"]) == pytest.approx(100)


def test_what_is_held_is_said_to_be_held_now_of_whatever_days(client, viewer, shop):
    now = timezone.now()
    tally(shop, now, accepted=5)
    since = now - timedelta(days=60)
    Cause.objects.create(source=shop, code="event.unknown", path="event", name="x", held=9, events=9, first_at=since, last_at=since, opened_at=since)  # fmt: skip
    assert "Held now, whenever they arrived." in open_dashboard(client).content.decode()


def test_older_days_are_not_counted_but_still_mean_that_it_has_begun(client, viewer, shop):
    tally(shop, timezone.now() - timedelta(days=40), accepted=5)
    context = open_dashboard(client).context
    assert context["started"]
    assert all(verdict.count == 0 for verdict in context["verdicts"])


def test_days_are_the_companys_whatever_the_readers_zone(client, viewer, shop, settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    viewer.time_zone = "America/Los_Angeles"
    viewer.save()
    today = timezone.localdate(timezone=timezone.get_default_timezone())
    midnight = datetime.combine(today, datetime.min.time(), tzinfo=timezone.get_default_timezone())
    tally(shop, midnight + timedelta(minutes=1), accepted=1)
    tally(shop, midnight - timedelta(minutes=1), accepted=2)
    totals = {day: total for day, _numbers, total in open_dashboard(client).context["chart"].rows}
    assert [totals[f"{day:%m-%d}"] for day in (today - timedelta(days=1), today)] == [2, 1]


def test_what_a_person_may_not_see_is_not_there(client, shop):
    person = User.objects.create_user("rep@example.com")
    person.groups.add(Group.objects.get(name="compliance_officer"))
    Group.objects.get(name="compliance_officer").permissions.remove(Permission.objects.get(codename="view_quarantinereason"))
    client.force_login(person)
    tally(shop, timezone.now(), accepted=1)
    context = open_dashboard(client).context
    assert "causes" not in context
    assert "imports" not in context


def test_it_asks_the_database_no_more_often_when_sources_and_days_grow(client, viewer, shop, django_assert_max_num_queries):
    tally(shop, timezone.now(), accepted=1)
    with CaptureQueriesContext(connection) as few:
        open_dashboard(client)
    for i in range(20):
        source = Source.objects.create(code=f"shop_{i}", label_en=f"Shop {i}", label_zh_hans="店", source_kind="till", owner_id="data")
        tally(source, timezone.now() - timedelta(days=i % 10), accepted=i + 1)
    with django_assert_max_num_queries(len(few)):
        open_dashboard(client)
    assert len(few) < 25


def test_the_worker_runs_while_its_heartbeat_is_young():
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_workers")
        assert not machinery(now).running
        cursor.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (%s)", [now - timedelta(seconds=5)])
    assert machinery(now).running
    assert not machinery(now + timedelta(minutes=10)).running


# the chart


def test_bars_stack_to_their_total_and_never_leave_the_picture():
    chart = stacked_bars(["a", "b"], {"x": [10, 0], "y": [30, 5]}, other="others")
    assert [series.label for series in chart.series] == ["y", "x"]
    first = [segment for segment in chart.segments if segment.x < 40]
    assert sum(segment.height for segment in first) == pytest.approx(HEIGHT)
    assert min(segment.y for segment in chart.segments) >= 0
    assert all(segment.height > 0 for segment in chart.segments)


def test_more_series_than_colors_join_as_others():
    chart = stacked_bars(["a"], {f"s{i:02}": [100 - i] for i in range(12)}, other="others")
    assert len(chart.series) == 7
    assert chart.series[-1].label == "others"
    assert chart.rows[0][2] == sum(100 - i for i in range(12))


@pytest.mark.parametrize("most", [0, 1, 2, 3, 9, 10, 11, 99, 101, 1999, 11_300, 99_999, 1_000_001])
def test_the_scale_is_round_even_and_high_enough(most):
    top = stacked_bars(["a"], {"x": [most]}, other="others").ticks[0][1]
    assert top >= most
    assert top % 2 == 0
    assert top <= max(2, most * 1.7)


def test_no_value_draws_nothing():
    assert stacked_bars(["a"], {}, other="others").segments == []


def test_every_verdict_has_a_color(client, viewer, shop):
    tally(shop, datetime.now(UTC), accepted=1, duplicate=1, quarantined=1, refused=1)
    page = open_dashboard(client).content.decode()
    assert all(f'class="tl-{verdict}"' in page for verdict in VERDICTS)
