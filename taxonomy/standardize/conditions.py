"""Conditions of mapping rules: a path into what was sent, an operator, a value typed by a person."""

import operator
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import re2

from taxonomy.standardize.decode import storable
from taxonomy.standardize.read import text_of

Test = Callable[[Any], bool]


def compile_test(operator: str, value: str) -> Test:
    """Compile to a question about the value found, None when nothing is there.

    Numbers compare as numbers where both sides are; all else compares as text, case and all, so dates in ISO order.
    What is absent fails every question but `ne` and `missing`. Raises ValueError for what cannot be compiled.
    """
    if operator not in _OPERATORS:
        raise ValueError(f"operator {operator!r}: expected one of {', '.join(_OPERATORS)}")
    return _OPERATORS[operator](value)


def _equals(value: str) -> Test:
    number = number_of(value)

    def test(found: Any) -> bool:
        if type(found) is str:
            return found == value
        if found is None:
            return False
        if number is not None and type(found) is not bool and isinstance(found, int | Decimal):
            return found == number
        return text_of(found) == value

    return test


def _differs(value: str) -> Test:
    equals = _equals(value)
    return lambda found: not equals(found)


def _is_in(value: str) -> Test:
    tests = [_equals(choice.strip()) for choice in value.split(",") if choice.strip()]
    return lambda found: any(test(found) for test in tests)


def _ordered(is_so: Callable[[Any, Any], bool]) -> Callable[[str], Test]:
    def compile_order(value: str) -> Test:
        number = number_of(value)

        def test(found: Any) -> bool:
            if type(found) is not str and (found is None or isinstance(found, bool | dict | list)):
                return False
            if number is None:
                return is_so(text_of(found), value)
            seen = number_of(text_of(found))
            return seen is not None and is_so(seen, number)

        return test

    return compile_order


def _contains(value: str) -> Test:
    def test(found: Any) -> bool:
        if isinstance(found, list):
            return any(inner is not None and text_of(inner) == value for inner in found)
        return found is not None and value in text_of(found)

    return test


def _starts_with(value: str) -> Test:
    return lambda found: found is not None and text_of(found).startswith(value)


def _matches(value: str) -> Test:
    pattern = compile_pattern(value)
    return lambda found: found is not None and pattern.fullmatch(storable(text_of(found))) is not None


def _exists(value: str) -> Test:
    return lambda found: found is not None and found != ""


def _missing(value: str) -> Test:
    return lambda found: found is None or found == ""


_OPERATORS: dict[str, Callable[[str], Test]] = {
    "eq": _equals,
    "ne": _differs,
    "in": _is_in,
    "gt": _ordered(operator.gt),
    "gte": _ordered(operator.ge),
    "lt": _ordered(operator.lt),
    "lte": _ordered(operator.le),
    "contains": _contains,
    "starts_with": _starts_with,
    "matches": _matches,
    "exists": _exists,
    "missing": _missing,
}


def number_of(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


# Staff write these patterns: RE2 cannot be made to hang. It must not print them either: they may hold personal data.
_options = re2.Options()
_options.log_errors = False


def compile_pattern(text: str) -> Any:
    """Compile a regular expression for RE2. Raises ValueError."""
    try:
        return re2.compile(text, options=_options)
    except re2.error as error:
        raise ValueError(error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)) from error
