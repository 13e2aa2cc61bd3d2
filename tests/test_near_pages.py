"""The page of near-duplicates: seen by who reads what arrives, masked; decided by stewards and administrators."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from ingestion.jobs import decide_near_duplicates
from ingestion.models import NearDuplicate, NearDuplicateSetting
from profiles.models import Event
from staff.models import User
from taxonomy.models import Grant, Source
from tests.test_near import arrive, counted, said

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "admin:ingestion_nearduplicate_changelist"


@pytest.fixture
def found(standard):
    NearDuplicateSetting.objects.create(source=Source.objects.get(code="website"), merge=True)
    attributes = {"product_id": "p1", "note": "ring 13912345678"}
    arrive(said(0, attributes=attributes), said(8, attributes=attributes))
    return NearDuplicate.objects.get()


def log_in(client, role: str) -> User:
    person = User.objects.create_user(f"{role}@example.com", "x", language="en", department_id="marketing")
    person.groups.add(Group.objects.get(name=role))
    client.force_login(person)
    return person


def read(client, **asked) -> str:
    return client.get(reverse(LIST), asked).content.decode()


def do(client, found: NearDuplicate, act: str) -> int:
    return client.post(reverse("admin:near_act", args=[found.event.public_id]), {"act": act}).status_code


def do_all(client, act: str, **more) -> int:
    return client.post(reverse("admin:near_all", args=[Source.objects.get(code="website").pk]), {"act": act, **more}).status_code


def test_both_stand_beside_each_other_and_what_is_personal_is_masked(client, found):
    log_in(client, "marketer")
    shown = read(client, source="website", tag="product_view", state="merged")
    assert "8 seconds apart" in shown
    assert "13912345678" not in shown
    assert "139****5678" in shown
    assert 'value="keep"' not in shown
    assert "8 seconds apart" not in read(client, state="kept")


def test_a_steward_lets_both_count_and_merges_again(client, found):
    log_in(client, "data_steward")
    assert 'value="keep"' in read(client)
    do(client, found, "keep")
    assert counted() == [0, 8]
    do(client, found, "merge")
    assert counted() == [0]
    assert "decided by" in read(client)


@pytest.mark.parametrize("role", ["marketer", "engineer", "compliance_officer"])
def test_others_decide_nothing(client, found, role):
    log_in(client, role)
    assert (do(client, found, "keep"), do_all(client, "set", window_seconds=5)) == (403, 403)
    assert counted() == [0]


def test_the_window_and_the_switch_obey_at_once(client, found):
    log_in(client, "data_steward")
    do_all(client, "set", window_seconds=0)
    setting = NearDuplicateSetting.objects.get()
    assert (setting.window_seconds, setting.merge) == (0, False)
    do_all(client, "set", window_seconds=99_999)
    assert "Window in seconds" in read(client, source="website")
    assert NearDuplicateSetting.objects.get().window_seconds == 0


def test_all_of_a_time_are_let_count_by_a_job_without_personal_data(client, found, monkeypatch):
    person = log_in(client, "data_steward")
    asked: dict = {}
    monkeypatch.setattr("ingestion.admin.near.decide_near_duplicates.defer", lambda **arguments: asked.update(arguments))
    before = timezone.localtime().replace(tzinfo=None)
    NearDuplicate.objects.update(found_at=timezone.now() - timedelta(hours=2))
    do_all(client, "keep_all", since=(before - timedelta(hours=3)).isoformat()[:16], until=(before - timedelta(hours=1)).isoformat()[:16])
    assert (asked["act"], asked["by"]) == ("keep", person.pk)
    for _ in range(2):
        decide_near_duplicates(**asked)
    assert counted() == [0, 8]


def test_who_may_not_read_the_source_sees_and_decides_nothing(client, found):
    Grant.objects.create(department_id="sales", may="read", sources_of_id=Source.objects.get(code="website").owner_id)
    log_in(client, "data_steward")
    User.objects.update(department="product")
    assert "seconds apart" not in read(client)
    assert do(client, found, "keep") == 404
    assert do_all(client, "keep_all") == 404


def test_the_events_page_says_what_it_repeats_and_what_repeats_it(client, found):
    log_in(client, "marketer")
    shown, repeated = (client.get(reverse("event", args=[one.public_id]), follow=True).content.decode() for one in (found.event, found.of))
    assert "What it repeats" in shown
    assert found.of.public_id in shown
    assert "Repeated by" in repeated
    assert found.event.public_id in repeated


def test_an_id_that_is_none_is_not_found(client, found):
    log_in(client, "data_steward")
    assert client.post(reverse("admin:near_act", args=["zz"]), {"act": "keep"}).status_code == 404
    assert Event.objects.filter(standing=Event.Standing.MERGED).count() == 1
