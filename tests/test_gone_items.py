"""What was deleted from the draft keeps its history, and comes back from it."""

import json

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from test_taxonomy_admin import form_of

from staff.models import User
from taxonomy.definition import apply_definition, definition
from taxonomy.draft import last_saved
from taxonomy.history import record_revision
from taxonomy.models import Category, Grant, MappingRule, Proposal, Revision, Source, Tag, TagMode
from taxonomy.proposals.propose import add_items, propose, pull_back, submit
from taxonomy.proposals.review import emergency_release, standing
from taxonomy.publish import publish
from taxonomy.rights import readable_proposals, rights_of

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
    return client.post(
        reverse(f"admin:taxonomy_{item._meta.model_name}_restore", args=[item.pk, revision.pk]), {"seen": last_saved(item.pk)}, follow=True
    )


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


def someone(role="data_steward", department="data"):
    return User.objects.get(groups__name=role, department=department)


def a_rule():
    return MappingRule.objects.create(
        source=Source.objects.get(code="website"), name="wrapped", tag=Tag.objects.get(code="login"), position=90
    )


def act(client, proposal, **posted):
    return client.post(reverse("admin:taxonomy_proposal_act", args=[proposal.pk]), posted, follow=True)


@pytest.mark.parametrize("make", [a_tag, a_rule])
@pytest.mark.parametrize("asked", [False, True], ids=["a draft", "changes asked for"])
def test_a_proposal_whose_new_item_was_deleted_opens_says_so_and_leaves_it_out(steward, make, asked):
    item, kept = make(), a_tag("kept")
    proposal = propose([str(item.pk), str(kept.pk)], title="New", why="w", by=someone())
    if asked:
        submit(proposal, by=someone())
        Proposal.objects.filter(pk=proposal.pk).update(state="changes_requested")
    history = delete(steward, item)
    page = steward.get(proposal.get_absolute_url())
    assert [(one["item"], one["history"]) for one in page.context["deleted"]] == [(str(item.pk), history)]
    assert "wrapped" in page.context["deleted"][0]["title"]
    assert [change["item"] for group in page.context["groups"] for change in group["changes"]] == [str(kept.pk)]
    assert not any(str(item.pk) in one["seat"].items for one in page.context["seats"])
    act(steward, proposal, act="comment", item=str(item.pk), text="Where is it?")
    page = steward.get(proposal.get_absolute_url())
    assert [one.text for one in page.context["deleted"][0]["comments"]] == ["Where is it?"]
    assert steward.get(reverse("admin:taxonomy_proposal_checks", args=[proposal.pk])).status_code == 200
    act(steward, proposal, act="drop", item=str(item.pk))
    assert [str(one.item) for one in proposal.items.all()] == [str(kept.pk)]


def test_a_proposal_of_which_all_was_deleted_is_neither_submitted_nor_released_and_can_be_withdrawn(steward):
    tag = a_tag()
    proposal = propose([str(tag.pk)], title="New", why="w", by=someone())
    steward.get(delete(steward, tag))
    User.objects.update(is_superuser=True)
    for wanted in ({"act": "submit"}, {"act": "emergency", "reason": "now"}):
        page = act(steward, proposal, **wanted)
        assert [message.level_tag for message in page.context["messages"]] == ["error"] and page.context["deleted"]
    assert not standing(proposal).seats["data"].items
    page = act(steward, proposal, act="withdraw")
    assert page.status_code == 200 and page.context["deleted"] and "Leave out of" not in page.content.decode()
    proposal.refresh_from_db()
    assert proposal.state == "withdrawn"


def test_what_was_deleted_from_a_proposal_is_no_part_of_its_emergency_release(steward):
    tag, kept = a_tag(), a_tag("kept")
    proposal = propose([str(tag.pk), str(kept.pk)], title="New", why="w", by=someone())
    delete(steward, tag)
    made = emergency_release(proposal, by=User.objects.create_superuser("root@example.com", "x"), reason="now")
    assert made.changed_items == [str(kept.pk)]
    assert steward.get(proposal.get_absolute_url()).status_code == 200


def lines(page):
    return {
        change["item"]: (change["action"], [(line.before, line.after) for line in change["lines"]])
        for group in page.context["groups"]
        for change in group["changes"]
    }


