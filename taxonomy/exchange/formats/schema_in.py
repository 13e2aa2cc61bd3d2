"""JSON Schema of any draft to attributes: what the standard can say is taken, all else is listed. Pure."""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, TypeGuard

from taxonomy.exchange.formats.found import Definition, LeftOut
from taxonomy.exchange.formats.names import clean
from taxonomy.exchange.formats.patterns import from_ecma
from taxonomy.exchange.formats.schema_node import Node, NodeReader
from taxonomy.exchange.formats.schema_out import CURRENCY_PATTERN, SHAPES, Schema
from taxonomy.standardize.types import check_definition
from taxonomy.standardize.types.numbers import is_writable

# Larger numbers are written as they were, perhaps with an exponent.
_PLAIN_DIGITS = 10**20
# Nobody counts further than 32 bits.
_MOST = 1 << 31
# As deep as a definition's fields may be.
_MAX_DEPTH = 8
# Said for people or tools: nothing is lost with them, or they are read elsewhere.
_SILENT = {
    "$schema", "$id", "id", "$comment", "title", "description", "examples", "example", "$defs", "definitions", "$anchor", "$ref",
    "type", "nullable", "x-tagline", "self",
}  # fmt: skip
_FORMATS = {
    "uuid": "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
    "ipv4": r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)",
}
_TYPES = {"date-time": "datetime", "date": "date", "email": "email", "uri": "url", "url": "url"}
_PLAIN = ("string", "integer", "number", "boolean")


