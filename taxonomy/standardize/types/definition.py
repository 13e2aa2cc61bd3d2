"""Definitions of attributes: what is wrong with one, and the casting function made of one that is right."""

from collections.abc import Iterator, Mapping
from typing import Any

from taxonomy.standardize.conditions import compile_pattern
from taxonomy.standardize.faults import Fault
from taxonomy.standardize.types.constraints import Constraints, Layers, merge
from taxonomy.standardize.types.nested import compile_list, compile_object
from taxonomy.standardize.types.table import TYPES, Cast, constraints_for

# Every way a definition can be wrong.
DEFINITION_CODES = (
    "definition.type",
    "definition.of",
    "definition.fields",
    "definition.constraint_unknown",
    "definition.bound",
    "definition.count",
    "definition.pattern",
    "definition.choices",
    "definition.crossed",
)

_COUNTS = ("min_length", "max_length", "min_items", "max_items")
_MAX_DEPTH = 8


class DefinitionError(ValueError):
    """A definition that cannot be compiled; `problems` are check_definition's."""

    def __init__(self, problems: list[Fault]) -> None:
        super().__init__("; ".join(f"{one.path or 'definition'}: {one.code} {one.seen!r}" for one in problems))
        self.problems = problems


def compile_cast(definition: Mapping[str, Any], *layers: Mapping[str, Any]) -> Cast:
    """Compile to cast(value, defaults) -> standard value | ABSENT | Fault | Faults, which never raises.

    `layers` are further constraints, such as a tag's tightening; all hold. A value that already is standard is given
    back itself. Raises DefinitionError, a ValueError, exactly where check_definition finds something, but for fields of a type
    that has none: nothing reads them, and released plans may hold some.
    """
    problems = list(_check(definition, layers, "", 0))
    if problems:
        raise DefinitionError(problems)
    return _compile(definition, layers)


def check_definition(definition: Mapping[str, Any], *layers: Mapping[str, Any]) -> list[Fault]:
    """Everything wrong with a definition and the constraints laid over it. `path` is where in the definition."""
    return [*_check(definition, layers, "", 0), *_idle_fields(definition, "", 0)]


def _compile(definition: Mapping[str, Any], layers: Layers) -> Cast:
    kind = definition["type"]
    constraints = _merged(definition, layers)
    if kind == "list":
        return compile_list(_compile({**definition, "type": _entry_type(definition)}, layers), constraints)
    if kind == "object":
        fields = definition.get("fields") or {}
        return compile_object({name: (_compile(field, ()), bool(field.get("required"))) for name, field in fields.items()})
    compile_type = TYPES[kind].compile
    assert compile_type is not None
    return compile_type(constraints)


def _merged(definition: Mapping[str, Any], layers: Layers) -> Constraints:
    """Only the constraints that the type takes: a list's definition holds those of its entries too."""
    row = TYPES[definition["type"]]
    own = ({name: layer[name] for name in layer if name in row.constraints} for layer in _all(definition, layers))
    return merge(own, row.read_bound)


def _all(definition: Mapping[str, Any], layers: Layers) -> list[Mapping[str, Any]]:
    return [definition.get("constraints") or {}, *(layer or {} for layer in layers)]


def _entry_type(definition: Mapping[str, Any]) -> str:
    return str(definition.get("of") or "text")


def _check(definition: Mapping[str, Any], layers: Layers, path: str, depth: int) -> Iterator[Fault]:
    kind, of = definition.get("type"), None
    if not isinstance(kind, str) or kind not in TYPES:
        yield Fault("definition.type", f"{path}type", kind, sorted(TYPES))
        return
    if kind == "list":
        of = _entry_type(definition)
        if of not in TYPES or of == "list":
            yield Fault("definition.of", f"{path}of", of, sorted(TYPES.keys() - {"list"}))
            return
    if wrong := [layer for layer in _all(definition, layers) if not isinstance(layer, Mapping)]:
        yield Fault("definition.constraint_unknown", f"{path}constraints", wrong[0], {"type": "object"})
        return
    if not isinstance(definition.get("required", False), bool):
        yield Fault("definition.fields", f"{path}required", definition["required"], {"type": "boolean"})
    if "object" in (kind, of):
        yield from _check_fields(definition.get("fields") or {}, path, depth)
    faults = [
        fault
        for layer in _all(definition, layers)
        for name, value in layer.items()
        for fault in _check_constraint(str(kind), of, name, value, f"{path}constraints.{name}")
    ]
    yield from faults
    if not faults:
        yield from _check_together(definition, layers, of, path)


def _check_fields(fields: Any, path: str, depth: int) -> Iterator[Fault]:
    if not isinstance(fields, dict) or depth >= _MAX_DEPTH:
        yield Fault("definition.fields", f"{path}fields", fields, {"type": "object", "depth": _MAX_DEPTH})
        return
    for name, field in fields.items():
        inner = f"{path}fields.{name}"
        if not name or not isinstance(name, str) or not isinstance(field, dict):
            yield Fault("definition.fields", inner, field, {"type": "object"})
        else:
            yield from _check(field, (), f"{inner}.", depth + 1)


def _idle_fields(definition: Mapping[str, Any], path: str, depth: int) -> Iterator[Fault]:
    """Fields of a type that has none, at any depth."""
    kind, fields = definition.get("type"), definition.get("fields")
    if (_entry_type(definition) if kind == "list" else kind) != "object":
        if fields and kind in TYPES:
            yield Fault("definition.fields", f"{path}fields", fields, {"type": "object"})
    elif isinstance(fields, dict) and depth < _MAX_DEPTH:
        for name, field in fields.items():
            if isinstance(field, dict):
                yield from _idle_fields(field, f"{path}fields.{name}.", depth + 1)


def _check_constraint(kind: str, of: str | None, name: str, value: Any, path: str) -> Iterator[Fault]:
    allowed = constraints_for(kind, of)
    if name not in allowed:
        yield Fault("definition.constraint_unknown", path, name, sorted(allowed))
    elif name in _COUNTS:
        if type(value) is not int or value < 0:
            yield Fault("definition.count", path, value, {"type": "integer", "minimum": "0"})
    elif name == "pattern":
        yield from _check_pattern(value, path)
    elif name == "choices":
        if not _are_choices(value):
            yield Fault("definition.choices", path, value, {"type": "list", "of": "text"})
    else:
        yield from _check_bound(of or kind, value, path)


def _check_pattern(value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield Fault("definition.pattern", path, value, {"type": "text"})
        return
    try:
        compile_pattern(value)
    except ValueError as error:
        yield Fault("definition.pattern", path, value, {"syntax": "RE2"}, {"problem": str(error)})


def _are_choices(value: Any) -> bool:
    """Different texts, none of them blank or with spaces around it, which nobody would see."""
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        return False
    return len(set(value)) == len(value) and all(one and one == one.strip() for one in value)


def _check_bound(kind: str, value: Any, path: str) -> Iterator[Fault]:
    read_bound = TYPES[kind].read_bound
    assert read_bound is not None
    try:
        read_bound(str(value))
    except (ValueError, ArithmeticError):
        yield Fault("definition.bound", path, value, {"type": kind})


def _check_together(definition: Mapping[str, Any], layers: Layers, of: str | None, path: str) -> Iterator[Fault]:
    for kind in filter(None, (definition["type"], of)):
        constraints = _merged({**definition, "type": kind}, layers)
        for name in constraints.crossed():
            yield Fault("definition.crossed", f"{path}constraints.{name}")
        if kind == "choice" and constraints.choices is None:
            yield Fault("definition.choices", f"{path}constraints.choices", None, {"type": "list", "of": "text"})