@pytest.mark.parametrize("was_submitted", [False, True], ids=["never submitted", "added after the submission"])
def test_a_withdrawn_proposal_shows_what_it_held_and_goes_on_showing_it(steward, was_submitted):
    new, login = a_tag(), Tag.objects.get(code="login")
    was = login.label_en
    apply_definition(login.pk, definition(login) | {"label_en": "Sign in"})
    first = a_tag("first")
    proposal = propose([str(first.pk)], title="New", why="w", by=someone())
    if was_submitted:
        submit(proposal, by=someone())
        pull_back(proposal, by=someone())
    add_items(proposal, [str(new.pk), str(login.pk)], by=someone())
    page = act(steward, proposal, act="withdraw")
    shown = lines(page)
    assert shown.keys() == {str(one.pk) for one in (new, login, first)} and not page.context["deleted"]
    assert shown[str(new.pk)][0] == shown[str(first.pk)][0] == "new"
    assert shown[str(login.pk)] == ("changed", [(was, "Sign in")])
    assert page.context["level"] != "breaking"
    proposal.refresh_from_db()
    assert bool(proposal.submitted_at) == was_submitted
    apply_definition(login.pk, definition(login) | {"label_en": "Something else"})
    publish(notes="", by=None)
    assert lines(steward.get(proposal.get_absolute_url())) == shown


def test_a_proposal_of_a_deleted_item_is_for_those_only_who_might_have_read_it(steward):
    tag = a_tag()
    Grant.objects.create(category=tag.category, department_id="sales", may="read")
    proposal = propose([str(tag.pk)], title="New", why="w", by=someone())
    steward.get(delete(steward, tag))
    mia = User.objects.create_user("mia@example.com", department_id="marketing")
    sue = User.objects.create_user("sue@example.com", department_id="sales")
    assert [readable_proposals(Proposal.objects.all(), rights_of(one)).exists() for one in (mia, sue)] == [False, True]
    other = Tag.objects.get(code="login")
    apply_definition(other.pk, definition(other) | {"label_en": "Sign in"})
    add_items(proposal, [str(other.pk)], by=someone())
    mia.groups.add(Group.objects.get(name="marketer"))
    steward.force_login(mia)
    page = steward.get(proposal.get_absolute_url())
    assert page.context["hidden"] == 1 and not page.context["deleted"] and "Gift wrapped" not in page.content.decode()


@pytest.mark.parametrize("goes", ["the rule", "its source too"])
def test_a_proposal_of_a_deleted_rule_is_for_those_only_who_may_read_its_source(steward, goes):
    source = Source.objects.create(code="secret", owner_id="service", label_en="Secret", label_zh_hans="秘密")
    record_revision(source, by=None, action=Revision.Action.CREATED)
    rule = MappingRule.objects.create(source=source, name="wrapped", tag=Tag.objects.get(code="login"), position=90)
    Grant.objects.create(sources_of_id="service", department_id="service", may="read")
    proposal = propose([str(rule.pk)], title="New", why="w", by=someone())
    delete(steward, rule)
    if goes == "its source too":
        delete(steward, source)
    mia = log_in(steward, "mia@example.com", "marketer", "marketing")
    assert not readable_proposals(Proposal.objects.all(), rights_of(User.objects.get(email="mia@example.com"))).exists()
    assert mia.get(proposal.get_absolute_url()).status_code == 404
    assert not mia.get(UNRELEASED).context["deleted"]
    add_items(proposal, [str(a_tag().pk)], by=someone())
    page = mia.get(proposal.get_absolute_url())
    assert page.context["hidden"] == 1 and not page.context["deleted"]
    other = log_in(steward, "sid@example.com", "marketer", "service")
    assert other.get(proposal.get_absolute_url()).context["deleted"] and other.get(UNRELEASED).context["deleted"]


