"""Events of a tag to copy, one for each door, built from its attributes' examples and tried on the core before they are shown. Pure."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from taxonomy.standardize import Plan, Refusal, compile_plan, decode_json, read, standardize
from taxonomy.standardize.cloudevents import SPEC_VERSION
from taxonomy.standardize.plan import TagPlan
from taxonomy.standardize.types import ABSENT, TYPES, Defaults, Fault, Faults

Definition = dict[str, Any]
Items = dict[str, Definition]

# More optional attributes than these make an example longer than anybody reads.
_SHOWN = 8
PHONE = "+86 138 0013 8000"
# What stands in code where its reader puts a write key.
KEY = "WRITE_KEY"
# Likewise: a webhook's signing secret, the code of the source it is for, and a broker with a topic of the source.
SECRET, SOURCE, BROKER, TOPIC = "whsec_SECRET", "SOURCE", "BROKER", "TOPIC"
_WHEN = "2026-03-01T10:00:00+08:00"
_RECEIVED_AT = datetime(2026, 3, 2, tzinfo=UTC)
# Where Segment's own clients put things in a track call.
SEGMENT_ENVELOPE = {
    "preset": "custom", "event": "event", "attributes": "properties", "phone": "context.traits.phone", "message_id": "messageId",
    "occurred_at": "timestamp", "identifiers": {"user_id": "userId", "anonymous_id": "anonymousId"},
}  # fmt: skip
_ENVELOPES: dict[str, Definition] = {
    "api": {"preset": "tagline"}, "file": {"preset": "flat"}, "segment": SEGMENT_ENVELOPE, "cloudevents": {"preset": "cloudevents"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Examples:
    """Records as each door takes them, None where the tag cannot be sent so. `lacking`: attributes for which no value is known.

    `event`: of our own JSON, by HTTP, webhook and MQTT.
    """

    event: Definition | None
    row: dict[str, str] | None
    track: Definition | None
    cloudevent: Definition | None
    lacking: list[str]


def examples_of(tag: str, items: Items, *, currency: str = "") -> Examples:
    """Accepted by the core as they stand, from a source without rules whose default currency this is. A draft's are those it will have."""
    plan = _plan_of(tag, items, currency)
    tag_plan = plan.tags[tag]
    known = values_of(tag_plan, items, currency)
    values = chosen(known, tag_plan)
    code = tag_plan.code
    event = {"event": code, "phone": PHONE, "id": f"{code}-0001", "occurred_at": _WHEN}
    track = {
        "event": code, "userId": "10086", "messageId": f"{code}-0001", "timestamp": _WHEN, "context": {"traits": {"phone": PHONE}},
    }  # fmt: skip
    if not tag_plan.slots:
        event["identifiers"] = {"crm_id": "C10086"}  # type: ignore[assignment]
    row = {"event": code, "phone": PHONE, "id": f"{code}-0001", "occurred_at": _WHEN}
    cells = {name: as_cell(value) for name, value in values.items() if not isinstance(value, list | dict)}
    said = event | ({"attributes": values} if values else {})
    cloudevent = {
        "specversion": SPEC_VERSION, "id": event["id"], "source": "/example", "type": code, "time": _WHEN,
        "data": {name: said[name] for name in ("phone", "identifiers", "attributes") if name in said},
    }  # fmt: skip
    return Examples(
        _accepted(said, "api", plan),
        _accepted(row | cells, "file", plan),
        _accepted(track | {"properties": values}, "segment", plan),
        _accepted(cloudevent, "cloudevents", plan),
        [code for code, slot in tag_plan.slots.items() if slot.required and code not in known],
    )


def as_curl(event: Definition, address: str) -> str:
    """A command for a shell that sends the event."""
    return _curl(f"{address}/api/v1/events", "application/json", event)


def as_cloudevent(event: Definition, address: str) -> str:
    """A command for a shell that sends it in structured mode."""
    return _curl(f"{address}/cloudevents", "application/cloudevents+json", event)


def as_webhook(event: Definition, address: str, *, source: str = SOURCE, delivery: str = "") -> str:
    """Lines for a shell that sign the event and post it. `delivery`: its id, the event's where none is given.

    Source: Standard Webhooks, "Signature scheme".
    """
    return f"""BODY={_quoted(_json(event))}
ID={delivery or event["id"]}; AT=$(date +%s)
KEY=$(printf %s '{SECRET}' | sed 's/^whsec_//' | base64 -d | od -An -v -tx1 | tr -d ' \\n')
SIGNATURE=$(printf '%s.%s.%s' "$ID" "$AT" "$BODY" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -binary | base64)
curl {address}/hooks/{source} \\
  -H "webhook-id: $ID" -H "webhook-timestamp: $AT" -H "webhook-signature: v1,$SIGNATURE" \\
  -H 'Content-Type: application/json' \\
  --data-binary "$BODY\""""


