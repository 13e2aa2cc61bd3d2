"""An event of a tag as one source would send it: its envelope and its rules read backwards, then tried on the core. Pure.

Only what the core accepts, as that tag, is ever given: the undoing may guess.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ingestion.reread import reader_of
from ingestion.sending.backwards import NOTHING, NoWay, before, find, matching, passing, put
from taxonomy.dictionary.examples import PHONE, as_cell, as_csv, chosen, values_of
from taxonomy.standardize import Plan, Refusal, SourcePlan, decode_json, standardize, to_day_number
from taxonomy.standardize.cloudevents import SPEC_VERSION, data_envelope
from taxonomy.standardize.paths import first_names
from taxonomy.standardize.plan import RAW_FIELDS, RulePlan, TagPlan
from taxonomy.standardize.read import is_given

Record = dict[str, Any]

_IDENTIFIERS = {
    "user_id": "10086", "crm_id": "C10086", "openid": "oX4Rk5example1", "email": "li.lei@example.com", "device": "D-10086",
    "anonymous_id": "a-10086",
}  # fmt: skip
# One attribute at most is left out each time: beyond these, all that need not be there are.
_ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class Example:
    """A record that the plan accepts. `rule`: the uuid of the rule that reads it, None where the tag's own code says it.

    `is_row`: it fits a row of a CSV file, each of its values in a cell.
    """

    record: Record
    rule: str | None
    is_row: bool = False


def example_of(
    tag: TagPlan, source: SourcePlan, plan: Plan, *, at: datetime, message_id: str, door: str = "api", hidden: Collection[str] = ()
) -> Example | None:
    """Of a tag, through a door, as its first rule that can be gone back reads it, else by its own code; None: there is no way.

    `hidden`: uuids of rules that may not be shown.
    """
    ways = [rule for rule in source.rules if rule.tag is tag and rule.uuid not in hidden]
    for rule in (*ways, None):
        found = example_by(rule, tag, source, plan, at, message_id, door)
        if found is not None:
            return found
    return None


def some_example(source: SourcePlan, plan: Plan, *, at: datetime, message_id: str, hidden: Collection[str] = ()) -> Example | None:
    """Of the first tag that the source can send: one of its rules', else any."""
    own = dict.fromkeys(rule.tag for rule in source.rules)
    for tag in (*own, *plan.tags.values()):
        if tag.uuid not in hidden and tag.status == "active":
            found = example_of(tag, source, plan, at=at, message_id=message_id, hidden=hidden)
            if found is not None:
                return found
    return None


def is_accepted(record: Record, tag: TagPlan | None, source: SourcePlan, plan: Plan, *, at: datetime, door: str) -> bool:
    """Whether the core takes a record as this tag; None: as any."""
    original = json.dumps(record, ensure_ascii=False).encode()
    return _culprits(decode_json(original), original, tag, source, plan, at, door) is None


def example_by(
    rule: RulePlan | None, tag: TagPlan, source: SourcePlan, plan: Plan, at: datetime, message_id: str, door: str
) -> Example | None:
    """The same as one rule reads it; None: by the tag's own code."""
    known = values_of(tag, plan.items, source.currency)
    wanted = _wanted(rule, tag, known)
    needed = {code for code, slot in tag.slots.items() if slot.required}
    skipped: set[str] = set()
    for _attempt in range(_ATTEMPTS):
        try:
            record = _record(rule, tag, source, {code: known[code] for code in wanted if code not in skipped}, at, message_id, door)
        except NoWay:
            return None
        culprits, is_row = _judged(record, tag, source, plan, at, door)
        if culprits is None:
            return Example(record, rule.uuid if rule else None, is_row)
        culprits -= needed | skipped
        if not culprits:
            return None
        skipped |= culprits
    return None


def _wanted(rule: RulePlan | None, tag: TagPlan, known: Record) -> list[str]:
    """What a source sends in its own words: what its rule takes, and what must be there."""
    rows = [row["target"] for row in rule.definition["rows"]] if rule else []
    if not any(target in tag.slots for target in rows):
        return list(chosen(known, tag))
    groups = [group for group in tag.one_of if not set(group) & set(rows)]
    must = [code for code, slot in tag.slots.items() if slot.required and code not in rows]
    return [*(code for code in rows if code in known), *(code for code in chosen(known, tag) if code in must or any(code in group for group in groups))]  # fmt: skip


