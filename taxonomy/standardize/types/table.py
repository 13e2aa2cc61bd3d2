"""The one table of attribute types. A new type: a row here, cases in tests/cases/types.json, docs/attribute-types.md."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from taxonomy.standardize.faults import Defaults
from taxonomy.standardize.types.constraints import Constraints
from taxonomy.standardize.types.moments import compile_date, compile_datetime, date_bound, moment_bound
from taxonomy.standardize.types.numbers import compile_decimal, compile_integer, compile_money, read_number
from taxonomy.standardize.types.texts import (
    compile_boolean,
    compile_choice,
    compile_email,
    compile_phone,
    compile_text,
    compile_url,
)

Cast = Callable[[Any, Defaults], Any]


def number_bound(text: str) -> Decimal:
    number = read_number(text, "decimal")
    if type(number) is not Decimal:
        raise ValueError(f"{text!r}: expected a number such as 12.50")
    return number


class AttributeType(NamedTuple):
    """`compile` is None for list and object, which are made of other types. `example` is a standard value."""

    name: str
    compile: Callable[[Constraints], Cast] | None
    constraints: frozenset[str]
    example: Any
    read_bound: Callable[[str], Any] | None = None


_RANGE = frozenset({"minimum", "maximum"})
_LENGTH = frozenset({"min_length", "max_length"})

TYPES: dict[str, AttributeType] = {
    row.name: row
    for row in (
        AttributeType("text", compile_text, _LENGTH | {"pattern", "choices"}, "SKU123"),
        AttributeType("integer", compile_integer, _RANGE, 3, number_bound),
        AttributeType("decimal", compile_decimal, _RANGE, Decimal("12.50"), number_bound),
        AttributeType("boolean", compile_boolean, frozenset(), True),
        AttributeType("date", compile_date, _RANGE, "2026-01-31", date_bound),
        AttributeType("datetime", compile_datetime, _RANGE, "2026-01-31T02:00:00Z", moment_bound),
        AttributeType("choice", compile_choice, frozenset({"choices"}), "female"),
        AttributeType("money", compile_money, _RANGE, {"amount": Decimal("12.50"), "currency": "CNY"}, number_bound),
        AttributeType("phone", compile_phone, frozenset({"pattern"}), "+8613800138000"),
        AttributeType("email", compile_email, _LENGTH | {"pattern"}, "li.lei@example.com"),
        AttributeType("url", compile_url, _LENGTH | {"pattern"}, "https://shop.example/p/1"),
        AttributeType("list", None, frozenset({"min_items", "max_items"}), ["red", "blue"]),
        AttributeType("object", None, frozenset(), {"city": "Hangzhou"}),
    )
}

ALL_CONSTRAINTS: frozenset[str] = frozenset().union(*(row.constraints for row in TYPES.values()))


def constraints_for(type: str, of: str | None = None) -> frozenset[str]:
    """The constraints a type takes; for a list those of its entries too, which apply to each of them."""
    row = TYPES.get(type)
    if row is None:
        return frozenset()
    return row.constraints | constraints_for(of) if type == "list" and of else row.constraints
