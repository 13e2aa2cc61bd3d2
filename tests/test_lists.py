"""The admin's lists: each empty one says what it is for and what to do first, and each fits a phone."""

import pytest
from conftest import publish_starter
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from ingestion.models import FailedRequest, ImportRun, WriteKey
from staff.models import AccessLog, Department, User
from taxonomy.models import Proposal, ReviewPolicy, Source, Tag

OURS = ("staff", "taxonomy", "ingestion", "profiles")
LISTS = [f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist" for model in admin.site._registry]
# Pages of their own rather than the admin's list: each says in its own words what it lacks.
PAGES = {"checksetting", "leak", "quarantinereason", "discovered", "stream", "user"}
EMPTY = [
    model
    for model in admin.site._registry
    if model._meta.app_config in [apps.get_app_config(label) for label in OURS] and model._meta.model_name not in PAGES
]

SHOW_ALL = '<a class="tl-button tl-quiet" href="?">'


@pytest.fixture
def steward(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("steward@example.com", "x"))
    return client


@pytest.mark.parametrize("model", EMPTY, ids=lambda model: model._meta.model_name)
def test_an_empty_list_says_what_it_is_for(steward, model):
    place = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    for one in model._default_manager.all():
        Model.delete(one)  # without a model's own refusals
    page = steward.get(place)
    words = admin.site._registry[model].when_empty  # type: ignore[attr-defined]
    assert str(words).replace("'", "&#x27;") in page.content.decode()
    assert SHOW_ALL not in page.content.decode()


@pytest.mark.parametrize("asked", ["q=nobody-has-this", "owner=marketing"])
def test_a_list_with_filters_on_says_how_to_see_all(steward, asked):
    page = steward.get(f"{reverse('admin:taxonomy_tag_changelist')}?{asked}").content.decode()
    assert SHOW_ALL in page
    assert str(admin.site._registry[Tag].when_empty) not in page  # type: ignore[attr-defined]


def test_sorting_is_no_filter(steward):
    page = steward.get(f"{reverse('admin:taxonomy_tag_changelist')}?o=1").content.decode()
    assert str(admin.site._registry[Tag].when_empty) in page  # type: ignore[attr-defined]


@pytest.fixture
def much(departments):
    """Rows in every list that can hold some, with names as long as people give them."""
    publish_starter()
    Department.objects.create(code="a" * 40, label_en="Department of everything that nobody else wants to own", label_zh_hans="部门")
    person = User.objects.create_superuser("a.rather.long.name.of.somebody@a-company-with-a-long-name.example.com", "a long password")
    source = Source.objects.get(code="till")
    name = "orders_of_all_stores_of_the_last_three_years_exported_on_2026-03-01_by_the_till_system.csv"
    ImportRun.objects.create(source=source, file_name=name, path="/nowhere", format={}, started_by=person)
    key = WriteKey(source=source, name="k" * 60)
    key.set_secret()
    key.save()
    FailedRequest.objects.create(source=source, cause="request.not_json", hour=timezone.now(), count=1)
    AccessLog.objects.create(user=person, action="view", reason="b" * 120)
    ReviewPolicy.objects.create(department_id="sales", change="any", say="told")
    Proposal.objects.create(title="t" * 100, why="w", author=person)
    return person


@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_list_fits_a_phone(much, chromium, live_server, language):
    User.objects.filter(pk=much.pk).update(language=language)
    client = Client()
    client.force_login(much)
    context = chromium.new_context(viewport={"width": 360, "height": 740})
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    widths = {}
    for name in [*LISTS, "admin:taxonomy_proposal_unreleased"]:
        answer = page.goto(live_server.url + reverse(name))
        assert answer is not None
        assert answer.status == 200, name
        own = "document.documentElement.scrollWidth"
        cut = "[...document.querySelectorAll('#result_list .data-row > *')].filter((one) => one.getBoundingClientRect().right > innerWidth).length"
        widths[name] = (page.evaluate(own), page.evaluate(cut))
    context.close()
    assert {name: seen for name, seen in widths.items() if seen != (360, 0)} == {}
