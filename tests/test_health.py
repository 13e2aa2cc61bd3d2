"""Health: what has stopped, against its own rhythm; volume, attributes and violations by day, version and release."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from ingestion.jobs import judge_event_streams
from ingestion.models import Stopped, Stream, ViolationDay
from ingestion.pipeline import Incoming, receive
from ingestion.watching.health import _at_one_moment, overview, source_health, tag_health
from ingestion.watching.rhythm import judge
from ingestion.watching.rollup import roll_up
from ingestion.watching.streams import judge_streams, unjudged
from staff.models import Notice, User
from taxonomy.current import current, forget, refresh
from taxonomy.definition import apply_definition, definition
from taxonomy.models import Category, Grant, Source, Tag
from taxonomy.proposals.remind import remind
from taxonomy.publish import company_day, publish, release
from taxonomy.released import named, released

# A Monday, twelve thirty.
NOW = datetime(2026, 3, 2, 12, 30)


def hours_of(days, hours):
    return [datetime.combine((NOW - timedelta(days=back)).date(), time(hour)) for back in days for hour in hours]


def monthly(day_of_month):
    return [datetime(2025, month, day_of_month, 10) for month in range(5, 13)] + [
        datetime(2026, month, day_of_month, 10) for month in (1, 2)
    ]


def until(hours, last):
    return [hour for hour in hours if hour <= last]


OPEN = range(9, 22)  # a till from 9 to 22
DAYS = range(60)
TILL = until(hours_of(DAYS, OPEN), NOW)
ALWAYS = until(hours_of(DAYS, range(24)), NOW)
DAILY = hours_of(range(1, 60), [16])
OFFICE = [hour for hour in hours_of(DAYS, [9, 14]) if hour.weekday() < 5 and hour <= NOW]
SPORADIC = hours_of([5, 6, 30, 31, 55, 90, 92, 130, 150, 151, 170, 200], [11])
IRREGULAR = hours_of([3, 9, 11, 20, 24, 38, 41, 55, 60, 71], [15])

CASES = [
    # hourly
    ("a till that sold an hour ago", TILL, NOW, "alive", "hourly"),
    ("a till at night", TILL, datetime(2026, 3, 2, 23, 50), "stopped", "hourly"),
    ("a till on the morning after, before it opens", until(TILL, datetime(2026, 3, 1, 21)), datetime(2026, 3, 2, 8, 59), "alive", "hourly"),
    ("a till two hours after it should have opened", until(TILL, datetime(2026, 3, 1, 21)), datetime(2026, 3, 2, 11, 30), "alive", "hourly"),
    ("a till silent since it should have opened", until(TILL, datetime(2026, 3, 1, 21)), datetime(2026, 3, 2, 13, 5), "stopped", "hourly"),
    ("an app that never sleeps, quiet for two hours", until(ALWAYS, datetime(2026, 3, 2, 10)), NOW, "alive", "hourly"),
    ("an app that never sleeps, quiet for six hours", until(ALWAYS, datetime(2026, 3, 2, 6)), NOW, "stopped", "hourly"),
    # daily
    ("a nightly file of yesterday", DAILY, NOW, "alive", "daily"),
    ("a nightly file, one day late", DAILY[1:], NOW, "alive", "daily"),
    ("a nightly file, two days late", DAILY[2:], NOW, "stopped", "daily"),
    # weekdays
    ("an office on Monday", [hour for hour in OFFICE if hour < datetime(2026, 2, 28)], datetime(2026, 3, 2, 8), "alive", "weekdays"),
    ("an office on Sunday", [hour for hour in OFFICE if hour < datetime(2026, 2, 28)], datetime(2026, 3, 1, 20), "alive", "weekdays"),
    ("an office silent for two working days", [hour for hour in OFFICE if hour < datetime(2026, 2, 28)], datetime(2026, 3, 4, 8), "stopped", "weekdays"),
    # monthly
    ("a member day, three weeks ago", monthly(8), datetime(2026, 3, 1), "alive", "every_days"),
    ("a member day on its next day", monthly(8), datetime(2026, 3, 8, 9), "alive", "every_days"),
    ("a member day a week late", monthly(8), datetime(2026, 3, 15), "alive", "every_days"),
    ("a member day that did not come", monthly(8), datetime(2026, 3, 25), "stopped", "every_days"),
    # now and then
    ("now and then, five days ago", SPORADIC, NOW, "alive", "sporadic"),
    ("now and then, quiet as long as before", SPORADIC, NOW + timedelta(days=35), "alive", "sporadic"),
    ("now and then, quieter than ever", SPORADIC, NOW + timedelta(days=70), "stopped", "sporadic"),
    ("irregular, quiet for as long as it often is", IRREGULAR, NOW + timedelta(days=8), "alive", "sporadic"),
    # too little to say
    ("nothing at all", [], NOW, "new", ""),
    ("one event", hours_of([0], [10]), NOW, "new", ""),
    ("three days old", hours_of([0, 1, 2], [9, 10]), NOW, "new", ""),
    ("one event, half a year ago", hours_of([180], [10]), NOW, "gone", ""),
    # long dead
    ("a till closed a year ago", [hour - timedelta(days=365) for hour in TILL], NOW, "gone", "hourly"),
    ("a member day of last year", monthly(8), datetime(2026, 9, 1), "gone", "every_days"),
    # the clock of this machine behind the newest event
    ("an event of the next hour", [*TILL, NOW + timedelta(hours=1)], NOW, "alive", "hourly"),
]  # fmt: skip


@pytest.mark.parametrize("hours,now,state,usual", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_rhythm_is_judged_by_its_own_past(hours, now, state, usual):
    found = judge(hours, now)
    assert (found.state, found.usual) == (state, usual)


def test_the_order_and_repetition_of_hours_does_not_matter():
    assert judge(list(reversed(TILL)) + TILL, NOW) == judge(TILL, NOW)


db = pytest.mark.django_db
TODAY = datetime.now(UTC).replace(hour=4, minute=0, second=0, microsecond=0)  # noon in Shanghai


def send(*events: dict, at=TODAY, source="website"):
    base = {"phone": "+8613800138000", "occurred_at": (at - timedelta(minutes=5)).isoformat()}
    receive([Incoming(json.dumps({**base, **event}).encode()) for event in events], source_code=source, door="api", received_at=at, current=current())  # fmt: skip


def view(number, **more):
    return {"id": f"v{number}", "event": "product_view", "attributes": {"product_id": "p"}, **more}


def count():
    roll_up(TODAY)
    judge_streams(TODAY)


def today() -> date:
    return timezone.localdate(TODAY, timezone.get_default_timezone())


@pytest.fixture
def client_of(client, standard):
    def log_in(role):
        person = User.objects.create_user(f"{role}@example.com", language="en")
        person.groups.add(Group.objects.get(name=role))
        client.force_login(person)
        return client

    return log_in


@db
def test_each_tag_each_source_and_each_of_both_is_judged(standard):
    for back in range(5, 40):
        send({"id": f"l{back}", "event": "login"}, at=TODAY - timedelta(days=back))
    for back in range(40):
        send(view(back), at=TODAY - timedelta(days=back))
    send({"id": "x", "event": "nonsense"})
    count()
    website, login, product_view = Source.objects.get(code="website"), Tag.objects.get(code="login"), Tag.objects.get(code="product_view")
    states = {(one.source, one.tag): one.state for one in Stream.objects.select_related("source", "tag")}
    assert states == {
        (website, login): "stopped", (None, login): "stopped", (website, product_view): "alive", (None, product_view): "alive", (website, None): "alive",
    }  # fmt: skip
    assert Stream.objects.get(source=None, tag=product_view).week == 7
    first = overview("tag", released("tag").values(), released("source").values())[0]
    assert (first.item.pk, [one.pk for one in first.stopped]) == (login.pk, [website.pk])
    judge_event_streams(timestamp=int(TODAY.timestamp()))
    assert Stream.objects.count() == 5


@db
def test_the_health_of_a_tag_is_counted(standard):
    send(*(view(number, source_version="4.1") for number in range(6)))
    send(*(view(number + 10, source_version="4.2", attributes={"product_id": "p", "price": 3}) for number in range(2)))
    send({"id": "bad", "event": "product_view", "source_version": "4.2", "attributes": {}})
    send(view(50), at=TODAY - timedelta(days=40))
    count()
    found = tag_health(Tag.objects.get(code="product_view"), today(), 30, None)
    assert (found.accepted, found.held, sum(map(sum, found.by_day.values())), len(found.days)) == (8, 1, 9, 30)
    shares = {one.code: one.percent for one in found.attributes}
    assert (shares["product_id"], shares["price"]) == (100, 25)
    assert {one.name: (one.accepted, one.held) for one in found.versions} == {"4.1": (6, 0), "4.2": (2, 1)}
    assert [(one.name, one.total) for one in found.releases] == [(standard.version, 9)]
    assert ("attribute.missing", "attributes.product_id", "held", 1) in {
        (one.code, one.path, one.effect, one.count) for one in found.violations
    }
    of_one = tag_health(Tag.objects.get(code="product_view"), today(), 90, None, Source.objects.get(code="website"))
    assert (of_one.total, of_one.whole.source.code) == (10, "website")
    assert tag_health(Tag.objects.get(code="product_view"), today(), 90, None, Source.objects.get(code="app")).total == 0


@pytest.fixture
def meanwhile(monkeypatch):
    """Have something done by another process once the next page has begun to read."""

    def beside(do) -> None:
        def work() -> None:
            do()
            connection.close()

        @contextmanager
        def at_one_moment():
            monkeypatch.undo()
            with _at_one_moment():
                assert Source.objects.exists()
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
                yield

        monkeypatch.setattr("ingestion.watching.health._at_one_moment", at_one_moment)

    return beside


@pytest.mark.django_db(transaction=True)
def test_what_is_counted_while_a_page_is_put_together_shows_in_none_of_its_sums(standard, meanwhile):
    send(*(view(number) for number in range(4)))
    roll_up(TODAY)
    send(*(view(number + 10) for number in range(4)))
    meanwhile(lambda: roll_up(TODAY))
    found = tag_health(Tag.objects.get(code="product_view"), today(), 30, None)
    assert (found.accepted, {one.percent for one in found.attributes if one.count}) == (4, {100.0})
    assert tag_health(Tag.objects.get(code="product_view"), today(), 30, None).accepted == 8


@pytest.mark.django_db(transaction=True)
def test_a_tag_that_ends_while_a_page_is_put_together_keeps_its_name_on_every_page(standard, meanwhile):
    tag = Tag.objects.create(
        code="short_lived",
        label_en="Short lived",
        label_zh_hans="短期",
        category=Category.objects.first(),
        owner_id="marketing",
        status="active",
    )
    publish(notes="new", by=None)
    refresh()
    send({"id": "1", "event": "short_lived"})
    roll_up(TODAY)

    def end() -> None:
        release({str(tag.pk): None}, notes="ended", by=None)
        refresh()

    meanwhile(end)
    found = source_health(Source.objects.get(code="website"), today(), 30, None)
    Tag.objects.filter(pk=tag.pk).update(label_en="Draft name")
    assert [*found.by_day, found.parts[0].item.label, named("tag", [tag.pk])[tag.pk].label] == ["Short lived"] * 3


@db
def test_before_and_after_a_release_are_told_apart_by_the_plan_that_read(standard):
    send(*({"id": f"b{number}", "event": "product_view", "attributes": {}} for number in range(4)))
    tag = Tag.objects.get(code="product_view")
    wanted = definition(tag)
    apply_definition(str(tag.pk), wanted | {"attributes": [use | {"required": False} for use in wanted["attributes"]]})
    made = publish(notes="no longer required", by=None)
    made.published_at = TODAY
    forget()
    send(*({"id": f"a{number}", "event": "product_view", "attributes": {}} for number in range(2)))
    count()
    for found in (tag_health(tag, today(), 30, made), source_health(Source.objects.get(code="website"), today(), 30, made)):
        assert (found.around.before.held_percent, found.around.after.held_percent) == (100, 0)
        assert (found.around.before.total, found.around.after.total, found.around.after.days) == (4, 2, 1)
        [missing] = [one for one in found.violations if one.code == "attribute.missing" and one.path == "attributes.product_id"]
        assert (missing.before, missing.after) == (100, 0)
        assert [one.name for one in found.releases] == [made.version, standard.version]


@db
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_pages_show_it(client_of, language):
    client = client_of("marketer")
    User.objects.update(language=language)
    send(*(view(number) for number in range(3)), {"id": "n", "event": "nonsense"})
    count()
    tag, source = Tag.objects.get(code="product_view"), Source.objects.get(code="website")
    for url in (
        reverse("admin:ingestion_stream_changelist"), reverse("admin:ingestion_stream_changelist") + "?of=source",
        reverse("admin:tag_health", args=[tag.pk]), reverse("admin:tag_health", args=[tag.pk]) + "?source=website&days=14",
        reverse("admin:source_health", args=[source.pk]), reverse("admin:source_health", args=[source.pk]) + "?days=nonsense&release=x&page=z",
    ):  # fmt: skip
        response = client.get(url)
        assert response.status_code == 200, url
    assert reverse("admin:tag_health", args=[tag.pk]).encode() in client.get(reverse("admin:taxonomy_tag_change", args=[tag.pk])).content
    assert (
        reverse("admin:source_health", args=[source.pk]).encode()
        in client.get(reverse("admin:taxonomy_source_change", args=[source.pk])).content
    )


@db
def test_at_the_first_release_nothing_is_set_beside_what_was_not_there(client_of):
    send({"id": "1", "event": "login"})
    count()
    client, tag = client_of("data_steward"), Tag.objects.get(code="login")
    shown = client.get(reverse("admin:tag_health", args=[tag.pk])).content.decode()
    assert "is the first release" in shown and "both sides" not in shown and "Events a day, before" not in shown
    apply_definition(str(tag.pk), definition(tag) | {"label_en": "Sign in"})
    publish(notes="other words", by=None)
    shown = client.get(reverse("admin:tag_health", args=[tag.pk])).content.decode()
    assert "is the first release" not in shown and "both sides" in shown


@db
@db
def test_the_page_of_an_attribute_says_what_would_have_been_held_for_its_sake(client, standard):
    tag, till = Tag.objects.get(code="purchase"), Source.objects.get(code="till")
    day = {"day": company_day(), "tag": tag, "source": till, "effect": "watched", "code": "attribute.missing"}
    for path, count in (("attributes.price", 7), ("attributes.price_list", 9)):
        ViolationDay.objects.create(**day, path=path, count=count)
    client.force_login(User.objects.create_superuser("a@example.com", "x"))
    price = next(use.attribute for use in tag.uses.all() if use.attribute.code == "price")
    page = client.get(reverse("admin:taxonomy_attribute_change", args=[price.pk]))
    assert [(source, path, one.events) for source, path, _, one in page.context["watched"]] == [(till.label, "attributes.price", 7)]


def test_pages_answer_before_anything_has_arrived(client_of):
    client = client_of("data_steward")
    tag = Tag.objects.first()
    assert client.get(reverse("admin:ingestion_stream_changelist")).status_code == 200
    assert client.get(reverse("admin:tag_health", args=[tag.pk])).status_code == 200
    assert client.get(reverse("admin:tag_health", args=["00000000-0000-4000-8000-000000000000"])).status_code == 404


@db
def test_who_may_not_see_what_is_held_sees_no_health(client_of):
    client = client_of("compliance_officer")
    Group.objects.get(name="compliance_officer").permissions.remove(Permission.objects.get(codename="view_quarantinereason"))
    tag, source = Tag.objects.first(), Source.objects.first()
    for url in (
        reverse("admin:ingestion_stream_changelist"),
        reverse("admin:tag_health", args=[tag.pk]),
        reverse("admin:source_health", args=[source.pk]),
    ):
        assert client.get(url).status_code == 403
    form = client.get(reverse("admin:taxonomy_tag_change", args=[tag.pk]))
    assert form.status_code == 200 and reverse("admin:tag_health", args=[tag.pk]) not in form.content.decode()


@db
def test_the_overview_costs_the_same_queries_for_many_streams(client_of, django_assert_max_num_queries):
    client = client_of("marketer")
    send(*(view(number) for number in range(3)))
    count()
    category = Tag.objects.first().category
    Tag.objects.bulk_create(
        Tag(code=f"more_{n}", label_en="M", label_zh_hans="多", category=category, owner_id="data", status="active") for n in range(90)
    )
    made = [
        Stream(tag=tag, state="stopped", first_day=today(), last_at=TODAY, judged_at=TODAY)
        for tag in Tag.objects.filter(code__startswith="more_")
    ]
    Stream.objects.bulk_create(made)
    with django_assert_max_num_queries(14):
        assert client.get(reverse("admin:ingestion_stream_changelist")).status_code == 200


@pytest.fixture
def owners(standard):
    """{name: colleague} of the owner of the web shop, of the tags login and purchase, and of a department that owns neither."""
    Source.objects.filter(code="website").update(owner="service")
    Tag.objects.filter(code__in=("login", "product_view")).update(owner="sales")
    publish(notes="t", by=None)
    refresh()
    found = {}
    for name, department, role in (("sam", "service", "service_agent"), ("sue", "sales", "sales_rep"), ("dan", "data", "data_steward")):
        found[name] = User.objects.create_user(f"{name}@example.com", department_id=department, name=name, language="en")
        found[name].groups.add(Group.objects.get(name=role))
    return found


def told() -> list[tuple[str, str]]:
    return sorted((notice.user.name, str(notice)) for notice in Notice.objects.select_related("user"))


def daily(name: str, backs, attributes=None) -> None:
    for back in backs:
        event = {"id": f"{name}{back}", "event": name} | ({"attributes": attributes} if attributes else {})
        send(event, at=TODAY - timedelta(days=back))


@db
def test_the_owners_of_source_and_tag_are_told_once_of_what_has_stopped_and_once_when_it_is_back(owners):
    daily("login", range(8, 40))
    daily("product_view", range(40), {"product_id": "p"})
    for _again in range(2):
        count()
        day = today() - timedelta(days=8)
        said = f"Web shop does not send Log in any more; the last one came on {day:%-d %b %Y}."
        assert told() == [("sam", said), ("sue", said)]
    Notice.objects.all().delete()
    send({"id": "back", "event": "login"})
    for _again in range(2):
        count()
        assert told() == [("sam", "Web shop sends Log in again."), ("sue", "Web shop sends Log in again.")]
    row = Stopped.objects.get()
    assert row.back_at == TODAY
    later = TODAY + timedelta(days=12)
    for back in range(1, 12):
        send({"id": f"on{back}", "event": "product_view", "attributes": {"product_id": "p"}}, at=later - timedelta(days=back))
    Notice.objects.all().delete()
    roll_up(later)
    judge_streams(later)
    assert [who for who, _said in told()] == ["sam", "sue"]
    assert Stopped.objects.count() == 2


@db
def test_of_a_source_that_is_silent_it_is_told_once_and_not_tag_by_tag(owners):
    daily("login", range(8, 40))
    daily("product_view", range(8, 40), {"product_id": "p"})
    count()
    day = today() - timedelta(days=8)
    assert told() == [
        ("sam", f"Web shop sends nothing any more; the last event came on {day:%-d %b %Y}."),
        ("sue", f"Log in comes from nowhere any more; the last one came on {day:%-d %b %Y}."),
        ("sue", f"View a product comes from nowhere any more; the last one came on {day:%-d %b %Y}."),
    ]


@db
def test_that_a_deprecated_tag_comes_no_more_is_told_to_nobody(owners):
    Tag.objects.filter(code="login").update(status="deprecated", successor=Tag.objects.get(code="search"))
    publish(notes="t", by=None)
    refresh()
    daily("login", range(8, 40))
    daily("product_view", range(40), {"product_id": "p"})
    count()
    assert told() == []


@db
def test_nobody_is_told_of_what_they_may_not_see(owners):
    Grant.objects.create(may=Grant.May.READ, department_id="service", sources_of_id="service")
    owners["sue"].groups.clear()
    daily("login", range(8, 40))
    daily("product_view", range(40), {"product_id": "p"})
    count()
    assert [who for who, _said in told()] == ["sam"]
    Notice.objects.all().delete()
    Stopped.objects.all().delete()
    owners["sue"].groups.add(Group.objects.get(name="sales_rep"))
    count()
    assert [who for who, _said in told()] == ["sam"]


@db
def test_a_letter_at_the_hour_that_people_chose_tells_it_too(owners, mailoutbox):
    daily("login", range(8, 40))
    daily("product_view", range(40), {"product_id": "p"})
    count()
    User.objects.exclude(pk=owners["sam"].pk).update(reminder_days=[])
    User.objects.filter(pk=owners["sam"].pk).update(reminder_days=[1, 2, 3, 4, 5, 6, 7], reminder_hour=9)
    hour = TODAY.replace(hour=1, minute=5) + timedelta(days=1)  # five past nine in Shanghai
    for _again in range(2):
        remind(hour)
        assert [letter.to for letter in mailoutbox] == [["sam@example.com"]]
    letter = mailoutbox[0]
    assert "has stopped arriving" in letter.subject and "does not send Log in any more" in letter.body
    assert f"/tag/{Tag.objects.get(code='login').pk}/?source=website" in letter.body
    remind(hour + timedelta(days=1))
    assert len(mailoutbox) == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_is_judged_while_a_past_is_being_loaded(owners):
    daily("login", range(8, 40))
    roll_up(TODAY)
    loading, loaded = threading.Event(), threading.Event()

    def load():
        with unjudged():
            loading.set()
            loaded.wait(20)
        connection.close()

    thread = threading.Thread(target=load)
    thread.start()
    assert loading.wait(20)
    assert judge_streams(TODAY) == 0
    loaded.set()
    thread.join()
    assert judge_streams(TODAY) > 0


def test_the_demo_has_a_stream_that_stopped():
    from cdp.demo.shop import LOST, LOST_DAYS, days

    sent = {received_at.date() for received_at, source, records in days(date(2026, 3, 1)) if source == "mini_program" and any(LOST in record.decode() for record in records)}  # fmt: skip
    assert max(sent) == date(2026, 3, 1) - timedelta(days=LOST_DAYS + 1) and len(sent) > 60
