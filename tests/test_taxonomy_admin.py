"""Every page of the standard answers, in both languages; a save leaves history; publishing is obeyed."""

import pytest
from django.urls import reverse

from staff.models import User
from taxonomy.models import Attribute, Category, MappingRule, Release, Revision, Source, Tag
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
    for url in (reverse(f"{name}_changelist"), reverse(f"{name}_add"), reverse(f"{name}_change", args=[item.pk]), reverse(f"{name}_history", args=[item.pk])):
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
    import json

    return {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in fields.items() if value is not None and value is not False}


def test_a_saved_tag_has_history_and_waits_to_be_published(steward):
    tag = Tag.objects.get(code="product_view")
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    posted = form_of(steward.get(url)) | {"label_en": "Look at a product", "why": "clearer"}
    response = steward.post(url, posted)
    assert response.status_code == 302, [inline.formset.errors for inline in response.context["inline_admin_formsets"]]
    assert Revision.objects.get(item=tag.pk).why == "clearer"
    assert [change.item for change in unreleased()] == [str(tag.pk)]
    page = steward.get(reverse("admin:taxonomy_release_publish"))
    assert b"Look at a product" in page.content
    steward.post(reverse("admin:taxonomy_release_publish"), {"items": [str(tag.pk)], "notes": "clearer name"})
    assert Release.objects.first().notes == "clearer name"
    assert unreleased() == []


def test_a_wrong_constraint_is_refused_with_words(steward):
    attribute = Attribute.objects.filter(type="text").first()
    url = reverse("admin:taxonomy_attribute_change", args=[attribute.pk])
    posted = form_of(steward.get(url)) | {"constraints": '{"pattern": "("}'}
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