def _judged(record: Record, tag: TagPlan, source: SourcePlan, plan: Plan, at: datetime, door: str) -> tuple[set[str] | None, bool]:
    """(None when it is accepted as the tag, else the attributes that held it; whether it did so as a row of a CSV file)."""
    if door == "file" and not any(isinstance(value, dict | list) for value in record.values()):
        cells = {name: as_cell(value) for name, value in record.items()}
        if _culprits(cells, b"", tag, source, plan, at, door) is None:
            return None, True
    original = json.dumps(record, ensure_ascii=False).encode()
    return _culprits(decode_json(original), original, tag, source, plan, at, door), False


def _culprits(
    decoded: Any, original: bytes, tag: TagPlan | None, source: SourcePlan, plan: Plan, at: datetime, door: str
) -> set[str] | None:
    events = reader_of(source, plan, door=door, received_at=at)(decoded, original)
    if len(events) != 1 or isinstance(events[0], Refusal):
        return set()
    result = standardize(events[0], plan)
    if result.verdict == "accepted" and (tag is None or result.tag == tag.uuid):
        return None
    paths = [one.path for one in result.violations if one.blocking and one.path.startswith("attributes.")]
    return {path.removeprefix("attributes.").partition(".")[0].partition("[")[0] for path in paths}


def cells_of(record: Record) -> str:
    """A header and a row of a CSV file."""
    return as_csv({name: as_cell(value) for name, value in record.items()})


def _record(
    rule: RulePlan | None, tag: TagPlan, source: SourcePlan, values: Record, at: datetime, message_id: str, door: str
) -> Record:  # fmt: skip
    fixed = door in ("segment", "cloudevents") and source.envelope.get("preset") != door
    envelope = {"preset": door} if fixed else source.envelope
    raw: Record = {
        "name": _name(rule) if rule else tag.code, "phone": PHONE, "identifiers": {}, "attributes": {}, "context": {},
        "message_id": message_id, "occurred_at": written_time(at, envelope.get("time_format") or "", source.timezone),
    }  # fmt: skip
    if rule is None:
        raw["attributes"] = dict(values)
    else:
        raw = _before_rule(rule.definition, raw, values)
    if not tag.slots:
        raw["identifiers"] = {"crm_id": _IDENTIFIERS["crm_id"]} | raw["identifiers"]
    raw["attributes"] = {name: value for name, value in raw["attributes"].items() if value is not None}
    return _WRITERS[envelope.get("preset") or "tagline"](raw, envelope)


def _name(rule: RulePlan) -> str:
    name: str = rule.definition["name"]
    return matching(name) if rule.definition.get("match") == "pattern" else name


def _before_rule(rule: Record, raw: Record, values: Record) -> Record:
    """The raw event that the rule would make these values of."""
    rows = {row["target"]: row for row in rule["rows"]}
    raw["attributes"] = {code: value for code, value in values.items() if code not in rows}
    # What is divided by another attribute, or counts a list, comes after what that is.
    for row in sorted(rule["rows"], key=lambda row: "divide_by" in (row.get("transforms") or "") or "length(" in (row.get("path") or "")):
        target = row["target"]
        if target.startswith("$"):
            raw = _put_row(row, raw, _envelope_value(target[1:], raw))
        elif target in values:
            raw = _put_row(row, raw, values[target])
    if rule.get("below_version"):
        raw["source_version"] = "0.0.1"
    condition = rule.get("condition") or {}
    if condition.get("path"):
        found = _look(condition["path"], raw)
        value = passing(condition["operator"], condition.get("value") or "", found)
        if value is not found:
            raw = _put(condition["path"], raw, None if value is NOTHING else value)
    return raw


def _envelope_value(field: str, raw: Record) -> Any:
    if field.startswith("identifiers."):
        return _IDENTIFIERS.get(field.removeprefix("identifiers."), "10086")
    return {"region": "CN"}.get(field, raw.get(field))


def _put_row(row: Record, raw: Record, value: Any) -> Record:
    path = row.get("path") or ""
    field = path.removeprefix("$.").partition(".")[0] if path.startswith("$.") else ""
    if not path or field == "name":
        return raw
    try:
        sent = before(row.get("transforms") or "", raw["message_id"] if field == "message_id" else value, raw["attributes"])
        return raw if sent is NOTHING else _put(path, raw, sent)
    except NoWay:
        # Whether it can be done without is the core's to say.
        return raw


def _put(path: str, raw: Record, value: Any) -> Record:
    if not path.startswith("$."):
        return raw | {"attributes": put(path, raw["attributes"], value)}
    changed = put(path[2:], raw, value)
    if not changed.keys() <= {*RAW_FIELDS}:
        raise NoWay
    return changed


