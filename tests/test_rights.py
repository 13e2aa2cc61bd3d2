"""Who may read, change, sign and release what: grants decide by place, like folders, on top of the roles."""

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staff.models import Department, User
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
        person = User.objects.create_user(f"{name}@example.com", "x", department_id=department, name=name.title(), is_superuser=name == "root")
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


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_list_shows_exactly_what_may_says_of_each_row(people, data):
    """The filters in SQL against the one function, for any grants and every kind, act and person."""
    categories, departments = list(Category.objects.all()), ["marketing", "sales", "service", "data"]
    with transaction.atomic():
        for row in data.draw(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.sampled_from(May.values)), min_size=1, max_size=6)):
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
