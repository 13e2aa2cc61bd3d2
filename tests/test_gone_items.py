"""What was deleted from the draft keeps its history, and comes back from it."""

import json

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from staff.models import User
from taxonomy.definition import definition
from taxonomy.models import Category, Grant, MappingRule, Revision, Tag
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db
UNRELEASED = reverse("admin:taxonomy_proposal_unreleased")


@pytest.fixture
def steward(client, standard):
    return log_in(client, "steward@example.com", "data_steward", "data")


def log_in(client, email, role, department):
    person = User.objects.create_user(email, department_id=department)
    person.groups.add(Group.objects.get(name=role))
    client.force_login(person)
    return client


def a_tag(code="gift_wrapped", category="product"):
    return Tag.objects.create(
        code=code, label_en="Gift wrapped", label_zh_hans="礼品包装", category=Category.objects.get(code=category), owner_id="data"
    )


def delete(client, item):
    name = item._meta.model_name
    answer = client.post(reverse(f"admin:taxonomy_{name}_delete", args=[item.pk]), {"post": "yes"})
    assert answer.status_code == 302 and not type(item).objects.filter(pk=item.pk).exists()
    return reverse(f"admin:taxonomy_{name}_history", args=[item.pk])


def restore(client, item):
    revision = Revision.objects.filter(item=item.pk).first()
    return client.post(reverse(f"admin:taxonomy_{item._meta.model_name}_restore", args=[item.pk, revision.pk]), follow=True)


def test_a_draft_that_was_never_released_is_found_and_brought_back_whole(steward):
    tag = a_tag()
    stood = definition(tag)
    history = delete(steward, tag)
    assert [one["history"] for one in steward.get(UNRELEASED).context["deleted"]] == [history]
    page = steward.get(history)
    assert page.context["entries"] and page.context["may_change"]
    assert restore(steward, tag).status_code == 200
    assert definition(Tag.objects.get(pk=tag.pk)) == stood
    assert Revision.objects.filter(item=tag.pk).first().action == Revision.Action.RESTORED
    assert not steward.get(UNRELEASED).context["deleted"]


def test_a_released_item_s_history_is_linked_where_its_removal_waits(steward):
    rule = MappingRule.objects.filter(source__code="website").first()
    history = delete(steward, rule)
    page = steward.get(UNRELEASED)
    assert history in page.content.decode() and not page.context["deleted"]
    publish(notes="without it", by=None)
    assert [one["history"] for one in steward.get(UNRELEASED).context["deleted"]] == [history]
    restore(steward, rule)
    assert MappingRule.objects.filter(pk=rule.pk).exists()


def test_it_does_not_come_back_where_another_has_its_code(steward):
    tag = a_tag()
    history = delete(steward, tag)
    a_tag()
    answer = restore(steward, tag)
    assert answer.redirect_chain[-1][0] == history
    assert not Tag.objects.filter(pk=tag.pk).exists()


def test_who_may_only_read_sees_the_history_and_no_way_back(steward):
    tag = a_tag()
    history = delete(steward, tag)
    reader = log_in(steward, "reader@example.com", "compliance_officer", "compliance")
    assert reader.get(history).context["may_change"] is False
    assert restore(reader, tag).status_code == 403


def test_who_may_not_read_its_place_is_told_nothing_of_it(steward):
    tag = a_tag()
    history = delete(steward, tag)
    Grant.objects.create(category=tag.category, department_id="sales", may="read")
    other = log_in(steward, "mia@example.com", "marketer", "marketing")
    assert other.get(history).status_code in (302, 404)
    assert not other.get(UNRELEASED).context["deleted"]
    assert restore(other, tag).status_code == 403


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_an_item_that_never_was_has_no_history(steward, language):
    steward.cookies["django_language"] = language
    assert steward.get(reverse("admin:taxonomy_tag_history", args=["00000000-0000-4000-8000-000000000000"])).status_code in (302, 404)
    assert steward.get(reverse("admin:taxonomy_tag_history", args=[json.dumps("x")])).status_code in (302, 404)
