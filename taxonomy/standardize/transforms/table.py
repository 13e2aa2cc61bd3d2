"""The table's rows and the work each does. A new transform: a function, a row, cases, a row in docs/transforms.md."""

import re
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any, NamedTuple

from taxonomy.standardize.conditions import compile_pattern
from taxonomy.standardize.decode import storable
from taxonomy.standardize.faults import ABSENT, Fault
from taxonomy.standardize.paths import compile_path
from taxonomy.standardize.read import text_of
from taxonomy.standardize.times import compile_strptime
from taxonomy.standardize.types.numbers import MAX_DIGITS, is_writable, read_number

# (value, attributes as sent) -> value, None for absent, or Fault
Transform = Callable[[Any, Any], Any]


class Row(NamedTuple):
    """`parameters` are names people read; those after `required` may be left out.

    `build` takes the arguments and raises ValueError for wrong ones. `example`: (written, before, after).
    """

    name: str
    parameters: tuple[str, ...]
    required: int
    build: Callable[..., Transform]
    example: tuple[str, Any, Any]
    pairs: bool = False
    each_entry: bool = True
    takes_absent: bool = False


def _fault(name: str, value: Any, expected: Any = None) -> Fault:
    return Fault("attribute.transform", seen=value, expected=expected, values={"transform": name})


def _on_text(change: Callable[[str], str]) -> Callable[[], Transform]:
    """Texts are changed; numbers and all else stay."""
    return lambda: lambda value, sent: change(value) if type(value) is str else value


# 1.234,56 and 1 234,56 and 1'234,56: groups of three before the comma, or no groups.
_DECIMAL_COMMA = re.compile(r"([+-]?)([0-9]+|[0-9]{1,3}(?:([.' \u00a0\u202f’])[0-9]{3})(?:\3[0-9]{3})*)(?:,([0-9]+))?")


def _decimal_comma() -> Transform:
    def transform(value: Any, sent: Any) -> Any:
        if type(value) is not str:
            return value
        found = _DECIMAL_COMMA.fullmatch(value.strip())
        if found is None:
            return _fault("decimal_comma", value, {"example": "1.234,56"})
        whole = re.sub(r"[^0-9]", "", found[2])
        return f"{found[1]}{whole}.{found[4]}" if found[4] else f"{found[1]}{whole}"

    return transform


# Exact wherever the result has at most 28 digits, as for every division by 10, 100 or 1000.
_arithmetic = Context(prec=28, traps=[InvalidOperation, DivisionByZero, Overflow])


def _number(text: str) -> Decimal:
    number = read_number(text, "decimal")
    if type(number) is not Decimal:
        raise ValueError(f"{text!r}: expected a number such as 100")
    return number


def _calculation(name: str, calculate: Callable[[Any, Decimal], Decimal], operand: Decimal) -> Transform:
    def transform(value: Any, sent: Any) -> Any:
        number = value if type(value) is int else read_number(value, "decimal")
        if number is ABSENT:
            return None
        return _calculated(name, value, calculate, number, operand)

    return transform


def _calculated(name: str, value: Any, calculate: Callable[[Any, Any], Decimal], number: Any, operand: Any) -> Any:
    """TypeError: one of them is a Fault, no number."""
    try:
        result = calculate(number, operand)
        if -MAX_DIGITS <= result.adjusted() < MAX_DIGITS:
            return result
    except (ArithmeticError, TypeError):
        pass
    return _fault(name, value, {"type": "decimal"})


def _multiply(factor: str) -> Transform:
    number = _number(factor)
    return _calculation("multiply", _arithmetic.multiply, number)


def _divide(divisor: str) -> Transform:
    number = _number(divisor)
    if number == 0:
        raise ValueError("expected a number other than 0")
    return _calculation("divide", _arithmetic.divide, number)


def _divide_by(path: str) -> Transform:
    find = compile_path(path)

    def transform(value: Any, sent: Any) -> Any:
        number, divisor = read_number(value, "decimal"), read_number(find(sent), "decimal")
        if not all(type(one) in (int, Decimal) for one in (number, divisor)) or divisor == 0:
            return _fault("divide_by", value, {"type": "decimal", "divisor": path})
        return _calculated("divide_by", value, _arithmetic.divide, number, divisor)

    return transform


def _date_format(format: str) -> Transform:
    parse = compile_strptime(format)
    has_time = bool(re.search(r"%[HIcX]", format.replace("%%", "")))

    def transform(value: Any, sent: Any) -> Any:
        try:
            moment = parse(text_of(value).strip())
        except (ValueError, ArithmeticError):
            moment = None
        if moment is None:
            return _fault("date_format", value, {"format": format})
        return moment.isoformat() if has_time else moment.date().isoformat()

    return transform


