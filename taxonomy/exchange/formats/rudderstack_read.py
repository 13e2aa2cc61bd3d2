"""RudderStack's YAML: resources of any file refer to each other, `#property:id` or before v1 `#/properties/group/id`. Pure."""

import re
from typing import Any

from taxonomy.exchange.formats.documents import Files
from taxonomy.exchange.formats.found import Found, FoundAttribute, FoundTag, parsed
from taxonomy.exchange.formats.names import clean
from taxonomy.exchange.formats.schema_in import SchemaReader
from taxonomy.exchange.formats.schema_out import Schema

FORMATS = {"date-time", "date", "time", "email", "uuid", "hostname", "ipv4", "ipv6"}
# v1 writes snake_case; the versions before it the words of JSON Schema.
CONFIG = {
    "enum": "enum", "min_length": "minLength", "max_length": "maxLength", "pattern": "pattern", "format": "format", "minimum": "minimum",
    "maximum": "maximum", "exclusive_minimum": "exclusiveMinimum", "exclusive_maximum": "exclusiveMaximum", "multiple_of": "multipleOf",
    "min_items": "minItems", "max_items": "maxItems", "unique_items": "uniqueItems",
}  # fmt: skip
# kind of a file: (where its resources stand, what a reference calls them)
_KINDS = {
    "properties": ("properties", "property"), "events": ("events", "event"), "categories": ("categories", "category"),
    "custom-types": ("types", "custom-type"),
}  # fmt: skip
_PLANS = ("tracking-plan", "tp")
_NEW = re.compile(r"#(property|event|category|custom-type):([\w-]+)")
_OLD = re.compile(r"#/(properties|events|categories|custom-types)/([\w-]+)/([\w-]+)")
_MAX_DEPTH = 8
_PROPERTY_KEYS = {"id", "name", "description", "type", "types", "item_type", "item_types", "config", "propConfig", "properties"}


def read(files: Files) -> Found:
    found = Found()
    reader = _Reader(found)
    plans = []
    for path, document in parsed(files, found):
        kind = str(document.get("kind")) if isinstance(document, dict) else ""
        spec = document.get("spec") if isinstance(document, dict) else None
        if not str(document.get("version", "") if isinstance(document, dict) else "").startswith("rudder/") or not isinstance(spec, dict):
            found.miss(path, "", "file.no_plan")
        elif kind in _KINDS:
            reader.collect(kind, document, path)
        elif kind in _PLANS:
            plans.append((path, spec))
        else:
            found.miss(path, clean(kind, 80), "file.no_plan")
    for path, spec in plans:
        reader.read_plan(path, spec)
    reader.read_rest()
    return found


