"""Values put right in a held event: given in place of what was found, and judged like any other."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from plans import small_plan_items

from taxonomy.standardize import compile_plan, decode_json, encode_json, general, read, standardize, standardize_mended
from taxonomy.standardize.places import put

RECEIVED = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def plan():
    return compile_plan(small_plan_items())


def raw_of(plan, record, source="website"):
    (raw,) = read(record, plan.sources[source], plan, received_at=RECEIVED, original=encode_json(record))
    return raw


def event(name, attributes=None, **fields):
    return {
        "id": "m1",
        "event": name,
        "phone": "13800138000",
        "occurred_at": "2026-06-01T10:00:00Z",
        "attributes": attributes or {},
        **fields,
    }


def table(*rows):
    """(path, value seen, path to give, value given)"""
    given = {(path, seen): (target, value) for path, seen, target, value in rows}
    return lambda violation: given.get((violation.path, violation.seen))


@pytest.mark.parametrize(
    ("record", "row", "expected"),
    [
        (event("item_detail_view", {"sku": "1", "sale_price": "x"}), ("attributes.price", "x", "attributes.price", "12.50"), "price"),
        (event("item_detail_view", {"sale_price": "12,50"}), ("attributes.product_id", None, "attributes.product_id", "SKU1"), "product_id"),
        (event("prduct_view", {"product_id": "1"}), ("event", "prduct_view", "event", "product_view"), None),
        (event("product_view", {"product_id": "1"}, phone="12"), ("phone", "12", "phone", "13900139000"), None),
        (event("product_view", {"product_id": "1"}, occurred_at="yesterday"), ("occurred_at", "yesterday", "occurred_at", "2026-05-31T10:00:00Z"), None),
    ],
)  # fmt: skip
def test_a_value_is_given_where_a_wrong_one_was_found(plan, record, row, expected):
    raw = raw_of(plan, record)
    assert standardize(raw, plan).verdict == "quarantined"
    result = standardize_mended(raw, plan, table(row))
    assert result.verdict == "accepted", result.violations
    changes = [one for one in result.changes if one.code == "value.mended"]
    assert [(one.path, one.before, one.after) for one in changes] == [(row[2], row[1], row[3])]
    if expected:
        assert expected in result.attributes


def test_a_given_value_is_cast_like_any_other(plan):
    raw = raw_of(plan, event("item_detail_view", {"sku": "1", "sale_price": "x"}))
    result = standardize_mended(raw, plan, table(("attributes.price", "x", "attributes.price", "12.50")))
    assert result.attributes["price"] == {"amount": Decimal("12.50"), "currency": "CNY"}
    still = standardize_mended(raw, plan, table(("attributes.price", "x", "attributes.price", "y")))
    assert still.verdict == "quarantined"
    assert [(one.path, one.seen) for one in still.violations if one.blocking] == [("attributes.price", "y")]


def test_a_region_is_given_for_a_phone_without_one(plan):
    raw = raw_of(plan, event("product_view", {"product_id": "1"}), source="partner")
    (held,) = [one for one in standardize(raw, plan).violations if one.blocking]
    assert held.code == "phone.region_unknown"
    result = standardize_mended(raw, plan, table(("phone", "13800138000", "region", "CN")))
    assert (result.verdict, result.phone) == ("accepted", "+8613800138000")


def test_a_phone_that_a_rule_finds_can_be_put_right(plan):
    raw = raw_of(plan, event("call", {"caller": "99", "began": "2026-06-01T09:00:00Z"}, phone=None))
    result = standardize_mended(raw, plan, table(("phone", "99", "phone", "13900139000")))
    assert (result.verdict, result.phone) == ("accepted", "+8613900139000")


def test_what_a_mended_name_lacks_is_filled_too(plan):
    raw = raw_of(plan, event("serch"))
    result = standardize_mended(
        raw, plan, table(("event", "serch", "event", "search"), ("attributes.keywords", None, "attributes.keywords", "tea"))
    )
    missing = [one.path for one in standardize(raw, plan, {"event": "search"}).violations if one.blocking]
    assert len(missing) == 1
    result = standardize_mended(raw, plan, table(("event", "serch", "event", "search"), (missing[0], None, missing[0], "tea")))
    assert result.verdict == "accepted"


def test_nothing_given_is_nothing_changed(plan):
    raw = raw_of(plan, event("product_view", {"product_id": "1"}))
    assert encode_json(standardize_mended(raw, plan, table())) == encode_json(standardize(raw, plan))
    assert standardize(raw, plan, {}) == standardize(raw, plan)


def test_a_given_currency_is_that_of_the_amounts(plan):
    raw = raw_of(plan, event("product_view", {"product_id": "1", "price": "5", "currency": "nonsense"}))
    held = [one for one in standardize(raw, plan).violations if one.blocking]
    assert held
    result = standardize(raw, plan, {"attributes.currency": "USD"})
    assert result.verdict == "accepted"
    assert result.attributes["price"]["currency"] == "USD"


def test_the_original_stays_as_it_was(plan):
    raw = raw_of(plan, event("prduct_view", {"product_id": "1"}))
    before = encode_json(raw)
    standardize(raw, plan, {"event": "product_view", "attributes.product_id": "2"})
    assert encode_json(raw) == before
    assert decode_json(raw.original)["event"] == "prduct_view"


@pytest.fixture(scope="module")
def basket():
    """The small plan with a list of objects, of which each needs a price."""
    items = small_plan_items()
    lines = {
        "kind": "attribute", "code": "lines", "label_en": "Lines", "label_zh_hans": "", "type": "list", "of": "object", "personal": "none",
        "fields": {"price": {"type": "decimal", "required": True}, "to": {"type": "object", "fields": {"no": {"type": "integer"}}}},
        "constraints": {},
    }  # fmt: skip
    items["a7000000-0000-4000-8000-0000000000ff"] = lines
    tag = next(one for one in items.values() if one["kind"] == "tag" and one["code"] == "product_view")
    tag["attributes"].append({"attribute": "a7000000-0000-4000-8000-0000000000ff", "required": False, "constraints": {}})
    return compile_plan(items)


def any_entry(*rows):
    """(path with [] for entries, value seen, value given)"""
    given = {(path, seen): value for path, seen, value in rows}

    def find(violation):
        value = given.get((general(violation.path), violation.seen))
        return None if value is None else (violation.path, value)

    return find


def test_values_within_lists_and_objects_are_put_right(basket):
    lines = [{"price": "x"}, {"price": "1.5"}, {}, {"price": "2", "to": {"no": "seven"}}]
    raw = raw_of(basket, event("product_view", {"product_id": "1", "lines": lines}))
    price, number = "attributes.lines[].price", "attributes.lines[].to.no"
    result = standardize_mended(raw, basket, any_entry((price, "x", "9"), (price, None, "3"), (number, "seven", "7")))
    assert result.verdict == "accepted", result.violations
    found = result.attributes["lines"]
    assert [one["price"] for one in found] == [Decimal("9"), Decimal("1.5"), Decimal("3"), Decimal("2")]
    assert found[3]["to"] == {"no": 7}
    assert [(one.path, one.before, one.after) for one in result.changes if one.code == "value.mended"] == [
        ("attributes.lines[0].price", "x", "9"),
        ("attributes.lines[2].price", None, "3"),
        ("attributes.lines[3].to.no", "seven", "7"),
    ]
    assert lines[0] == {"price": "x"}


def test_more_entries_than_one_reading_tells_of_are_put_right(basket):
    raw = raw_of(basket, event("product_view", {"product_id": "1", "lines": [{"price": "x"}] * 250}))
    result = standardize_mended(raw, basket, any_entry(("attributes.lines[].price", "x", "1")))
    assert result.verdict == "accepted"


@pytest.mark.parametrize(
    ("value", "place", "expected"),
    [
        ([{"a": 1}], "[0].a", [{"a": 9}]),
        ({"a.b": 1, "a": {"b": 2}}, ".a.b", {"a.b": 9, "a": {"b": 2}}),
        ({"a": {}}, ".a.new", {"a": {"new": 9}}),
        ([1, 2], "[1]", [1, 9]),
    ],
)
def test_a_value_is_put_in_its_place(value, place, expected):
    assert put(value, place, 9)[0] == expected


@pytest.mark.parametrize(("value", "place"), [([], "[0]"), ({}, "[0]"), ("text", ".a"), (None, ".a.b"), ([1], ".a")])
def test_what_has_no_such_place_says_so(value, place):
    with pytest.raises(LookupError):
        put(value, place, 9)


@pytest.mark.parametrize(("given", "read_as"), [("2026-05-31 10:00", 2), ("31.05.2026 10:00", 2), ("31/05/2026", None)])
def test_a_time_is_given_as_the_source_writes_it_or_as_the_standard_does(given, read_as):
    items = small_plan_items()
    (uuid,) = (one for one, item in items.items() if item.get("code") == "website" and "envelope" in item)
    items[uuid] = {**items[uuid], "envelope": {"preset": "flat", "time_format": "%d.%m.%Y %H:%M"}}
    plan = compile_plan(items)
    raw = raw_of(plan, {"id": "m1", "event": "product_view", "phone": "13800138000", "occurred_at": "then", "product_id": "1"})
    result = standardize_mended(raw, plan, table(("occurred_at", "then", "occurred_at", given)))
    assert (result.occurred_at and result.occurred_at.hour) == read_as


@pytest.mark.parametrize("sent_at", ["2026-05-31T23:00:00Z", "2099-05-31T23:00:00Z"])
def test_a_time_that_is_given_is_not_corrected_by_the_clock_of_the_sender(plan, sent_at):
    raw = raw_of(plan, event("product_view", {"product_id": "1"}, occurred_at="then", sent_at=sent_at))
    result = standardize_mended(raw, plan, table(("occurred_at", "then", "occurred_at", "2026-05-31 10:00")))
    assert (result.verdict, result.occurred_at) == ("accepted", datetime(2026, 5, 31, 2, tzinfo=UTC))
