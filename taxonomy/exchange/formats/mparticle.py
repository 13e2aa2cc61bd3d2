"""mParticle: a data plan version with a data point per event, validated by JSON Schema. Pure."""

from typing import Any

from taxonomy.exchange.formats.documents import Files, dump_json
from taxonomy.exchange.formats.events import describe, read_event, told
from taxonomy.exchange.formats.found import Found, FoundTag, Items, LeftOut, Sent, not_carried, parsed, tags_of
from taxonomy.exchange.formats.json_schema import DRAFT_07
from taxonomy.exchange.formats.names import clean
from taxonomy.exchange.formats.schema_in import SchemaReader
from taxonomy.exchange.formats.schema_out import Dialect, Schema, event_schema

_DIALECT = Dialect(DRAFT_07.uri)
# type of a match: the criterion that names the event
_NAMED = {"custom_event": "event_name", "screen_view": "screen_name", "product_action": "action", "promotion_action": "action"}
_COUNTED = {"product_impression": "product_impression", "session_start": "session_start", "session_end": "session_end"}


def write(items: Items, version: str) -> Sent:
    left_out: list[LeftOut] = not_carried(items, tag={"description_en"}, attribute={"description_en"})
    points = []
    for _, tag, uses in tags_of(items):
        schema, missed = event_schema(uses, [], _DIALECT)
        left_out += told(missed)
        describe(schema, uses)
        for own in schema["properties"].values():
            own.pop("title", None)
        attributes = {"additionalProperties": False, "required": [], **schema}
        data: Schema = {
            "type": "object",
            "additionalProperties": True,
            "properties": {"custom_attributes": attributes},
            "required": ["custom_attributes"] if schema.get("required") else [],
        }
        points.append(
            {
                "description": tag.get("description_en") or "",
                "match": {"type": "custom_event", "criteria": {"event_name": tag["code"], "custom_event_type": "other"}},
                "validator": {"type": "json_schema", "definition": {"properties": {"data": data}}},
            }
        )
    major = version.partition(".")[0]
    plan = {
        "version": int(major) if major.isdecimal() and int(major) else 1,
        "data_plan_id": "tagline",
        "version_description": version,
        "version_document": {"data_points": points},
    }
    return Sent({"data-plan.json": dump_json(plan)}, sorted(set(left_out)))


def read(files: Files) -> Found:
    found = Found()
    documents = parsed(files, found)
    reader = SchemaReader(documents, found.left_out)
    for path, document in documents:
        points = _points(document)
        if points is None:
            found.miss(path, "", "file.no_plan")
            continue
        for point in points:
            tag = _event(reader, path, point, found)
            if tag is not None:
                found.tags.append(tag)
    return found


def _points(document: Any) -> list[Any] | None:
    """The data points of a version, of the newest version of a whole plan, or alone."""
    if isinstance(document, dict) and isinstance(document.get("data_plan_versions"), list):
        versions = [one for one in document["data_plan_versions"] if isinstance(one, dict) and isinstance(one.get("version"), int)]
        document = max(versions, key=lambda one: one["version"], default=None)
    inner = document.get("version_document", document) if isinstance(document, dict) else None
    points = inner.get("data_points") if isinstance(inner, dict) else None
    return points if isinstance(points, list) else None


def _event(reader: SchemaReader, path: str, point: Any, found: Found) -> FoundTag | None:
    point = _dict(point)
    match, validator = _dict(point.get("match")), _dict(point.get("validator"))
    kind, criteria = match.get("type"), _dict(match.get("criteria"))
    kind = kind if isinstance(kind, str) else ""
    name = criteria.get(_NAMED[kind]) if kind in _NAMED else _COUNTED.get(kind)
    if not isinstance(name, str) or not name:
        found.miss(path, clean(str(kind or "data_points"), 80), "event.other")
        return None
    where = f"tag:{clean(name, 80)}"
    if validator.get("type", "json_schema") != "json_schema":
        found.miss(where, "validator", "keyword")
    data = _dict(_dict(_dict(validator.get("definition")).get("properties")).get("data"))
    own = _dict(data.get("properties"))
    for field in sorted(own.keys() - {"custom_attributes", "event_name", "custom_event_type", "screen_name"}):
        found.miss(where, clean(field, 80), "keyword")
    tag = read_event(reader, own.get("custom_attributes", {"type": "object"}), file=path, name=name, found=found)
    if tag is not None and (text := clean(point.get("description"))):
        tag.fields["description_en"] = text
    if point.get("active_transformation_ids"):
        found.miss(where, "active_transformation_ids", "keyword")
    return tag


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
