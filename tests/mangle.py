"""Bodies that clients send, and what may be done to them: bytes cut, swapped and flipped, values exchanged for odd ones."""

import json
import random

SEED = 20261124
ODDITIES = [
    b"null", b"true", b"-0", b"1e999", b"1e-999", b"NaN", b"12345678901234567890.123456789012345678901234567890", b'"\\u0000"', b'"\\ud800"',
    b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b'"' + b"x" * 300 + b'"', b"[" * 40, b"]" * 40, b'{"a":' * 40, b"\xf0\x9f\x98\x80", b",", b":", b"\r\n", b"\t",
    b'""', b"{}", b"[]", b'"event"', b'"phone"', b'"attributes"', b'"occurred_at"', b"1970-01-01T00:00:00Z", b"+86", "１３８".encode(), b"=1+1", b"\\",
]  # fmt: skip
BODIES = [
    json.dumps(one, ensure_ascii=False).encode()
    for one in (
        {"id": "m", "event": "purchase", "phone": "+86 138 0013 8000", "occurred_at": "2026-03-01T10:00:00Z",
         "attributes": {"order_id": "o1", "product_id": "p1", "price": "9.90", "quantity": 1}},
        {"events": [{"event": "product_view_SKU1", "identifiers": {"device": "d1", "email": "a@b.example"}, "region": "CN", "context": {"a": [1]}}, {}]},
        {"event": "item_detail_view", "phone": "138-0013-8000", "attributes": {"sku": "s", "sale_price": {"amount": 1, "currency": "CNY"}}},
    )
]  # fmt: skip


def mangled(seed: bytes, chance: random.Random) -> bytes:
    """One to six cuts, swaps, repeats, flips and oddities."""
    body = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at, until = sorted((chance.randrange(len(body) + 1), chance.randrange(len(body) + 1)))
        match chance.randrange(5):
            case 0:
                del body[at : min(until, at + 20)]
            case 1:
                body[at:at] = chance.choice(ODDITIES)
            case 2:
                body[at : min(until, at + 12)] = chance.choice(ODDITIES)
            case 3:
                body[at:at] = body[at : min(until, at + 60)]
            case 4 if at < len(body):
                body[at] ^= 1 << chance.randrange(8)
    return bytes(body)


ODD_VALUES = [
    None, True, 0, -1, 2**70, 1.5e300, "", " ", "null", "\x00", "\ud800", "😀" * 9, "x" * 70_000, [], {}, [[[]]], {"a": {"b": [1, None]}}, "1.38E+10", "13800138000.0",
    "0086 138-0013-8000 ext 5", "2026-13-45", "9999-12-31T23:59:59Z", "0", -62135596800, "UTC", "=cmd()", ["p1"], {"amount": "9,90"},
]  # fmt: skip


def bent(value: object, chance: random.Random) -> object:
    """The same record with one value in it, at any depth, replaced by an odd one, or one key more."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        return {**value, key: bent(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        return [bent(value[0], chance), *value[1:], *value[:1]]
    if isinstance(value, dict) and chance.random() < 0.5:
        return {**value, chance.choice(["price", "id", "$x", "a" * 300, "", "event "]): chance.choice(ODD_VALUES)}
    return chance.choice(ODD_VALUES)
