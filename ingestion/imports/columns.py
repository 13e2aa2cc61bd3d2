"""What the columns of a file look like, from its first rows: phones, times and how they are written, ids, numbers. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from ingestion.discovery.values import kind_of
from ingestion.doors.files.matching import COMMA, EITHER, NUMBERS, POINT, SERIAL, is_written, plain_number, plain_signs, reads_as
from taxonomy.standardize.times import parse_moment

# How a column is written, where somebody must say.
ASK = "?"
# Rows that are looked at: enough that a day above twelve comes, and that an id which is none repeats.
LOOKED_AT = 1_000
_SHOWN = 3
# A column with more different values than these says no event's name.
_MOST_NAMES = 30
# So much of what is filled must be like it.
_MOSTLY = 0.8
# A line of totals at the end has no number of its own.
_NEARLY = 0.95

_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%y/%m/%d", "%d/%m/%y", "%m/%d/%y", "%y-%m-%d", "%d-%m-%y", "%m-%d-%y", "%d.%m.%y",
)  # fmt: skip
CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%H%M%S", "%H%M", "%H时%M分%S秒", "%H时%M分")
TIMES = (
    *_DATES,
    *(f"{date} {clock}" for date in _DATES for clock in CLOCKS[:5]),
    "%Y%m%d%H%M%S",
    "%Y%m%d%H%M",
    "%Y年%m月%d日%H时%M分%S秒",
    "%Y年%m月%d日%H:%M",
    SERIAL,
)
_CLOCK = re.compile(r"\d{1,2}[:：时]\d{2}.*|\d{4}(?:\d{2})?")
_DATE_LIKE = re.compile(r"\d{1,4}\s?[-/.年]\s?\d{1,2}\s?[-/.月]\s?\d{1,4}.*|20\d{6}(?:\d{4,6})?|1[0-9]{9}(?:[0-9]{3})?")
_SERIAL_LIKE = re.compile(r"[2-6]\d{4}(?:\.\d+)?")
_PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
# No group of thousands begins with a nought: 0,125 has a decimal comma.
_NOUGHT_FIRST = re.compile(r"[-+]?0\d.*")
# One value a day tells how days are written.
_DAY = re.compile(r"[ T]")
_DAYS = 100
_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Seen:
    """One column. `examples` are its first different values; `names` {value: rows} where there are few.

    `times` are the ways in which its values can be read as times, "" for the standard's; those that mean the same are one.
    `clock` is how they are written as times of day, `numbers` the notation of its numbers, "" where they are plain or none, ASK
    where they are other numbers in another.
    """

    heading: str
    rows: int
    filled: int = 0
    examples: list[str] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    is_unique: bool = False
    phones: float = 0
    emails: float = 0
    clock: str = ""
    is_dates: bool = False
    times: list[str] = field(default_factory=list)
    numbers: str = ""

    @property
    def is_filled(self) -> bool:
        return self.filled >= _NEARLY * max(1, self.rows)

    @property
    def is_asked(self) -> bool:
        """Whether its times can be read in several ways that mean different days."""
        return len(self.times) > 1


def look(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Seen]:
    """{heading: what stands under it}. `rows` are cells in the headings' order."""
    columns = [[row[at].strip() if at < len(row) else "" for row in rows] for at in range(len(headings))]
    return {heading: _look(heading, cells) for heading, cells in zip(headings, columns, strict=True)}


def _look(heading: str, cells: list[str]) -> Seen:
    filled = [cell for cell in cells if cell]
    counts = Counter(filled)
    different = list(counts)
    if not different:
        return Seen(heading, len(cells))
    kinds = Counter(kind_of(cell) for cell in different)
    times = ways_of(different)
    return Seen(
        heading,
        len(cells),
        len(filled),
        different[:_SHOWN],
        dict(counts.most_common()) if len(different) <= _MOST_NAMES else {},
        1 < len(filled) == len(different) and len(filled) >= _NEARLY * len(cells),
        kinds["phone"] / len(different),
        kinds["email"] / len(different),
        clock_of(different) if not times else "",
        _share(different, _DATE_LIKE) >= _MOSTLY and bool(times),
        times,
        _notation(different),
    )


