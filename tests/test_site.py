"""The shell: every page answers everyone who may see it, and nobody else."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse
from places import undrawn

from cdp.shell import navigation
from staff.models import User
from staff.roles import ROLES
from taxonomy.standardize import CODES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("departments")]

CHANGELISTS = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry)


@pytest.fixture
def log_in_as(client):
    def log_in(role, language="en"):
        person = User.objects.create_user(f"{role}@example.com", language=language, is_superuser=role == "superuser")
        if role in ROLES:
            person.groups.add(Group.objects.get(name=role))
        client.force_login(person)
        return person

    return log_in


def registered(name):
    return next(
        site_admin for model, site_admin in admin.site._registry.items() if f"{model._meta.app_label}_{model._meta.model_name}" == name
    )


# Every page and role: tests/test_permissions.py
@pytest.mark.parametrize(("role", "language"), [("superuser", "en"), ("superuser", "zh-hans"), ("data_steward", "zh-hans"), ("none", "en")])
def test_every_list_and_form_answers_who_may_see_it_and_nobody_else(client, rf, log_in_as, role, language):
    person = log_in_as(role, language)
    request = rf.get("/")
    request.user = person
    for name in CHANGELISTS:
        site_admin = registered(name)
        may_view = site_admin.has_view_or_change_permission(request)
        answer = client.get(reverse(f"admin:{name}_changelist"))
        assert answer.status_code == (200 if may_view else 403), name
        try:
            add = reverse(f"admin:{name}_add")
        except Exception:
            continue
        expected = {200, 302} if site_admin.has_add_permission(request) else {403}
        assert client.get(add).status_code in expected, name


@pytest.mark.parametrize("role", [*ROLES, "superuser", "none"])
def test_every_link_in_the_sidebar_opens(client, rf, log_in_as, role):
    request = rf.get("/")
    request.user = log_in_as(role)
    links = [item["link"] for group in navigation(request) for item in group["items"]]
    assert reverse("admin:index") in links
    with undrawn():
        for link in links:
            assert client.get(link).status_code == 200, link


@pytest.mark.parametrize("name", ["admin:index", "account", *(f"admin:{name}_changelist" for name in CHANGELISTS)])
def test_nothing_answers_without_log_in(client, name):
    answer = client.get(reverse(name))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(reverse("admin:login"))


@pytest.mark.parametrize("name", ["admin:login", "admin_password_reset", "password_reset_done", "codes"])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_public_pages_answer_in_both_languages(client, name, language):
    answer = client.get(reverse(name), headers={"accept-language": language})
    assert answer.status_code == 200
    assert answer.headers["Content-Language"] == language


def test_a_person_without_a_role_sees_only_the_dashboard_and_help(rf, log_in_as):
    request = rf.get("/")
    request.user = log_in_as("none")
    links = {item["link"] for group in navigation(request) for item in group["items"]}
    assert not any("staff" in link or "ingestion" in link or "taxonomy" in link for link in links)


def test_unfolds_command_palette_is_off(client, log_in_as):
    log_in_as("superuser")
    assert client.get("/admin/search/", {"s": "tag"}).status_code == 404
    assert "searchCommand" not in client.get(reverse("admin:index")).content.decode()


def test_no_list_of_people_or_events_searches_by_contact_data():
    contact = re.compile(r"phone|email|value|identifier")
    for name in CHANGELISTS:
        assert not [field for field in registered(name).search_fields if contact.search(field)], name


def test_pages_run_no_inline_script(client, log_in_as):
    log_in_as("superuser")
    for name in ("admin:index", "account", "codes", "admin:staff_user_add", "admin:ingestion_quarantinereason_changelist"):
        page = client.get(reverse(name)).content.decode()
        assert not re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", page), name
        assert not re.search(r"\son(click|load|change|submit)=", page), name


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_code_has_its_anchor_and_words(client, language):
    page = client.get(reverse("codes"), headers={"accept-language": language})
    shown = {entry.code: entry for group in page.context["groups"] for entry in group["codes"]}
    assert shown.keys() >= CODES.keys() | codes_of_requests()
    for code, entry in shown.items():
        assert f'id="{code}"' in page.content.decode()
        assert entry.title, code
        assert entry.happened, code


def codes_of_requests():
    """The codes that our own code raises as ApiError."""
    raised = re.compile(r'ApiError\(\s*\d{3},\s*"([a-z_.]+)"')
    files = [path for app in ("ingestion", "profiles") for path in Path(settings.BASE_DIR, app).rglob("*.py")]
    return {code for path in files for code in raised.findall(path.read_text())}


def test_a_list_asks_the_database_no_more_often_when_it_grows(client, log_in_as, django_assert_max_num_queries):
    log_in_as("superuser")
    for i in range(30):
        User.objects.create_user(f"user{i}@example.com").groups.add(Group.objects.get(name="marketer"))
    with django_assert_max_num_queries(14):
        assert client.get(reverse("admin:staff_user_changelist")).status_code == 200
