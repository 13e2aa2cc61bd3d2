"""Dates and times as texts of ISO 8601: 2026-01-31 and 2026-01-31T02:00:00Z."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from taxonomy.standardize.faults import ABSENT, Defaults, Fault
from taxonomy.standardize.times import YEAR_FIRST_DATE, format_moment, in_ascii_signs, not_read, parse_moment, zone_of
from taxonomy.standardize.types.constraints import Constraints, check_range

# A database's way of writing a date, a midnight without a zone, loses nothing when cut.
_DATE = re.compile(r"(?P<year>[0-9]{4})-?(?P<month>[0-9]{2})-?(?P<day>[0-9]{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_UTC = zone_of("UTC")


def read_date(text: str) -> str | None:
    """The date as 2026-01-31; None for what is none."""
    if len(text) >= 100:
        return None
    found = _DATE.fullmatch(text.strip()) or YEAR_FIRST_DATE.fullmatch(in_ascii_signs(text))
    if found is None:
        return None
    try:
        return date(int(found["year"]), int(found["month"]), int(found["day"])).isoformat()
    except ValueError:
        return None


def date_bound(text: str) -> str:
    standard = read_date(text)
    if standard is None:
        raise ValueError(f"{text!r}: expected a date such as 2026-01-31")
    return standard


def moment_bound(text: str) -> datetime:
    moment = parse_moment(text, _UTC)
    if moment is None:
        raise ValueError(f"{text!r}: expected a time such as 2026-01-31T00:00:00Z")
    return moment


def compile_date(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    unbounded = constraints.minimum is None and constraints.maximum is None

    def cast(value: Any, defaults: Defaults) -> Any:
        if unbounded and type(value) is str and len(value) == 10 and value[4] == value[7] == "-" and _is_date(value):
            return value
        if value is None:
            return ABSENT
        standard = None
        if isinstance(value, str):
            if not value or value.isspace():
                return ABSENT
            standard = read_date(value)
        elif type(value) is date:
            standard = value.isoformat()
        if standard is None:
            return Fault("attribute.wrong_type", seen=value, expected=not_read("type", "date", value))
        return check_range(standard, value, constraints) or (value if value == standard else standard)

    return cast


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def compile_datetime(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    unbounded = constraints.minimum is None and constraints.maximum is None

    def cast(value: Any, defaults: Defaults) -> Any:
        if unbounded and type(value) is str and len(value) == 20 and _is_standard(value):
            return value
        if value is None or (isinstance(value, str) and (not value or value.isspace())):
            return ABSENT
        try:
            moment = parse_moment(value, zone_of(defaults.timezone))
        except (ValueError, ArithmeticError):
            moment = None
        if moment is None:
            return Fault("attribute.wrong_type", seen=value, expected=not_read("type", "datetime", value))
        standard = format_moment(moment)
        return check_range(moment, value, constraints) or (value if value == standard else standard)

    return cast


def _is_standard(text: str) -> bool:
    """Whether a text of 20 characters is such as 2026-01-31T02:00:00Z."""
    if not (text[4] == text[7] == "-" and text[10] == "T" and text[13] == text[16] == ":" and text[19] == "Z"):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
