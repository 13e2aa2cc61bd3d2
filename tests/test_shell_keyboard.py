"""What a person without a mouse needs, and a demo in which every department that must sign has somebody."""

import re

import pytest
from django.urls import reverse

from cdp.demo import PEOPLE
from staff.models import Department, User
from staff.roles import SIGN, permissions_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, departments):
    client.force_login(User.objects.create_superuser("root@example.com", "x"))
    return client.get(reverse("admin:staff_user_changelist")).content.decode()


@pytest.mark.parametrize("does", ["sidebarToggle()", "openUserLinks = !openUserLinks", "filterOpen = true", "switchTheme('dark')"])
def test_what_opens_something_is_a_button(page, does):
    openers = re.findall(rf'<(\w+)[^>]*x-on:click(?:\.stop)?="{re.escape(does)}"', page)
    assert openers and set(openers) == {"button"}


def test_the_first_link_skips_to_the_content(page):
    first = re.search(r"<a [^>]*>", page.partition("<body")[2])
    assert 'href="#content"' in first[0] and 'id="content"' in page


def test_an_error_page_and_an_error_in_a_form_are_told_apart(client, departments):
    client.force_login(User.objects.create_superuser("root@example.com", "x"))
    assert 'class="tl-alone"' in client.get("/admin/nothing/here/").content.decode()


def test_each_department_has_somebody_in_the_demo_who_may_sign(departments):
    able = {one.department for one in PEOPLE if permissions_of(one.role) >= SIGN}
    assert able == set(Department.objects.values_list("code", flat=True))
