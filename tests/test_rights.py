"""Who may read, change, sign and release what: grants decide by place, like folders, on top of the roles."""

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staff.models import User
from taxonomy.definition import draft_items
from taxonomy.models import Attribute, Category, Grant, MappingRule, Source, Tag
from taxonomy.rights import May, On, among, may, rights_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(standard):
    """{name: colleague} of marketing, sales, service, data and compliance, one without a department, one superuser."""
    roles = {"marketing": "marketer", "sales": "sales_rep", "service": "service_agent", "data": "data_steward", "compliance": "compliance_officer"}  # fmt: skip
    found = {}
    for name, department in [
        ("mia", "marketing"), ("max", "marketing"), ("sue", "sales"), ("sam", "service"), ("dan", "data"), ("cleo", "compliance"), ("ned", None), ("root", None),
    ]:  # fmt: skip
        person = User.objects.create_user(
            f"{name}@example.com", "x", department_id=department, name=name.title(), is_superuser=name == "root"
        )
        person.groups.add(Group.objects.get(name=roles.get(department, "marketer")))
        found[name] = person
    return found


def grant(who, act, category=None, sources_of=None) -> Grant:
    named = {"person": who} if isinstance(who, User) else {"department_id": who}
    return Grant.objects.create(may=act, category=category, sources_of_id=sources_of, **named)


@pytest.mark.parametrize("name", ["mia", "dan", "ned", "root"])
def test_without_any_grant_everything_is_as_the_role_says(people, name, django_assert_num_queries):
    plan = draft_items()
    assert all(may(people[name], act, item, plan) for act in May.values for item in plan)
    with django_assert_num_queries(0 if name == "root" else 1):
        assert not rights_of(people[name]).limited


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_list_shows_exactly_what_may_says_of_each_row(people, data):
    """The filters in SQL against the one function, for any grants and every kind, act and person."""
    categories, departments = list(Category.objects.all()), ["marketing", "sales", "service", "data"]
    with transaction.atomic():
        for row in data.draw(
            st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.sampled_from(May.values)), min_size=1, max_size=6)
        ):
            who = [*departments, people["mia"], people["ned"]][row[0] % 6]
            places = [{}, *({"category": one} for one in categories), *({"sources_of": one} for one in departments)]
            place = places[row[1] % len(places)]
            named = {"person": who} if isinstance(who, User) else {"department_id": who}
            if not Grant.objects.filter(**named, may=row[2], category=place.get("category"), sources_of=place.get("sources_of")).exists():
                grant(who, row[2], **place)
        plan = draft_items()
        for person in people.values():
            rights = rights_of(person)
            on = On(rights, plan)
            for act in May.values:
                for model in (Category, Tag, Attribute, Source, MappingRule):
                    listed = {str(pk) for pk in among(model.objects.all(), rights, act).values_list("pk", flat=True)}
                    assert listed == {item for item, one in plan.items() if one["kind"] == model.kind and on.may(act, item)}
        transaction.set_rollback(True)


# places


@pytest.fixture
def places(people):
    """(a category, one below it, a tag in each, owned by service)."""
    top = Category.objects.create(code="care", label_en="Care", label_zh_hans="关怀")
    below = Category.objects.create(code="calls", label_en="Calls", label_zh_hans="通话", parent=top)
    tags = [
        Tag.objects.create(
            code=f"{one.code}_thing", label_en=one.code, label_zh_hans="x", category=one, owner_id="service", status="active"
        )
        for one in (top, below)
    ]
    return top, below, *tags


def allowed(people, act, item) -> set[str]:
    plan = draft_items()
    return {name for name, person in people.items() if may(person, act, str(item.pk), plan)}


def test_an_entry_closes_its_place_and_what_is_below_and_nothing_else(people, places):
    top, below, high, low = places
    other = Tag.objects.exclude(category__in=[top, below]).first()
    grant("sales", May.PROPOSE, top)
    for tag in (high, low):
        # its owner's people, those named, and superusers
        assert allowed(people, May.PROPOSE, tag) == {"sue", "sam", "root"}
        assert allowed(people, May.READ, tag) == set(people)
    assert allowed(people, May.PROPOSE, other) == set(people)


def test_a_place_with_entries_of_its_own_follows_those(people, places):
    top, below, high, low = places
    grant("sales", May.PROPOSE, top)
    grant(people["max"], May.PROPOSE, below)
    assert allowed(people, May.PROPOSE, low) == {"max", "sam", "root"}
    assert allowed(people, May.PROPOSE, high) == {"sue", "sam", "root"}


def test_reading_is_closed_for_all_but_those_named_owners_and_duties(people, places):
    top, below, _high, low = places
    grant("sales", May.READ, top)
    assert allowed(people, May.READ, low) == {"sue", "sam", "dan", "cleo", "root"}
    grant(people["ned"], May.PROPOSE, below)
    assert "ned" in allowed(people, May.READ, low)
    # who may not read may not do anything else either
    assert allowed(people, May.PROPOSE, low) == {"ned", "sam", "root"}
    assert "mia" not in allowed(people, May.RELEASE, low)


def test_an_attribute_is_hidden_when_only_hidden_tags_use_it(people, places):
    top, _below, high, _low = places
    mine = Attribute.objects.create(code="only_here", label_en="x", label_zh_hans="x")
    shared = Attribute.objects.create(code="shared_one", label_en="x", label_zh_hans="x")
    unused = Attribute.objects.create(code="used_nowhere", label_en="x", label_zh_hans="x")
    for one in (mine, shared):
        high.uses.create(attribute=one)
    Tag.objects.exclude(category__code__in=["care", "calls"]).first().uses.create(attribute=shared)
    grant("sales", May.READ, top)
    assert "mia" not in allowed(people, May.READ, mine)
    assert "mia" in allowed(people, May.READ, shared) & allowed(people, May.READ, unused)


def test_the_sources_of_a_department_are_a_place_and_rules_follow_source_and_tag(people, places):
    rule = MappingRule.objects.select_related("source", "tag").first()
    Source.objects.filter(pk=rule.source_id).update(owner="service")
    grant("sales", May.READ, sources_of="service")
    for item in (rule.source, rule):
        assert allowed(people, May.READ, item) == {"sue", "sam", "dan", "cleo", "root"}
    Grant.objects.all().delete()
    grant("sales", May.READ, rule.tag.category)
    assert "mia" not in allowed(people, May.READ, rule) or rule.tag.owner_id == "marketing"


def test_the_whole_standard_is_above_every_place(people, places):
    grant("marketing", May.PROPOSE)
    assert allowed(people, May.PROPOSE, places[2]) == {"mia", "max", "sam", "root"}
    assert "sue" not in allowed(people, May.PROPOSE, Source.objects.exclude(owner="sales").first())


def test_an_entry_is_for_one_in_one_place_once(people, places):
    from django.core.exceptions import ValidationError

    grant("sales", May.READ, places[0])
    for wrong in (
        Grant(may="read"),
        Grant(may="read", department_id="sales", person=people["mia"]),
        Grant(may="read", department_id="sales", category=places[0], sources_of_id="sales"),
        Grant(may="read", department_id="sales", category=places[0]),
    ):
        with pytest.raises(ValidationError):
            wrong.full_clean()


def test_a_category_with_entries_cannot_go(people, places):
    from taxonomy.draft import ItemInUse, remove

    grant("sales", May.READ, places[1])
    places[3].delete()
    with pytest.raises(ItemInUse):
        remove(places[1], by=None)
