"""Names that mean the same find each other, whatever the language or the way of writing; others are left alone."""

import json
from typing import Any

import pytest
from plans import CASES

from taxonomy.similar.names import RELATED, Index, similar
from taxonomy.similar.words import reason_text

CASE = json.loads((CASES / "similar.json").read_text(encoding="utf-8"))


def items_of_case() -> dict[str, dict[str, Any]]:
    items = {}
    for one in CASE["items"]:
        items[one["code"]] = {"kind": "tag", "synonyms": [], **one}
        for name in one.get("names", []):
            items[f"rule {name}"] = {"kind": "rule", "name": name, "match": "exact", "tag": one["code"], "source": "app"}
    return items


INDEX = Index(items_of_case())


@pytest.mark.parametrize(("typed", "found", "how"), CASE["alike"])
def test_names_that_mean_the_same_find_each_other(typed, found, how):
    first = similar(typed, INDEX)[0]
    assert (first.item, first.reason.how) == (found, how)


@pytest.mark.parametrize(("typed", "other"), CASE["apart"])
def test_names_that_mean_something_else_are_left_alone(typed, other):
    assert other not in [match.item for match in similar(typed, INDEX)]


@pytest.mark.parametrize("typed", ["", " ", "___", "！？", "\0", "e\u0301" * 500, "加" * 5000, "x" * 100_000, "(((((", "🛒", "\ud800"])
def test_odd_texts_find_nothing_and_break_nothing(typed):
    assert similar(typed, INDEX) == []


def test_a_single_question_needs_no_index():
    assert similar("addToCart", items_of_case()) == similar("addToCart", INDEX)


def test_the_most_similar_comes_first_and_no_more_than_asked_for():
    found = similar("cart", INDEX, 1, least=RELATED)
    assert len(found) == 1
    scores = [match.score for match in similar("view", INDEX, least=RELATED)]
    assert scores == sorted(scores, reverse=True) and len(scores) > 2


def test_a_search_finds_while_somebody_is_typing():
    for typed in ("pro", "product v", "gouwu", "购物", "cart"):
        assert similar(typed, INDEX, least=RELATED), typed


def test_an_item_is_named_by_all_its_plans():
    renamed = items_of_case()
    renamed["purchase"] = renamed["purchase"] | {"code": "order_pay", "synonyms": []}
    index = Index(renamed, items_of_case())
    assert [similar(typed, index)[0].item for typed in ("orderPay", "purchase")] == ["purchase", "purchase"]


def test_the_reason_names_the_source_that_sends_the_name():
    app = {"kind": "source", "code": "app", "label_en": "App", "label_zh_hans": "应用"}
    reason = similar("itemDetailView", INDEX)[0].reason
    assert reason_text(reason, {"app": app}) == "the same name: “item_detail_view”, a name that App (app) sends"


MAPPED = {
    "product_id": {"kind": "attribute", "code": "product_id", "label_en": "Product", "label_zh_hans": "商品"},
    "price": {"kind": "attribute", "code": "price", "label_en": "Price", "label_zh_hans": "价格"},
    "rule": {
        "kind": "rule", "name": "a.*", "match": "pattern", "tag": "gone", "source": "app",
        "rows": [
            {"target": "product_id", "path": "order.goodsId"}, {"target": "price", "path": 'skus[0]."cost fen"'},
            {"target": "price", "path": "to_number(worth)"}, {"target": "$phone", "path": "mobile"}, {"target": "unknown", "path": "nobody"},
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize(("typed", "found"), [("goods_id", "product_id"), ("costFen", "price"), ("worth", None), ("mobile", None), ("nobody", None)])  # fmt: skip
def test_what_a_row_takes_is_a_name_of_the_attribute_that_it_fills(typed, found):
    matches = similar(typed, MAPPED)
    assert [one.item for one in matches] == ([found] if found else [])
    assert not similar(typed, MAPPED, without=["rule"])
    assert all((one.reason.how, one.reason.field, one.reason.source) == ("same", "name", "app") for one in matches)
