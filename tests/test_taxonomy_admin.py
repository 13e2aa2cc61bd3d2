"""Every page of the standard answers, in both languages; a save leaves history; publishing is obeyed."""

import json
import re

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from ingestion.pipeline import Incoming, receive
from ingestion.watching.rollup import roll_up
from staff.models import User
from taxonomy.admin.lines import ConstraintsField, GroupsField
from taxonomy.current import current
from taxonomy.definition import apply_definition, definition
from taxonomy.history import record_revision
from taxonomy.models import Attribute, Category, MappingRule, Proposal, Release, Revision, Source, Tag
from taxonomy.publish import unreleased
from taxonomy.tryout import try_record
from taxonomy.winning import winning

pytestmark = pytest.mark.django_db


@pytest.fixture
def steward(standard, client):
    client.force_login(User.objects.create_superuser("steward@example.com", "x"))
    return client


@pytest.mark.parametrize("model", [Category, Attribute, Tag, Source, MappingRule])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_page_of_the_standard_answers(steward, model, language):
    name = f"admin:taxonomy_{model._meta.model_name}"
    item = model.objects.first()
    headers = {"Accept-Language": language}
    for url in (
        reverse(f"{name}_changelist"),
        reverse(f"{name}_add"),
        reverse(f"{name}_change", args=[item.pk]),
        reverse(f"{name}_history", args=[item.pk]),
    ):
        assert steward.get(url, headers=headers).status_code == 200, url


def test_the_number_of_queries_of_a_list_does_not_grow_with_its_rows(steward, django_assert_max_num_queries):
    category = Category.objects.first()
    Tag.objects.bulk_create(
        Tag(code=f"more_{number}", label_en="More", label_zh_hans="更多", category=category, owner_id="data") for number in range(45)
    )
    with django_assert_max_num_queries(16):
        assert steward.get(reverse("admin:taxonomy_tag_changelist")).status_code == 200


def form_of(response) -> dict[str, str]:
    """What a browser would post of a page's form as it stands."""
    form = response.context["adminform"].form
    fields = {name: form[name].value() for name in form.fields}
    for inline in response.context["inline_admin_formsets"]:
        for part in (inline.formset.management_form, *inline.formset.forms):
            fields |= {part.add_prefix(name): part[name].value() for name in part.fields}
    fields["synonyms"] = ",".join(fields["synonyms"]) if isinstance(fields.get("synonyms"), list) else fields.get("synonyms")
    for name, value in fields.items():
        if name.endswith(("constraints", "one_of")):
            fields[name] = (ConstraintsField if name.endswith("constraints") else GroupsField)().prepare_value(value)
    return {
        name: json.dumps(value) if isinstance(value, dict | list) else value
        for name, value in fields.items()
        if value is not None and value is not False
    }


def test_a_saved_tag_has_history_and_waits_to_be_published(steward):
    tag = Tag.objects.get(code="product_view")
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    posted = form_of(steward.get(url)) | {"label_en": "Look at a product", "why": "clearer"}
    response = steward.post(url, posted)
    assert response.status_code == 302, [inline.formset.errors for inline in response.context["inline_admin_formsets"]]
    assert Revision.objects.get(item=tag.pk).why == "clearer"
    assert [change.item for change in unreleased()] == [str(tag.pk)]
    page = reverse("admin:taxonomy_proposal_unreleased")
    assert b"Look at a product" in steward.get(page).content
    steward.post(page, {"items": [str(tag.pk)], "act": "propose", "title": "Clearer name", "why": "said so in the shop"})
    proposal = Proposal.objects.get()
    steward.post(reverse("admin:taxonomy_proposal_act", args=[proposal.pk]), {"act": "emergency", "reason": "alone today"})
    released = Release.objects.first()
    assert released.notes == "Clearer name\n\nsaid so in the shop"
    assert released.awaits_review
    assert unreleased() == []


def test_a_wrong_constraint_is_refused_with_words(steward):
    attribute = Attribute.objects.filter(type="text").first()
    url = reverse("admin:taxonomy_attribute_change", args=[attribute.pk])
    posted = form_of(steward.get(url)) | {"constraints": "pattern = ("}
    assert "constraints" in steward.post(url, posted).context["adminform"].form.errors


def test_two_unconditional_rules_for_one_name_are_refused(steward):
    rule = MappingRule.objects.filter(condition_path="", match="exact").first()
    response = steward.post(
        reverse("admin:taxonomy_mappingrule_add"),
        {
            "source": rule.source_id, "name": rule.name, "match": "exact", "tag": rule.tag_id, "position": 99,
            "rows-TOTAL_FORMS": 0, "rows-INITIAL_FORMS": 0,
        },
    )  # fmt: skip
    assert "unconditional" in str(response.context["adminform"].form.non_field_errors())


