"""Attributes as JSON Schema that judges standard values: one writer per type, each with a shape that is known again. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from taxonomy.exchange.formats.found import Definition, Use
from taxonomy.exchange.formats.patterns import to_ecma
from taxonomy.standardize.types import TYPES
from taxonomy.standardize.types.constraints import UNLIMITED, Bound, Constraints, merge
from taxonomy.standardize.types.currencies import CURRENCIES

Schema = dict[str, Any]
# (keyword, why): what could not be said
Missed = list[tuple[str, str]]
Layers = tuple[Mapping[str, Any], ...]

_MAIL = r'[^\s@<>()\[\],;:"\\'
_DAY = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
MAX_EMAIL_CHARACTERS = 254
# Type: what its schema says besides constraints. By its pattern a schema of ours is known again. The formats email and uri are not said:
# whoever checks them refuses names in Chinese, which the core takes, and idn-email and iri are unknown to Ajv.
SHAPES: dict[str, Schema] = {
    "date": {"type": "string", "format": "date", "pattern": f"^{_DAY}$"},
    "datetime": {"type": "string", "format": "date-time", "pattern": f"^{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?Z$"},
    "phone": {"type": "string", "pattern": r"^\+[1-9][0-9]{4,14}$"},
    "email": {
        "type": "string", "maxLength": MAX_EMAIL_CHARACTERS,
        "pattern": rf"^{_MAIL}]{{1,64}}@(?:{_MAIL}./]{{1,63}}\.)+{_MAIL}./0-9]{{2,63}}$",
    },
    "url": {"type": "string", "pattern": r'^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#<>"\\]+(?:[/?#][^\s<>"\\]*)?$'},
}  # fmt: skip
# JSON Schema's words for constraints, and ours.
CONSTRAINTS = {
    "minimum": "minimum", "maximum": "maximum", "minLength": "min_length", "maxLength": "max_length", "minItems": "min_items",
    "maxItems": "max_items", "pattern": "pattern", "enum": "choices", "allOf": "pattern",
}  # fmt: skip
CURRENCY: Schema = {"type": "string", "enum": sorted(CURRENCIES)}
CURRENCY_PATTERN: Schema = {"type": "string", "pattern": "^[A-Z]{3}$"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """`shared`: the keyword under which parts stand that are referred to, "" where no $ref may be."""

    uri: str
    shared: str = ""


def schema_of(definition: Definition, *layers: Mapping[str, Any], dialect: Dialect) -> tuple[Schema, Missed]:
    """The schema of one attribute, all layers of constraints taken together, and what of it JSON Schema cannot say."""
    missed: Missed = []
    return _write(definition, layers, dialect, missed), missed


def as_read(schema: Schema) -> Schema:
    """A schema as it is after it was written and read, so that the two can be compared."""
    return dict(json.loads(json.dumps(schema), parse_float=Decimal))


def event_schema(uses: list[Use], one_of: list[list[str]], dialect: Dialect) -> tuple[Schema, dict[str, Missed]]:
    """The schema of a tag's attributes as one object, and by attribute code what of it could not be said."""
    missed: dict[str, Missed] = {}
    properties: Schema = {}
    for use in uses:
        properties[use.code], missed[use.code] = schema_of(use.attribute, use.tightened, dialect=dialect)
    schema: Schema = {"type": "object", "properties": properties}
    if required := [use.code for use in uses if use.required]:
        schema["required"] = required
    groups = [{"anyOf": [{"required": [code]} for code in group]} for group in one_of]
    return schema | (groups[0] if len(groups) == 1 else {"allOf": groups} if groups else {}), missed


def shared_parts(uses: list[Use], dialect: Dialect) -> Schema:
    """What the properties refer to: {"$defs": {"currency": ...}}, or nothing."""
    needs = dialect.shared and any(_has_money(use.attribute) for use in uses)
    return {dialect.shared: {"currency": CURRENCY}} if needs else {}


def _has_money(definition: Definition) -> bool:
    types = (definition["type"], definition.get("of"))
    fields = definition.get("fields") or {} if "object" in types else {}
    return "money" in types or any(map(_has_money, fields.values()))


