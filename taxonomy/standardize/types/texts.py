"""Texts and what is written as text: choices, phone numbers, e-mail and web addresses; and yes or no."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

from taxonomy.standardize.decode import is_storable
from taxonomy.standardize.faults import ABSENT, Defaults, Fault, Faults
from taxonomy.standardize.phone import PhoneReading, parse_phone
from taxonomy.standardize.spreadsheets import is_cut
from taxonomy.standardize.types.constraints import Constraints, compile_text_checks
from taxonomy.standardize.types.numbers import MAX_DIGITS, is_writable

# One "@", no spaces or list separators, a domain with a dot. Whether it exists, only a letter sent there tells.
_EMAIL = re.compile(
    r"[^\s@<>()\[\],;:\"\\]{1,64}@(?:[^\s@<>()\[\],;:\"\\./]{1,63}\.)+(?:xn--[a-z0-9-]{2,59}|[^\s@<>()\[\],;:\"\\./0-9]{2,63})",
    re.IGNORECASE,
)
_MAX_EMAIL_CHARACTERS = 254
# Other schemes can carry scripts or mean nothing outside one app.
_URL = re.compile(r"https?://[^\s/?#<>\"\\]+(?:[/?#][^\s<>\"\\]*)?", re.IGNORECASE)

YES = frozenset({"true", "yes", "y", "t", "1", "on", "是"})
NO = frozenset({"false", "no", "n", "f", "0", "off", "否"})


def read_text(value: Any, expected: str = "text") -> Any:
    """A storable text, or a number's digits as they were written; else ABSENT or a Fault."""
    if isinstance(value, str):
        return value if is_storable(value) else Fault("attribute.unstorable", seen=value, expected={"type": expected})
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal) or (isinstance(value, float) and isfinite(value)):
        if isinstance(value, float) or is_writable(value):
            return str(value)
        if isinstance(value, int) or value.is_finite():
            return Fault("attribute.out_of_range", seen=value, expected={"digits": MAX_DIGITS})
    return Fault("attribute.wrong_type", seen=value, expected={"type": expected})


def compile_text(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    low, high = constraints.min_length, constraints.max_length
    check = compile_text_checks(constraints)
    plain = not constraints.patterns and constraints.choices is None

    def cast(value: Any, defaults: Defaults) -> Any:
        if plain and type(value) is str and low <= len(value) <= high and "\0" not in value and "E+" not in value:
            if value.isascii():
                return value
            try:
                value.encode()
            except UnicodeEncodeError:
                pass
            else:
                return value
        text = read_text(value)
        if text is ABSENT or type(text) is Fault:
            return text
        if is_cut(text):  # an id of an order, most likely
            return Fault("attribute.wrong_type", seen=value, expected={"kind": "spreadsheet_digits"})
        return _answer(text, check(text, value))

    return cast


def filled(cast: Callable[[Any, Defaults], Any]) -> Callable[[Any, Defaults], Any]:
    """The same cast of an attribute that is required: a blank text is no value."""

    def cast_filled(value: Any, defaults: Defaults) -> Any:
        return ABSENT if type(value) is str and (not value or value.isspace()) else cast(value, defaults)

    return cast_filled


def compile_choice(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    allowed = frozenset(constraints.choices or ())
    check = compile_text_checks(constraints)

    def cast(value: Any, defaults: Defaults) -> Any:
        if type(value) is str and value in allowed:
            return value
        text = _read_stripped(value, "choice")
        if text is ABSENT or type(text) is Fault:
            return text
        return _answer(text, check(text, value))

    return cast


def compile_phone(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    check = compile_text_checks(constraints)

    def cast(value: Any, defaults: Defaults) -> Any:
        text = value if type(value) is str else read_text(value, "phone")
        if type(text) is not str:
            return text
        reading = parse_phone(text, defaults.region)
        if isinstance(reading, PhoneReading):
            standard = text if text == reading.e164 else reading.e164
            return _answer(standard, check(standard, value))
        return ABSENT if reading.code == "phone.missing" else reading

    return cast


def compile_email(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    """The domain becomes lower case; the part before the @ is the mail server's business and stays."""
    return _compile_address("email", normalize_email, constraints)


def compile_url(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    return _compile_address("url", lambda text: text if _URL.fullmatch(text) else None, constraints)


def normalize_email(text: str) -> str | None:
    """None for what is no e-mail address."""
    if len(text) > _MAX_EMAIL_CHARACTERS or not _EMAIL.fullmatch(text):
        return None
    local, _, domain = text.partition("@")
    lowered = domain.lower()
    return text if lowered == domain else f"{local}@{lowered}"


def _compile_address(name: str, normalize: Callable[[str], str | None], constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    check = compile_text_checks(constraints)

    def cast(value: Any, defaults: Defaults) -> Any:
        text = _read_stripped(value, name)
        if text is ABSENT or type(text) is Fault:
            return text
        address = normalize(text) if type(value) is str else None
        if address is None:
            return Fault("attribute.wrong_type", seen=value, expected={"type": name})
        return _answer(address, check(address, value))

    return cast


def compile_boolean(constraints: Constraints) -> Callable[[Any, Defaults], Any]:
    def cast(value: Any, defaults: Defaults) -> Any:
        if value is True or value is False:
            return value
        if _is_finite(value) and value in (0, 1):
            return bool(value)
        if isinstance(value, str):
            word = value.strip().lower()
            if word in YES:
                return True
            if word in NO:
                return False
            if not word:
                return ABSENT
        if value is None:
            return ABSENT
        return Fault("attribute.wrong_type", seen=value, expected={"type": "boolean"})

    return cast


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, Decimal) and value.is_finite())


def _read_stripped(value: Any, expected: str) -> Any:
    text = read_text(value, expected)
    if type(text) is not str:
        return text
    stripped = text.strip()
    return (text if len(stripped) == len(text) else stripped) or ABSENT


def _answer(standard: str, faults: Sequence[Fault]) -> Any:
    if not faults:
        return standard
    return faults[0] if len(faults) == 1 else Faults(faults)
