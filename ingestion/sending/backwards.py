"""Mapping backwards: what must be sent so that a path finds a value, transforms make it, or a pattern fits. Pure.

Nothing here is sure: whoever asks tries the answer on the core. What cannot be gone back is NoWay.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from re import _parser as sre  # type: ignore[attr-defined]
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from taxonomy.standardize.conditions import compile_test, number_of
from taxonomy.standardize.paths import compile_path, plain_names
from taxonomy.standardize.read import is_given, text_of
from taxonomy.standardize.transforms import TransformError, parse_transforms

Node = dict[str, Any]
# What a transform such as constant needs: nothing sent.
NOTHING = object()
# A list or text longer than this is no example.
_MOST = 200


class NoWay(Exception):
    """Nothing is known that would be read so."""


def put(path: str, into: dict[str, Any], value: Any) -> dict[str, Any]:
    """A copy of `into` in which the path finds the value."""
    try:
        placed = _placed(_tree(path), into, value)
    except RecursionError as error:
        raise NoWay from error
    if not isinstance(placed, dict):
        raise NoWay
    return placed


def find(path: str, inside: Any) -> Any:
    """What the path finds, None when nothing is there."""
    return compile_path(path)(inside)


def _tree(path: str) -> Node:
    """JMESPath's tree of a path; plain ones may have names that it cannot read."""
    names = plain_names(path)
    if names is None:
        try:
            parsed: Node = jmespath.compile(path).parsed
        except JMESPathError as error:
            raise NoWay from error
        return parsed
    nodes: list[Node] = [{"type": "field", "value": name, "children": []} for name in names]
    found = nodes[0]
    for node in nodes[1:]:
        found = {"type": "subexpression", "children": [found, node]}
    return found


def _placed(node: Node, inside: Any, value: Any) -> Any:
    """What must stand in the place of `inside` for the node of a JMESPath tree to find the value there."""
    children = node["children"]
    match node["type"]:
        case "field":
            return _as(dict, inside) | {node["value"]: value}
        case "identity" | "current":
            return value
        case "subexpression" | "pipe" | "index_expression":
            first, then = children
            return _placed(first, inside, _placed(then, _found(first, inside), value))
        case "index":
            return _at(node["value"], _as(list, inside), value)
        case "flatten":
            return _placed(children[0], inside, value)
        case "projection":
            return _each(children[0], inside, value, lambda entry, one: _placed(children[1], entry, one))
        case "filter_projection":
            return _each(children[0], inside, value, lambda entry, one: _passing(children[2], _placed(children[1], entry, one)))
        case "or_expression":
            return _placed(children[0], inside, value)
        case "multi_select_list":
            return _in_turn(children, inside, _as(list, value))
        case "function_expression":
            return _under_function(node["value"], children, inside, value)
    raise NoWay


def _found(node: Node, inside: Any) -> Any:
    try:
        return TreeInterpreter().visit(node, inside)
    except (JMESPathError, TypeError, ValueError, AttributeError):
        return None


def _as[Kind: (dict[str, Any], list[Any])](kind: type[Kind], inside: Any) -> Kind:
    if inside is None:
        return kind()
    if not isinstance(inside, kind):
        raise NoWay
    return kind(inside)


def _at(index: int, entries: list[Any], value: Any) -> list[Any]:
    if not -_MOST < index < _MOST:
        raise NoWay
    if index < 0:
        entries = [None] * (-index - len(entries)) + entries
    else:
        entries += [None] * (index + 1 - len(entries))
    entries[index] = value
    return entries


def _each(listed: Node, inside: Any, value: Any, placed: Callable[[Any, Any], Any]) -> Any:
    """A list in whose entries the values stand, one each; a single value in the first."""
    values = value if isinstance(value, list) else [value]
    entries = _as(list, _found(listed, inside))
    entries += [None] * (len(values) - len(entries))
    return _placed(listed, inside, [placed(entry, one) for entry, one in zip(entries, values, strict=False)] + entries[len(values) :])


def _passing(condition: Node, entry: Any) -> Any:
    """The entry with what a filter such as [?kind=='home'] asks of it."""
    if _found(condition, entry) is True:
        return entry
    if condition["type"] == "comparator" and condition["value"] == "eq" and condition["children"][1]["type"] == "literal":
        return _placed(condition["children"][0], entry, condition["children"][1]["value"])
    raise NoWay


