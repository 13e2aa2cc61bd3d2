"""Every page of the standard answers, in both languages; a save leaves history; publishing is obeyed."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from staff.models import User
from taxonomy.admin.lines import ConstraintsField, GroupsField
from taxonomy.models import Attribute, Category, MappingRule, Proposal, Release, Revision, Source, Tag
from taxonomy.publish import unreleased

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
    steward.post(reverse("admin:taxonomy_tag_restore", args=[tag.pk, first.pk]))
    tag.refresh_from_db()
    assert before != tag.label_en == "One"


def test_an_envelope_is_edited_without_json(steward):
    source = Source.objects.get(code="website")
    url = reverse("admin:taxonomy_source_change", args=[source.pk])
    posted = form_of(steward.get(url)) | {"preset": "custom", "envelope_event": "type", "identifier_email": "customer.email"}
    assert steward.post(url, posted).status_code == 302
    source.refresh_from_db()
    assert source.envelope == {"preset": "custom", "event": "type", "identifiers": {"email": "customer.email"}}


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