class _Reader:
    def __init__(self, found: Found) -> None:
        self.found = found
        self.schemas = SchemaReader([], found.left_out)
        self.resources: dict[tuple[str, str], dict[str, Any]] = {}
        self.tags: dict[int, FoundTag] = {}
        self.used: set[int] = set()

    def collect(self, kind: str, document: dict[str, Any], path: str) -> None:
        where, called = _KINDS[kind]
        metadata = document.get("metadata")
        group = metadata.get("name") if isinstance(metadata, dict) else ""
        given = document["spec"].get(where)
        for one in given if isinstance(given, list) else []:
            if not isinstance(one, dict) or not isinstance(one.get("id"), str):
                self.found.miss(path, where, "rudder.no_id")
                continue
            self.resources.setdefault((called, one["id"]), one)
            self.resources.setdefault((called, f"{group}/{one['id']}"), one)
            if called == "category":
                self.found.categories[one["id"]] = clean(one.get("name"), 120)

    def resolve(self, reference: Any, called: str, where: str) -> dict[str, Any] | None:
        if isinstance(reference, str):
            new, old = _NEW.fullmatch(reference), _OLD.fullmatch(reference)
            key = new.groups() if new else (_KINDS[old[1]][1], f"{old[2]}/{old[3]}") if old else ("", "")
            resource = self.resources.get((str(key[0]), str(key[1])))
            if key[0] == called and resource is not None:
                return resource
        self.found.miss(where, clean(str(reference), 80), "ref.missing")
        return None

    def read_plan(self, path: str, spec: dict[str, Any]) -> None:
        for rule in spec["rules"] if isinstance(spec.get("rules"), list) else []:
            given = rule.get("event") if isinstance(rule, dict) else None
            reference = given.get("$ref") if isinstance(given, dict) else given
            event = self.resolve(reference, "event", path)
            if event is None:
                continue
            if id(event) in self.tags:
                self.found.miss(path, clean(str(event["id"]), 80), "tag.twice")
                continue
            tag = self._tag(event)
            for one in self._references(rule, tag.name):
                attribute = self._attribute(one, tag)
                if attribute is not None:
                    tag.attributes.append(attribute)
            for field in ("variants", "includes"):
                if rule.get(field):
                    self.found.miss(f"tag:{clean(tag.name, 80)}", field, "keyword")

    def read_rest(self) -> None:
        """What no plan uses: events become tags without attributes, properties attributes of no tag."""
        for (called, key), one in self.resources.items():
            if called == "event" and "/" not in key and id(one) not in self.tags:
                self._tag(one)
        for (called, key), one in self.resources.items():
            if called == "property" and "/" not in key and id(one) not in self.used:
                read = self.schemas.attribute(self._schema(one, [], 0), file="", where=f"attribute:{clean(str(one.get('name')), 80)}")
                if read is not None:
                    self.found.attributes.append(FoundAttribute(self._name(one), read[0]))

    def _tag(self, event: dict[str, Any]) -> FoundTag:
        name = self._name(event) if event.get("name") else str(event.get("event_type") or event["id"])
        tag = FoundTag(name, code="" if event.get("name") else event["id"])
        if text := clean(event.get("description")):
            tag.fields["description_en"] = text
        category = self.resolve(event["category"], "category", f"tag:{clean(name, 80)}") if event.get("category") else None
        if category is not None:
            tag.fields["category"] = category["id"]
        self.tags[id(event)] = tag
        self.found.tags.append(tag)
        return tag

    def _name(self, resource: dict[str, Any]) -> str:
        """The name a source sends; one that a variable would fill is told, and its id taken."""
        name = resource.get("name")
        if not isinstance(name, str) or not name.strip():
            return str(resource["id"])
        if "{{" in name:
            self.found.miss(clean(str(resource["id"]), 80), clean(name, 80), "rudder.variable")
            return str(resource["id"])
        return name

    def _references(self, holder: dict[str, Any], where: str) -> list[dict[str, Any]]:
        given = holder.get("properties")
        rows = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
        if given and len(rows) < (len(given) if isinstance(given, list) else 1):
            self.found.miss(f"tag:{clean(where, 80)}", "properties", "schema.none")
        return rows

    def _attribute(self, reference: dict[str, Any], tag: FoundTag) -> FoundAttribute | None:
        where = f"attribute:{clean(tag.name, 80)}"
        resource = self.resolve(reference.get("property", reference.get("$ref")), "property", where)
        if resource is None:
            return None
        name = self._name(resource)
        read = self.schemas.attribute(
            self._schema(resource, self._references(reference, tag.name), 0), file="", where=f"{where}.{clean(name, 80)}"
        )
        if read is None:
            return None
        definition, nullable = read
        required = reference.get("required") is True
        if required and nullable:
            self.found.miss(f"{where}.{clean(name, 80)}", "required", "required.nullable")
        return FoundAttribute(name, definition, required and not nullable)

    def _schema(self, resource: dict[str, Any], nested: list[dict[str, Any]], depth: int) -> Schema:
        """A property or a custom type as JSON Schema, with the properties that a rule nests below it."""
        self.used.add(id(resource))
        where = f"attribute:{clean(str(resource.get('name')), 80)}"
        if depth > _MAX_DEPTH:
            self.found.miss(where, "properties", "type.too_deep")
            return {"type": "object"}
        for field in sorted(resource.keys() - _PROPERTY_KEYS):
            self.found.miss(where, clean(field, 80), "keyword")
        kinds = _kinds(resource, "type")
        schema: Schema
        if len(kinds) == 1 and kinds[0].startswith("#"):
            custom = self.resolve(kinds[0], "custom-type", where)
            schema = self._schema(custom, nested, depth + 1) if custom is not None else {"type": "string"}
        else:
            schema = {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
        config = resource.get("config", resource.get("propConfig"))
        config = config if isinstance(config, dict) else {}
        schema |= {str(CONFIG.get(key, key)): value for key, value in config.items() if key not in ("itemTypes", "item_types")}
        entries = _kinds(resource, "item_type") or _kinds({"types": config.get("itemTypes", config.get("item_types"))}, "type")
        if entries:
            entry = self.resolve(entries[0], "custom-type", where) if entries[0].startswith("#") else None
            schema["items"] = (
                self._schema(entry, [], depth + 1) if entry is not None else {"type": entries[0] if len(entries) == 1 else entries}
            )
        own = self._references(resource, str(resource.get("name"))) + nested
        if own:
            holder = schema.setdefault("items", {"type": "object"}) if schema.get("type") == "array" else schema
            self._nest(holder, own, depth)
        if depth == 0 and (text := clean(resource.get("description"))):
            schema["description"] = text
        else:
            schema.pop("description", None)
        return schema

    def _nest(self, holder: Schema, references: list[dict[str, Any]], depth: int) -> None:
        properties, required = holder.setdefault("properties", {}), holder.setdefault("required", [])
        for one in references:
            resource = self.resolve(one.get("property", one.get("$ref")), "property", "properties")
            if resource is not None:
                name = self._name(resource)
                properties[name] = self._schema(resource, self._references(one, name), depth + 1)
                if one.get("required") is True:
                    required.append(name)


def _kinds(resource: dict[str, Any], field: str) -> list[str]:
    """`type: string`, `type: "string, null"` or `types: [string, null]`."""
    given = resource.get(field, resource.get(f"{field}s"))
    kinds = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    return [one.strip() for one in kinds if isinstance(one, str) and one.strip()]
