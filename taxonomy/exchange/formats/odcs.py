"""Open Data Contract Standard v3.1.0: one contract, with each tag as an object of its schema. Pure.

What it has no word for stands in customProperties under "tagline".
"""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from taxonomy.exchange.formats.documents import Files, dump_yaml
from taxonomy.exchange.formats.found import (
    Definition,
    Found,
    FoundAttribute,
    FoundTag,
    Items,
    LeftOut,
    Sent,
    Use,
    not_carried,
    parsed,
    tags_of,
)
from taxonomy.exchange.formats.names import clean
from taxonomy.exchange.formats.schema_in import SchemaReader
from taxonomy.exchange.formats.schema_out import SHAPES, Dialect, Missed, Schema, as_read, schema_of

_DIALECT = Dialect("")
_LABELS = {"label_en", "label_zh_hans", "description_en", "description_zh_hans"}
_TAG = _LABELS | {"status", "synonyms", "one_of", "system", "category", "owner", "successor", "refinements"}
_ATTRIBUTE = _LABELS | {"unit", "example", "personal"}
_OPTIONS = {
    "string": ("minLength", "maxLength", "pattern", "format"), "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "array": ("minItems", "maxItems", "uniqueItems"),
}  # fmt: skip
_MOMENTS = {"date": "date", "date-time": "timestamp"}
# Formats here describe and judge nothing.
_FORMATS = {SHAPES["email"]["pattern"]: "email", SHAPES["url"]["pattern"]: "uri"}
_LOGICAL = {"timestamp": "date-time", "date": "date"}
# Said of where data lies, which a tag does not say; the rest of a contract is told.
_SILENT = {
    "name", "id", "logicalType", "logicalTypeOptions", "description", "businessName", "properties", "items", "required", "examples", "classification",
    "customProperties", "physicalName", "physicalType", "quality",
}  # fmt: skip
_CONTRACT = {"version", "kind", "apiVersion", "id", "name", "status", "schema", "description"}
_PERSONAL = ("contact", "identity", "sensitive")
OURS = "tagline"


def write(items: Items, version: str) -> Sent:
    left_out: list[LeftOut] = not_carried(items, tag=_TAG, attribute=_ATTRIBUTE)
    objects = []
    for item, tag, uses in tags_of(items):
        ours = {
            name: tag[name]
            for name in ("label_zh_hans", "description_zh_hans", "status", "owner", "synonyms", "one_of", "system")
            if tag.get(name)
        }
        ours |= {name: items[tag[name]]["code"] for name in ("category", "successor") if tag.get(name) in items}
        ours |= {"refinements": [one["pattern"] for one in tag["refinements"]]} if tag.get("refinements") else {}
        words = {key: tag[field] for key, field in (("businessName", "label_en"), ("description", "description_en")) if tag.get(field)}
        objects.append(
            {
                "name": tag["code"],
                "logicalType": "object",
                **words,
                "customProperties": [{"property": OURS, "value": {"id": item, **ours}}],
                "properties": [_described(use, left_out) for use in uses],
            }
        )
    contract = {
        "version": version or "1.0.0",
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": str(uuid5(NAMESPACE_URL, "urn:tagline:plan")),
        "name": "Tagline",
        "status": "active",
        "schema": objects,
    }
    return Sent({"tagline.odcs.yaml": dump_yaml(contract)}, sorted(set(left_out)))


def _described(use: Use, left_out: list[LeftOut]) -> Schema:
    one = use.attribute
    missed: Missed = []
    property_ = _property(use.code, one, use.tightened, missed)
    left_out += [LeftOut(f"attribute:{use.code}", what, why) for what, why in missed]
    property_ |= {key: one[field] for key, field in (("businessName", "label_en"), ("description", "description_en")) if one.get(field)}
    property_ |= {"required": True} if use.required else {}
    property_ |= {"examples": [one["example"]]} if one.get("example") else {}
    property_ |= {"classification": one["personal"]} if one.get("personal", "none") != "none" else {}
    said = {name: one[name] for name in ("label_zh_hans", "description_zh_hans", "unit") if one.get(name)}
    definition = {name: one[name] for name in ("type", "of", "fields", "constraints") if one.get(name)}
    ours = {"id": use.item, **said, "definition": definition, **({"tightened": use.tightened} if use.tightened else {})}
    return {**property_, "customProperties": [{"property": OURS, "value": ours}]}