def _in_turn(nodes: list[Node], inside: Any, values: list[Any]) -> Any:
    if len(nodes) != len(values):
        raise NoWay
    for node, value in zip(nodes, values, strict=True):
        inside = _placed(node, inside, value)
    return inside


def _under_function(name: str, arguments: list[Node], inside: Any, value: Any) -> Any:
    match name:
        case "to_string" | "to_number" | "not_null" | "to_array":
            return _placed(arguments[0], inside, value)
        case "sum" | "avg" | "max" | "min":
            return _placed(arguments[0], inside, [value])
        case "length":
            if _found(arguments[0], inside):
                return inside
            number = number_of(text_of(value))
            if number is None or not 0 < number <= 10:
                raise NoWay
            return _placed(arguments[0], inside, [{}] * int(number))
        case "join" if arguments[0]["type"] == "literal":
            return _joined(arguments[0]["value"], arguments[1], inside, text_of(value))
    raise NoWay


def _joined(separator: str, parts: Node, inside: Any, text: str) -> Any:
    """What is there stays, if the text cannot be parted so that it may: an id of parts need only be one."""
    if parts["type"] != "multi_select_list":
        return _placed(parts, inside, text.split(separator))
    nodes = parts["children"]
    there = [_found(_inner(node), inside) for node in nodes]
    pieces = text.rsplit(separator, len(nodes) - 1)
    if len(pieces) != len(nodes) or any(is_given(one) and text_of(one) != piece for one, piece in zip(there, pieces, strict=True)):
        pieces = [text_of(one) if is_given(one) else text for one in there]
    return _in_turn(nodes, inside, pieces)


def _inner(node: Node) -> Node:
    """What a function such as to_string is called with: of what is not there it makes a text too."""
    inner: Node = node["children"][0] if node["type"] == "function_expression" else node
    return inner


def before(transforms: str, value: Any, sent: dict[str, Any]) -> Any:
    """What the transforms would make this value of, NOTHING where they need nothing. `sent`: the other attributes."""
    steps = parse_transforms(transforms)
    if isinstance(steps, TransformError):
        raise NoWay
    for step in reversed(steps):
        if step.name == "constant":
            return NOTHING
        if (undo := _UNDO.get(step.name)) is not None:
            value = undo(value, sent, *step.arguments)
    return value


def _calculated(value: Any, calculate: Callable[[Decimal], Decimal]) -> int | float:
    if isinstance(value, dict):
        value = value.get("amount")
    try:
        result = calculate(Decimal(text_of(value)))
        return int(result) if result == result.to_integral_value() else float(result)
    except (ArithmeticError, ValueError) as error:
        raise NoWay from error


def _undo_divide_by(value: Any, sent: dict[str, Any], path: str) -> Any:
    divisor = number_of(text_of(_found(_tree(path), sent)))
    if not divisor:
        raise NoWay
    return _calculated(value, lambda number: number * divisor)


def _undo_date_format(value: Any, sent: dict[str, Any], form: str) -> str:
    try:
        return datetime.fromisoformat(text_of(value)).strftime(form)
    except ValueError:
        try:
            return date.fromisoformat(text_of(value)).strftime(form)
        except ValueError as error:
            raise NoWay from error


def _undo_value_map(value: Any, sent: dict[str, Any], *pairs: str) -> Any:
    """The name that means the value; where none does, one that means something else."""
    names = dict(zip(pairs[::2], pairs[1::2], strict=True))
    text = text_of(value)
    meaning = [name for name, means in names.items() if name != "*" and means == text]
    if meaning:
        return meaning[0]
    if text not in names and names.get("*", text) == text:
        return value
    return next((name for name in names if name != "*"), text)


def _undo_split(value: Any, sent: dict[str, Any], separator: str, index: str | None = None) -> str:
    if isinstance(value, list):
        return separator.join(map(text_of, value))
    at = int(index or 0)
    if not -_MOST < at < _MOST:
        raise NoWay
    return separator.join([text_of(value)] * (at + 1 if at >= 0 else -at))


def _undo_extract(value: Any, sent: dict[str, Any], pattern: str, group: str | None = None) -> str:
    try:
        number = int(group) if group is not None else min(re.compile(pattern).groups, 1)
    except re.error as error:
        raise NoWay from error
    return matching(pattern, {number: text_of(value)})