def _write(definition: Definition, layers: Layers, dialect: Dialect, missed: Missed) -> Schema:
    kind = definition["type"]
    row = TYPES[kind]
    given = [definition.get("constraints") or {}, *layers]
    said = merge(({name: one[name] for name in one if name in row.constraints} for one in given), row.read_bound)
    if kind == "list":
        entry = _write({**definition, "type": definition.get("of") or "text"}, layers, dialect, missed)
        return {"type": "array", "items": entry, **_counts("Items", said.min_items, said.max_items)}
    if kind == "object":
        return _write_object(definition.get("fields") or {}, dialect, missed)
    return _WRITERS[kind](said, dialect, missed)


def _write_object(fields: Mapping[str, Definition], dialect: Dialect, missed: Missed) -> Schema:
    schema: Schema = {"type": "object"}
    if fields:
        schema["properties"] = {name: _write(field, (), dialect, missed) for name, field in fields.items()}
    if required := [name for name, field in fields.items() if field.get("required")]:
        schema["required"] = required
    return schema


def _write_text(said: Constraints, dialect: Dialect, missed: Missed) -> Schema:
    schema: Schema = {"type": "string", **_counts("Length", said.min_length, said.max_length), **_patterns(said, missed)}
    return schema if said.choices is None else {**schema, "enum": list(said.choices)}


def _shaped(name: str) -> Callable[[Constraints, Dialect, Missed], Schema]:
    def write(said: Constraints, dialect: Dialect, missed: Missed) -> Schema:
        shape = dict(SHAPES[name])
        counts = _counts("Length", said.min_length, min(said.max_length, shape.get("maxLength", UNLIMITED)))
        more = [{"pattern": found} for pattern in said.patterns if (found := _ecma(pattern, missed))]
        for bound, keyword in ((said.minimum, "minimum"), (said.maximum, "maximum")):
            if bound is not None:
                missed.append((keyword, "bound.moment"))
        return shape | counts | ({"allOf": more} if more else {})

    return write


def _write_number(name: str) -> Callable[[Constraints, Dialect, Missed], Schema]:
    return lambda said, dialect, missed: {"type": name, **_bounds(said, missed)}


def _write_money(said: Constraints, dialect: Dialect, missed: Missed) -> Schema:
    currency = {"$ref": f"#/{dialect.shared}/currency"} if dialect.shared else CURRENCY_PATTERN
    return {
        "type": "object",
        "properties": {"amount": {"type": "number", **_bounds(said, missed)}, "currency": currency},
        "required": ["amount", "currency"],
        "additionalProperties": False,
    }


_WRITERS: dict[str, Callable[[Constraints, Dialect, Missed], Schema]] = {
    "text": _write_text,
    "choice": _write_text,
    "integer": _write_number("integer"),
    "decimal": _write_number("number"),
    "boolean": lambda said, dialect, missed: {"type": "boolean"},
    "money": _write_money,
    **{name: _shaped(name) for name in SHAPES},
}


def _counts(of: str, low: int, high: int) -> Schema:
    return ({f"min{of}": low} if low else {}) | ({f"max{of}": high} if high < UNLIMITED else {})


def _patterns(said: Constraints, missed: Missed) -> Schema:
    written = [found for pattern in said.patterns if (found := _ecma(pattern, missed))]
    if len(written) == 1:
        return {"pattern": written[0]}
    return {"allOf": [{"pattern": one} for one in written]} if written else {}


def _ecma(pattern: str, missed: Missed) -> str | None:
    written = to_ecma(pattern)
    if written is None:
        missed.append(("pattern", "pattern.dialect"))
    return written


def _bounds(said: Constraints, missed: Missed) -> Schema:
    schema: Schema = {}
    for keyword, bound in (("minimum", said.minimum), ("maximum", said.maximum)):
        if bound is not None:
            number = json_number(bound)
            if number is None:
                missed.append((keyword, "bound.digits"))
            else:
                schema[keyword] = number
    return schema


def json_number(bound: Bound) -> int | float | None:
    """A number that says exactly this in every JSON reader, None if there is none."""
    value = Decimal(bound.value)
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else None