class SchemaReader(NodeReader):
    """Reads schemas of one set of documents; what cannot be taken goes to `left_out`."""

    def attribute(self, schema: Any, *, file: str, where: str) -> tuple[Definition, bool] | None:
        """(definition, whether null is allowed); None if nothing like it can be an attribute."""
        read = self._read(schema, file, where, 0)
        if read is None:
            return None
        definition, node = read
        for field, keyword in (("label_en", "title"), ("description_en", "description")):
            if text := clean(node.schema.get(keyword), 120 if field == "label_en" else 10_000):
                definition[field] = text
        examples = node.schema.get("examples")
        if isinstance(examples, list) and examples and isinstance(examples[0], str | int | Decimal):
            definition["example"] = clean(str(examples[0]), 300)
        return definition, node.nullable

    def whole(self, schema: Any, *, file: str, where: str) -> Node | None:
        """A schema of a whole event, references and combinations taken in; None if it is none."""
        node = self.node(schema, file, where, 0)
        return node if node and isinstance(node.schema.get("properties", {}), dict) else None

    def miss(self, node: Node, done: set[str]) -> None:
        """Tell every keyword that nobody read."""
        for keyword in sorted(set(node.schema) - done - _SILENT):
            self._left_out.append(LeftOut(node.where, keyword, "keyword"))

    def _read(self, schema: Any, file: str, where: str, depth: int) -> tuple[Definition, Node] | None:
        node = self.node(schema, file, where, depth)
        if node is None:
            return None
        kind = self._kind(node)
        if kind is None:
            return None
        node.kind = kind
        definition, done = _READERS[kind](self, node)
        if definition is None:
            return None
        self.miss(node, done)
        return self._checked(definition, node), node

    def _kind(self, node: Node) -> str | None:
        given = node.schema.get("type")
        kinds = [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)]
        if "null" in kinds:
            node.nullable = True
        kinds = [one for one in dict.fromkeys(kinds) if one != "null"]
        if "integer" in kinds and "number" in kinds:
            kinds.remove("integer")
        if not kinds:
            return self._guess(node, given)
        if unknown := [one for one in kinds if one not in _READERS]:
            self.tell(node, unknown[0], "type.unknown")
            return None
        if len(kinds) == 1:
            return kinds[0]
        self.tell(node, ", ".join(kinds), "type.several")
        # Text takes numbers and yes or no too.
        return "string" if all(one in _PLAIN for one in kinds) else kinds[0]

    def _guess(self, node: Node, given: Any) -> str | None:
        if given == "null" or given == ["null"]:
            self.tell(node, "null", "type.none")
            return None
        if isinstance(node.schema.get("properties"), dict) and node.schema["properties"]:
            return "object"
        values = node.schema.get("enum", [node.schema["const"]] if "const" in node.schema else None)
        if isinstance(values, list) and (found := {_kind_of(one) for one in values if one is not None}) and len(found) == 1:
            return found.pop()
        self.tell(node, "", "type.any")
        return "string"

    def _checked(self, definition: Definition, node: Node) -> Definition:
        """Without the constraints that the standard refuses, each of them told."""
        for problem in check_definition(definition):
            name = problem.path.rpartition(".")[2]
            if definition["constraints"].pop(name, None) is not None:
                self.tell(node, name, "bound.unreadable")
        return definition

    def _string(self, node: Node) -> tuple[Definition, set[str]]:
        schema, constraints = node.schema, dict[str, Any]()
        done = {"format", "enum", "const", "pattern", "minLength", "maxLength"}
        patterns = [one for one in (schema["pattern"] if isinstance(schema.get("pattern"), list) else [schema.get("pattern")]) if one]
        kind = _shape_of(schema, patterns)
        if kind is not None:
            patterns.remove(SHAPES[kind]["pattern"])
            done |= set(SHAPES[kind])
        else:
            kind = self._format(node, patterns)
        if (choices := self._choices(node)) is not None:
            kind, constraints = "choice", {"choices": choices}
        taken = _LENGTHS if kind in ("text", "email", "url") else {}
        for keyword, name in taken.items():
            if _is_count(schema.get(keyword)) and not (kind == "email" and schema[keyword] == SHAPES["email"].get(keyword)):
                constraints[name] = int(schema[keyword])
        done -= {keyword for keyword in _LENGTHS if keyword in schema and keyword not in taken}
        if kind in ("text", "email", "url", "phone"):
            self._take_patterns(node, patterns, constraints)
        elif patterns:
            done.discard("pattern")
        return _definition(kind, constraints), done

    def _take_patterns(self, node: Node, patterns: list[Any], constraints: Definition) -> None:
        for pattern in patterns:
            found = from_ecma(pattern)
            if found is None or "pattern" in constraints:
                self.tell(node, "pattern", "pattern.dialect" if found is None else "keyword")
            else:
                constraints["pattern"] = found

    def _format(self, node: Node, patterns: list[Any]) -> str:
        given = node.schema.get("format")
        if given is None:
            return "text"
        given = str(given)
        if given in _TYPES:
            if given == "uri":
                self.tell(node, given, "format.narrower")
            return _TYPES[given]
        if given in _FORMATS and not patterns:
            patterns.append(f"^(?:{_FORMATS[given]})$")
        else:
            self.tell(node, given, "format.unknown")
        return "text"

    def _choices(self, node: Node) -> list[str] | None:
        values = [node.schema["const"]] if "const" in node.schema else node.schema.get("enum")
        if values is None:
            return None
        if isinstance(values, list) and None in values:
            node.nullable = True
        texts = list(dict.fromkeys(one for one in values if one is not None)) if _are_texts(values) else []
        if texts and all(one and one == one.strip() for one in texts):
            return texts
        self.tell(node, "enum", "type.enum")
        return None

    def _number(self, node: Node) -> tuple[Definition, set[str]]:
        whole = node.kind == "integer"
        constraints: Definition = {}
        for name, exclusive, rounding in (("minimum", "exclusiveMinimum", ROUND_FLOOR), ("maximum", "exclusiveMaximum", ROUND_CEILING)):
            bound, strict = node.schema.get(name), node.schema.get(exclusive)
            if _is_number(strict):
                bound, strict = strict, True
            if bound is None or not _is_number(bound):
                continue
            if not is_writable(bound):
                self.tell(node, name, "bound.digits")
                continue
            if strict is True and whole:
                step = 1 if name == "minimum" else -1
                bound = int(Decimal(bound).to_integral_value(rounding=rounding)) + step
            elif strict is True:
                self.tell(node, exclusive, "bound.exclusive")
            constraints[name] = _digits(bound)
        done = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
        if "const" in node.schema and _is_number(node.schema["const"]) and is_writable(node.schema["const"]):
            constraints, done = {"minimum": _digits(node.schema["const"]), "maximum": _digits(node.schema["const"])}, done | {"const"}
        return _definition("integer" if whole else "decimal", constraints), done

    def _boolean(self, node: Node) -> tuple[Definition, set[str]]:
        return _definition("boolean", {}), set()

    def _array(self, node: Node) -> tuple[Definition | None, set[str]]:
        constraints = {name: int(node.schema[keyword]) for keyword, name in _ITEMS.items() if _is_count(node.schema.get(keyword))}
        done = {"items", *_ITEMS}
        entries = node.schema.get("items")
        if not isinstance(entries, dict) or not entries:
            self.tell(node, "items", "type.any")
            if isinstance(entries, list):
                done.discard("items")
            return _definition("list", constraints, of="text"), done
        read = self._read(entries, node.file, f"{node.where}[]", node.depth + 1)
        if read is None:
            return None, done
        entry, inner = read
        if inner.nullable:
            self.tell(inner, "null", "type.null_entry")
        self._forget_words(inner)
        if entry["type"] == "list":
            self.tell(node, "items", "type.nested_list")
            return None, done
        return _definition("list", {**entry["constraints"], **constraints}, of=entry["type"], fields=entry["fields"]), done

    def _object(self, node: Node) -> tuple[Definition, set[str]]:
        done = {"properties", "required", "additionalProperties"}
        properties = node.schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        if _is_money(properties):
            if not _is_iso(properties["currency"]):
                self.tell(node, "currency", "type.money")
            return _definition(
                "money", self._number(Node(properties["amount"], node.file, node.where, node.depth, kind="number"))[0]["constraints"]
            ), done
        if node.schema.get("additionalProperties") not in (None, True):
            done.discard("additionalProperties")
        if properties and node.depth >= _MAX_DEPTH - 1:
            self.tell(node, "properties", "type.too_deep")
            return _definition("object", {}), done
        fields = {}
        for name, inner in properties.items():
            if clean(name) != name or not name:
                self.tell(node, clean(name), "name.unusable")
            elif (read := self._read(inner, node.file, f"{node.where}.{name}", node.depth + 1)) is not None:
                definition, one = read
                self._forget_words(one)
                needed = is_required(node.schema, name) and not one.nullable
                if is_required(node.schema, name) and one.nullable:
                    self.tell(one, "required", "required.nullable")
                fields[name] = {
                    "required": needed,
                    **{key: value for key, value in definition.items() if value or key in ("type", "constraints")},
                }
        for name in node.schema["required"] if isinstance(node.schema.get("required"), list) else []:
            if not isinstance(name, str) or name not in properties:
                self.tell(node, name, "required.unknown")
        return _definition("object", {}, fields=fields), done

    def _forget_words(self, node: Node) -> None:
        """A part of an attribute has no name and no description of its own."""
        for keyword in ("title", "description", "examples"):
            if node.schema.get(keyword):
                self.tell(node, keyword, "field")