def test_a_record_is_tried_on_the_draft(steward):
    source = Source.objects.get(code="website")
    page = steward.post(
        reverse("admin:taxonomy_source_try", args=[source.pk]), {"record": '{"event": "nonsense", "phone": "+8613800138000"}'}
    )
    assert b"event.unknown" in page.content or "Unknown event" in page.content.decode()


def test_a_former_state_comes_back_to_the_draft(steward):
    tag = Tag.objects.get(code="product_view")
    before = tag.label_en
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    same = form_of(steward.get(url))
    steward.post(url, same | {"label_en": "One"})
    steward.post(url, same | {"label_en": "Two"})
    first = Revision.objects.filter(item=tag.pk).last()
    steward.post(reverse("admin:taxonomy_tag_restore", args=[tag.pk, first.pk]), {"seen": first.pk})
    tag.refresh_from_db()
    assert before != tag.label_en == "One"


def restore_form(client, tag: Tag) -> dict[str, str]:
    """What the history's button posts."""
    history = client.get(reverse("admin:taxonomy_tag_history", args=[tag.pk])).content.decode()
    return {"seen": re.search(r'name="seen" value="(\d+)"', history)[1]}


def test_a_former_state_does_not_come_back_over_a_save_that_its_history_did_not_show(steward):
    tag = Tag.objects.get(code="product_view")
    for label in ("One", "Two"):
        record_revision(apply_definition(str(tag.pk), definition(tag) | {"label_en": label}), by=None, action=Revision.Action.CHANGED)
    first = Revision.objects.filter(item=tag.pk).last()
    posted = restore_form(steward, tag)
    olga = User.objects.create_user("olga@example.com", "x", name="Olga")
    record_revision(apply_definition(str(tag.pk), definition(tag) | {"label_en": "Three"}), by=olga, action=Revision.Action.CHANGED)
    url = reverse("admin:taxonomy_tag_restore", args=[tag.pk, first.pk])
    for stale in (posted, {}, {"seen": "9" * 4000}):
        answer = steward.post(url, stale, follow=True)
        assert "Olga" in " ".join(map(str, answer.context["messages"])) and answer.context["entries"][0]["revision"].by == olga
        assert Tag.objects.get(pk=tag.pk).label_en == "Three"
    steward.post(url, restore_form(steward, tag))
    assert Tag.objects.get(pk=tag.pk).label_en == "One"


def test_an_envelope_is_edited_without_json(steward):
    source = Source.objects.get(code="website")
    url = reverse("admin:taxonomy_source_change", args=[source.pk])
    posted = form_of(steward.get(url)) | {"preset": "custom", "envelope_event": "type", "identifier_email": "customer.email"}
    assert steward.post(url, posted).status_code == 302
    source.refresh_from_db()
    assert source.envelope == {"preset": "custom", "event": "type", "identifiers": {"email": "customer.email"}}


@pytest.mark.parametrize(("preset", "keeps"), [("tagline", True), ("flat", True), ("segment", False)])
def test_a_time_format_stays_where_the_records_are_in_a_form_of_ours(steward, preset, keeps):
    source = Source.objects.get(code="website")
    source.envelope = {"preset": preset, "time_format": "epoch_s"}
    source.save()
    url = reverse("admin:taxonomy_source_change", args=[source.pk])
    assert steward.post(url, form_of(steward.get(url))).status_code == 302
    source.refresh_from_db()
    assert source.envelope == {"preset": preset, **({"time_format": "epoch_s"} if keeps else {})}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", {}),
        ("minimum = 0\n\nmaximum: 9.5", {"minimum": "0", "maximum": "9.5"}),
        ("最小值 = 0\n最长 ： 40", {"minimum": "0", "max_length": 40}),
        ("choices = red, blue，绿", {"choices": ["red", "blue", "绿"]}),
        ('choices = ["a, b", "c"]', {"choices": ["a, b", "c"]}),
        ("pattern = [A-Z]+=[0-9]", {"pattern": "[A-Z]+=[0-9]"}),
    ],
)
def test_constraints_are_written_as_lines_in_either_language(written, meant):
    field = ConstraintsField()
    assert field.clean(written) == meant
    assert field.clean(field.prepare_value(meant)) == meant
    assert not field.has_changed(meant, written)


@pytest.mark.parametrize("written", ["minimum", "= 3", "size = 3", "minimum =", "choices = [a"])
def test_a_line_that_is_no_constraint_is_refused(written):
    with pytest.raises(ValidationError):
        ConstraintsField().clean(written)


def test_groups_are_written_as_lines():
    field = GroupsField()
    assert field.clean("price, amount\n\n a 、b") == [["price", "amount"], ["a", "b"]]
    assert field.clean(field.prepare_value([["price", "amount"]])) == [["price", "amount"]]