_UNDO: dict[str, Callable[..., Any]] = {
    "decimal_comma": lambda value, sent: text_of(value).replace(".", ","),
    "multiply": lambda value, sent, factor: _calculated(value, lambda number: number / Decimal(factor)),
    "divide": lambda value, sent, divisor: _calculated(value, lambda number: number * Decimal(divisor)),
    "divide_by": _undo_divide_by,
    "date_format": _undo_date_format,
    "value_map": _undo_value_map,
    "split": _undo_split,
    "extract": _undo_extract,
    "join": lambda value, sent, separator: text_of(value).split(separator),
}  # fmt: skip


def passing(operator: str, asked: str, found: Any) -> Any:
    """A value that a condition lets through; the one found, if it does. NOTHING: none may be there."""
    if compile_test(operator, asked)(found):
        return found
    number = number_of(asked)
    value: Any = _plain(number) if number is not None else asked
    match operator:
        case "in":
            return asked.split(",")[0].strip()
        case "gt" | "gte" | "lt" | "lte" if number is not None:
            return _plain(number + {"gt": 1, "lt": -1}.get(operator, 0))
        case "ne":
            return f"not {asked}"
        case "matches":
            return matching(asked)
        case "exists":
            return "1"
        case "missing":
            return NOTHING
    return value


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() and abs(number) < 10**15 else float(number)


def matching(pattern: str, groups: dict[int, str] | None = None) -> str:
    """A text that the whole pattern fits, with these texts in its groups; 0 is the whole."""
    groups = groups or {}
    if 0 in groups:
        return groups[0]
    try:
        text = _written(list(sre.parse(pattern)), groups)
    except (re.error, ValueError, OverflowError, RecursionError, InvalidOperation) as error:
        raise NoWay from error
    return text


# What stands for a run of signs, the first that fits: openProductPage, not openAAAPage.
_RUNS = ("roduct", "product", "PRODUCT", "1001", "A1", "-", "_", " ")
_SIGNS = "PpAa1-_. 商"


def _written(tokens: list[Any], groups: dict[int, str]) -> str:
    return "".join(_one(str(kind), given, groups) for kind, given in tokens)


def _one(kind: str, given: Any, groups: dict[int, str]) -> str:
    match kind:
        case "LITERAL":
            return chr(given)
        case "AT":
            return ""
        case "IN" | "ANY" | "NOT_LITERAL":
            return next((sign for sign in _SIGNS if _fits(kind, given, sign)), None) or _least(kind, given)
        case "SUBPATTERN":
            return groups[given[0]] if given[0] in groups else _written(list(given[-1]), groups)
        case "BRANCH":
            return _written(list(given[1][0]), groups)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _repeated(given[0], given[1], given[2], groups)
    raise NoWay


def _repeated(least: int, most: Any, repeated: Any, groups: dict[int, str]) -> str:
    inner = list(repeated)
    if least > _MOST:
        raise NoWay
    if len(inner) == 1 and str(inner[0][0]) in ("IN", "ANY", "NOT_LITERAL"):
        kind, given = inner[0]
        for run in _RUNS[:5]:
            length = min(max(len(run), least), int(most))
            if all(_fits(str(kind), given, sign) for sign in run):
                return (run * _MOST)[:length]
    once = _written(inner, groups)
    return once * max(least, 1 if once.strip() and most else 0)


def _fits(kind: str, given: Any, sign: str) -> bool:
    if kind == "ANY":
        return True
    if kind == "NOT_LITERAL":
        return ord(sign) != given
    negated, any_fits = False, False
    for inner, what in given:
        match str(inner):
            case "NEGATE":
                negated = True
            case "LITERAL":
                any_fits |= ord(sign) == what
            case "RANGE":
                any_fits |= what[0] <= ord(sign) <= what[1]
            case "CATEGORY":
                any_fits |= _in_category(str(what), sign)
    return any_fits != negated


def _in_category(category: str, sign: str) -> bool:
    name = category.removeprefix("CATEGORY_")
    belongs = {
        "DIGIT": sign in "0123456789",
        "WORD": sign.isascii() and (sign.isalnum() or sign == "_"),
        "SPACE": sign in " \t\n\f\r",
    }[name.removeprefix("NOT_")]  # fmt: skip
    return belongs != name.startswith("NOT_")


def _least(kind: str, given: Any) -> str:
    """The first sign of a class that holds none of the usual ones."""
    for inner, what in given if kind == "IN" else ():
        if str(inner) in ("LITERAL", "RANGE"):
            return chr(what if str(inner) == "LITERAL" else what[0])
    raise NoWay
