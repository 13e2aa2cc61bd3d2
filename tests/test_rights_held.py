"""Grants are held everywhere something is written, signed or released; a refusal says who may."""

from uuid import uuid4

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from test_rights import grant, people, places
from test_taxonomy_admin import form_of

from staff.models import ReadToken
from taxonomy.definition import apply_definition, definition
from taxonomy.history import record_revision
from taxonomy.models import Attribute, Category, MappingRule, Revision, Source, Tag, Vote
from taxonomy.proposals.propose import discard, join, propose, propose_definitions, submit
from taxonomy.proposals.review import emergency_release, release_proposal, review_release, standing, vote
from taxonomy.publish import publish, unreleased
from taxonomy.rights import May, OutsideGrant

pytestmark = pytest.mark.django_db


@pytest.fixture
def closed(people, places):
    """The places released, and those above and below closed for proposing to all but sales and their owner, service."""
    publish(notes="", by=None)
    grant("sales", May.PROPOSE, places[0])
    return places


def change(tag: Tag, **fields) -> str:
    apply_definition(str(tag.pk), definition(tag) | fields)
    return str(tag.pk)


def said(response) -> str:
    return " ".join(str(one) for one in get_messages(response.wsgi_request))


def test_what_others_may_change_is_read_only_and_says_who_may(people, closed, client):
    tag = closed[2]
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    client.force_login(people["sue"])
    posted = form_of(client.get(url)) | {"label_en": "Mine now"}
    client.force_login(people["mia"])
    page = client.get(url).content.decode()
    assert "Only Customer service, Sales may change" in page
    assert 'name="_save"' not in page
    answer = client.post(url, posted)
    assert answer["Location"] == url
    assert "Only Customer service, Sales may change “care (care_thing)” (Care)" in said(answer)
    tag.refresh_from_db()
    assert tag.label_en == "care"
    client.force_login(people["sue"])
    assert client.post(url, posted).status_code == 302
    tag.refresh_from_db()
    assert tag.label_en == "Mine now"


def test_nobody_moves_a_tag_into_a_place_that_is_closed_to_them(people, closed, client):
    tag = Tag.objects.exclude(category__in=closed[:2]).filter(uses=None).first() or Tag.objects.create(
        code="of_mine", label_en="x", label_zh_hans="x", category=Tag.objects.first().category, owner_id="marketing"
    )
    client.force_login(people["mia"])
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    posted = form_of(client.get(url)) | {"category": str(closed[1].pk), "owner": "data"}
    assert "Sales may change" in said(client.post(url, posted))
    tag.refresh_from_db()
    assert tag.category != closed[1]
    added = client.post(reverse("admin:taxonomy_tag_add"), posted | {"code": "brand_new_one"})
    assert "Sales may change" in said(added)
    assert not Tag.objects.filter(code="brand_new_one").exists()


@pytest.mark.parametrize(
    ("kind", "is_locked"),
    [*((kind, True) for kind in ("source", "mappingrule", "tag", "attribute", "category")), *((kind, False) for kind in ("source", "mappingrule", "tag", "category"))],
)  # fmt: skip
def test_deleting_a_whole_list_is_refused_for_each_of_its_items_that_may_not_be_deleted(people, places, client, kind, is_locked):
    """The form names another item, and Django deletes what the list shows."""
    source = apply_definition(str(uuid4()), definition(Source.objects.first()) | {"code": "kiosk", "label_en": "kiosk", "owner": "sales"})
    tag = Tag.objects.create(code="kiosk", label_en="kiosk", label_zh_hans="k", category=places[0], owner_id="sales")
    rule = MappingRule.objects.create(source=source, name="kiosk", tag=tag)
    attribute = Attribute.objects.create(code="kiosk", label_en="kiosk", label_zh_hans="k")
    category = Category.objects.create(code="kiosk", label_en="kiosk", label_zh_hans="k")
    item = {"source": source, "mappingrule": rule, "tag": tag, "attribute": attribute, "category": category}[kind]
    if kind != "mappingrule":
        rule.delete()
    person = people["mia"]
    person.groups.set(people["dan"].groups.all())
    client.force_login(person)
    posted = {"action": "delete_selected", "index": "0", "select_across": "1", "_selected_action": str(uuid4()), "post": "yes"}
    url = reverse(f"admin:taxonomy_{kind}_changelist") + "?q=kiosk"
    if is_locked:
        publish(notes="", by=None)
        apply_definition(str(item.pk), definition(item) | ({"note": "x"} if kind == "mappingrule" else {"label_en": "kiosk 2"}))
        submit(propose([str(item.pk)], title="Held", why="w", by=people["dan"]), by=people["dan"])
    else:
        grant("sales", May.PROPOSE)
    answer = client.post(url, posted)
    assert answer.status_code == 403 or ("Held" if is_locked else "Sales may change") in said(answer)
    assert type(item).objects.filter(pk=item.pk).exists()