def _property(name: str, definition: Definition, tightened: Definition, missed: Missed) -> Schema:
    """What of a property says which values it takes. Unlike JSON Schema, the standard has bounds of dates."""
    schema, told = schema_of(definition, tightened, dialect=_DIALECT)
    bounds: Schema = {}
    if definition["type"] in ("date", "datetime"):
        given = [definition.get("constraints") or {}, tightened]
        bounds = {
            key: choose(values)
            for key, choose in (("minimum", max), ("maximum", min))
            if (values := [str(one[key]) for one in given if key in one])
        }
        told = []
    missed += told
    property_ = _from_schema(name, schema, missed)
    if bounds:
        property_["logicalTypeOptions"] = bounds
    return property_


def _from_schema(name: str, schema: Schema, missed: Missed) -> Schema:
    kind = schema["type"]
    property_: Schema = {"name": name} if name else {}
    if schema.get("format") in _MOMENTS:
        return {**property_, "logicalType": _MOMENTS[schema["format"]]}
    property_["logicalType"] = kind
    options = {key: schema[key] for key in _OPTIONS.get(kind, ()) if key in schema}
    if options.get("pattern") in _FORMATS:
        options["format"] = _FORMATS[options["pattern"]]
    if options:
        property_["logicalTypeOptions"] = options
    if "enum" in schema:
        check = {"type": "library", "metric": "invalidValues", "arguments": {"validValues": list(schema["enum"])}, "mustBe": 0}
        property_["quality"] = [check]
    if "allOf" in schema:
        missed.append(("pattern", "field"))
    if kind == "array":
        property_["items"] = _from_schema("", schema["items"], missed)
    if schema.get("properties"):
        required = schema.get("required", [])
        property_["properties"] = [
            _from_schema(field, part, missed) | ({"required": True} if field in required else {})
            for field, part in schema["properties"].items()
        ]
    return property_


def read(files: Files) -> Found:
    found = Found()
    for path, document in parsed(files, found):
        objects = document.get("schema") if isinstance(document, dict) and document.get("kind") == "DataContract" else None
        if not isinstance(objects, list):
            found.miss(path, "", "file.no_plan")
            continue
        for field in sorted(document.keys() - _CONTRACT):
            found.miss(path, clean(field, 80), "keyword")
        for one in objects:
            if isinstance(one, dict) and isinstance(one.get("name"), str):
                found.tags.append(_tag(one, document, found))
            else:
                found.miss(path, "schema", "event.no_object")
    return found


def _tag(one: Schema, contract: Schema, found: Found) -> FoundTag:
    where = f"tag:{clean(one['name'], 80)}"
    tag = FoundTag(one["name"])
    status = {"active": "active", "deprecated": "deprecated", "retired": "deprecated"}.get(str(contract.get("status")))
    tag.fields |= {"status": status} if status else {}
    for field, key, limit in (("label_en", "businessName", 120), ("description_en", "description", 10_000)):
        tag.fields |= {field: text} if (text := clean(one.get(key), limit)) else {}
    _miss(one, where, found)
    ours = _ours(one)
    if ours is not None:
        tag.item = ours["id"]
        for name in ("label_zh_hans", "description_zh_hans", "status", "owner", "category", "successor"):
            tag.fields |= {name: ours[name]} if isinstance(ours.get(name), str) else {}
        for name in ("synonyms", "refinements", "one_of"):
            tag.fields[name] = ours[name] if isinstance(ours.get(name), list) else []
        tag.fields["system"] = ours.get("system") is True
    reader = SchemaReader([], found.left_out)
    for part in one["properties"] if isinstance(one.get("properties"), list) else []:
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            found.miss(where, "properties", "schema.none")
            continue
        place = f"attribute:{clean(one['name'], 80)}.{clean(part['name'], 80)}"
        read_as = reader.attribute(_schema(part, place, found, 0), file="", where=place)
        if read_as is not None:
            attribute = FoundAttribute(part["name"], read_as[0], part.get("required") is True)
            _take(attribute, part, place, found)
            tag.attributes.append(attribute)
    return tag


