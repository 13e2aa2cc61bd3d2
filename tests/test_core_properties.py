"""The core by chance: whatever arrives, nothing raises, and what must not matter does not."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jmespath
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plans import small_plan_items

from taxonomy.standardize import (
    CODES,
    RawEvent,
    Refusal,
    compile_plan,
    content_hash,
    decode_json,
    encode_json,
    message_key_of,
    read,
    standardize,
)  # fmt: skip
from taxonomy.standardize.paths import compile_path, plain_names
from taxonomy.standardize.read import Fields, read_fields

RECEIVED_AT = datetime(2026, 3, 1, tzinfo=UTC)
PLAN = compile_plan(small_plan_items())
WEBSITE = PLAN.sources["website"]

# Surrogates too: a door may hand on what a careless library decoded.
text = st.text(st.characters(exclude_categories=()), max_size=12)
scalar = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | text
anything = st.recursive(scalar, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=20)

NAMES = [*PLAN.tags_by_code, "item_detail_view", "order", "view_a", "goods_bought", "call", "SALE", "product_view_x", "ad_click_for_b"]
CODES_OF_ATTRIBUTES = sorted(
    {code for tag in PLAN.tags.values() for code in tag.slots} | {"sku", "no", "total_fen", "status", "currency", "lines"}
)
usual = st.sampled_from([
    "12.50", "12,50", "1", "0", "", " ", "yes", "是", "2026-01-31", "2026-01-31T10:00:00", "13800138000", "a@b.cn", "https://a.cn",
    "phone", "XYZ1", "CNY", "null", Decimal("12.50"), Decimal("1E+5"), 3, -1, True, None, ["a", "b"], {"city": "杭州"},
    {"amount": 5, "currency": "USD"}, {"count": 2}, 1769911200, "\x00", "\ud800",
])  # fmt: skip
value = usual | anything
attributes = st.dictionaries(st.sampled_from(CODES_OF_ATTRIBUTES) | text, value, max_size=8)
event = st.fixed_dictionaries(
    {},
    optional={
        "id": usual | text,
        "event": st.sampled_from(NAMES) | value,
        "phone": usual | value,
        "region": st.sampled_from(["CN", "gb", "XX", ""]) | value,
        "identifiers": st.dictionaries(st.sampled_from(["user_id", "phone", "email", "device", "x"]) | text, value, max_size=3) | value,
        "occurred_at": usual | value,
        "attributes": attributes | value,
        "context": value,
        "extra field": value,
    },
)
app_record = st.fixed_dictionaries({"batch": st.lists(event | value, max_size=3) | value, "device": value, "version": value})


def events_of(record: Any, source: str, original: bytes = b"") -> list[RawEvent]:
    found = read(record, PLAN.sources[source], PLAN, received_at=RECEIVED_AT, original=original)
    assert found
    assert all(isinstance(one, RawEvent | Refusal) for one in found)
    return [one for one in found if isinstance(one, RawEvent)]


@settings(max_examples=200)
@given(record=event | app_record | anything, source=st.sampled_from(sorted(PLAN.sources)))
def test_no_record_raises(record, source):
    for raw in events_of(record, source):
        key = message_key_of(raw, PLAN.sources[source])
        assert len(key.key) == len(content_hash(raw)) == 16
        result = standardize(raw, PLAN)
        held = {one.code for one in result.violations if one.blocking}
        assert result.verdict == ("quarantined" if held else "accepted")
        assert all(change.code in CODES for change in result.changes)
        for one in (*result.violations, *result.changes, result.attributes):
            assert is_storable(one), ascii(one)
        if result.verdict == "accepted":
            assert result.subject is not None and result.occurred_at is not None and result.tag is not None


def is_storable(value: Any) -> bool:
    """As jsonb must be able to hold it: no NUL, no lone surrogate, no number beyond a numeric."""
    if isinstance(value, msgspec.Struct):
        return all(is_storable(one) for one in msgspec.structs.astuple(value))
    if isinstance(value, dict):
        return is_storable(list(value)) and is_storable(list(value.values()))
    if isinstance(value, list | tuple):
        return all(is_storable(one) for one in value)
    if isinstance(value, Decimal):
        return -2_000 < value.adjusted() < 2_000
    return not isinstance(value, str) or ("\x00" not in value and not any("\ud800" <= one <= "\udfff" for one in value))


@pytest.mark.parametrize("number", ["1e9999999999999999999", "-1.5E-9999999999999999999", "0e9999999999999999999", "1e2000", "9" * 5_000])
def test_a_number_beyond_what_a_database_holds_stays_the_text_it_was(number):
    assert decode_json(b'{"a":%b}' % number.encode()) == {"a": number}


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value, default=str).encode()))
@example(b'{"a":' * 200_000)
@example(b'{"a":1e999999999}')
@example(b'{"a":1e-9999999999999999999}')
@example(b"9" * 5_000)
@example(b'"\\ud800"')
def test_no_bytes_raise(data):
    decoded = decode_json(data)
    assert isinstance(decoded, Refusal) or is_storable(decoded)
    for source in PLAN.sources.values():
        for one in read(decoded, source, PLAN, received_at=RECEIVED_AT, original=data):
            if isinstance(one, RawEvent):
                standardize(one, PLAN)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    )
)
def test_decoding_gives_what_was_encoded(value):
    for written in (encode_json(value), json.dumps(value).encode(), json.dumps(value, indent=1, ensure_ascii=False).encode()):
        if "\x00" not in json.dumps(value, ensure_ascii=False) and "\\u0000" not in written.decode():
            assert decode_json(written) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_decimals_keep_their_digits(number):
    assert str(decode_json(encode_json({"n": number}))["n"]) in (str(number), str(int(number)) if number == int(number) else "")


@given(event, st.randoms(use_true_random=False))
def test_the_order_of_attributes_does_not_matter(record, random):
    for raw in events_of(record, "website"):
        names = list(raw.attributes)
        random.shuffle(names)
        other = msgspec.structs.replace(raw, attributes={name: raw.attributes[name] for name in names})
        assert standardize(other, PLAN) == standardize(raw, PLAN)
        assert message_key_of(other, WEBSITE) == message_key_of(raw, WEBSITE)
        assert content_hash(other) == content_hash(raw)


@settings(max_examples=150)
@given(st.sampled_from(NAMES), attributes)
def test_standardizing_a_standard_event_changes_nothing(name, given_attributes):
    record = {"id": "1", "event": name, "phone": "13800138000", "occurred_at": "2026-02-01T10:00:00Z", "attributes": given_attributes}
    for raw in events_of(record, "website"):
        first = standardize(raw, PLAN)
        if first.verdict == "accepted":
            again = decode_json(encode_json({**record, "event": first.tag_code, "phone": first.phone, "attributes": first.attributes}))
            (raw_again,) = events_of(again, "website")
            second = standardize(raw_again, PLAN)
            assert (second.verdict, second.changes, second.extra) == ("accepted", [], {})
            assert encode_json(second.attributes) == encode_json(first.attributes)


@given(event)
def test_reading_does_not_change_what_was_read(record):
    before = repr(record)
    for raw in events_of(record, "website"):
        sent = repr(raw)
        standardize(raw, PLAN)
        assert repr(raw) == sent
    assert repr(record) == before


field = st.sampled_from(["a", "b", "c1", "_x", '"q r"', '"é"'])
path = st.lists(field, min_size=1, max_size=4).map(".".join)
tree = st.recursive(
    scalar,
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c1", "_x", "q r", "é"]), inner) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@given(path, tree)
def test_plain_paths_find_what_jmespath_finds(written, where):
    assert plain_names(written) is not None
    assert compile_path(written)(where) == jmespath.search(written, where)


@given(st.sampled_from(["a[0].b", "a || b", "{x: a, y: b}", "a[?b=='c']", "length(a)", "a.*", "sum(a)", "a[*].b | [0]"]), tree)
def test_other_paths_are_jmespaths(written, where):
    found = compile_path(written)(where)
    try:
        assert found == jmespath.search(written, where)
    except jmespath.exceptions.JMESPathError:
        assert found is None


@given(
    st.fixed_dictionaries(dict.fromkeys(("event", "phone", "region", "occurred_at", "id", "source_version"), value)),
    st.dictionaries(text, value, max_size=3),
    attributes | st.just({f"a{at}": "1" for at in range(600)}),
    st.sampled_from([b"", b"\0", b"{" * 200, b" " * 1_100_000]),
)
@example(dict.fromkeys(("event", "phone", "region", "occurred_at", "id", "source_version")), {}, {}, b"")
@example({"event": None, "phone": None, "region": None, "occurred_at": None, "id": "1E+18", "source_version": None}, {}, {}, b"")
@example({"event": "view_a", "phone": None, "region": None, "occurred_at": None, "id": "1" * 2_000, "source_version": None}, {}, {}, b"")
def test_fields_that_are_found_are_read_as_a_record_of_our_own_json_that_says_the_same(said, identifiers, attributes, original):
    [expected] = read(
        said | {"identifiers": identifiers, "attributes": attributes}, WEBSITE, PLAN, received_at=RECEIVED_AT, original=original, preset="tagline",
    )  # fmt: skip
    fields = Fields(
        said["event"], said["phone"], said["region"], identifiers, said["occurred_at"], said["id"], said["source_version"], attributes, [],
    )  # fmt: skip
    found = read_fields(fields, WEBSITE.code, received_at=RECEIVED_AT, original=original)
    if isinstance(expected, RawEvent):
        expected.preset = "tagline"
    assert msgspec.to_builtins(found, builtin_types=(Decimal,)) == msgspec.to_builtins(expected, builtin_types=(Decimal,))