@pytest.mark.parametrize("way", ["delete", "restore", "resolve", "move", "discard"])
def test_every_way_to_write_is_refused(people, closed, client, way):
    tag = closed[2]
    rule = next(one for one in MappingRule.objects.order_by("source", "position") if one.source.rules.count() > 1)
    grant("sales", May.PROPOSE, sources_of=rule.source.owner_id)
    person = people["mia"] if rule.source.owner_id != "marketing" else people["ned"]
    person.groups.set(people["dan"].groups.all())
    client.force_login(person)
    revision = record_revision(tag, by=None, action=Revision.Action.CREATED)
    change(tag, label_en="As it stands")
    stands = definition(Tag.objects.get(pk=tag.pk)), definition(rule)
    name = "admin:taxonomy_tag"
    url, posted = {
        "delete": (reverse(f"{name}_delete", args=[tag.pk]), {"post": "yes"}),
        "restore": (reverse(f"{name}_restore", args=[tag.pk, revision.pk]), {}),
        "resolve": (reverse(f"{name}_resolve", args=[tag.pk]), {"mine": "x"}),
        "move": (reverse("admin:taxonomy_source_move", args=[rule.source_id]), {"rule": str(rule.pk), "to": "down"}),
        "discard": (reverse("admin:taxonomy_proposal_unreleased"), {"act": "discard", "items": [str(tag.pk)]}),
    }[way]  # fmt: skip
    answer = client.post(url, posted)
    assert answer.status_code == 403 or "Sales may change" in said(answer)
    rule.refresh_from_db()
    assert (definition(Tag.objects.get(pk=tag.pk)), definition(rule)) == stands


def test_proposing_what_others_may_change_is_refused(people, closed):
    item = change(closed[2], label_en="Changed")
    for refused in (
        lambda: propose([item], title="t", why="w", by=people["mia"]),
        lambda: propose_definitions({item: None}, title="t", why="w", by=people["mia"]),
        lambda: discard([item], by=people["mia"]),
    ):
        with pytest.raises(OutsideGrant) as raised:
            refused()
        assert (raised.value.names, raised.value.place) == (["Customer service", "Sales"], "Care")
    assert [one.item for one in unreleased()] == [item]
    assert propose([item], title="t", why="w", by=people["sue"]).items.count() == 1


def test_who_may_not_read_an_item_does_not_join_its_proposal(people, closed):
    proposal = propose([change(closed[2], label_en="Changed")], title="t", why="w", by=people["sue"])
    join(proposal, by=people["mia"])
    grant("sales", May.READ, closed[0])
    with pytest.raises(OutsideGrant):
        join(proposal, by=people["max"])


def test_only_those_sign_who_may_and_the_stewards_where_none_is_left(people, closed):
    Tag.objects.filter(pk=closed[2].pk).update(owner="marketing")
    publish(notes="", by=None)
    tag = Tag.objects.get(pk=closed[2].pk)
    proposal = propose([change(tag, label_en="Changed")], title="t", why="w", by=people["sue"])
    assert {one.name for one in submit(proposal, by=people["sue"]).seats["marketing"].voters} == {"Mia", "Max"}
    # the owner's people may always sign; a rule to the tag asks the source's owner too, who may not read it
    rule = MappingRule.objects.first()
    Source.objects.filter(pk=rule.source_id).update(owner="service")
    publish(notes="", by=None) if unreleased() else None
    grant("marketing", May.READ, closed[0])
    made = MappingRule.objects.create(source_id=rule.source_id, name="to_the_closed", tag=tag, position=990)
    other = propose([str(made.pk)], title="t", why="w", by=people["root"])
    seats = submit(other, by=people["root"]).seats
    assert {one.name for one in seats["service"].voters} == {"Dan"}
    assert seats["service"].deputy.pk == "data"