def ways_of(values: Sequence[str]) -> list[str]:
    """How times written so may be read: the ways that fit most of them; of ways that mean the same the first."""
    texts = [plain_signs(value) for value in values]
    if _share(texts, _DATE_LIKE) < _MOSTLY and _share(texts, _SERIAL_LIKE) < _MOSTLY:
        return []
    # Beside one day, a line of totals would be half of them.
    days = {_DAY.split(text, maxsplit=1)[0]: text for text in texts if _DATE_LIKE.fullmatch(text) or _SERIAL_LIKE.fullmatch(text)}
    texts = list(days.values())[:_DAYS]
    if all(len(text) == 8 and text.isdigit() for text in texts):
        return ["%Y%m%d"]
    if _share(texts, _DATE_LIKE) >= _MOSTLY and sum(_standard(text) is not None for text in texts) >= _MOSTLY * len(texts):
        return [""]
    read = {way: [reads_as(text, way) for text in texts] for way in TIMES if any(reads_as(text, way) for text in texts[:5])}
    fitting = {way: sum(moment is not None for moment in moments) for way, moments in read.items()}
    most = max(fitting.values(), default=0)
    if most < _MOSTLY * len(texts):
        return []
    meanings: dict[tuple[datetime | None, ...], str] = {}
    for way, fits in fitting.items():
        if fits == most:
            meanings.setdefault(tuple(read[way]), way)
    return list(meanings.values())


def clock_of(values: Sequence[str]) -> str:
    """How times of day are written so, several ways parted by EITHER; "" where they are none."""
    texts = [plain_signs(value) for value in values[:_DAYS]]
    if _share(texts, _CLOCK) < _MOSTLY:
        return ""
    read = {way: {text for text in texts if reads_as(f"2000-01-01 {text}", f"%Y-%m-%d {way}")} for way in CLOCKS}
    left, ways = {*texts}, []
    if whole := next((way for way in CLOCKS if read[way] == left), ""):
        return whole
    for way in (way for way in CLOCKS if ":" in way and read[way] & left):
        ways.append(way)
        left -= read[way]
    return EITHER.join(ways) if len(left) <= (1 - _MOSTLY) * len({*texts}) else ""


def reads_some(values: Sequence[str], way: str) -> bool:
    """Whether times may be written so: the way is one of ours, and some of the values are."""
    return way in ("", *TIMES) and next(when(values, way), None) is not None


def reads_some_clocks(values: Sequence[str], ways: str) -> bool:
    """The same of times of day, in several ways with EITHER between them."""
    each = ways.split(EITHER)
    return {*each} <= {*CLOCKS} and any(reads_as(f"2000-01-01 {plain_signs(value)}", f"%Y-%m-%d {way}") for way in each for value in values)


def repeats(rows: Sequence[Sequence[str]], headings: Sequence[str], chosen: Sequence[str]) -> int:
    """How many rows have the same in these columns as one before; a row where one is empty is told apart by none of them."""
    at = [headings.index(heading) for heading in chosen]
    keys = [tuple(row[one].strip() if one < len(row) else "" for one in at) for row in rows]
    whole = [key for key in keys if all(key)]
    return len(whole) - len({*whole})


def when(values: Sequence[str], way: str) -> Iterator[datetime]:
    """What some of the values mean when they are written so."""
    for value in values:
        moment = reads_as(plain_signs(value), way) if way else _standard(plain_signs(value))
        if moment is not None:
            yield moment


def _standard(text: str) -> datetime | None:
    try:
        return parse_moment(text, _ZONE)
    except (ValueError, ArithmeticError):
        return None


def _share(values: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(pattern.fullmatch(value) is not None for value in values) / len(values)


def _notation(values: Sequence[str]) -> str:
    """The notation in which most of the values are numbers, where they are not plain; ASK where 1,234 or 1.234 may be either's, and no other value says."""
    plain = sum(_PLAIN_NUMBER.fullmatch(value) is not None for value in values)
    if plain == len(values):
        return ASK if all(_fits(value, COMMA) for value in values) and any(is_either(value) for value in values) else ""
    read = {way: sum(_PLAIN_NUMBER.fullmatch(plain_number(value, way)) is not None for value in values) for way in NUMBERS}
    best = max(read.values())
    if best <= plain or best < _MOSTLY * len(values):
        return ""
    ways = [way for way in read if read[way] == best]
    fitting = {way: sum(_fits(value, way) for value in values) for way in ways}
    likely = [way for way in ways if fitting[way] == max(fitting.values())]
    return likely[0] if len(likely) == 1 or not any(is_either(value) for value in values) else ASK


def _fits(value: str, way: str) -> bool:
    return is_written(value, way) and not _NOUGHT_FIRST.fullmatch(plain_number(value, way))


def is_either(value: str) -> bool:
    """Whether it is one number in one notation and another in the other: 1,234 and 1.234."""
    return all(is_written(value, way) for way in NUMBERS) and plain_number(value, POINT) != plain_number(value, COMMA)
