"""Message identity: when two sendings are one event."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from plans import small_plan_items

from taxonomy.standardize import (
    compile_plan,
    content_hash,
    decode_json,
    encode_json,
    message_key,
    message_key_of,
    read,
    told_apart,
)
from taxonomy.standardize.keys import MessageKey

PLAN = compile_plan(small_plan_items())
NOW, LATER = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


def raw_of(record: dict[str, Any] | bytes, source: str = "website", received_at: datetime = NOW):
    decoded = decode_json(record) if isinstance(record, bytes) else record
    (raw,) = read(decoded, PLAN.sources[source], PLAN, received_at=received_at, original=b"")
    return raw


def key_of(record: dict[str, Any] | bytes, source: str = "website", received_at: datetime = NOW, **more: bytes) -> MessageKey:
    return message_key_of(raw_of(record, source, received_at), PLAN.sources[source], **more)


EVENT = {"event": "login", "phone": "13800138000", "occurred_at": "2026-02-01T10:00:00Z", "attributes": {"a": 1, "b": "x"}}


def test_a_given_id_is_the_identity_whatever_else_changes():
    key = key_of({"id": "m1", **EVENT})
    assert key == MessageKey(message_key(PLAN.sources["website"].uuid, "m1"), "given")
    assert key_of({"id": "m1", "event": "logout"}, received_at=LATER) == key
    assert key_of({"id": "m2", **EVENT}) != key


def test_an_id_belongs_to_its_source():
    assert key_of({"id": "m1", **EVENT}) != key_of({"id": "m1", **EVENT}, "partner")


def test_an_id_that_is_a_number_is_its_digits():
    assert key_of(b'{"id":7,"event":"a"}') == key_of(b'{"id":"7","event":"a"}')


def test_an_id_that_cannot_be_read_tells_events_apart_all_the_same():
    def key(id: Any, source: str = "website") -> MessageKey:
        record = encode_json({"id": id, **EVENT})
        (raw,) = read(decode_json(record), PLAN.sources[source], PLAN, received_at=NOW, original=record)
        return message_key_of(raw, PLAN.sources[source])

    assert key({"n": 1}) == key({"n": 1})
    assert len({key({"n": 1}), key({"n": 2}), key([1]), key("x" * 3), key(None)}) == 5
    assert key({}) == key(None)


def test_without_an_id_the_content_as_written_is_the_identity():
    key = key_of(EVENT)
    assert key.identity == "derived"
    assert key_of(EVENT, received_at=LATER, nonce=b"other") == key
    assert key_of({**EVENT, "context": {"ip": "::1"}, "region": "CN", "sent_at": "2026-02-02"}) == key
    assert key_of({**EVENT, "attributes": {"b": "x", "a": "1", "c": None, "d": ""}}) == key


@pytest.mark.parametrize(
    "change",
    [
        {"event": "Login"},
        {"phone": "+8613800138000"},
        {"occurred_at": "2026-02-01T10:00:01Z"},
        {"occurred_at": "2026-02-01 10:00:00"},
        {"identifiers": {"user_id": "u"}},
        {"attributes": {"a": 1}},
        {"attributes": {"a": 1, "b": "X"}},
        {"attributes": {"a": 1, "b": "x", "c": 0}},
        {"attributes": {"a": [1], "b": "x"}},
        {"attributes": {"a1": "b", "b": "x"}},
    ],
    ids=str,
)
def test_other_content_is_another_event(change):
    assert key_of({**EVENT, **change}).key != key_of(EVENT).key


def test_a_row_and_an_object_saying_the_same_are_the_same():
    row = {"event": "SALE", "phone": "13800138000", "occurred_at": "2026-02-01", "total": "12.50", "paid": "true", "note": ""}
    json = b'{"paid":true,"total":12.50,"event":"SALE","phone":13800138000,"occurred_at":"2026-02-01"}'
    assert key_of(row, "till") == key_of(json, "till")


def test_with_neither_id_nor_time_each_sending_is_its_own_event():
    record = {"event": "login", "phone": "13800138000"}
    assert key_of(record, nonce=b"1").identity == "none"
    assert key_of(record, nonce=b"1") != key_of(record, nonce=b"2")
    assert key_of(record, nonce=b"1") == key_of(record, nonce=b"1", received_at=LATER)


def test_identical_rows_are_one_event_unless_the_source_says_they_are_separate():
    assert key_of(EVENT, row=b"1") == key_of(EVENT, row=b"2")
    assert key_of(EVENT, "partner", row=b"1") != key_of(EVENT, "partner", row=b"2")
    assert key_of({"id": "m", **EVENT}, "partner", row=b"1") == key_of({"id": "m", **EVENT}, "partner", row=b"2")


def test_like_events_of_one_record_are_separate_and_known_again_in_any_order():
    def keys(*records: dict[str, Any]) -> list[bytes]:
        likes: dict[bytes, int] = {}
        return [told_apart(key_of(record), likes) for record in records]

    other = {**EVENT, "event": "logout"}
    assert len(set(keys(EVENT, EVENT, EVENT))) == 3
    assert keys(EVENT)[0] == key_of(EVENT).key
    assert set(keys(EVENT, other, EVENT)) == set(keys(other, EVENT, EVENT))
    assert len(set(keys({"id": "m", **EVENT}, {"id": "m", **EVENT}))) == 1


def test_an_id_cannot_be_forged_to_be_somebody_elses_derived_key():
    derived = key_of(EVENT)
    assert key_of({**EVENT, "id": derived.key.hex()}).key != derived.key


def test_a_renamed_source_keeps_its_events():
    items = small_plan_items()
    items[PLAN.sources["website"].uuid]["code"] = "web_shop"
    renamed = compile_plan(items).sources["web_shop"]
    raw = msgspec.structs.replace(raw_of(EVENT), source="web_shop")
    assert message_key_of(raw, renamed) == key_of(EVENT)


def test_the_content_hash_minds_types_and_context_but_not_when_it_was_sent():
    base = content_hash(raw_of(EVENT))
    assert content_hash(raw_of({**EVENT, "sent_at": "2026-02-02"}, received_at=LATER)) == base
    assert content_hash(raw_of({**EVENT, "attributes": {"b": "x", "a": 1}})) == base
    assert content_hash(raw_of({**EVENT, "attributes": {"a": "1", "b": "x"}})) != base
    assert content_hash(raw_of({**EVENT, "region": "CN"})) != base
    assert content_hash(raw_of({**EVENT, "context": {"page": 1}})) != base


def test_a_small_number_is_as_its_digits_were_written():
    row = {"event": "SALE", "phone": "13800138000", "occurred_at": "2026-02-01", "share": "0.0000001"}
    assert key_of(row, "till") == key_of(b'{"share":0.0000001,"event":"SALE","phone":"13800138000","occurred_at":"2026-02-01"}', "till")


def test_as_text_the_content_of_a_row_and_of_an_object_is_the_same():
    row = {"event": "SALE", "phone": "13800138000", "occurred_at": "1767225600", "total": "12.50", "paid": "true", "note": ""}
    json = b'{"paid":true,"total":12.50,"event":"SALE","phone":13800138000,"occurred_at":1767225600,"coupon":null}'
    one, other = raw_of(row, "till"), raw_of(json, "till")
    assert content_hash(one, as_text=True) == content_hash(other, as_text=True)
    assert content_hash(one) != content_hash(other)
    assert content_hash(raw_of({**row, "total": "12.5"}, "till"), as_text=True) != content_hash(one, as_text=True)
