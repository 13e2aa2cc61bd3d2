"""Segment Protocols: the tracking plan as the Public API has it, rules with a schema each. Reads the older Config API too. Pure."""

from typing import Any

from taxonomy.exchange.formats.documents import Files, dump_json
from taxonomy.exchange.formats.events import describe, read_event, told
from taxonomy.exchange.formats.found import Found, FoundTag, Items, LeftOut, Sent, not_carried, parsed, tags_of
from taxonomy.exchange.formats.json_schema import DRAFT_07
from taxonomy.exchange.formats.names import clean
from taxonomy.exchange.formats.schema_in import SchemaReader
from taxonomy.exchange.formats.schema_out import Dialect, Schema, event_schema

_DIALECT = Dialect(DRAFT_07.uri)
_CALLS = ("TRACK", "IDENTIFY", "GROUP", "PAGE", "SCREEN")
# Segment's way of writing that a rule is not deprecated.
_NEVER = "0001-01-01"
_PARTS = {"context", "traits", "properties"}


def write(items: Items, version: str) -> Sent:
    left_out: list[LeftOut] = not_carried(items, tag={"description_en", "one_of", "category"}, attribute={"label_en", "description_en"})
    rules = []
    for _, tag, uses in tags_of(items):
        schema, missed = event_schema(uses, tag.get("one_of") or [], _DIALECT)
        left_out += told(missed)
        describe(schema, uses)
        for code, own in schema["properties"].items():
            # Segment's own code generator stops at a property without an id.
            own["id"] = f"/properties/properties/properties/{code}"
        empty: Schema = {"type": "object", "properties": {}}
        rules.append(
            {
                "key": tag["code"],
                "type": "TRACK",
                "version": 1,
                "jsonSchema": {
                    "$schema": DRAFT_07.uri,
                    "type": "object",
                    "description": tag.get("description_en") or "",
                    "labels": {"category": items[tag["category"]]["code"]} if tag.get("category") in items else {},
                    "properties": {"context": empty, "traits": empty, "properties": schema},
                    "required": ["properties"] if schema.get("required") else [],
                },
            }
        )
    plan = {"name": f"Tagline {version}".strip(), "description": "", "type": "LIVE", "rules": rules}
    return Sent({"tracking-plan.json": dump_json(plan)}, sorted(set(left_out)))


def read(files: Files) -> Found:
    found = Found()
    documents = parsed(files, found)
    reader = SchemaReader(documents, found.left_out)
    for path, document in documents:
        rules = _rules(document)
        if not rules:
            found.miss(path, "", "file.no_plan")
            continue
        newest: dict[tuple[str, str], Any] = {}
        for rule in rules:
            name = _name(rule)
            if name is None:
                found.miss(path, "rules", "event.no_object")
                continue
            key = (str(rule.get("type")), name)
            if key in newest:
                older = min(newest[key], rule, key=_version)
                found.miss(f"tag:{clean(name, 80)}", str(_version(older)), "version.older")
                rule = max(newest[key], rule, key=_version)
            newest[key] = rule
        for (_, name), rule in newest.items():
            tag = _event(reader, path, name, rule, found)
            if tag is not None:
                found.tags.append(tag)
    return found


def _rules(document: Any) -> list[dict[str, Any]] | None:
    """The rules of either API, in the shape of the Public API's."""
    plan = document.get("data", document) if isinstance(document, dict) else None
    plan = plan.get("trackingPlan", plan) if isinstance(plan, dict) else None
    rules = plan.get("rules") if isinstance(plan, dict) else document if isinstance(document, list) else None
    if isinstance(rules, dict) and isinstance(rules.get("events"), list):
        return [
            {"key": one.get("name"), "type": "TRACK", "version": one.get("version"), "jsonSchema": {"description": one.get("description"), **_dict(one.get("rules"))}}
            for one in rules["events"]
            if isinstance(one, dict)
        ]  # fmt: skip
    if not isinstance(rules, list):
        return None
    return [one if isinstance(one, dict) else {} for one in rules]


def _name(rule: dict[str, Any]) -> str | None:
    """Calls other than track may have no name: they are called what they are."""
    kind = rule.get("type")
    if kind not in _CALLS or not isinstance(rule.get("jsonSchema"), dict):
        return None
    given = _dict(rule["jsonSchema"].get("eventMetadata")).get("name") or rule.get("key")
    return given if isinstance(given, str) and given else str(kind).lower()


def _event(reader: SchemaReader, path: str, name: str, rule: dict[str, Any], found: Found) -> FoundTag | None:
    whole = rule["jsonSchema"]
    schema = _inner(whole, rule.get("type"))
    for field in sorted(whole.keys() - {"$schema", "type", "description", "properties", "required", "eventMetadata", "labels", "id"}):
        if schema is not whole:
            found.miss(f"tag:{clean(name, 80)}", field, "keyword")
    known = {key: value for key, value in schema.items() if key not in ("eventMetadata", "labels")}
    tag = read_event(reader, known, file=path, name=name, found=found)
    if tag is None:
        return None
    if text := clean(whole.get("description")):
        tag.fields["description_en"] = text
    for label, value in _dict(whole.get("labels")).items():
        if label == "category" and isinstance(value, str):
            tag.fields["category"] = value
        else:
            found.miss(f"tag:{clean(name, 80)}", clean(f"{label}: {value}", 80), "keyword")
    deprecated = rule.get("deprecatedAt")
    if isinstance(deprecated, str) and deprecated and not deprecated.startswith(_NEVER):
        tag.fields["status"] = "deprecated"
    return tag


def _inner(whole: Schema, kind: Any) -> Schema:
    """The schema of the event's own properties; the API wraps it, Segment's code generator unwraps it."""
    parts = whole.get("properties")
    if "eventMetadata" in whole or not isinstance(parts, dict) or not parts or not parts.keys() <= _PARTS:
        return whole
    inner = parts.get("traits" if kind in ("IDENTIFY", "GROUP") else "properties")
    return inner if isinstance(inner, dict) else {"type": "object"}


def _version(rule: dict[str, Any]) -> int:
    given = rule.get("version")
    return int(given) if isinstance(given, int) else 0


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