def as_receipt(message_id: str, address: str) -> str:
    """A command for a shell that asks what became of an event; where its id is not known, with a place for it."""
    return f"curl {address}/api/v1/receipts/{message_id or 'MESSAGE_ID'} \\\n  -H 'Authorization: Bearer {KEY}'"


def as_mqtt(event: Definition) -> str:
    """A command for a shell that publishes it by Mosquitto's own client."""
    return f"mosquitto_pub -h {BROKER} -q 1 -t {TOPIC} \\\n  -m {_quoted(_json(event))}"


def _curl(url: str, media_type: str, event: Definition) -> str:
    return f"curl {url} \\\n  -H 'Authorization: Bearer {KEY}' \\\n  -H 'Content-Type: {media_type}' \\\n  -d {_quoted(_json(event))}"


def _quoted(text: str) -> str:
    """As one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def as_csv(row: dict[str, str]) -> str:
    """A header and a row of a file."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([row.keys(), row.values()])
    return written.getvalue()


def as_track(track: Definition) -> str:
    """A call of Segment's client for Node."""
    return f"analytics.track({_json(track)})"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _plan_of(tag: str, items: Items, currency: str) -> Plan:
    """The tag and its attributes alone, and a source for each door: what an example is tried on."""
    common = {"kind": "source", "currency": currency}
    one = items[tag] | {"status": "active", "successor": None}
    needed = {use["attribute"]: items[use["attribute"]] for use in one.get("attributes") or []}
    sources = {door: {**common, "code": door, "envelope": envelope} for door, envelope in _ENVELOPES.items()}
    return compile_plan({tag: one, **needed, **sources})


def values_of(tag: TagPlan, items: Items, currency: str = "") -> Definition:
    """A value for each attribute of the tag for which one is known, as a source may send it whose default currency this is."""
    return {code: value for code in tag.slots if (value := _value(code, tag, items, currency)) is not None}


def chosen(known: Definition, tag: TagPlan) -> Definition:
    """The required ones, one of each group of which one must be there, then others while there is room."""
    wanted = [code for code, slot in tag.slots.items() if slot.required]
    wanted += [next((code for code in group if code in known), "") for group in tag.one_of]
    wanted += [code for code in known if code not in wanted][: max(0, _SHOWN - len(wanted))]
    if "currency" in known and any(tag.slots[code].type == "money" for code in wanted if code in tag.slots):
        wanted.append("currency")
    return {code: known[code] for code in tag.slots if code in wanted and code in known}


def _value(code: str, tag: TagPlan, items: Items, currency: str) -> Any:
    """A value of the attribute that the tag takes: its example, else one of its choices, a bound, or one of its type."""
    slot = tag.slots[code]
    use = next(one for one in tag.definition["attributes"] if one["attribute"] == slot.uuid)
    defaults = Defaults(currency="CNY" if "currency" in tag.slots else currency)
    for value in _candidates(items[slot.uuid], use.get("constraints") or {}):
        read_value = slot.cast(decode_json(json.dumps({"value": value}).encode())["value"], defaults)
        if read_value is not ABSENT and not isinstance(read_value, Fault | Faults):
            return value
    return None


def _candidates(attribute: Definition, tighter: Definition) -> Iterator[Any]:
    kind = attribute["type"]
    if attribute.get("example"):
        yield (example := _typed(attribute["example"], kind))
        if kind == "money":
            yield {"amount": example, "currency": "CNY"}
    constraints = (attribute.get("constraints") or {}) | tighter
    yield from constraints.get("choices") or []
    yield from (_typed(str(constraints[name]), kind) for name in ("minimum", "maximum") if name in constraints)
    if kind == "list":
        yield list(_candidates({"type": attribute.get("of") or "text"}, {}))[:1]
    yield {"decimal": 12.5, "money": {"amount": 12.5, "currency": "CNY"}}.get(kind, TYPES[kind].example)


def _typed(written: str, kind: str) -> Any:
    """An example as JSON has it: numbers as numbers, lists and objects as such."""
    try:
        if kind == "boolean":
            return {"true": True, "false": False}.get(written.strip().lower(), written)
        if kind == "integer":
            return int(written)
        if kind in ("decimal", "money") and not written.lstrip().startswith("{"):
            number = Decimal(written)
            return int(number) if number == number.to_integral_value() and "." not in written else float(number)
        if kind in ("list", "object") or written.lstrip().startswith("{"):
            return json.loads(written)
    except (ValueError, InvalidOperation, RecursionError):
        pass
    return written


def as_cell(value: Any) -> str:
    """A value as a cell of a CSV file has it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _accepted(record: Any, door: str, plan: Plan) -> Any:
    """The record, if the core takes it as it stands."""
    original = json.dumps(record, ensure_ascii=False).encode()
    events = read(decode_json(original), plan.sources[door], plan, received_at=_RECEIVED_AT, original=original)
    if len(events) == 1 and not isinstance(events[0], Refusal) and standardize(events[0], plan).verdict == "accepted":
        return record
    return None
