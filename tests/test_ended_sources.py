"""A source that leaves the standard: what it sent stays, its keys are refused once a release ends it, and it comes back whole."""

import json

import pytest
from conftest import make_write_key
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from ingestion import keys
from ingestion.discovery.adopt import CannotAdopt, map_to_tag
from ingestion.models import Discovered, Hook, ImportRun, MqttTopic, Replay, SpecLink, Upload, WriteKey
from ingestion.pipeline import Incoming, receive
from profiles.models import Event
from staff.models import Notice, User
from taxonomy.current import current, refresh
from taxonomy.definition import apply_definition, definition, draft_items
from taxonomy.draft import ItemInUse, ItemLocked, last_saved, remove, write_items, writing
from taxonomy.history import record_revision
from taxonomy.models import MappingRule, Revision, Source, Tag, TagMode
from taxonomy.proposals.propose import InTheWay, StillProposed, discard, propose, propose_going_back, submit, withdraw
from taxonomy.publish import items_of, newest, publish
from taxonomy.released import named

pytestmark = pytest.mark.django_db
EVENT = {"id": "1", "event": "product_view", "phone": "+8613800138000", "attributes": {"product_id": "p"}}


@pytest.fixture
def people(standard) -> dict[str, User]:
    found = {}
    for name, department, role in (("Mia", "marketing", "marketer"), ("Max", "marketing", "marketer"), ("Dan", "data", "data_steward")):
        found[name] = User.objects.create_user(f"{name}@example.com", "x", name=name, department_id=department)
        found[name].groups.add(Group.objects.get(name=role))
    return found


def new_source(code="kiosk") -> Source:
    website = definition(Source.objects.get(code="website"))
    return apply_definition(
        "5f7c1f0e-9a56-4f6e-8a53-2f1f6a1b0c11", website | {"code": code, "label_en": "Kiosk", "label_zh_hans": "自助机"}
    )


def new_rule(source, by, name="look") -> MappingRule:
    rule = MappingRule.objects.create(source=source, name=name, tag=Tag.objects.get(code="product_view"))
    record_revision(rule, by=by, action=Revision.Action.CREATED)
    return rule


@pytest.fixture
def sent(people):
    """(the release before, a source that a later one added, a write key of it): it has sent, and has one of everything that refers to it."""
    before, source = newest(), new_source()
    new_rule(source, people["Dan"])
    publish(notes="a kiosk", by=people["Dan"])
    refresh()
    receive([Incoming(json.dumps(EVENT).encode())], source_code="kiosk", door="api", received_at=timezone.now(), current=current())
    secret, key = make_write_key()
    key.source, key.test = source, True
    key.save()
    Hook.objects.create(source=source)
    MqttTopic.objects.create(filter="kiosks/#", source=source)
    SpecLink.objects.create(source=source, created_by=people["Dan"])
    Upload.objects.create(source=source, file_name="x.csv", size_bytes=1)
    ImportRun.objects.create(source=source, file_name="x.csv", path="/nowhere", status="finished", format={})
    Replay.objects.create(source=source, last_event_id=1)
    return before, source, secret


def answer(client, secret):
    keys.forget()
    refresh()
    bearer = {"Authorization": f"Bearer {secret}"}
    return client.post("/api/v1/events", {"events": [EVENT]}, content_type="application/json", headers=bearer)


def test_going_back_past_a_source_that_has_sent_ends_it_and_coming_back_restores_it(people, sent, client):
    before, source, secret = sent
    with_it = newest()
    assert answer(client, secret).status_code == 200
    back = propose_going_back(before, why="w", by=people["Dan"], title="back")
    assert answer(client, secret).status_code == 200
    publish(notes="back", by=people["Dan"])
    withdraw(back, by=people["Dan"])
    assert items_of(newest()) == items_of(before)
    refused = answer(client, secret)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "source.ended")
    assert Event.objects.get(message_id="1").source_id == source.pk
    assert named("source", [source.pk])[source.pk].code == "kiosk"
    assert not Source.objects.filter(pk=source.pk).exists()
    propose_going_back(with_it, why="w", by=people["Mia"], title="forth")
    publish(notes="forth", by=people["Dan"])
    assert items_of(newest()) == items_of(with_it)
    assert answer(client, secret).status_code == 200
    assert WriteKey.objects.filter(source=source).count() == 1


def test_a_source_that_was_never_released_is_not_one_that_has_ended(people, client):
    source = new_source()
    secret, key = make_write_key()
    key.source = source
    key.save()
    assert answer(client, secret).status_code == 503


def test_what_ended_gives_its_code_away_and_is_offered_nowhere(people, sent, client):
    _before, source, _secret = sent
    remove(source, by=None)
    client.force_login(User.objects.create_superuser("root@example.com", "x"))
    add_key = reverse("admin:ingestion_writekey_add")
    assert "Kiosk" in client.get(add_key).content.decode()
    publish(notes="ended", by=None)
    refresh()
    assert "Kiosk" not in client.get(add_key).content.decode()
    listed = client.get(reverse("admin:ingestion_writekey_changelist")).content.decode()
    assert "Kiosk" in listed
    other = Source.objects.create(code="kiosk", label_en="k", label_zh_hans="k", source_kind="till", owner_id="sales")
    assert draft_items().keys() >= {str(other.pk)}
    assert str(source.pk) not in draft_items()


def test_its_history_brings_it_back(people, sent, client):
    _before, source, _secret = sent
    stood = definition(source)
    client.force_login(people["Dan"])
    page = reverse("admin:taxonomy_source_delete", args=[source.pk])
    assert "is not shown" not in client.get(page).content.decode()
    assert client.post(page, {"post": "yes"}).status_code == 302
    assert not Source.objects.filter(pk=source.pk).exists()
    restore = reverse("admin:taxonomy_source_restore", args=[source.pk, Revision.objects.filter(item=source.pk).first().pk])
    client.post(restore, {"seen": last_saved(source.pk)})
    assert definition(Source.objects.get(pk=source.pk)) == stood


