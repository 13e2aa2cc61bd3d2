"""An atheris program, run by tests/test_fuzz_readers.py: whatever a record holds, every envelope reads it and every rule obeys.

Coverage of the core leads it on. The first byte of an input chooses a source and how its door reads; the rest is the record. The plan is
the starter with every vendor's pack, and the records begun with hold a value wherever an envelope or a rule of the plan looks.

    python tests/fuzz_readers.py <folder> [options of libFuzzer]
"""

import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mangle import BODIES, bent, mangled

from taxonomy.packs import packs
from taxonomy.starter import starter_items

with atheris.instrument_imports(include=["taxonomy.standardize"]):
    from taxonomy.standardize import (
        CODES,
        Plan,
        RawEvent,
        Refusal,
        SourcePlan,
        compile_plan,
        decode_body,
        decode_json,
        encode_json,
        message_key_of,
        read,
        record_of_row,
        standardize,
    )  # fmt: skip

RECEIVED_AT = datetime(2026, 11, 1, tzinfo=UTC)
NONCE = bytes(16)
# An escape of NUL or of half a pair, not one of a backslash before such letters.
UNSTORABLE = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])", re.IGNORECASE)
VALUES = [
    "13800138000", "2026-03-01T10:00:00Z", "login", 1767225600000, "9.90", {"amount": "1", "currency": "CNY"}, [{"id": "p1", "qty": 2}], True,
]  # fmt: skip
_DOTTED = re.compile(r"[^\W\d][\w-]*(\.[^\W\d][\w-]*)*")
Reading = tuple[SourcePlan, str, Callable[[bytes], Any]]


def plan_of_everything() -> Plan:
    items = starter_items()
    tags = {item["code"]: uuid for uuid, item in items.items() if item["kind"] == "tag"}
    for name, pack in packs().items():
        items |= pack.items(code=name, owner="marketing", tags=tags)[0]
    return compile_plan(items)


def decode_cells(data: bytes) -> Any:
    """A table's row."""
    decoded = decode_json(data)
    return record_of_row(decoded) if type(decoded) is dict else decoded


PLAN = plan_of_everything()
READINGS: list[Reading] = [
    *((source, "", decode) for source in PLAN.sources.values() for decode in (decode_json, decode_body)),
    *((PLAN.sources[code], preset, decode_json) for code in ("website", "shopify") for preset in ("segment", "cloudevents")),
    (PLAN.sources["website"], "tagline", decode_cells),
]


def look(data: bytes) -> None:
    if not data:
        return
    source, preset, decode = READINGS[data[0] % len(READINGS)]
    original = data[1:]
    events, again = (read(decode(original), source, PLAN, received_at=RECEIVED_AT, original=original, preset=preset) for _ in range(2))
    assert events, "a record became nothing"
    for event, same in zip(events, again, strict=True):
        if isinstance(event, Refusal):
            assert event.code in CODES and event == same
            assert_storable(event)
        else:
            obey(event, same, source)


def obey(event: RawEvent, same: RawEvent, source: SourcePlan) -> None:
    key = message_key_of(event, source, nonce=NONCE)
    assert key == message_key_of(same, source, nonce=NONCE), "read again it is another event"
    result = standardize(event, PLAN)
    assert all(one.code in CODES for one in result.violations)
    assert_storable(result)


def assert_storable(found: Any) -> None:
    assert UNSTORABLE.search(encode_json(found)) is None, "no database text can hold it"


def change(data: bytes, most: int, seed: int) -> bytes:
    """Half of the time as any client might spoil it, so that what lies behind JSON's grammar is reached; else as atheris would."""
    chance = random.Random(seed)
    if len(data) > 1 and chance.random() < 0.5:
        try:
            record = json.dumps(bent(json.loads(data[1:]), chance)).encode()
        except (ValueError, RecursionError):
            record = mangled(data[1:], chance)
        return (data[:1] + record)[:most]
    return atheris.Mutate(data, most)


def records() -> Iterator[bytes]:
    """To begin with: for each way of reading our own bodies, a form, XML, and what each rule of the source would read."""
    for number, (source, preset, _decode) in enumerate(READINGS):
        found = [*BODIES[:2], b"event=login&phone=138&a=1&a=2", b"<x><event>login</event><a k='v'>1<b/></a></x>"]
        found += [json.dumps(record_of(source, rule.definition)).encode() for rule in source.rules if not preset]
        for record in found:
            yield bytes([number]) + record


def record_of(source: SourcePlan, rule: dict[str, Any]) -> dict[str, Any]:
    """A record with something wherever the envelope of the source looks, and the rule in its event."""
    envelope = source.envelope
    places = envelope if envelope.get("preset") == "custom" else {"event": "event", "phone": "phone", "occurred_at": "occurred_at"}
    inside = envelope.get("attributes") or ("attributes" if envelope.get("preset") in (None, "tagline") else "")
    item: dict[str, Any] = {}
    record = item
    if items := str(places.get("events") or "").removeprefix("$."):
        record = {}
        put(record, items, [item])
    paths = [path for field, path in places.items() if field not in ("events", "attributes", "event")]
    paths += (places.get("identifiers") or {}).values()
    paths += [row["path"] if row["path"].startswith("$.") or not inside else f"{inside}.{row['path']}" for row in rule["rows"]]
    for number, path in enumerate([places.get("event"), *paths]):
        value = rule["name"] if number == 0 else VALUES[number % len(VALUES)]
        put(record if str(path).startswith("$.") else item, str(path).removeprefix("$."), value)
    return record


def put(record: dict[str, Any], path: str, value: Any) -> None:
    if not _DOTTED.fullmatch(path):
        return
    *outer, last = path.split(".")
    for name in outer:
        record = record.setdefault(name, {}) if isinstance(record.get(name, {}), dict) else {}
    record.setdefault(last, value)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for number, begun in enumerate(records()):
        (folder / f"begun-{number}").write_bytes(begun)
    atheris.Setup(sys.argv, look, custom_mutator=change)
    atheris.Fuzz()