def _schema(part: Any, where: str, found: Found, depth: int) -> Schema:
    """A property as JSON Schema."""
    if not isinstance(part, dict) or depth > 10:
        found.miss(where, "properties", "schema.none")
        return {"type": "object"}
    options = part.get("logicalTypeOptions")
    schema: Schema = dict(options) if isinstance(options, dict) else {}
    logical = part.get("logicalType")
    if isinstance(logical, str) and logical in _LOGICAL:
        if schema.pop("format", None):
            found.miss(where, "format", "keyword")
        schema |= {"type": "string", "format": _LOGICAL[logical], "pattern": SHAPES["date" if logical == "date" else "datetime"]["pattern"]}
        # Bounds of dates are taken apart from the schema, which has no words for them.
        for keyword in ("minimum", "maximum"):
            schema.pop(keyword, None)
    elif isinstance(logical, str):
        schema["type"] = "string" if logical == "time" else logical
        schema |= {"format": "time"} if logical == "time" else {}
    schema |= {"enum": values} if (values := _values(part, where, found)) else {}
    for key in ("title", "description", "examples"):
        given = part.get("businessName" if key == "title" else key)
        schema |= {key: given} if given and depth == 0 else {}
    inner = part.get("properties")
    if isinstance(inner, list):
        named = [one for one in inner if isinstance(one, dict) and isinstance(one.get("name"), str)]
        schema["properties"] = {one["name"]: _schema(one, f"{where}.{clean(one['name'], 80)}", found, depth + 1) for one in named}
        schema |= {"required": needed} if (needed := [one["name"] for one in named if one.get("required") is True]) else {}
    if "items" in part:
        schema["items"] = _schema(part["items"], f"{where}[]", found, depth + 1)
    _miss(part, where, found)
    return schema


def _values(part: Schema, where: str, found: Found) -> list[Any]:
    """The choices that a quality rule allows; other rules are told."""
    values: list[Any] = []
    for rule in part["quality"] if isinstance(part.get("quality"), list) else []:
        arguments = rule.get("arguments") if isinstance(rule, dict) else None
        given = arguments.get("validValues") if isinstance(arguments, dict) else None
        if isinstance(given, list) and rule.get("metric") == "invalidValues" and rule.get("mustBe") == 0:
            values = given
        else:
            found.miss(where, "quality", "keyword")
    return values


def _miss(part: Schema, where: str, found: Found) -> None:
    for field, value in sorted(part.items()):
        if field not in _SILENT and value not in (None, False, -1, []):
            found.miss(where, clean(field, 80), "keyword")
    rows = part.get("customProperties")
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict) or row.get("property") != OURS:
            found.miss(where, "customProperties", "keyword")


def _ours(part: Schema) -> Definition | None:
    rows = part.get("customProperties")
    for row in rows if isinstance(rows, list) else []:
        value = row.get("value") if isinstance(row, dict) and row.get("property") == OURS else None
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            return value
    return None


def _take(attribute: FoundAttribute, part: Schema, where: str, found: Found) -> None:
    """Bounds of dates, the class of personal data, and what we wrote ourselves, unless the property was changed beside it."""
    options = part.get("logicalTypeOptions")
    if attribute.definition["type"] in ("date", "datetime") and isinstance(options, dict):
        attribute.definition["constraints"] |= {key: str(options[key]) for key in ("minimum", "maximum") if key in options}
    if part.get("classification") in _PERSONAL:
        attribute.definition["personal"] = part["classification"]
    elif part.get("classification"):
        found.miss(where, "classification", "keyword")
    ours = _ours(part)
    if ours is None:
        return
    attribute.item = ours["id"]
    attribute.definition |= {
        name: ours[name] for name in ("label_zh_hans", "description_zh_hans", "unit") if isinstance(ours.get(name), str)
    }
    given, tightened = ours.get("definition"), ours.get("tightened", {})
    if not isinstance(given, dict) or not isinstance(tightened, dict):
        return
    definition = {"of": None, "fields": {}, "constraints": {}, **given}
    try:
        same = as_read(_property(part["name"], definition, tightened, [])) == {
            key: part[key] for key in ("name", "logicalType", "logicalTypeOptions", "quality", "items", "properties") if key in part
        }
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError):
        return
    if same:
        attribute.definition |= {name: definition[name] for name in ("type", "of", "fields", "constraints")}
        attribute.tightened, attribute.is_exact = tightened, True