def _value_map(*pairs: str) -> Transform:
    """The key * stands for every other value; without it they stay as they are."""
    names = dict(zip(pairs[::2], pairs[1::2], strict=True))
    if len(names) * 2 != len(pairs):
        raise ValueError("expected each value once on the left")
    anything = names.pop("*", None)

    def transform(value: Any, sent: Any) -> Any:
        text = text_of(value)
        if text in names:
            return names[text]
        return value if anything is None else anything

    return transform


def _constant(text: str) -> Transform:
    return lambda value, sent: text


def _default(text: str) -> Transform:
    return lambda value, sent: text if value is None or (type(value) is str and not value.strip()) else value


def _split(separator: str, index: str | None = None) -> Transform:
    """Pieces count from 0, from the end as -1, -2; one that is not there is absent. Without an index: all, as a list."""
    if not separator:
        raise ValueError("expected a separator")
    position = None if index is None else int(index)

    def transform(value: Any, sent: Any) -> Any:
        if type(value) is not str:
            return _fault("split", value, {"type": "text"})
        pieces = value.split(separator)
        if position is None:
            return pieces
        return pieces[position] if -len(pieces) <= position < len(pieces) else None

    return transform


def _extract(pattern: str, group: str | None = None) -> Transform:
    """What the pattern finds first; absent where it finds nothing. The group: 1 where there is one, else the whole."""
    compiled = compile_pattern(pattern)
    number = min(compiled.groups, 1) if group is None else int(group)
    if not 0 <= number <= compiled.groups:
        raise ValueError(f"group {number}: expected at most {compiled.groups}")

    def transform(value: Any, sent: Any) -> Any:
        if isinstance(value, dict):
            return _fault("extract", value, {"type": "text"})
        found = compiled.search(storable(text_of(value)))
        return None if found is None else found.group(number)

    return transform


def _join(separator: str) -> Transform:
    def transform(value: Any, sent: Any) -> Any:
        if type(value) is not list:
            return value
        return separator.join(text_of(entry) for entry in value if entry is not None)

    return transform


_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")


def _whole_number() -> Transform:
    def transform(value: Any, sent: Any) -> Any:
        if type(value) is str:
            found = _WHOLE.fullmatch(value.strip())
            return found[1] if found else value
        if isinstance(value, Decimal | float) and is_writable(Decimal(value)) and value == int(value):
            return int(value)
        return value

    return transform


_ROWS: Sequence[Row] = (
    Row("trim", (), 0, _on_text(str.strip), ("trim", " SKU1 ", "SKU1")),
    Row("lower", (), 0, _on_text(str.lower), ("lower", "Female", "female")),
    Row("upper", (), 0, _on_text(str.upper), ("upper", "cny", "CNY")),
    Row("decimal_comma", (), 0, _decimal_comma, ("decimal_comma", "1.234,56", "1234.56")),
    Row("whole_number", (), 0, _whole_number, ("whole_number", "17850.0", "17850")),
    Row("multiply", ("number",), 1, _multiply, ("multiply(60)", "1.5", Decimal("90.0"))),
    Row("divide", ("number",), 1, _divide, ("divide(100)", 1250, Decimal("12.5"))),
    Row("divide_by", ("path",), 1, _divide_by, ("divide_by(quantity)", "30.00", Decimal(15))),
    Row("date_format", ("format",), 1, _date_format, ("date_format(%d/%m/%Y)", "31/01/2026", "2026-01-31")),
    Row("value_map", ("from=to, …",), 1, _value_map, ("value_map(1=male, 2=female)", 2, "female"), pairs=True),
    Row("constant", ("text",), 1, _constant, ("constant(CNY)", None, "CNY"), each_entry=False, takes_absent=True),
    Row("default", ("text",), 1, _default, ("default(web)", "", "web"), each_entry=False, takes_absent=True),
    Row("split", ("separator", "index"), 1, _split, ('split(" > ", 0)', "Shoes > Boots", "Shoes")),
    Row("extract", ("pattern", "group"), 1, _extract, ('extract("SKU([0-9]+)", 1)', "/p/SKU123", "123")),
    Row("join", ("separator",), 1, _join, ('join(", ")', ["red", "blue"], "red, blue"), each_entry=False),
)

TRANSFORMS: dict[str, Row] = {row.name: row for row in _ROWS}
