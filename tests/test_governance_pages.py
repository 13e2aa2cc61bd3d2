"""What the pages of governance say where somebody is stopped or nothing has to be done."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from staff.models import User
from taxonomy.definition import apply_definition, definition
from taxonomy.models import Tag
from taxonomy.propose import propose
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
