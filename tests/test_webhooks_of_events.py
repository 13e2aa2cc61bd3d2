"""Setting webhooks of events up: who may, what a reader sees of what was sent."""

import json

import pytest
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from ingestion.models import Dispatch, Subscriber, Unannounced
from ingestion.outgoing.dispatches import dispatch
from staff.models import AccessLog, Department, User
from taxonomy.models import Category, Grant, Source, Tag

pytestmark = pytest.mark.django_db
URL = "/admin/ingestion/subscriber/"


def person(email: str, *, personal: bool = False) -> User:
    one = User.objects.create_user(email=email, password="x", is_staff=True, department=Department.objects.get(code="sales"))
    for code in ("view_subscriber", "add_subscriber", "change_subscriber", "view_dispatch"):
        one.user_permissions.add(Permission.objects.get(codename=code))
    if personal:
        one.user_permissions.add(Permission.objects.get(codename="see_personal_data"))
    return one


@pytest.fixture
def plain(standard, client):
    one = person("plain@example.com")
    client.force_login(one)
    return one


@pytest.fixture
def trusted(standard, client):
    one = person("trusted@example.com", personal=True)
    client.force_login(one)
    return one


def form(*tags: str, **more) -> dict:
    chosen = [str(Tag.objects.get(code=code).pk) for code in tags]
    base = {"name": "shop", "url": "https://shop.example.com/hook", "events": ["events.accepted"], "held_events": 100, "held_minutes": 60}
    return {**base, "tags": chosen, **more}


def test_tags_sources_and_limits_are_chosen_in_the_form(client, plain):
    till = Source.objects.get(code="till")
    more = {"sources": [str(till.pk)], "events": ["events.accepted", "quarantine.exceeded"], "held_events": 7, "held_minutes": 15}
    assert client.post(f"{URL}add/", form("login", **more)).status_code == 200
    made = Subscriber.objects.get()
    assert [one.code for one in made.tags.all()] == ["login"] and list(made.sources.all()) == [till]
    assert (made.held_events, made.held_minutes, made.personal) == (7, 15, False)
    assert "login" in client.get(f"{URL}{made.pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("wrong", "field"), [({"tags": []}, "tags"), ({"held_events": 0}, "held_events"), ({"held_minutes": 99_999}, "held_minutes")]
)
def test_what_cannot_work_is_not_saved(client, plain, wrong, field):
    page = client.post(f"{URL}add/", form("login", **wrong))
    assert field in page.context["adminform"].form.errors and not Subscriber.objects.exists()


def test_who_may_not_see_personal_data_cannot_have_it_told_nor_touch_what_is_told_it(client, plain):
    client.post(f"{URL}add/", form("login", personal="on"))
    made = Subscriber.objects.get()
    assert not made.personal and not AccessLog.objects.exists()
    Subscriber.objects.update(personal=True)
    assert client.post(f"{URL}{made.pk}/change/", form("login", url="https://mine.example.com/", active="on")).status_code == 403
    for act in ("send_test", "new_secret"):
        assert client.post(f"{URL}{made.pk}/{act}/").status_code == 403
    assert client.get(f"{URL}{made.pk}/change/").status_code == 200
    made.refresh_from_db()
    assert made.url == "https://shop.example.com/hook"


def test_who_allows_personal_data_is_recorded(client, trusted):
    client.post(f"{URL}add/", form("login", personal="on"))
    made = Subscriber.objects.get()
    assert made.personal and made.personal_by == trusted and made.personal_at
    assert AccessLog.objects.get().action == "export"
    client.post(f"{URL}{made.pk}/change/", form("login", name="renamed", personal="on", active="on"))
    assert AccessLog.objects.count() == 1
    client.post(f"{URL}{made.pk}/change/", form("login", active="on"))
    made.refresh_from_db()
    assert (made.personal, made.personal_by, made.personal_at) == (False, None, None)


def sent(subscriber: Subscriber) -> Dispatch:
    event = {"id": "a" * 32, "phone": "+8613800138000", "attributes": {"note": "x"}, "identifiers": {"user_id": "u77"}}
    return dispatch(subscriber, "events.accepted", {"events": [event]}, at=timezone.now())


def test_a_sent_message_is_masked_for_who_may_not_see_personal_data(client, plain):
    one = sent(Subscriber.objects.create(name="s", url="https://s.example.com/", events=["events.accepted"], personal=True))
    page = client.get(f"/admin/ingestion/dispatch/{one.pk}/change/").content.decode()
    assert one.message_id in page and "13800138000" not in page and "u77" not in page
    assert not AccessLog.objects.exists()


def test_opening_one_unmasked_is_recorded(client, trusted):
    one = sent(Subscriber.objects.create(name="s", url="https://s.example.com/", events=["events.accepted"], personal=True))
    page = client.get(f"/admin/ingestion/dispatch/{one.pk}/change/").content.decode()
    assert "13800138000" in page and "u77" in page
    assert AccessLog.objects.get().action == "original"


def test_who_may_not_read_the_whole_standard_neither_sets_them_up_nor_sees_them(client, plain):
    Grant.objects.create(category=Category.objects.first(), may="read", department=Department.objects.get(code="marketing"))
    theirs = Subscriber.objects.create(name="of events", url="https://s.example.com/", events=["events.accepted"])
    one = sent(theirs)
    assert "of events" not in client.get(URL).content.decode()
    assert client.get(f"{URL}{theirs.pk}/change/").status_code == 302
    assert client.post(f"{URL}{theirs.pk}/send_test/").status_code == 404
    assert client.get(f"/admin/ingestion/dispatch/{one.pk}/change/").status_code == 302
    assert client.post(f"/admin/ingestion/dispatch/{one.pk}/resend/").status_code == 404
    page = client.post(f"{URL}add/", form("login"))
    assert "events" in page.context["adminform"].form.errors
    client.post(f"{URL}add/", {"name": "releases", "url": "https://r.example.com/", "events": ["release.published"]})
    assert Subscriber.objects.filter(name="releases").exists()


def test_what_waits_for_a_slow_receiver_is_shown(client, plain):
    one = Subscriber.objects.create(name="s", url="https://s.example.com/", events=["events.accepted"])
    for events in ([1, 2, 3], [4321] * 1231):
        Unannounced.objects.create(subscriber=one, events=events)
    assert "1234" in client.get(f"{URL}{one.pk}/change/").content.decode().replace(",", "")


def test_a_superuser_sees_all(client, standard):
    boss = User.objects.create_superuser(email="boss@example.com", password="x")
    boss.groups.add(Group.objects.get(name="data_steward"))
    client.force_login(boss)
    one = sent(Subscriber.objects.create(name="s", url="https://s.example.com/", events=["events.accepted"], personal=True))
    assert json.loads(one.body)["data"]["events"][0]["phone"] in client.get(f"/admin/ingestion/dispatch/{one.pk}/change/").content.decode()