def test_a_tag_s_replay_does_not_keep_the_tag(people):
    tag = Tag.objects.create(code="gift_wrapped", label_en="g", label_zh_hans="g", category=Tag.objects.first().category, owner_id="data")
    Replay.objects.create(source=Source.objects.first(), tag=tag, last_event_id=1, act="past")
    remove(tag, by=None)
    assert not Tag.objects.filter(pk=tag.pk).exists()


def test_a_tag_that_says_how_strict_it_is_with_a_source_keeps_it(people):
    source = new_source()
    TagMode.objects.create(tag=Tag.objects.get(code="login"), source=source)
    with pytest.raises(ItemInUse), writing():
        write_items({str(source.pk): None}, by=None, why="")


def test_no_rule_is_made_from_what_an_ended_source_sent(people, sent):
    _before, source, _secret = sent
    remove(source, by=None)
    row = Discovered(source=source, name="peep")
    with pytest.raises(CannotAdopt):
        map_to_tag(row, Tag.objects.get(code="login"), by=people["Dan"])


def test_discarding_a_source_takes_no_rule_that_a_proposal_holds(people):
    source = new_source()
    rule = new_rule(source, people["Max"])
    proposal = propose([str(source.pk), str(rule.pk)], title="t", why="w", by=people["Max"])
    proposal.items.filter(item=source.pk).delete()
    with pytest.raises(StillProposed) as raised:
        discard([str(source.pk)], by=people["Mia"])
    assert raised.value.found == {str(rule.pk): proposal}
    proposal.items.all().delete()
    discard([str(source.pk)], by=people["Mia"])
    assert not Source.objects.filter(pk=source.pk).exists() and not MappingRule.objects.filter(pk=rule.pk).exists()
    assert [one.user for one in Notice.objects.all()] == [people["Max"]]


def test_a_released_rule_that_was_moved_to_a_source_goes_back_when_that_is_discarded(people):
    rule = MappingRule.objects.filter(source__code="website").first()
    of_website, source = definition(rule), new_source()
    apply_definition(rule.pk, of_website | {"source": str(source.pk)})
    discard([str(source.pk)], by=people["Mia"])
    assert definition(MappingRule.objects.get(pk=rule.pk)) == of_website


def test_a_rule_that_comes_back_brings_its_source(people):
    rule = MappingRule.objects.filter(source__code="website").first()
    source, stood = rule.source_id, definition(rule)
    with writing():
        remove(rule.source, by=people["Mia"])
    discard([str(rule.pk)], by=people["Mia"])
    assert Source.objects.filter(pk=source).exists(), "a rule does not stand alone"
    assert definition(MappingRule.objects.get(pk=rule.pk)) == stood


def test_going_back_says_whose_proposal_stands_in_the_way(people, sent, client):
    before, source, _secret = sent
    rule = new_rule(source, people["Max"], name="peep")
    proposal = propose([str(rule.pk)], title="Peeping", why="w", by=people["Max"])
    with pytest.raises(InTheWay) as raised:
        propose_going_back(before, why="w", by=people["Dan"], title="back")
    assert raised.value.found == {str(rule.pk): proposal}
    client.force_login(people["Dan"])
    back = reverse("admin:taxonomy_release_back", args=[before.pk])
    said = client.post(back, follow=True).content.decode()
    assert "Max" in said and "peep" in said
    submit(proposal, by=people["Max"])
    with pytest.raises(ItemLocked) as locked:
        propose_going_back(before, why="w", by=people["Dan"], title="back")
    assert locked.value.held == {str(rule.pk): proposal}
    assert "peep" in client.post(back, follow=True).content.decode()
    assert MappingRule.objects.filter(pk=rule.pk).exists()


def test_going_back_says_whose_draft_uses_what_would_go(people, client):
    before = newest()
    tag = Tag.objects.create(code="gift_wrapped", label_en="g", label_zh_hans="g", category=Tag.objects.first().category, owner_id="data")
    publish(notes="a tag", by=None)
    rule = MappingRule.objects.create(source=Source.objects.get(code="website"), name="wrapping", tag=tag)
    record_revision(rule, by=people["Max"], action=Revision.Action.CREATED)
    client.force_login(people["Dan"])
    said = client.post(reverse("admin:taxonomy_release_back", args=[before.pk]), follow=True).content.decode()
    assert "wrapping" in said and "last saved by Max" in said


@pytest.mark.parametrize("under_review", [False, True])
def test_the_page_that_deletes_a_source_names_the_rules_that_proposals_hold(people, sent, client, under_review):
    _before, source, _secret = sent
    rule = new_rule(source, people["Max"], name="peep")
    proposal = propose([str(rule.pk)], title="Peeping", why="w", by=people["Max"])
    if under_review:
        submit(proposal, by=people["Max"])
    client.force_login(people["Dan"])
    page = reverse("admin:taxonomy_source_delete", args=[source.pk])
    for said in (client.get(page), client.post(page, {"post": "yes"})):
        text = said.content.decode()
        assert "peep" in text and proposal.get_absolute_url() in text and "Max" in text
        assert "permission" not in text
    several = {"action": "delete_selected", "_selected_action": str(source.pk), "post": "yes"}
    assert "peep" in client.post(reverse("admin:taxonomy_source_changelist"), several).content.decode()
    assert Source.objects.filter(pk=source.pk).exists() and MappingRule.objects.filter(pk=rule.pk).exists()
