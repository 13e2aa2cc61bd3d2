"""Moments in time: what sources write, read as aware UTC.

| written | read as |
|---|---|
| ISO 8601: `2026-01-31T10:00:00+08:00`, `…Z`, a space instead of `T`, fractions, `+0800`, ` UTC`, `20260131T100000` | itself |
| without a zone | local time in the source's zone |
| a date alone | the start of that day in the source's zone |
| 10 digits, with or without a fraction (2001 to 2286) | seconds since 1970, where no format is set |
| 13 digits | milliseconds since 1970, where no format is set |
| the year first: `2026/3/1 9:05`, `2026.03.01`, `2026年3月1日`, digits of full width | itself, where no format is set |
| `2026-01-31 24:00` | the midnight that ends the day |

A local time that a clock change skips is read with the offset before the change; one that comes twice is read as
the first (Python's fold=0). Week dates and ordinal dates are no times to us. `03/04/05` and a spreadsheet's day number
(46053.5) can mean several days: they are read only where the source's format says how (`%d/%m/%y`, `excel`, `excel_1904`).
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from taxonomy.standardize.faults import Fault
from taxonomy.standardize.spreadsheets import from_day_number, half_width, possible_days

TimeReader = Callable[[Any], datetime | Fault]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_CHARACTERS = 100
_NUMBER = re.compile(r"-?[0-9]{1,17}(?:\.[0-9]{1,17})?")
_FIRST_EPOCH_S = 10**9
_EPOCH_S = re.compile(r"[1-9][0-9]{9}(?:\.[0-9]+)?")
_EPOCH_MS = re.compile(r"[1-9][0-9]{12}(?:\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}")
_BASIC = re.compile(r"[0-9]{8}T[0-9]{2,6}\S*")
_YEAR_FIRST_DATE = r"(?P<year>[0-9]{4})(?P<sign>[-/.])(?P<month>[0-9]{1,2})(?P=sign)(?P<day>[0-9]{1,2})"
_YEAR_FIRST = re.compile(
    _YEAR_FIRST_DATE
    + r"(?:[T ]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2})(?::(?P<second>[0-9]{1,2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    + r" ?(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_CHINESE_SIGNS = str.maketrans({"年": "-", "月": "-", "日": " ", "时": ":", "分": ":", "秒": ""})
YEAR_FIRST_DATE = re.compile(_YEAR_FIRST_DATE)
_MIDNIGHT = re.compile(r"(?<![0-9:])24:00(?=(?::00(?:\.0+)?)?(?![0-9:]))")
# Ruby and git write " +0800", BigQuery " UTC"; Python reads neither.
_SPACED_ZONE = re.compile(r"(.*[0-9]) (?:(UTC|GMT|Z)|([+-][0-9]{2}:?[0-9]{2}))")


@cache
def zone_of(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def compile_time(format: str, timezone: str) -> TimeReader:
    """Compile a source's time format: "" (ISO 8601 or epoch digits), "iso", "epoch_s", "epoch_ms", "epoch_us", "excel", "excel_1904", or strptime's.

    The reader answers an aware UTC time, or Fault time.missing or time.invalid; it never raises.
    Raises ValueError for a format or zone that is none.
    """
    zone = zone_of(timezone)
    parse = _parser(format, zone)
    takes_iso = format in ("", "iso")
    last: tuple[Any, datetime | None] = "", None

    def read(value: Any) -> datetime | Fault:
        nonlocal last
        # What nearly every source sends, without the five calls that rarer forms take; the lines of a receipt have the same time.
        if takes_iso and type(value) is str and 19 <= len(value) <= 32 and value[4] == value[7] == "-" and value[10] in "T ":
            text, moment = last
            if text == value and moment is not None:
                return moment
            try:
                if "\0" not in value and (moment := _in_utc(datetime.fromisoformat(value), zone)) is not None:
                    last = value, moment
                    return moment
            except (ValueError, ArithmeticError):
                pass
        try:
            moment = parse(value)
        except (ValueError, ArithmeticError):
            moment = None
        if moment is not None:
            return moment
        if value is None or (type(value) is str and not value.strip()):
            return Fault("time.missing", seen=value)
        return Fault("time.invalid", seen=value, expected=not_read("format", format or "iso", value))

    return read


def _parser(format: str, zone: ZoneInfo) -> Callable[[Any], datetime | None]:
    if format == "":
        return lambda value: parse_moment(value, zone)
    if format == "iso":
        return lambda value: _parse_iso(value, zone) if type(value) is str else _parse_clock(value, zone)
    if format == "epoch_s":
        return lambda value: _since_epoch(_number(value), 1_000_000)
    if format == "epoch_ms":
        return lambda value: _since_epoch(_number(value), 1_000)
    if format == "epoch_us":
        return lambda value: _since_epoch(_number(value), 1)
    if format in ("excel", "excel_1904"):
        first = 1904 if format == "excel_1904" else 1900
        return lambda value: None if (days := _number(value)) is None else _in_utc(from_day_number(float(days), first), zone)
    parse = compile_strptime(format)
    return lambda value: _in_utc(parse_to_midnight(parse, half_width(_as_text(value))), zone)


def not_read(kind: str, expected: str, value: Any) -> dict[str, Any]:
    """What is said of a time that was not read: what was expected, and the days that it may mean."""
    try:
        days = possible_days(_as_text(value))
    except ArithmeticError:  # NaN
        days = []
    return {kind: expected, "days": days} if days else {kind: expected}


def parse_to_midnight(parse: Callable[[str], datetime | None], text: str) -> datetime | None:
    """As `parse`; 24:00 is the midnight that ends the day."""
    if "24:00" in text and (found := _MIDNIGHT.search(text)):
        midnight = parse(text[: found.start()] + "00:00" + text[found.end() :])
        return None if midnight is None else midnight + timedelta(days=1)
    return parse(text)


def parse_moment(value: Any, zone: ZoneInfo) -> datetime | None:
    """Read ISO 8601 or epoch digits as aware UTC. Answers None, or raises ValueError or ArithmeticError, for what is neither."""
    if type(value) is str:
        try:
            moment = _parse_iso(value, zone)
        except ValueError:
            moment = None
        return moment or _detect_epoch(value.strip()) or _parse_year_first(value, zone)
    if type(value) is int:
        if _FIRST_EPOCH_S <= value < 10 * _FIRST_EPOCH_S:
            return _since_epoch(value, 1_000_000)
        return _since_epoch(value, 1_000) if 1_000 <= value // _FIRST_EPOCH_S < 10_000 else None
    if isinstance(value, Decimal | float):
        return _detect_epoch(_as_text(value))
    return _parse_clock(value, zone)


def format_moment(moment: datetime) -> str:
    """Write an aware UTC time as the standard does: 2026-01-31T02:00:00Z, fractions only where there are any."""
    return moment.isoformat()[:-6] + "Z"


def by_our_clock(occurred_at: datetime, sent_at: datetime, received_at: datetime) -> datetime:
    """When it occurred by our clock, where the sender's own clock says when it was sent: received_at − (sent_at − occurred_at).

    The time the sending took counts as error of the sender's clock. Source: the Segment spec, common fields.
    """
    try:
        return received_at - (sent_at - occurred_at)
    except OverflowError:
        return occurred_at


def _parse_iso(text: str, zone: ZoneInfo) -> datetime | None:
    if len(text) > 10 and text[4] == "-" and text[7] == "-" and text[10] in "T " and len(text) <= _MAX_CHARACTERS:
        if "\0" in text:  # which Python takes for the end
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return _parse_spaced_zone(text, zone)
        return _in_utc(moment, zone)
    return _parse_rarer_iso(text.strip(), zone)


def _parse_spaced_zone(text: str, zone: ZoneInfo) -> datetime | None:
    spaced = _SPACED_ZONE.fullmatch(text.strip())
    text = spaced[1] + ("Z" if spaced[2] else spaced[3]) if spaced else text.strip()
    return _in_utc(datetime.fromisoformat(text), zone)


def _parse_rarer_iso(text: str, zone: ZoneInfo) -> datetime | None:
    if _DATE.fullmatch(text) or _BASIC.fullmatch(text):
        return _in_utc(datetime.fromisoformat(text), zone)
    if len(text) > 10 and text[4] == "-" and text[7] == "-" and text[10] in "Tt " and len(text) <= _MAX_CHARACTERS:
        return _parse_spaced_zone(text.upper(), zone)
    return None


def _parse_year_first(text: str, zone: ZoneInfo) -> datetime | None:
    if len(text) > _MAX_CHARACTERS or (found := _YEAR_FIRST.fullmatch(in_ascii_signs(text))) is None:
        return None
    part = found.groupdict()
    hour, minute, second = (int(part[name] or 0) for name in ("hour", "minute", "second"))
    is_midnight = hour == 24 and minute == second == 0
    offset = part["offset"] or ""
    local = datetime(int(part["year"]), int(part["month"]), int(part["day"]), 0 if is_midnight else hour, minute, second)
    local += timedelta(days=int(is_midnight), microseconds=int((part["fraction"] or "").ljust(6, "0")[:6]))
    return _in_utc(datetime.fromisoformat(f"{local.isoformat()}{offset}") if offset else local, zone)


def in_ascii_signs(text: str) -> str:
    """A date or time with the signs of ASCII: `2026年3月1日` as `2026-3-1`."""
    text = half_width(text.strip())
    return text if text.isascii() else text.translate(_CHINESE_SIGNS).strip(" :")


def _parse_clock(value: Any, zone: ZoneInfo) -> datetime | None:
    """Take what spreadsheets' readers give: Python's own datetime and date."""
    if isinstance(value, datetime):
        return _in_utc(value, zone)
    if isinstance(value, date):
        return _in_utc(datetime(value.year, value.month, value.day), zone)
    return None


def _in_utc(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    if moment is None or moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        # A third of the time that astimezone takes.
        offset = zone.utcoffset(moment)
        return (moment - offset).replace(tzinfo=UTC) if offset is not None else None
    return moment.astimezone(UTC)


def _detect_epoch(text: str) -> datetime | None:
    if _EPOCH_S.fullmatch(text):
        return _since_epoch(_number(text), 1_000_000)
    if _EPOCH_MS.fullmatch(text):
        return _since_epoch(_number(text), 1_000)
    return None


def _since_epoch(number: int | Decimal | None, microseconds: int) -> datetime | None:
    if number is None:
        return None
    return _EPOCH + timedelta(microseconds=int(number * microseconds))


def _number(value: Any) -> int | Decimal | None:
    if type(value) is int:
        return value
    text = _as_text(value)
    if not _NUMBER.fullmatch(text):
        return None
    return Decimal(text) if "." in text else int(text)


def _as_text(value: Any) -> str:
    """Texts and numbers as text; what is neither as "", which no format fits."""
    if type(value) is str:
        return value.strip() if len(value) <= _MAX_CHARACTERS else ""
    if isinstance(value, int | Decimal | float) and type(value) is not bool:
        return str(value) if -(10**30) < value < 10**30 else ""
    return ""


# The sub-patterns of Python's own _strptime, so that what fits is the same, ten times faster.
_DIRECTIVES = {
    "Y": r"(?P<Y>[0-9]{4})",
    "y": r"(?P<y>[0-9]{2})",
    "m": r"(?P<m>1[0-2]|0[1-9]|[1-9])",
    "d": r"(?P<d>3[0-1]|[1-2][0-9]|0[1-9]|[1-9]| [1-9])",
    "H": r"(?P<H>2[0-3]|[0-1][0-9]|[0-9])",
    "M": r"(?P<M>[0-5][0-9]|[0-9])",
    "S": r"(?P<S>6[0-1]|[0-5][0-9]|[0-9])",
    "f": r"(?P<f>[0-9]{1,6})",
    "%": "%",
}
_DATETIME_ORDER = ("Y", "m", "d", "H", "M", "S")
_YEAR_DIRECTIVES = ("%Y", "%y", "%G", "%c", "%x")
_SAMPLE = datetime(2024, 11, 23, 14, 25, 36, 123456, tzinfo=UTC)


def compile_strptime(format: str) -> Callable[[str], datetime | None]:
    """Compile a strptime format to a parser, which answers None or raises ValueError for what does not fit.

    Raises ValueError for a format that is none or names no year.
    """
    if not any(directive in format for directive in _YEAR_DIRECTIVES):
        raise ValueError(f"Time format {format!r}: expected a year, such as %Y-%m-%d")
    try:
        datetime.strptime(_SAMPLE.strftime(format), format)
    except (ValueError, re.error) as error:
        raise ValueError(f"Time format {format!r}: {error}") from error
    pattern = _strptime_pattern(format)
    if pattern is None:
        return lambda text: datetime.strptime(text, format)
    order = _DATETIME_ORDER[: pattern.groups]
    if pattern.groups < 3 or set(order) != pattern.groupindex.keys():
        return lambda text: _from_groups(pattern.fullmatch(text))
    fullmatch = pattern.fullmatch
    in_order = itemgetter(*(pattern.groupindex[name] - 1 for name in order))

    def parse(text: str) -> datetime | None:
        found = fullmatch(text)
        return None if found is None else datetime(*map(int, in_order(found.groups())))  # type: ignore[arg-type]

    return parse


def _strptime_pattern(format: str) -> re.Pattern[str] | None:
    """None where the format has directives that only strptime knows, such as names of months."""
    parts = []
    for part in re.findall(r"%.|\s+|[^%\s]+", format):
        if part[0] != "%":
            parts.append(r"\s+" if part.isspace() else re.escape(part))
        elif part[1] in _DIRECTIVES:
            parts.append(_DIRECTIVES[part[1]])
        else:
            return None
    # As strptime: letters in the format fit whatever their case. Patterns without any are a third faster.
    has_letters = any(part.isalpha() for part in re.sub("%.", "", format))
    return re.compile("".join(parts), re.IGNORECASE if has_letters else 0)


def _from_groups(found: re.Match[str] | None) -> datetime | None:
    """As `parse` in compile_strptime, for years of two digits, fractions, and what is left out."""
    if found is None:
        return None
    part = found.groupdict().get
    year = part("Y")
    if year is None:
        two_digits = int(part("y") or 0)
        year = two_digits + (1900 if two_digits >= 69 else 2000)
    fraction = (part("f") or "").ljust(6, "0")
    return datetime(
        int(year), int(part("m") or 1), int(part("d") or 1),
        int(part("H") or 0), int(part("M") or 0), int(part("S") or 0), int(fraction),
    )  # fmt: skip
