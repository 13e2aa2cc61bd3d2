"""Whole numbers, decimals and money. Digits are kept exactly; nothing goes through a float."""

import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from math import isfinite
from typing import Any

from taxonomy.standardize.faults import ABSENT, Defaults, Fault, Faults
from taxonomy.standardize.spreadsheets import half_width, without_groups
from taxonomy.standardize.types.constraints import Constraints, check_range
from taxonomy.standardize.types.currencies import CURRENCIES

# No quantity of a business has more; 1e400000 would fill the memory when written out.
MAX_DIGITS = 100
_HIGH: int = 10**MAX_DIGITS
_LOW: int = -_HIGH
_LOWEST_EXPONENT = -MAX_DIGITS
_MAX_CHARACTERS = 250
# ASCII only and no underscores, both of which int() and Decimal() would take.
_PLAIN = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
_NUMERIC = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def read_number(value: Any, expected: str) -> Any:
    """A number or numeric text as int or Decimal (text always as Decimal); else ABSENT or a Fault expecting that type."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return ABSENT
        if len(text) <= _MAX_CHARACTERS and not _NUMERIC.fullmatch(text):
            text = without_groups(half_width(text))
        if len(text) > _MAX_CHARACTERS or not _NUMERIC.fullmatch(text):
            return Fault("attribute.wrong_type", seen=value, expected={"type": expected})
        number: Any = Decimal(text)
    elif value is None:
        return ABSENT
    elif (isinstance(value, int) and type(value) is not bool) or (isinstance(value, Decimal) and value.is_finite()):
        number = value
    elif isinstance(value, float) and isfinite(value):
        number = Decimal(repr(value))
    else:
        return Fault("attribute.wrong_type", seen=value, expected={"type": expected})
    if not number and isinstance(number, Decimal):
        number = abs(number)  # JSON has no -0 that stays one
    return number if is_writable(number) else Fault("attribute.out_of_range", seen=value, expected={"digits": MAX_DIGITS})


def is_writable(number: int | Decimal) -> bool:
    """Whether it has at most 100 digits before the point, and begins at most 100 after it."""
    if isinstance(number, int):
        return _LOW < number < _HIGH
    return number.is_finite() and _LOWEST_EXPONENT <= number.adjusted() < MAX_DIGITS


def read_integer(value: Any) -> Any:
    number = read_number(value, "integer")
    if type(number) is Decimal:
        whole = int(number)
        return whole if whole == number else Fault("attribute.wrong_type", seen=value, expected={"type": "integer"})
    return number


def compile_integer(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    low = _LOW + 1 if constraints.minimum is None else _whole(constraints.minimum.value, ROUND_CEILING)
    high = _HIGH - 1 if constraints.maximum is None else _whole(constraints.maximum.value, ROUND_FLOOR)

    def cast(value: Any, defaults: Defaults) -> Any:
        kind = type(value)
        if kind is int and low <= value <= high:
            return value
        if kind is str and len(value) < 20 and value.isascii() and value.isdigit():
            number: Any = int(value)
        else:
            number = read_integer(value)
        if number is ABSENT or type(number) is Fault:
            return number
        return number if low <= number <= high else check_range(number, value, constraints) or number

    return cast


def compile_decimal(constraints: Constraints, name: str = "decimal") -> Callable[[Any, Defaults], Any]:
    low = Decimal(_LOW + 1) if constraints.minimum is None else constraints.minimum.value
    high = Decimal(_HIGH - 1) if constraints.maximum is None else constraints.maximum.value
    whole_low, whole_high = _whole(low, ROUND_CEILING), _whole(high, ROUND_FLOOR)

    def cast(value: Any, defaults: Defaults) -> Any:
        kind = type(value)
        if kind is Decimal:
            try:
                if low <= value <= high and value.adjusted() >= _LOWEST_EXPONENT:
                    return value
            except InvalidOperation:  # NaN
                pass
        elif kind is int and whole_low <= value <= whole_high:
            return value
        number = Decimal(value) if kind is str and _PLAIN.fullmatch(value) else read_number(value, name)
        if number is ABSENT or type(number) is Fault:
            return number
        return number if low <= number <= high else check_range(number, value, constraints) or number

    return cast


def _whole(bound: Decimal, rounding: str) -> int:
    return int(bound.to_integral_value(rounding=rounding))


def compile_money(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    """The standard value is {"amount": number, "currency": "CNY"}. Bounds are about the amount."""
    cast_amount = compile_decimal(constraints, "money")

    def cast(value: Any, defaults: Defaults) -> Any:
        if isinstance(value, dict):
            return cast_object(value, defaults)
        amount = cast_amount(value, defaults)
        if amount is ABSENT or type(amount) is Fault:
            return amount
        if defaults.currency in CURRENCIES:
            return {"amount": amount, "currency": defaults.currency}
        return _with_currency(amount, defaults.currency, value)

    def cast_object(value: dict[Any, Any], defaults: Defaults) -> Any:
        if not value.keys() <= _MONEY_KEYS:
            return Fault("attribute.wrong_type", seen=value, expected={"type": "money", "keys": ["amount", "currency"]})
        amount = cast_amount(value.get("amount"), defaults)
        currency = value.get("currency")
        if type(amount) is Fault:
            blamed = None if currency is None else _with_currency(0, currency, value)
            return Faults([amount.under(".amount"), blamed]) if type(blamed) is Fault else amount.under(".amount")
        if amount is ABSENT:
            return ABSENT
        if amount is value["amount"] and type(currency) is str and currency in CURRENCIES:
            return value
        blank = currency is None or (isinstance(currency, str) and not currency.strip())
        return _with_currency(amount, defaults.currency if blank else currency, value)

    return cast


_MONEY_KEYS = frozenset({"amount", "currency"})


def _with_currency(amount: Any, currency: Any, seen: Any) -> Any:
    code = currency.strip().upper() if isinstance(currency, str) else None
    if code in CURRENCIES:
        return {"amount": amount, "currency": code}
    if code == "":
        return Fault("attribute.currency_missing", seen=seen, expected={"currency": "ISO 4217"})
    return Fault("attribute.not_allowed", ".currency", currency, {"currency": "ISO 4217"})