def test_a_deleted_rule_stays_closed_where_its_released_source_goes_too(steward):
    source = Source.objects.create(code="secret", owner_id="service", label_en="Secret", label_zh_hans="秘密")
    record_revision(source, by=None, action=Revision.Action.CREATED)
    publish(None, notes="for tests", by=None)
    Grant.objects.create(sources_of_id="service", department_id="service", may="read")
    rule = MappingRule.objects.create(source=source, name="wrapped", tag=Tag.objects.get(code="login"), position=90)
    proposal = propose([str(rule.pk), str(a_tag().pk)], title="New", why="w", by=someone())
    history = delete(steward, rule)
    delete(steward, source)
    add_items(proposal, [str(source.pk)], by=someone())
    mia = log_in(steward, "mia@example.com", "marketer", "marketing")
    assert not mia.get(proposal.get_absolute_url()).context["deleted"]
    assert mia.get(history).status_code in (302, 404)
    publish(None, notes="for tests", by=None)
    assert mia.get(history).status_code in (302, 404)


@pytest.mark.parametrize(
    "make", [a_tag, a_rule, lambda: Source.objects.exclude(pk__in=TagMode.objects.values("source")).first()], ids=["tag", "rule", "source"]
)
def test_a_form_of_what_was_deleted_meanwhile_says_who_did_it_and_can_be_saved_once_it_is_back(steward, make):
    item = make()
    record_revision(item, by=None, action=Revision.Action.CREATED)
    url = reverse(f"admin:taxonomy_{item._meta.model_name}_change", args=[item.pk])
    field = "note" if item.kind == "rule" else "description_en"
    posted = form_of(steward.get(url)) | {field: "Written meanwhile"}
    User.objects.filter(email="steward@example.com").update(name="Stella")
    history = delete(steward, item)
    other = log_in(steward, "dora@example.com", "data_steward", "data")
    answer = other.post(url, posted, follow=True)
    assert answer.redirect_chain[-1][0] == history and answer.context["may_change"]
    said = " ".join(map(str, answer.context["messages"]))
    assert "Stella deleted it meanwhile" in said and "Bring the draft back here" in said
    restore(other, item)
    assert other.post(url, posted).status_code == 302
    assert definition(type(item).objects.get(pk=item.pk))[field] == "Written meanwhile"


def test_a_choice_between_two_saves_of_what_was_deleted_meanwhile_leads_to_its_history_too(steward):
    tag = a_tag()
    history = delete(steward, tag)
    assert steward.post(reverse("admin:taxonomy_tag_resolve", args=[tag.pk]), {"mine": "x"})["Location"] == history


def test_who_may_not_read_what_was_deleted_is_told_nothing_by_its_form(steward):
    tag = a_tag()
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    posted = form_of(steward.get(url))
    steward.get(delete(steward, tag))
    Grant.objects.create(category=tag.category, department_id="sales", may="read")
    other = log_in(steward, "mia@example.com", "marketer", "marketing")
    answer = other.post(url, posted, follow=True)
    assert "deleted it meanwhile" not in answer.content.decode()


def test_a_long_history_has_pages_and_its_oldest_state_comes_back(steward):
    tag = a_tag()
    stood = definition(tag)
    Revision.objects.bulk_create(
        Revision(item=tag.pk, kind="tag", action="changed", definition=stood | {"label_en": f"Name {number}"}) for number in range(230)
    )
    url = reverse("admin:taxonomy_tag_history", args=[tag.pk])
    found, number = [], 1
    while True:
        page = steward.get(url, {"page": number})
        assert f"?page={number + 1}" in page.content.decode() or not page.context["page"].has_next()
        found += [(one["revision"].pk, [(line.before, line.after) for line in one["lines"]]) for one in page.context["entries"]]
        assert page.content.decode().count("/restore/") == len(page.context["entries"]) - (number == 1)
        if not page.context["page"].has_next():
            break
        number += 1
    assert [pk for pk, _lines in found] == [one.pk for one in Revision.objects.filter(item=tag.pk)]
    assert [lines for _pk, lines in found[:-1]] == [[(f"Name {one - 1}", f"Name {one}")] for one in range(229, 0, -1)]
    assert len(found[-1][1]) > 1, "the first one says everything"
    steward.post(reverse("admin:taxonomy_tag_restore", args=[tag.pk, found[-1][0]]), {"seen": page.context["seen"]})
    assert Tag.objects.get(pk=tag.pk).label_en == "Name 0"
