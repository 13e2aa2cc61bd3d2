"""One tag as one schema of an object, both ways: what JSON Schema, Segment, Snowplow and mParticle have in common. Pure."""

from typing import Any

from taxonomy.exchange.formats.found import Definition, Found, FoundAttribute, FoundTag, LeftOut, Use
from taxonomy.exchange.formats.names import clean
from taxonomy.exchange.formats.schema_in import SchemaReader, is_required
from taxonomy.exchange.formats.schema_out import Dialect, Missed, Schema, as_read, schema_of

OURS = "x-tagline"
_ANNOTATIONS = ("title", "description", "examples", "id", OURS)
_DEFINES = ("type", "of", "fields", "constraints")


def describe(schema: Schema, uses: list[Use]) -> None:
    """Give each property its attribute's name in English and what it means."""
    for use in uses:
        own = schema["properties"][use.code]
        own |= {
            key: text for key, field in (("title", "label_en"), ("description", "description_en")) if (text := use.attribute.get(field))
        }


def told(missed: dict[str, Missed]) -> list[LeftOut]:
    return [LeftOut(f"attribute:{code}", what, why) for code, rows in missed.items() for what, why in rows]


def ours_of(use: Use) -> Schema:
    """What a property's schema cannot say of its attribute."""
    one = use.attribute
    said = {
        name: one[name] for name in ("label_zh_hans", "description_zh_hans", "unit", "personal") if one.get(name) not in ("", "none", None)
    }
    definition = {name: one[name] for name in _DEFINES if one.get(name)}
    return {"id": use.item, **said, "definition": definition, **({"tightened": use.tightened} if use.tightened else {})}


def read_event(
    reader: SchemaReader, schema: Any, *, file: str, name: str, found: Found, dialects: tuple[Dialect, ...] = ()
) -> FoundTag | None:
    """The tag that a schema of a whole event describes; None if it describes none."""
    where = f"tag:{clean(name, 80)}"
    node = reader.whole(schema, file=file, where=where)
    if node is None or node.schema.get("type", "object") not in ("object", ["object"], ["object", "null"]):
        found.miss(file, clean(name, 80), "event.no_object")
        return None
    tag = FoundTag(name)
    for title, inner in node.schema.get("properties", {}).items():
        place = f"attribute:{clean(name, 80)}.{clean(title, 80)}"
        read = reader.attribute(inner, file=node.file, where=place)
        if read is None:
            continue
        definition, nullable = read
        needed = is_required(node.schema, title)
        if needed and nullable:
            found.miss(place, "required", "required.nullable")
        attribute = FoundAttribute(title, definition, needed and not nullable)
        _take_ours(attribute, inner, dialects)
        tag.attributes.append(attribute)
    for title in node.schema["required"] if isinstance(node.schema.get("required"), list) else []:
        if not isinstance(title, str) or title not in node.schema.get("properties", {}):
            found.miss(where, clean(str(title), 80), "required.unknown")
    done = {"properties", "required"} | ({"additionalProperties"} if isinstance(node.schema.get("additionalProperties"), bool) else set())
    groups, read_as = _one_of(node.schema)
    if groups:
        tag.fields["one_of"] = groups
        done.add(read_as)
    reader.miss(node, done | ({"deprecated"} if OURS in node.schema else set()))
    for field, keyword, limit in (("label_en", "title", 120), ("description_en", "description", 10_000)):
        if text := clean(node.schema.get(keyword), limit):
            tag.fields[field] = text
    return tag


def _one_of(schema: Schema) -> tuple[list[list[str]], str]:
    """ "At least one of": anyOf that asks for one name each, or several such under allOf."""
    for keyword, parts in (("anyOf", [schema]), ("allOf", schema.get("allOf"))):
        if not isinstance(parts, list) or not parts:
            continue
        groups = [
            _names(part.get("anyOf")) if isinstance(part, dict) and (part is schema or part.keys() == {"anyOf"}) else [] for part in parts
        ]
        if all(groups):
            return groups, keyword
    return [], ""


def _names(choices: Any) -> list[str]:
    names = []
    for choice in choices if isinstance(choices, list) else []:
        if (
            not isinstance(choice, dict)
            or choice.keys() != {"required"}
            or not isinstance(choice["required"], list)
            or len(choice["required"]) != 1
        ):
            return []
        names.append(str(choice["required"][0]))
    return names


def _take_ours(attribute: FoundAttribute, schema: Any, dialects: tuple[Dialect, ...]) -> None:
    """Take what we wrote ourselves, as long as nobody has changed the schema beside it."""
    ours = schema.get(OURS) if isinstance(schema, dict) else None
    if not isinstance(ours, dict) or not isinstance(ours.get("id"), str):
        return
    attribute.item = ours["id"]
    for name in ("label_zh_hans", "description_zh_hans", "unit", "personal"):
        if isinstance(ours.get(name), str):
            attribute.definition[name] = ours[name]
    given, tightened = ours.get("definition"), ours.get("tightened", {})
    if not isinstance(given, dict) or not isinstance(tightened, dict):
        return
    definition: Definition = {"of": None, "fields": {}, "constraints": {}, **given}
    bare = {name: value for name, value in schema.items() if name not in _ANNOTATIONS}
    if any(_says(definition, tightened, dialect, bare) for dialect in dialects):
        attribute.definition |= {name: definition[name] for name in _DEFINES}
        attribute.tightened, attribute.is_exact = tightened, True


def _says(definition: Definition, tightened: Definition, dialect: Dialect, schema: Schema) -> bool:
    try:
        return as_read(schema_of(definition, tightened, dialect=dialect)[0]) == schema
    # Whatever stands there, somebody else may have written it.
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError):
        return False
