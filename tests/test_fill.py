"""The rows offered for a new rule: from other rules, from what is sent under the standard's names, from what is named alike."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation
from plans import small_plan_items, uuid_of

from ingestion.discovery.fill import filling
from taxonomy.standardize import RawEvent

NOW = datetime(2026, 6, 30, tzinfo=UTC)
ITEMS = small_plan_items()
WEBSITE, TILL = (uuid_of(ITEMS, "source", code) for code in ("website", "till"))


def offered(tag: str, *attributes: dict[str, Any], source: str = WEBSITE, items: dict[str, Any] = ITEMS, phone: str = "+8613800138000"):
    code = items[source]["code"]
    events = [
        RawEvent(code, "brandNew", phone, None, {}, NOW.isoformat(), None, NOW, f"m{at}", None, one, {}, b"", [])
        for at, one in enumerate(attributes)
    ]
    with translation.override("en"):
        return filling("brandNew", uuid_of(items, "tag", tag), source=source, items=items, events=events)


def rows(found) -> list[tuple[str, str, str]]:
    return [(row.target, row.path, row.transforms) for row in found.rows]


def test_what_the_sources_other_rules_to_the_tag_say_is_taken_over_with_its_transforms():
    found = offered("product_view", {"sku": "p1", "sale_price": "1,50"})
    assert rows(found) == [("product_id", "sku", ""), ("price", "sale_price", "decimal_comma")]
    assert {row.reason for row in found.rows} == {"as the rule “item_detail_view” of this source has it"}
    assert (found.missing, found.accepted, found.tried) == ([], 1, 1)


def test_rules_of_the_source_to_other_tags_and_of_other_sources_know_an_attribute_too():
    found = offered("review_submit", {"sku": "p1", "rating": 5})
    assert (rows(found), found.kept, found.accepted) == ([("product_id", "sku", "")], ["rating"], 1)
    found = offered("order_cancel", {"receipt": "r1"})
    assert rows(found) == [("order_id", "receipt", "")] and "till" in found.rows[0].reason.lower()


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"productId": "p1"}, "productId"),
        ({"Product ID": "p1"}, "Product ID"),
        ({"prodcut_id": "p1"}, "prodcut_id"),
        ({"商品编号": "p1"}, "商品编号"),
        ({"item": {"product_id": "p1", "colour": "red"}}, "item.product_id"),
        ({"a.b": {"productId": "p1"}}, '"a.b".productId'),
        ({"product": {"id": "p1"}}, "product.id"),
    ],
    ids=["camel", "words", "typo", "chinese", "nested", "quoted", "split"],
)
def test_what_is_named_alike_is_found_wherever_it_stands(sent, path):
    items = ITEMS | {
        uuid_of(ITEMS, "attribute", "product_id"): ITEMS[uuid_of(ITEMS, "attribute", "product_id")] | {"label_zh_hans": "商品编号"}
    }
    found = offered("product_view", sent, items=items)
    assert (rows(found), found.accepted) == ([("product_id", path, "")], 1)
    assert found.rows[0].reason


@pytest.mark.parametrize(
    "sent",
    [
        {"colour": "red"},
        {"product_name": "Tea"},
        {"productId": ""},
        {"productId": ["p1", "p2"]},
        {"product_id 13800138000": "p1"},
    ],
    ids=["other", "part", "empty", "list", "personal"],
)
def test_what_only_looks_so_is_left_alone_and_the_attribute_said_to_be_missing(sent):
    found = offered("product_view", sent)
    assert (rows(found), found.missing, found.accepted, found.tried) == ([], ["product_id"], 0, 1)
    assert ("attribute.missing", "attributes.product_id") in dict(found.reasons)


def test_what_would_be_held_for_its_value_is_not_offered_and_the_next_best_is():
    found = offered("review_submit", {"product_id": "p", "rating": "great", "Rating": 4})
    assert (rows(found), found.kept, found.accepted) == ([("rating", "Rating", "")], ["product_id"], 1)
    found = offered("review_submit", {"product_id": "p", "ratingg": "great"})
    assert (rows(found), found.missing) == ([], ["rating"])


def test_an_optional_attribute_is_filled_only_by_what_is_surely_it():
    found = offered("product_view", {"product_id": "p", "pageUrl": "https://shop.example/p", "price_of_delivery": 3})
    assert rows(found) == [("page_url", "pageUrl", "")]


def test_what_half_of_the_events_lack_is_no_place_for_an_attribute():
    found = offered("product_view", {"productId": "p"}, {"colour": "red"}, {"colour": "red"})
    assert (rows(found), found.missing) == ([], ["product_id"])
    found = offered("product_view", {"productId": "p"}, {"colour": "red"})
    assert (rows(found), found.accepted, found.tried) == ([("product_id", "productId", "")], 1, 2)


def test_what_the_sources_rules_to_the_tag_say_holds_where_some_events_have_it():
    found = offered("product_view", {"sku": "p"}, {"colour": "red"}, {"colour": "red"})
    assert (rows(found), found.accepted, found.tried) == ([("product_id", "sku", "")], 1, 3)


def test_what_the_source_says_of_phone_and_time_elsewhere_is_offered_too():
    found = offered("customer_service_call", {"caller": "13800138000", "caller_country": "cn", "kind": "1"}, phone="")
    assert ("$phone", "caller", "") in rows(found) and ("$region", "caller_country", "upper") in rows(found)
    assert found.accepted == 1


def test_what_else_holds_the_events_is_told():
    found = offered("login", {}, phone="12")
    assert (found.accepted, found.missing) == (0, []) and found.reasons


def test_without_events_the_sources_own_rules_to_the_tag_are_believed():
    found = offered("product_view")
    assert {row[0] for row in rows(found)} == {"product_id", "price"} and (found.accepted, found.tried) == (0, 0)
    assert offered("order_cancel", source=TILL).missing == []
    assert offered("search").missing == ["query"]


def test_rules_that_cannot_be_read_are_passed_over():
    broken = {"kind": "rule", "source": WEBSITE, "position": 9, "match": "exact", "name": "x", "condition": None, "tag": uuid_of(ITEMS, "tag", "search"), "rows": [{"target": "query", "path": "a[", "transforms": ""}, {"target": "query", "path": "q", "transforms": "nonsense("}]}  # fmt: skip
    found = offered("search", {"q": "tea"}, items=ITEMS | {"99999999-0000-4000-8000-000000000000": broken})
    assert (rows(found), found.missing) == ([], ["query"])
