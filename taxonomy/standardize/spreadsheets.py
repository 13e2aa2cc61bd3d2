"""What spreadsheets and input methods make of a value on its way: read again where nothing is lost, told where digits are.

| written | read as |
|---|---|
| `13800138000.0`, `1.3800138000E+10` as a phone | 13800138000: every digit is there |
| `1.38E+10` as a phone, `2.10381E+18` as an id or a text | nothing: digits are lost |
| `１２.５` as a number, `２０２６-０１-３１` as a time | 12.5, 2026-01-31 |
| `1,234.50`, `1,234,567` as a number | 1234.50, 1234567; `1,234` may be a decimal comma, so it is not read |
| `46053.5` as a time | nothing: days are counted from 1900 or from 1904 |
"""

import re
from datetime import date, datetime, timedelta

# As a spreadsheet writes it, which no id of a system is.
_CUT = re.compile(r"[0-9](?:\.[0-9]+)?E\+[0-9]{2,3}")
_EXPONENT = re.compile(r"([0-9])(?:\.([0-9]+))?[eE]\+?([0-9]{1,3})")
_WHOLE_DECIMAL = re.compile(r"([0-9]{5,15})\.0{1,2}")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+\.[0-9]+|(?:,[0-9]{3}){2,})")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " ", 0xA0: " ", 0x202F: " "}
ODD_SPACE = re.compile("[\u00a0\u2007\u200b\u202f\u3000\ufeff]")
FULL_WIDTH = re.compile("[０-９Ａ-Ｚａ-ｚ]")
_ODD = re.compile(rf"{ODD_SPACE.pattern}|{FULL_WIDTH.pattern}|^\s|\s\Z")
# They look like nothing at all.
_UNSEEN = {0x200B: None, 0xFEFF: None}
_DAY_NUMBER = re.compile(r"([1-9][0-9]{4})(?:\.([0-9]{1,15}))?")
# 1990 to 2100, counted from 1900.
_DAYS = range(32_874, 73_415)
_FIRST_DAYS = (datetime(1899, 12, 30), datetime(1904, 1, 1))
_SLASHED = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{2}|[0-9]{4})(?:[ T].*)?")


def is_cut(text: str) -> bool:
    """Whether it is a number of which a spreadsheet kept the first digits only: `2.10381E+18`."""
    return "E+" in text and _CUT.fullmatch(text.strip()) is not None and whole_digits(text.strip()) is None


def whole_digits(text: str) -> str | None:
    """The digits of a whole number that a spreadsheet took for a quantity, if every one is there."""
    if found := _WHOLE_DECIMAL.fullmatch(text):
        return found[1]
    found = _EXPONENT.fullmatch(text)
    digits = (found[2] or "") if found else ""
    return found[1] + digits if found and len(digits) == int(found[3]) else None


def half_width(text: str) -> str:
    """Digits, letters and signs of full width, as Chinese input methods write them, as ASCII; odd spaces as spaces."""
    return text if text.isascii() else text.translate(_FULL_WIDTH).strip()


def odd_signs(name: str) -> list[str]:
    """What in a name looks like something else or like nothing, each once: odd spaces, spaces at its ends, characters of full width."""
    return [] if name.isascii() and name.strip() == name else list(dict.fromkeys(_ODD.findall(name)))


def plain_name(name: str) -> str:
    """The name as it looks, in plain signs."""
    plain = "".join(sign.translate(_FULL_WIDTH) if FULL_WIDTH.match(sign) else sign for sign in name.translate(_UNSEEN))
    return ODD_SPACE.sub(" ", plain).strip()


def without_groups(text: str) -> str:
    """A number without its thousands separators, where they can be nothing else."""
    return text.replace(",", "") if "," in text and _GROUPED.fullmatch(text) else text


def possible_days(text: str) -> list[str]:
    """The days that `03/04/05`, or a spreadsheet's day number, may mean: each as 2026-01-31; none where it is neither."""
    text = text.strip()
    if (found := _DAY_NUMBER.fullmatch(text)) and int(found[1]) in _DAYS:
        return [(first + timedelta(days=int(found[1]))).date().isoformat() for first in _FIRST_DAYS]
    found = _SLASHED.fullmatch(text)
    if found is None:
        return []
    one, two, three = (int(part) for part in found.groups())
    if three > 99:
        orders = [(three, one, two), (three, two, one)]
    else:
        orders = [(2000 + three, one, two), (2000 + three, two, one), (2000 + one, two, three)]
    return sorted({day.isoformat() for order in orders if (day := _day(*order)) is not None})


def from_day_number(days: float, first: int) -> datetime:
    """The moment of a spreadsheet's day number, to the second. `first`: 1900 or 1904. Raises OverflowError."""
    return _FIRST_DAYS[first == 1904] + timedelta(seconds=round(days * 86_400))


def to_day_number(local: datetime, first: int) -> float:
    return round((local - _FIRST_DAYS[first == 1904]) / timedelta(days=1), 6)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