def test_releasing_is_for_those_named_even_in_an_emergency(people, closed):
    grant("compliance", May.RELEASE, closed[0])
    grant("compliance", May.EMERGENCY, closed[0])
    proposal = propose([change(closed[2], label_en="Changed")], title="t", why="w", by=people["sue"])
    with pytest.raises(OutsideGrant):
        emergency_release(proposal, by=people["dan"], reason="now")
    submit(proposal, by=people["sue"])
    vote(proposal, by=people["sam"], choice=Vote.Choice.APPROVE)
    with pytest.raises(OutsideGrant) as raised:
        release_proposal(proposal, by=people["dan"])
    assert raised.value.act == May.RELEASE
    # a grant gives no right that the role has not
    people["cleo"].groups.set(people["dan"].groups.all())
    made = release_proposal(type(proposal).objects.get(pk=proposal.pk), by=type(people["cleo"]).objects.get(pk=people["cleo"].pk))
    assert made.changed_items == [str(closed[2].pk)]


def test_an_emergency_is_reviewed_by_those_who_may_read_it(people, closed):
    proposal = propose([change(closed[2], label_en="Changed")], title="t", why="w", by=people["sue"])
    made = emergency_release(proposal, by=people["dan"], reason="now")
    grant("sales", May.READ, closed[0])
    with pytest.raises(OutsideGrant):
        review_release(made, by=people["mia"])
    review_release(made, by=people["sam"])


def test_a_read_token_reads_the_plan_of_its_person(people, closed, client):
    from datetime import timedelta

    from django.utils import timezone

    def read(name: str):
        token = ReadToken(user=people[name], name="t", scopes=["plan"], expires_at=timezone.now() + timedelta(days=1))
        secret = token.set_secret()
        token.save()
        return client.get(reverse("plan"), HTTP_AUTHORIZATION=f"Bearer {secret}")

    whole = read("mia")
    grant("sales", May.READ, closed[0])
    mine, theirs = read("mia"), read("sue")
    assert set(whole.json()["items"]) - set(mine.json()["items"]) == {str(one.pk) for one in closed}
    assert theirs.json()["items"] == whole.json()["items"]
    assert theirs["ETag"] == whole["ETag"] != mine["ETag"]
    assert mine.json()["content_hash"] == mine["ETag"].strip('"').partition("-")[2]


def test_trying_a_record_tells_nothing_of_a_tag_that_may_not_be_read(people, closed, client):
    Source.objects.filter(code="website").update(owner="data")
    grant("sales", May.READ, closed[0])
    url = reverse("admin:taxonomy_source_try", args=[Source.objects.get(code="website").pk])
    record = {"record": '{"event": "care_thing", "phone": "+8613800138000"}'}
    for name, shown in (("mia", False), ("sue", True)):
        client.force_login(people[name])
        page = client.post(url, record)
        tried = page.context["outcome"].events[0]
        assert tried.verdict == "accepted"
        assert (tried.tag == "care_thing") is shown
        assert bool(tried.standard) is shown


def test_rules_to_a_tag_that_may_not_be_read_are_not_among_a_sources_rules(people, closed, client):
    rule = MappingRule.objects.first()
    MappingRule.objects.filter(pk=rule.pk).update(tag=closed[2])
    grant("sales", May.READ, closed[0])
    url = reverse("admin:taxonomy_source_rules", args=[rule.source_id])
    for name, shown in (("mia", False), ("sue", True)):
        client.force_login(people[name])
        assert (rule.pk in [one.rule.pk for one in client.get(url).context["winning"].rules]) is shown
