"""Whatever stands in an address of the admin, it is answered: not found, or the page without it. Never an error of ours."""

import pytest
from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from places import undrawn

from staff.models import User

pytestmark = pytest.mark.django_db

MODELS = sorted((model._meta.app_label, model._meta.model_name) for model in admin.site._registry)
HUGE = "9" * 20
IDS = ["abc", HUGE, "-1", "1.5", "00000000-0000-0000-0000-000000000000", "0" * 32, "a_5F", "%00", "é"]
NUMBERS = ["abc", HUGE, "-1", "0", "9" * 5000, "²", "%00"]


@pytest.fixture
def chief(standard, client):
    client.force_login(User.objects.create_superuser("chief@example.com", "x"))
    client.raise_request_exception = False
    return client


def address(name: str, *args: str) -> str:
    try:
        return reverse(f"admin:{name}", args=args)
    except NoReverseMatch:
        return ""


@pytest.mark.parametrize("model", MODELS, ids="_".join)
def test_an_id_that_is_none_is_not_found(chief, model):
    for page in ("change", "history", "delete"):
        found = address(f"{'_'.join(model)}_{page}", "1")
        answers = {one: chief.get(found.replace("/1/", f"/{one}/")).status_code for one in IDS if found}
        assert [one for one, status in answers.items() if status >= 500] == [], page


@pytest.mark.parametrize("model", MODELS, ids="_".join)
def test_a_page_number_that_is_none_is_answered(chief, model):
    found = address(f"{'_'.join(model)}_changelist")
    answers = {("p", one): chief.get(f"{found}?p={one}").status_code for one in NUMBERS}
    with undrawn():
        answers |= {(name, one): chief.get(f"{found}?{name}={one}").status_code for name in ("page", "o", "q", "all") for one in NUMBERS}
    assert [asked for asked, status in answers.items() if status >= 500] == []


@pytest.mark.parametrize("number", NUMBERS, ids=lambda one: one[:8])
def test_other_pages_take_any_number(chief, number):
    desk, causes = address("desk"), address("ingestion_quarantinereason_changelist")
    for found in (f"{desk}?cause={number}", f"{desk}?source={number}", f"{causes}?source={number}", f"{causes}?code={number}"):
        assert chief.get(found).status_code < 500, found[:80]


@pytest.mark.parametrize("name", ["quarantine_cause", "quarantine_event", "ingestion_importrun_progress", "ingestion_replay_progress"])
def test_pages_of_one_thing_know_no_such_thing(chief, name):
    shape = address(name, "1") or address(name, "00000000-0000-0000-0000-000000000000")
    assert shape
    for one in IDS:
        found = shape.replace("/1/", f"/{one}/").replace("00000000-0000-0000-0000-000000000000", one)
        assert chief.get(found).status_code < 500, found
