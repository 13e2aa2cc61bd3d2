"""JSON Schema, one file per tag: draft 2020-12 and draft-07. What it has no word for stands under "x-tagline". Pure."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from taxonomy.exchange.formats.documents import Files, dump_json
from taxonomy.exchange.formats.events import OURS, describe, ours_of, read_event, told
from taxonomy.exchange.formats.found import Definition, Found, FoundTag, Items, LeftOut, Sent, Use, not_carried, parsed, tags_of
from taxonomy.exchange.formats.schema_in import SchemaReader
from taxonomy.exchange.formats.schema_out import Dialect, Schema, event_schema, shared_parts

DRAFT_2020_12 = Dialect("https://json-schema.org/draft/2020-12/schema", shared="$defs")
DRAFT_07 = Dialect("http://json-schema.org/draft-07/schema#", shared="definitions")
_DIALECTS = (DRAFT_2020_12, DRAFT_07)
_LABELS = {"label_en", "label_zh_hans", "description_en", "description_zh_hans"}
_TAG = _LABELS | {"status", "synonyms", "one_of", "system", "category", "owner", "successor", "refinements"}
_ATTRIBUTE = _LABELS | {"unit", "example", "personal"}


def writer(dialect: Dialect) -> Callable[[Items, str], Sent]:
    def write(items: Items, version: str) -> Sent:
        files: Files = {}
        left_out: list[LeftOut] = not_carried(items, tag=_TAG, attribute=_ATTRIBUTE)
        for item, tag, uses in tags_of(items):
            schema, missed = event_schema(uses, tag.get("one_of") or [], dialect)
            # Bounds of dates and the like are kept under "x-tagline"; only that the schema does not judge them is told.
            left_out += told(missed)
            describe(schema, uses)
            for use in uses:
                own = schema["properties"][use.code]
                own |= ({"examples": [use.attribute["example"]]} if use.attribute.get("example") else {}) | {OURS: ours_of(use)}
            files[f"{tag['code']}.schema.json"] = dump_json(_file(item, tag, items, schema, dialect, version, uses))
        return Sent(files, sorted(set(left_out)))

    return write


def _file(item: str, tag: Definition, items: Items, schema: Schema, dialect: Dialect, version: str, uses: list[Use]) -> Schema:
    words = {key: tag[field] for key, field in (("title", "label_en"), ("description", "description_en")) if tag.get(field)}
    ours = {
        "id": item,
        "code": tag["code"],
        "release": version,
        **{name: tag[name] for name in ("label_zh_hans", "description_zh_hans", "status", "synonyms", "owner", "system") if tag.get(name)},
        **{name: items[tag[name]]["code"] for name in ("category", "successor") if tag.get(name) in items},
        **({"refinements": [one["pattern"] for one in tag["refinements"]]} if tag.get("refinements") else {}),
    }
    deprecated = {"deprecated": True} if tag.get("status") == "deprecated" else {}
    head = {"$schema": dialect.uri, "$id": f"urn:tagline:tag:{tag['code']}", **words, **deprecated}
    return {**head, **schema, **shared_parts(uses, dialect), OURS: ours}


def read(files: Files) -> Found:
    found = Found()
    documents = parsed(files, found)
    reader = SchemaReader(documents, found.left_out)
    for path, document in documents:
        for name, schema in _events(path, document):
            tag = read_event(reader, schema, file=path, name=name, found=found, dialects=_DIALECTS)
            if tag is not None:
                _take_ours(tag, schema)
                found.tags.append(tag)
        if not list(_events(path, document)):
            found.miss(path, "", "file.no_plan")
    return found


def _events(path: str, document: Any) -> list[tuple[str, Schema]]:
    """(name, schema) of each event of a file: the schema itself, or those of a bundle."""
    if not isinstance(document, dict):
        return []
    if any(keyword in document for keyword in ("properties", "type", "allOf", "$ref", "required")):
        return [(_name(path, document), document)]
    bundle = document.get("$defs", document.get("definitions"))
    if not isinstance(bundle, dict):
        return []
    return [(name, schema) for name, schema in bundle.items() if isinstance(schema, dict) and isinstance(schema.get("properties"), dict)]


def _name(path: str, document: Schema) -> str:
    ours, own = document.get(OURS), document.get("self")
    if isinstance(ours, dict) and isinstance(ours.get("code"), str):
        return str(ours["code"])
    if isinstance(own, dict) and isinstance(own.get("name"), str):
        return str(own["name"])
    return PurePosixPath(path).name.removesuffix(".json").removesuffix(".yaml").removesuffix(".yml").removesuffix(".schema")


def _take_ours(tag: FoundTag, schema: Schema) -> None:
    ours = schema.get(OURS)
    if schema.get("deprecated") is True:
        tag.fields["status"] = "deprecated"
    if not isinstance(ours, dict) or not isinstance(ours.get("id"), str):
        return
    tag.item = ours["id"]
    for name in ("label_zh_hans", "description_zh_hans", "status", "category", "owner", "successor"):
        if isinstance(ours.get(name), str):
            tag.fields[name] = ours[name]
    for name in ("synonyms", "refinements"):
        given = ours.get(name, [])
        tag.fields[name] = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
    tag.fields["system"] = ours.get("system") is True
    tag.fields.setdefault("one_of", [])
