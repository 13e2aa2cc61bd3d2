"""While a name is typed on a form, what is named alike is shown, with why and where it stands."""

from uuid import NAMESPACE_URL, uuid5

import pytest
from django.urls import reverse

from ingestion.discovery.matches import matching_attributes
from staff.models import Department, User
from taxonomy.draft import writing
from taxonomy.history import record_revision
from taxonomy.models import Attribute, Category, MappingRule, Revision, Source, Tag
from taxonomy.proposals.propose import propose, submit
from taxonomy.similar import lookalikes


@pytest.fixture
def marketer(standard, client):
    from django.contrib.auth.models import Group

    person = User.objects.create_user("m@example.com", "x", department=Department.objects.get(pk="marketing"))
    person.groups.add(Group.objects.get(name="marketer"))
    client.force_login(person)
    return client


def typed(client, model="tag", **fields):
    return client.post(reverse(f"admin:taxonomy_{model}_similar"), fields)


def new_tag(code, chinese):
    with writing():
        tag = Tag.objects.create(
            id=uuid5(NAMESPACE_URL, code), code=code, label_en=code, label_zh_hans=chinese,
            category=Category.objects.get(code="product"), owner=Department.objects.get(pk="product"),
        )  # fmt: skip
        record_revision(tag, by=None, action=Revision.Action.CREATED)
    return tag


def test_the_form_says_where_a_similar_item_stands(marketer):
    page = typed(marketer, label_zh_hans="购买了").content.decode()
    assert "purchase" in page and "released" in page
    new_tag("add_to_cart", "加入购物车")
    page = typed(marketer, code="", label_zh_hans="加购").content.decode()
    assert "add_to_cart" in page and "draft" in page
    author = User.objects.create_user("author@example.com", "x")
    proposal = propose([str(Tag.objects.get(code="add_to_cart").pk)], title="A cart", why="sold", by=author)
    submit(proposal, by=author)
    page = typed(marketer, code="jrgwc").content.decode()
    assert "A cart" in page and proposal.get_absolute_url() in page


def test_the_form_finds_names_that_sources_send(marketer):
    rule = MappingRule.objects.filter(match="exact").select_related("tag", "source").exclude(name__iexact="order").first()
    found = lookalikes.lookalikes([rule.name], kind="tag")
    assert [one for one in found if rule.tag.code in one.title and rule.source.code in one.why]


def test_the_form_finds_attributes_by_what_rows_take(marketer):
    rule = MappingRule.objects.select_related("source").filter(tag__code="purchase").first()
    rule.rows.filter(target="product_id").delete()
    rule.rows.create(target="product_id", path="order.wareNumber")
    record_revision(rule, by=None, action="changed")
    [first, *_rest] = lookalikes.lookalikes(["ware_number"], kind="attribute")
    assert "product_id" in first.title and rule.source.code in first.why
    assert [one.item.code for one in matching_attributes("wareNumber")][:1] == ["product_id"]


def test_an_item_is_not_similar_to_itself(marketer):
    tag = Tag.objects.get(code="product_view")
    assert "product_view" in typed(marketer, code="product_view").content.decode()
    assert "product_view" not in typed(marketer, code="product_view", item=str(tag.pk)).content.decode()


def test_what_is_still_released_is_found_though_the_draft_lacks_it(marketer):
    tag = Tag.objects.get(code="gift_send")
    MappingRule.objects.filter(tag=tag).delete()
    Tag.objects.filter(pk=tag.pk).delete()
    found = lookalikes.lookalikes(["giftSend"], kind="tag")
    assert found[0].is_released and not found[0].is_drafted and "/dictionary/tags/gift_send" in found[0].link


def test_tags_and_attributes_are_found_from_either_form(marketer):
    for model in ("tag", "attribute"):
        page = typed(marketer, model, code="orderId").content.decode()
        assert str(Attribute.objects.get(code="order_id").pk) in page, model


def test_an_attribute_of_the_same_name_goes_before_a_tag_on_its_own_form(marketer):
    first = {kind: lookalikes.lookalikes(["Search words", "搜索"], kind=kind)[0].kind for kind in ("tag", "attribute")}
    assert first == {"tag": "tag", "attribute": "attribute"}


@pytest.mark.parametrize("code", ["", "a", "x" * 50_000, "<script>alert(1)</script>", "\0", "%(text)s", "加" * 3000])
def test_whatever_is_typed_the_form_answers(marketer, code):
    answer = typed(marketer, code=code, synonyms="," * 1000 + code)
    assert answer.status_code == 200
    assert b"<script>" not in answer.content


def test_only_who_may_see_the_standard_may_ask(standard, client):
    assert typed(client, code="purchase").status_code == 302
    client.force_login(User.objects.create_user("nobody@example.com", "x"))
    assert typed(client, code="purchase").status_code == 403
    client.force_login(User.objects.create_superuser("root@example.com", "x"))
    assert client.get(reverse("admin:taxonomy_tag_similar")).status_code == 405


def test_asking_again_costs_no_more_queries_than_the_stamp_and_the_proposals(marketer, django_assert_num_queries):
    lookalikes.lookalikes(["purchase"], kind="tag")
    with django_assert_num_queries(3):
        lookalikes.lookalikes(["search"], kind="tag")


def test_the_forms_have_a_place_for_what_is_similar(marketer):
    for model in (Tag, Attribute):
        name = f"admin:taxonomy_{model._meta.model_name}"
        for url in (reverse(f"{name}_add"), reverse(f"{name}_change", args=[model.objects.first().pk])):
            page = marketer.get(url).content.decode()
            assert f'data-similar="{reverse(f"{name}_similar")}"' in page and "similar.js" in page
    assert b"data-similar" not in marketer.get(reverse("admin:taxonomy_source_change", args=[Source.objects.first().pk])).content