def _look(path: str, raw: Record) -> Any:
    return find(path[2:], raw) if path.startswith("$.") else find(path, raw["attributes"])


_PER_SECOND = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}


def written_time(at: datetime, form: str, timezone: str) -> Any:
    """The time as a source with this format writes it."""
    local = at.astimezone(ZoneInfo(timezone)).replace(microsecond=0)
    if form in _PER_SECOND:
        return int(local.timestamp()) * _PER_SECOND[form]
    if form in ("excel", "excel_1904"):
        return to_day_number(local.replace(tzinfo=None), 1904 if form == "excel_1904" else 1900)
    return local.isoformat() if form in ("", "iso") else local.strftime(form)


def _given(record: Record) -> Record:
    return {name: value for name, value in record.items() if is_given(value)}


def _as_tagline(raw: Record, envelope: Record) -> Record:
    order = ("event", "phone", "identifiers", "region", "id", "occurred_at", "source_version", "attributes", "context")
    renamed = raw | {"event": raw["name"], "id": raw["message_id"]}
    return _given({field: renamed.get(field) for field in order})


def _as_flat(raw: Record, envelope: Record) -> Record:
    named = {"event": raw["name"], "phone": raw["phone"], "region": raw.get("region"), "id": raw["message_id"], "occurred_at": raw["occurred_at"]}  # fmt: skip
    return _given(named | {f"identifier.{kind}": value for kind, value in raw["identifiers"].items()} | raw["attributes"])


def _as_segment(raw: Record, envelope: Record) -> Record:
    known = raw["identifiers"]
    traits = _given({"phone": raw["phone"], "email": known.get("email")})
    others = [{"type": kind, "id": value} for kind, value in known.items() if kind in ("crm_id", "openid")]
    app = _given({"version": raw.get("source_version")})
    context = _given(raw["context"] | {"traits": traits, "externalIds": others, "app": raw["context"].get("app") or app})
    ids = {"userId": known.get("user_id", _IDENTIFIERS["user_id"]), "messageId": raw["message_id"], "timestamp": raw["occurred_at"]}
    return _given({"type": "track", "event": raw["name"], **ids, "context": context}) | {"properties": raw["attributes"]}


def _as_custom(raw: Record, envelope: Record) -> Record:
    """Each field where the envelope's paths look for it. What the whole record says of all its events stands around them."""
    if not envelope.get("event") and envelope.get("event_constant") != raw["name"]:
        raise NoWay
    paths = {field: envelope.get(field) or "" for field in _CUSTOM}
    placed = [(path, raw.get(_CUSTOM[field])) for field, path in paths.items()]
    if raw["identifiers"] or not paths["phone"]:
        kinds = envelope.get("identifiers") or {}
        placed[2:2] = [(path, (_IDENTIFIERS | raw["identifiers"]).get(kind)) for kind, path in kinds.items()]
    around: Record = {}
    item: Record = {} if paths["attributes"] else dict(raw["attributes"])
    # The widest first, so that what stands within it is not lost; last the id, which may be made of the others.
    for path, value in sorted(placed, key=lambda one: (one[0] == paths["message_id"], one[0].count("."))):
        if path.startswith("$.") and is_given(value):
            around = put(path[2:], around, value)
        elif path and is_given(value):
            item = put(path, item, value)
    item = _in_order(item, [path for path, _value in placed])
    events = (envelope.get("events") or "").removeprefix("$.")
    return put(events, around, [item]) if events else item | around


def _as_cloudevents(raw: Record, envelope: Record) -> Record:
    data = _as_custom(raw, {**data_envelope(envelope), "event_constant": raw["name"]})
    ids = {"id": raw["message_id"], "source": "/example", "type": raw["name"]}
    return {"specversion": SPEC_VERSION, **ids, "time": raw["occurred_at"], "data": data}


# Field of an envelope: what the raw event calls it; in the order in which people read a record.
_CUSTOM = {
    "event": "name", "phone": "phone", "message_id": "message_id", "occurred_at": "occurred_at", "region": "region",
    "source_version": "source_version", "attributes": "attributes", "context": "context",
}  # fmt: skip


def _in_order(item: Record, paths: list[str]) -> Record:
    names = [name for path in paths if path and not path.startswith("$.") for name in sorted(first_names(path))]
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    return dict(sorted(item.items(), key=lambda pair: places.get(pair[0], len(names))))


_WRITERS = {
    "tagline": _as_tagline, "flat": _as_flat, "segment": _as_segment, "cloudevents": _as_cloudevents, "custom": _as_custom,
}  # fmt: skip
