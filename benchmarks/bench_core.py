"""How fast the pure core is, on one core: decoded record -> raw event -> key and standard event.

    python benchmarks/bench_core.py [--events 200000] [--json]

The limit beside it is what cannot be avoided when the same records come as JSON: decoding and encoding them once.
Each figure is the median of five runs over the same records, in processor time, the phone cache empty at the start of each.
"""

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec

from taxonomy.standardize import compile_plan, decode_json, encode_json, message_key_of, phone, read, standardize

RECEIVED_AT = datetime(2026, 3, 1, tzinfo=UTC)
RUNS = 5
EVENTS_PER_PHONE = 10
RULES = 10
BLOCK = 1_000


def bench_items() -> dict[str, dict[str, Any]]:
    """Ten rules of one source with a custom envelope of plain paths; the first name has a rule with a condition too."""
    attributes = {
        "product_id": {"type": "text"},
        "price": {"type": "money", "constraints": {"minimum": "0"}},
        "quantity": {"type": "integer", "constraints": {"minimum": "1"}},
        "order_id": {"type": "text"},
        "category": {"type": "text"},
    }
    items: dict[str, dict[str, Any]] = {code: {"kind": "attribute", "code": code} | rest for code, rest in attributes.items()}
    items["general"] = {"kind": "category", "code": "general", "parent": None}
    uses = [{"attribute": code, "required": code == "product_id", "constraints": {}} for code in attributes]
    for index in range(RULES):
        items[f"t{index}"] = {
            "kind": "tag", "code": f"standard_{index}", "category": "general", "status": "active", "successor": None,
            "attributes": uses, "one_of": [], "refinements": [{"pattern": "{tag}_{product_id}"}],
        }  # fmt: skip
    items["shop"] = {
        "kind": "source", "code": "shop", "region": "CN", "timezone": "Asia/Shanghai", "currency": "CNY", "namespace": "",
        "envelope": {
            "preset": "custom", "event": "type", "phone": "user.mobile", "identifiers": {"user_id": "user.id"},
            "occurred_at": "at", "message_id": "uid", "attributes": "data",
        },
    }  # fmt: skip
    rows = [
        {"target": "product_id", "path": "sku", "transforms": ""},
        {"target": "price", "path": "item.price", "transforms": ""},
        {"target": "quantity", "path": "count", "transforms": ""},
    ]
    for index in range(RULES):
        condition = {"path": "category", "operator": "eq", "value": "shoes"} if index == 0 else None
        items[f"r{index}"] = {
            "kind": "rule", "source": "shop", "position": index, "match": "exact", "name": f"sent.{index}",
            "condition": condition, "tag": f"t{index}", "rows": rows, "keep_unmapped": True,
        }  # fmt: skip
    return items


def bench_records(count: int) -> list[bytes]:
    draw = random.Random(1)
    phones = [f"13{draw.randrange(10**9):09d}" for _ in range(count // EVENTS_PER_PHONE)]
    return [
        json.dumps({
            "uid": f"{draw.getrandbits(128):032x}",
            "type": f"sent.{draw.randrange(RULES)}",
            "at": f"2026-02-{draw.randrange(1, 28):02d}T{draw.randrange(24):02d}:{draw.randrange(60):02d}:00+08:00",
            "user": {"mobile": draw.choice(phones), "id": f"u{draw.randrange(count)}"},
            "data": {
                "sku": f"SKU{draw.randrange(5000)}", "item": {"price": draw.randrange(100, 99999) / 100},
                "count": draw.randrange(1, 5), "order_id": f"A{draw.randrange(10**6)}", "category": "shoes",
            },
        }).encode()
        for _ in range(count)
    ]  # fmt: skip


def measure(originals: list[bytes], prepare: Callable[[bytes], Any], run: Callable[[list[tuple[bytes, Any]]], None]) -> float:
    """Events per second of processor time, median of five runs. Records are prepared in blocks, untimed, as doors hand them on."""
    rates = []
    for _ in range(RUNS):
        phone._read.cache_clear()
        gc.collect()
        spent = 0.0
        for start in range(0, len(originals), BLOCK):
            block = [(original, prepare(original)) for original in originals[start : start + BLOCK]]
            started = time.process_time()
            run(block)
            spent += time.process_time() - started
        rates.append(len(originals) / spent)
    return statistics.median(rates)


def without_id(original: bytes) -> Any:
    record = decode_json(original)
    del record["uid"]
    return record


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    options = arguments.parse_args()

    plan = compile_plan(bench_items())
    source = plan.sources["shop"]
    originals = bench_records(options.events)
    # These are the bench's own, which the collector need not walk again.
    gc.freeze()

    def core(block: list[tuple[bytes, Any]]) -> None:
        for original, record in block:
            for raw in read(record, source, plan, received_at=RECEIVED_AT, original=original):
                message_key_of(raw, source)
                assert standardize(raw, plan).verdict == "accepted"

    def decode_too(block: list[tuple[bytes, Any]]) -> None:
        core([(original, decode_json(original)) for original, _ in block])

    def roundtrip(block: list[tuple[bytes, Any]]) -> None:
        for original, _ in block:
            encode_json(msgspec.json.decode(original))

    figures = {
        "core, message id given": measure(originals, decode_json, core),
        "core, key derived": measure(originals, without_id, core),
        "core and exact decoding": measure(originals, lambda original: None, decode_too),
        "limit: JSON decoded and encoded": measure(originals, lambda original: None, roundtrip),
    }
    if options.json:
        print(json.dumps({name: round(rate) for name, rate in figures.items()}))
        return
    for name, rate in figures.items():
        print(f"{name:32} {rate:10,.0f} events/s per core  {1e6 / rate:6.2f} µs")
    print(f"ratio to the limit: {figures['core, message id given'] / figures['limit: JSON decoded and encoded']:.2f}")


if __name__ == "__main__":
    main()
