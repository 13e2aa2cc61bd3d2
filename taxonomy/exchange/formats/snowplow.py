"""Snowplow: self-describing schemas in the layout of an Iglu repository, schemas/vendor/name/jsonschema/1-0-0. Pure.

SchemaVer is MODEL-REVISION-ADDITION, the release's major.minor.patch: breaking, additive and wording changes map onto it.
"""

import re
from typing import Any

from taxonomy.exchange.formats.documents import Files, Unreadable, dump_json, parse, parse_json
from taxonomy.exchange.formats.events import describe, read_event, told
from taxonomy.exchange.formats.found import Found, Items, LeftOut, Sent, not_carried, tags_of
from taxonomy.exchange.formats.names import clean, code_of
from taxonomy.exchange.formats.schema_in import SchemaReader
from taxonomy.exchange.formats.schema_out import Dialect, event_schema

SELF_DESCRIBING = "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#"
# Who describes the events, as Iglu wants it: a name of an internet domain, backwards.
VENDOR = "com.tagline"
_DIALECT = Dialect(SELF_DESCRIBING)
_VERSION = re.compile(r"([0-9]{1,9})-([0-9]{1,9})-([0-9]{1,9})")


def write(items: Items, version: str) -> Sent:
    files: Files = {}
    left_out: list[LeftOut] = not_carried(items, tag={"description_en", "one_of"}, attribute={"label_en", "description_en"})
    schema_version = schemaver(version)
    for _, tag, uses in tags_of(items):
        schema, missed = event_schema(uses, tag.get("one_of") or [], _DIALECT)
        left_out += told(missed)
        describe(schema, uses)
        own = {"vendor": VENDOR, "name": tag["code"], "format": "jsonschema", "version": schema_version}
        document = {"$schema": SELF_DESCRIBING, "description": tag.get("description_en") or tag["code"], "self": own, **schema}
        files[f"schemas/{VENDOR}/{tag['code']}/jsonschema/{schema_version}"] = dump_json(document)
    return Sent(files, sorted(set(left_out)))


def schemaver(version: str) -> str:
    """`2.1.0` is `2-1-0`; a MODEL is 1 at least."""
    numbers = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    return f"{max(int(numbers[1]), 1)}-{numbers[2]}-{numbers[3]}" if numbers else "1-0-0"


def read(files: Files) -> Found:
    """Each event in its newest version; the earlier ones are told."""
    found = Found()
    documents = _documents(files, found)
    reader = SchemaReader(documents, found.left_out)
    versions: dict[tuple[str, str], list[tuple[tuple[int, ...], str, Any]]] = {}
    for path, document in documents:
        own = document.get("self") if isinstance(document, dict) else None
        if not isinstance(own, dict) or not isinstance(own.get("name"), str) or not isinstance(own.get("vendor"), str):
            _read_product(reader, path, document, found)
            continue
        number = _VERSION.fullmatch(str(own.get("version")))
        if number is None:
            found.miss(path, clean(str(own.get("version")), 80), "version.unreadable")
            continue
        versions.setdefault((own["vendor"], own["name"]), []).append((tuple(map(int, number.groups())), path, document))
    several = {name for name in {name for _, name in versions} if sum(1 for key in versions if key[1] == name) > 1}
    for (vendor, name), schemas in versions.items():
        (_, path, newest), *earlier = sorted(schemas, key=lambda one: (one[0], one[1]), reverse=True)
        for older, place, _ in earlier:
            found.miss(place, "-".join(map(str, older)), "version.older")
        tag = read_event(reader, newest, file=path, name=name, found=found)
        if tag is not None:
            tag.fields["synonyms"] = [clean(f"{vendor}/{name}")] if vendor != VENDOR else []
            tag.code = code_of(f"{vendor.rsplit('.', 1)[-1]}_{name}" if name in several else name)
            found.tags.append(tag)
    return found


def _documents(files: Files, found: Found) -> list[tuple[str, Any]]:
    """Iglu's files have no ending. A data structure of Snowplow's own tool wraps its schema in `data`."""
    documents = []
    for path, body in sorted(files.items()):
        try:
            parts = parse(path, body) if path.endswith((".json", ".yaml", ".yml")) else [parse_json(body)]
        except Unreadable as error:
            found.miss(path, "", error.code)
            continue
        for part in parts:
            meta = part.get("meta") if isinstance(part, dict) else None
            inner = part.get("data") if isinstance(part, dict) else None
            if isinstance(meta, dict) and meta.get("schemaType") == "entity":
                found.miss(path, "", "event.entity")
            elif isinstance(inner, dict) and isinstance(inner.get("self"), dict):
                documents.append((path, inner))
            else:
                documents.append((path, part))
    return documents


def _read_product(reader: SchemaReader, path: str, document: Any, found: Found) -> None:
    """A data product: its event specifications are events, as far as they say what the event holds."""
    product = document.get("data") if isinstance(document, dict) else None
    specifications = product.get("eventSpecifications") if isinstance(product, dict) else None
    if not isinstance(specifications, list):
        found.miss(path, "", "file.no_plan")
        return
    for one in specifications:
        event = one.get("event") if isinstance(one, dict) else None
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(event, dict) or not isinstance(name, str):
            found.miss(path, "eventSpecifications", "event.no_object")
            continue
        tag = read_event(reader, event.get("schema", {"type": "object"}), file=path, name=name, found=found)
        for field in ("entities", "triggers", "sourceApplications"):
            if one.get(field):
                found.miss(f"tag:{clean(name, 80)}", field, "keyword")
        if "schema" not in event and isinstance(event.get("source"), str):
            found.miss(f"tag:{clean(name, 80)}", clean(event["source"], 80), "ref.remote")
        if tag is not None:
            found.tags.append(tag)
