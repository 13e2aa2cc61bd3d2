"""The core by cases: what a source sent, and what the small plan makes of it. New cases go into tests/cases/*.json."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from plans import CASES, small_plan_items

from taxonomy.standardize import CODES, RawEvent, Refusal, check_plan, compile_plan, decode_json, encode_json, read, standardize
from taxonomy.standardize.sameness import same_value

RECEIVED_AT = datetime(2026, 3, 1, tzinfo=UTC)
PLAN = compile_plan(small_plan_items())

# What every case of our own JSON has, unless it says otherwise; null takes it away.
USUAL = {"id": "m1", "phone": "13800138000", "occurred_at": "2026-02-01T10:00:00+08:00"}
# Of files' cells, webhooks' bodies and CloudEvents, of what decoding JSON repairs before, and of what is stored already.
NOT_OF_JSON = {
    "record.columns", "record.cut_off", "record.encoding", "record.not_form", "record.not_xml", "record.not_cloudevent", "value.mended", "attribute.unstorable", "message_id.reused",
}  # fmt: skip


def load(name: str) -> list[dict[str, Any]]:
    return json.loads((CASES / name).read_text(encoding="utf-8"), parse_float=Decimal)


EVENTS, ENVELOPES = load("events.json"), load("envelopes.json")


def read_all(original: bytes, source: str) -> list[RawEvent | Refusal]:
    return read(decode_json(original), PLAN.sources[source], PLAN, received_at=RECEIVED_AT, original=original)


def record_of(case: dict[str, Any]) -> dict[str, Any]:
    if case["source"] not in ("website", "partner"):
        return case["record"]
    return {key: value for key, value in (USUAL | case["record"]).items() if value is not None}


def plain(value: Any) -> Any:
    return json.loads(encode_json(value), parse_float=Decimal)


def test_the_small_plan_has_no_problem():
    assert check_plan(small_plan_items()) == []


@pytest.mark.parametrize("case", EVENTS, ids=lambda case: case["case"])
def test_events(case):
    (raw,) = read_all(encode_json(record_of(case)), case["source"])
    assert isinstance(raw, RawEvent)
    result = standardize(raw, PLAN)
    want = {"changes": [], "violations": []} | case["want"]
    seen = {
        "verdict": result.verdict,
        "tag": result.tag_code,
        "rule": result.rule,
        "phone": result.phone,
        "phone_region": result.phone_region,
        "identifiers": result.identifiers,
        "subject": None if result.subject is None else list(result.subject),
        "occurred_at": None if result.occurred_at is None else result.occurred_at.isoformat().replace("+00:00", "Z"),
        "attributes": plain(result.attributes),
        "extra": plain(result.extra),
        "refinements": result.refinements,
        "changes": [[one["code"], one["path"], one["from"], one["to"]] for one in plain(result.changes)],
        "violations": [[one.code, one.path] for one in result.violations],
    }
    for key, value in want.items():
        if key == "changes" and "changes" not in case["want"] and result.verdict == "quarantined":
            continue
        assert same_value(seen[key], value), (key, seen[key], value)
    assert result.changed == bool(result.changes)
    assert result.verdict == ("quarantined" if any(one.blocking for one in result.violations) else "accepted")


def test_what_was_read_before_changes_no_reading():
    """What texts became is remembered, each with what it depended on."""
    priced = [
        {"event": "purchase", "id": "m", "phone": "13800138000", "occurred_at": "2026-02-01", "attributes": {"order_id": "1", "price": price, "quantity": "2", **more}}
        for price in ("5", "x", "5.0", " 5", "5" * 40)
        for more in ({}, {"currency": "USD"}, {"currency": "x"}, {"price_note": "5"})
    ]  # fmt: skip
    cases = [(encode_json(record_of(case)), case["source"]) for case in EVENTS] + [(encode_json(one), "website") for one in priced]
    raws = [raw for original, source in cases for raw in read_all(original, source) if isinstance(raw, RawEvent)]
    fresh = [standardize(raw, compile_plan(small_plan_items())) for raw in raws]
    plan = compile_plan(small_plan_items())
    for order in (raws, raws[::-1], raws):
        assert [standardize(raw, plan) for raw in order] == (fresh if order is raws else fresh[::-1])


def test_no_more_texts_are_remembered_than_said():
    plan = compile_plan(small_plan_items())
    records = [
        {"event": "purchase", "phone": "13800138000", "attributes": {"order_id": "1", "price": str(n), "quantity": "1"}}
        for n in range(5_000)
    ]
    for one in records:
        (raw,) = read_all(encode_json(one), "website")
        assert standardize(raw, plan).attributes["price"] == {"amount": int(one["attributes"]["price"]), "currency": "CNY"}
    remembered = [quick.casts for meaning in plan.sources["website"].meanings("purchase") for quick in meaning.reading.steps if quick.casts]
    assert remembered and all(len(one) <= 1_024 for one in remembered)


@pytest.mark.parametrize("case", [one for one in EVENTS if one["want"]["verdict"] == "accepted"], ids=lambda case: case["case"])
def test_standardizing_a_standard_event_changes_nothing(case):
    (raw,) = read_all(encode_json(record_of(case)), case["source"])
    first = standardize(raw, PLAN)
    sent_again = plain({
        "id": raw.message_id, "event": first.tag_code, "phone": first.phone, "identifiers": first.identifiers,
        "occurred_at": first.occurred_at, "attributes": first.attributes,
    })  # fmt: skip
    (raw,) = read_all(encode_json(sent_again), "website")
    second = standardize(raw, PLAN)
    assert second.verdict == "accepted"
    assert second.changes == []
    assert plain(second.attributes) == plain(first.attributes)
    assert (second.phone, second.identifiers, second.occurred_at) == (first.phone, first.identifiers, first.occurred_at)


def original_of(case: dict[str, Any]) -> bytes:
    if case.get("hex"):
        return bytes.fromhex(case["record"]["hex"])
    if case.get("build"):
        ((what, count),) = case["record"].items()
        return BUILDERS[what](count)
    return case["text"].encode() if "text" in case else encode_json(case["record"])


BUILDERS = {
    # the record and its attributes are the first two levels
    "nested": lambda count: b'{"event":"a","attributes":{"a":' + b"[" * (count - 2) + b"]" * (count - 2) + b"}}",
    "bytes": lambda count: (start := b'{"event":"a","attributes":{"a":"') + b"x" * (count - len(start) - 3) + b'"}}',
    "attributes": lambda count: encode_json({"event": "a", "attributes": {f"a{index}": index for index in range(count)}}),
    "id": lambda count: encode_json({"event": "a", "id": "x" * count}),
    "events": lambda count: encode_json({"batch": [{"action": {"type": "view"}}] * count}),
}


@pytest.mark.parametrize("case", ENVELOPES, ids=lambda case: case["case"])
def test_envelopes(case):
    found = read_all(original_of(case), case["source"])
    if case["want"] == "many":
        assert len(found) == case["record"]["events"]
        return
    assert len(found) == len(case["want"])
    for seen, want in zip(found, case["want"], strict=True):
        if "refused" in want:
            assert isinstance(seen, Refusal)
            assert seen.code == want["refused"]
            assert seen.path == want.get("path", seen.path)
            continue
        assert isinstance(seen, RawEvent), seen
        assert seen.received_at is RECEIVED_AT
        for field, value in want.items():
            one = getattr(seen, field)
            if field == "notes":
                one = [[note.code, note.path] for note in one]
            assert same_value(one, exact(value)), (field, one, value)


def exact(value: Any) -> Any:
    """Cases write "D:12.50" for a Decimal and "I:123" for an int that JSON readers would spoil."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, str) and value[:2] in ("D:", "I:"):
        return Decimal(value[2:]) if value[0] == "D" else int(value[2:])
    return value


def test_a_value_that_no_door_repaired_is_held():
    (raw,) = read_all(encode_json(USUAL | {"event": "search", "attributes": {"query": "x"}}), "website")
    raw.attributes["query"] = "a\x00b"
    (violation,) = standardize(raw, PLAN).violations
    assert (violation.code, violation.path, violation.seen) == ("attribute.unstorable", "attributes.query", "a\ufffdb")


def codes_of(case: dict[str, Any]) -> set[str]:
    want = case["want"]
    if isinstance(want, list):
        return {one["refused"] for one in want if "refused" in one} | {note[0] for one in want for note in one.get("notes", [])}
    return {one[0] for one in [*want.get("changes", []), *want.get("violations", [])]} if isinstance(want, dict) else set()


def test_every_code_appears_and_is_left_alone_in_many_cases():
    seen = [codes_of(case) for case in [*EVENTS, *ENVELOPES]]
    for code in CODES.keys() - NOT_OF_JSON:
        assert any(code in codes for codes in seen), code
        assert sum(code not in codes for codes in seen) > 20
    named = {case["about"] for case in [*EVENTS, *ENVELOPES] if "about" in case}
    assert named == CODES.keys() - NOT_OF_JSON