_READERS: dict[str, Callable[[SchemaReader, Node], tuple[Any, set[str]]]] = {
    "string": SchemaReader._string,
    "integer": SchemaReader._number,
    "number": SchemaReader._number,
    "boolean": SchemaReader._boolean,
    "array": SchemaReader._array,
    "object": SchemaReader._object,
}
_LENGTHS = {"minLength": "min_length", "maxLength": "max_length"}
_ITEMS = {"minItems": "min_items", "maxItems": "max_items"}


def is_required(schema: Schema, name: str) -> bool:
    required = schema.get("required")
    return isinstance(required, list) and name in required


def _definition(kind: str, constraints: Definition, *, of: str | None = None, fields: Definition | None = None) -> Definition:
    return {"type": kind, "of": of, "fields": fields or {}, "constraints": constraints}


def _shape_of(schema: Schema, patterns: list[Any]) -> str | None:
    format = schema.get("format")
    return next(
        (name for name, shape in SHAPES.items() if shape["pattern"] in patterns and (format is None or _TYPES.get(str(format)) == name)),
        None,
    )


def _is_money(properties: Schema) -> bool:
    """Whether it says an amount and a currency, and nothing else."""
    amount, currency = properties.get("amount"), properties.get("currency")
    if properties.keys() != {"amount", "currency"} or not isinstance(amount, dict) or not isinstance(currency, dict):
        return False
    return amount.get("type") in ("number", "integer") and ("$ref" in currency or currency.get("type") == "string")


def _is_iso(currency: Schema) -> bool:
    """Whether its codes are those of ISO 4217: the pattern or the list that we write ourselves, or one that names the larger ones."""
    codes = currency.get("enum")
    return (
        currency == CURRENCY_PATTERN
        or str(currency.get("$ref", "")).endswith("/currency")
        or (isinstance(codes, list) and "CNY" in codes and "USD" in codes)
    )


def _is_number(value: Any) -> TypeGuard[int | Decimal]:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    """JSON Schema calls 2.0 an integer too."""
    number: int | Decimal = value if _is_number(value) else -1
    return 0 <= number < _MOST and number == int(number)


def _digits(value: int | Decimal) -> str:
    return str(int(value)) if -_PLAIN_DIGITS < value < _PLAIN_DIGITS and value == int(value) else str(value)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(one is None or isinstance(one, str) for one in values)


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return {int: "integer", Decimal: "number", str: "string", list: "array", dict: "object"}.get(type(value), "string")
