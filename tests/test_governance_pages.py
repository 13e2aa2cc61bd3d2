"""What the pages of governance say where somebody is stopped or nothing has to be done."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from staff.models import Department, User
from taxonomy.definition import apply_definition, definition
from taxonomy.models import Tag
from taxonomy.propose import join, propose
from taxonomy.publish import publish
from taxonomy.review import emergency_release

pytestmark = pytest.mark.django_db


@pytest.fixture
def stewards(standard) -> list[User]:
    found = [User.objects.create_user(f"{name}@example.com", "x", department_id="data", name=name.title()) for name in ("dan", "dora")]
    for person in found:
        person.groups.add(Group.objects.get(name="data_steward"))
    return found


@pytest.fixture
def renamed(stewards) -> tuple[Tag, object]:
    """(a tag with another label, Dan's proposal of it)."""
    tag = Tag.objects.get(code="product_view")
    apply_definition(str(tag.pk), definition(tag) | {"label_en": "See a product"})
    return tag, propose([str(tag.pk)], title="Clearer", why="w", by=stewards[0])


def page(client, person: User, url: str) -> str:
    client.force_login(person, "django.contrib.auth.backends.ModelBackend")
    return client.get(url).content.decode()


def test_words_alone_ask_nothing_of_sources_whose_rules_use_the_tag(client, stewards, renamed):
    assert "no source has to change anything" in page(client, stewards[1], renamed[1].get_absolute_url())


def test_the_review_of_an_emergency_is_offered_to_others_only(client, stewards, renamed):
    made = emergency_release(renamed[1], by=stewards[0], reason="alone")
    url, act = (reverse(f"admin:taxonomy_release_{name}", args=[made.pk]) for name in ("change", "review"))
    assert act not in page(client, stewards[0], url)
    assert act in page(client, stewards[1], url)


def test_who_picks_what_is_proposed_elsewhere_is_told_which_item_it_is(client, stewards, renamed):
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    other = Tag.objects.get(code="login")
    apply_definition(str(other.pk), definition(other) | {"label_en": "Sign in"})
    picked = {"act": "propose", "items": [str(other.pk), str(renamed[0].pk)], "title": "Both", "why": "w"}
    answer = client.post(reverse("admin:taxonomy_proposal_unreleased"), picked)
    said = [str(message) for message in answer.context["messages"]]
    assert len(said) == 1 and "See a product (product_view)" in said[0] and "Clearer" in said[0]
    assert 'value="Both"' in answer.content.decode()


def test_where_nobody_can_sign_the_page_says_why_and_who_can_help(client, stewards, renamed):
    proposal, service = renamed[1], Department.objects.get(pk="service")
    Tag.objects.filter(pk=renamed[0].pk).update(owner=service)
    publish({str(renamed[0].pk)}, notes="n", by=None)
    apply_definition(str(renamed[0].pk), definition(Tag.objects.get(pk=renamed[0].pk)) | {"label_en": "Look at a product"})
    join(proposal, by=stewards[1])
    helper = User.objects.create_user("ada@example.com", "x", name="Ada")
    helper.groups.add(Group.objects.get(name="administrator"))
    shown = page(client, stewards[0], proposal.get_absolute_url())
    assert "Nobody can sign for Customer service." in shown and "It has no members." in shown
    assert "Ada" in shown and "Add a member" not in shown
    shown = page(client, helper, proposal.get_absolute_url())
    for name, args in (("staff_department_change", ["service"]), ("staff_user_add", [])):
        assert reverse(f"admin:{name}", args=args) in shown
    sam = User.objects.create_user("sam@example.com", "x", department=service)
    assert "None of its members has a role that signs." in page(client, helper, proposal.get_absolute_url())
    sam.groups.add(Group.objects.get(name="service_agent"))
    assert "Nobody can sign for Customer service." not in page(client, helper, proposal.get_absolute_url())
    join(proposal, by=sam)
    assert "Whoever of it could sign has written this proposal." in page(client, helper, proposal.get_absolute_url())
    client.force_login(helper, "django.contrib.auth.backends.ModelBackend")
    assert (
        client.get(reverse("admin:staff_user_add"), {"department": "service"}).context["adminform"].form["department"].value() == "service"
    )
    assert client.get(reverse("admin:staff_user_changelist"), {"department__code__exact": "service"}).context["cl"].result_count == 1