BROKEN = {
    "source": [{"timezone": "Mars/Base"}, {"region": "ZZ"}, {"currency": "ZZZ"}, {"envelope_time_format": "%Q", "preset": "custom"}],
    "mappingrule": [
        {"condition_path": "a", "condition_operator": ""},
        {"match": "pattern", "name": "view_("},
        {"condition_path": "a[", "condition_operator": "eq", "condition_value": "1"},
        {"rows-0-target": "nosuch"},
        {"rows-0-path": "$.nosuch.x["},
    ],
    "tag": [{"one_of": "nosuch, order_id"}, {"refinements-0-pattern": "{tag}_{nosuch}"}],
}


@pytest.mark.parametrize(("model", "change"), [(model, change) for model, changes in BROKEN.items() for change in changes], ids=str)
def test_what_could_not_be_released_is_refused_when_it_is_saved(steward, model, change):
    item = {
        "source": Source.objects.filter(envelope__preset="custom").first(),
        "mappingrule": MappingRule.objects.filter(rows__isnull=False).first(),
        "tag": Tag.objects.filter(refinements__isnull=False).first(),
    }[model]
    before, revisions = definition(item), Revision.objects.count()
    url = reverse(f"admin:taxonomy_{model}_change", args=[item.pk])
    response = steward.post(url, form_of(steward.get(url)) | change)
    assert response.status_code == 200
    told = str(response.context["errors"]) + str(response.context["adminform"].form.errors)
    assert "errorlist" in told
    assert definition(type(item).objects.get(pk=item.pk)) == before
    assert Revision.objects.count() == revisions


def test_a_category_cannot_be_put_below_itself(steward):
    top = Category.objects.filter(parent=None).first()
    below = Category.objects.create(code="below", label_en="Below", label_zh_hans="下", parent=top)
    url = reverse("admin:taxonomy_category_change", args=[top.pk])
    response = steward.post(url, form_of(steward.get(url)) | {"parent": str(below.pk)})
    assert "below itself" in str(response.context["adminform"].form.errors)
    assert Category.objects.get(pk=top.pk).parent is None


def test_one_broken_source_stops_no_trying_on_another(steward):
    Source.objects.filter(code="till").update(timezone="Mars/Base")
    website, till = Source.objects.get(code="website"), Source.objects.get(code="till")
    record = b'{"event": "login", "phone": "+8613800138000"}'
    tried = try_record(record, "website", received_at=timezone.now())
    assert (tried.problems, tried.events[0].verdict) == ([], "accepted")
    assert winning(website).problems == []
    assert "Mars/Base" in str(try_record(record, "till", received_at=timezone.now()).problems)
    assert winning(till).problems


def test_restoring_what_no_longer_fits_says_why(steward):
    rule = MappingRule.objects.filter(condition_path="", match="exact").first()
    record_revision(rule, by=None, action=Revision.Action.CHANGED)
    old, name = Revision.objects.filter(item=rule.pk).first(), rule.name
    MappingRule.objects.filter(pk=rule.pk).update(name="renamed")
    MappingRule.objects.create(source=rule.source, name=name, tag=rule.tag, position=50)
    response = steward.post(reverse("admin:taxonomy_mappingrule_restore", args=[rule.pk, old.pk]), {"seen": old.pk}, follow=True)
    assert response.status_code == 200
    assert [message.level_tag for message in response.context["messages"]] == ["error"]
    assert MappingRule.objects.get(pk=rule.pk).name == "renamed"


def test_restoring_what_refers_to_something_deleted_says_why(steward):
    rule = MappingRule.objects.filter(rows__isnull=False).first()
    gone = Tag.objects.create(code="gone", label_en="Gone", label_zh_hans="无", category=rule.tag.category, owner_id="data")
    wanted = definition(rule) | {"tag": str(gone.pk)}
    old = Revision.objects.create(item=rule.pk, kind="rule", definition=wanted, action=Revision.Action.CHANGED)
    gone.delete()
    response = steward.post(reverse("admin:taxonomy_mappingrule_restore", args=[rule.pk, old.pk]), {"seen": old.pk}, follow=True)
    assert [message.level_tag for message in response.context["messages"]] == ["error"]
    assert MappingRule.objects.get(pk=rule.pk).tag_id == rule.tag_id


def test_before_a_tag_is_deleted_deprecating_it_is_offered(steward):
    tag = Tag.objects.get(code="product_view")
    sent = {"id": "1", "event": "product_view", "phone": "+8613800138000", "attributes": {"product_id": "p"}}
    now = timezone.now()
    receive([Incoming(json.dumps(sent).encode())], source_code="website", door="api", received_at=now, current=current())
    roll_up(now)
    change = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    page = steward.get(reverse("admin:taxonomy_tag_delete", args=[tag.pk])).content.decode()
    assert f'href="{change}#id_status"' in page
    assert "1 event of this tag has arrived so far." in page
    many = steward.post(reverse("admin:taxonomy_tag_changelist"), {"action": "delete_selected", "_selected_action": [str(tag.pk)]})
    assert 'role="note"' in many.content.decode()
    assert Tag.objects.filter(pk=tag.pk).exists()
