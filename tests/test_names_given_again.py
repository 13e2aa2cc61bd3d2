"""Codes and names that went to another item: going back, discarding and proposals that lack something say so, and never end in an error of ours."""

import uuid

import pytest
from django.db import IntegrityError
from django.urls import reverse
from test_ended_sources import new_rule, new_source, people  # noqa: F401

from taxonomy.definition import definition
from taxonomy.draft import remove, write_items, writing
from taxonomy.models import Attribute, MappingRule, Source, Tag
from taxonomy.proposals.propose import discard, propose, propose_going_back
from taxonomy.publish import newest, publish, unreleased

pytestmark = pytest.mark.django_db


@pytest.fixture
def dan(people):  # noqa: F811
    if unreleased():
        publish(notes="", by=None)
    return people["Dan"]


def tag_called(code, **more):
    return definition(Tag.objects.get(code="product_view")) | {"code": code, "refinements": [], "synonyms": [], **more}


def write(dan, wanted):
    with writing():
        write_items(wanted, by=dan, why="")


def one_after_another(dan, first, second):
    """An item of a released code goes, and another one with that code is released: the release before."""
    a, b = str(uuid.uuid4()), str(uuid.uuid4())
    write(dan, {a: first})
    before = publish(notes="", by=dan)
    write(dan, {a: None})
    write(dan, {b: second})
    publish(notes="", by=dan)
    return a, before


def test_going_back_gives_a_tag_its_code_again(dan):
    a, before = one_after_another(dan, tag_called("zz_one"), tag_called("zz_one"))
    propose_going_back(before, title="t", why="w", by=dan)
    assert [str(tag.pk) for tag in Tag.objects.filter(code="zz_one")] == [a]


def test_going_back_gives_a_source_its_code_again(dan):
    source = definition(Source.objects.get(code="website")) | {"code": "zz_shop"}
    a, before = one_after_another(dan, source, source)
    propose_going_back(before, title="t", why="w", by=dan)
    assert [str(one.pk) for one in Source.objects.filter(code="zz_shop")] == [a]
    assert not Source.every.filter(code__startswith="~").exists()


def test_going_back_over_swapped_codes_and_a_rule_made_anew(dan):
    a, b = str(uuid.uuid4()), str(uuid.uuid4())
    write(dan, {a: tag_called("zz_one"), b: tag_called("zz_two")})
    rule = new_rule(new_source(), dan)
    made = rule.pk
    before = publish(notes="", by=dan)
    write(dan, {a: tag_called("zz_two"), b: tag_called("zz_one")})
    with writing():
        remove(rule, by=dan)
    new_rule(rule.source, dan)
    publish(notes="", by=dan)
    propose_going_back(before, title="t", why="w", by=dan)
    assert str(Tag.objects.get(code="zz_one").pk) == a
    assert [one.pk for one in MappingRule.objects.filter(source=rule.source)] == [made]


def test_what_cannot_be_brought_back_alone_is_said(dan, client):
    a, b = str(uuid.uuid4()), str(uuid.uuid4())
    write(dan, {a: tag_called("zz_one")})
    publish(notes="", by=dan)
    write(dan, {a: None})
    write(dan, {b: tag_called("zz_one")})
    with pytest.raises(IntegrityError):
        discard([a], by=dan, why="x")


@pytest.mark.parametrize("posted", [{"items": ["abc"], "act": "discard"}, {"items": [str(uuid.UUID(int=1))], "act": "add", "to": "abc"}])
def test_forged_forms_find_nothing(dan, client, posted):
    client.force_login(dan)
    assert client.post(reverse("admin:taxonomy_proposal_unreleased"), posted).status_code == 404


def test_a_proposal_without_what_it_refers_to_opens(dan, client):
    client.force_login(dan)
    attribute, tag = str(uuid.uuid4()), str(uuid.uuid4())
    text = definition(Attribute.objects.filter(type="text").first()) | {"code": "zz_new"}
    write(dan, {attribute: text})
    write(dan, {tag: tag_called("zz_one", attributes=[{"attribute": attribute, "required": False, "constraints": {}}])})
    for item in (tag, str(new_rule(new_source(), dan).pk)):
        proposal = propose([item], title="t", why="w", by=dan)
        assert client.get(proposal.get_absolute_url()).status_code == 200
        checks = client.get(reverse("admin:taxonomy_proposal_checks", args=[proposal.pk]))
        assert checks.status_code == 200 and "tl-error" in checks.content.decode()
    assert newest()
