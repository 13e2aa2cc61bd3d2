"""What the columns of a file mean: each row becomes the fields of the events it tells of. Pure.

A matching says how a layout is read and judges nothing: names stay as sent, for the source's rules; values stay texts, for the
core. Only how a cell is *written* is undone here: blanks around it, the order of a date, the separators of a number. An id of
which a spreadsheet cut a part is told here, for joined with others it cannot be seen.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from taxonomy.standardize.read import Fields, cut_id, text_of
from taxonomy.standardize.spreadsheets import is_cut
from taxonomy.standardize.times import compile_strptime, parse_to_midnight

# What a column can hold for every event of its row. Columns with the same one are joined, "id" by a hyphen, a time by a space.
FIELDS = ("phone", "occurred_at", "time_of_day", "id", "region", "source_version")
IDENTIFIER, ATTRIBUTE = "identifier.", "attribute."
# How a number is written, where it is not just digits and a point.
POINT, COMMA = "1,234.50", "1.234,50"
NUMBERS = (POINT, COMMA)
# Days since 1899-12-30 with a fraction, as a spreadsheet counts them.
SERIAL = "serial"
# Between the ways in which a time of day may be written, where a till writes its seconds only sometimes.
EITHER = "|"
_SERIAL_START = datetime(1899, 12, 30)
_MOST_DAYS = 2_958_465  # the last of the year 9999
_CURRENCY = r"(?:[¥￥$€£]|CNY|RMB|USD|EUR)?"
_NUMBER = {
    written: re.compile(
        rf"([-+]?) ?{_CURRENCY} ?([-+]?)((?:\d{{1,3}}(?:[{group} ]\d{{3}})+|\d+)(?:{sign}\d+)?) ?(?:元|{_CURRENCY})", re.IGNORECASE
    )
    for written, group, sign in ((POINT, ",", r"\."), (COMMA, r"\.", ","))
}

Cells = dict[str, Any]
# What stands under the headings of a matching, in their order.
Found = Sequence[Any]
Find = Callable[[Found], Any]


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands under a heading: one of FIELDS, "identifier.<kind>" or "attribute.<name>".

    `written`: of a time its strptime format or SERIAL, of a time of day several with EITHER between them, of a number one of
    NUMBERS; "": as the standard has it.
    """

    heading: str
    target: str
    written: str = ""


class RowEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that a row tells of: by a name that is always the same, or as a column says; only where `only_if` is filled.

    `says`: and only where one of these stands there, whatever the case; none: anything.
    `columns` are its attributes, and its time where it has one of its own.
    """

    name: str = ""
    column: str = ""
    only_if: str = ""
    columns: tuple[Column, ...] = ()
    says: tuple[str, ...] = ()

    def headings(self) -> list[str]:
        return [column.heading for column in self.columns] + [name for name in (self.column, self.only_if) if name]


class Matching(msgspec.Struct, frozen=True, cache_hash=True):
    """`columns` are what all events of a row share.

    The first event keeps the row's id, the others add their name to it, and one of a name that the row has had its place too.
    """

    columns: tuple[Column, ...]
    events: tuple[RowEvent, ...]

    @classmethod
    def of(cls, definition: dict[str, Any]) -> "Matching":
        """As it is stored."""
        return msgspec.convert(definition, cls)

    def in_order(self) -> "Matching":
        """The same, however the columns stand in a file: an id of several is joined in the order of their headings."""
        events = (msgspec.structs.replace(one, columns=_in_order(one.columns)) for one in self.events)
        return Matching(_in_order(self.columns), tuple(events))

    def heading_of(self, path: str) -> str:
        """Where a violation's path stands in the file; the path itself where no column holds it."""
        target = path.replace("attributes.", ATTRIBUTE, 1).replace("identifiers.", IDENTIFIER, 1)
        columns = (*self.columns, *(column for event in self.events for column in event.columns))
        names = [event.column for event in self.events if event.column] if path == "event" else []
        return next((column.heading for column in columns if column.target in (target, ATTRIBUTE + path)), names[0] if names else path)

    def ids(self) -> list[str]:
        """The columns that together name a row."""
        return [column.heading for column in self.columns if column.target == "id"]

    def written(self) -> list[str]:
        """The columns of which it says how they are written."""
        columns = [*self.columns, *(column for one in self.events for column in one.columns)]
        return [column.heading for column in columns if column.written]

    def headings(self) -> list[str]:
        """The columns it reads, each once."""
        columns = [*self.columns, *(column for one in self.events for column in one.columns)]
        read = [column.heading for column in columns]
        return list(dict.fromkeys([*read, *(name for one in self.events for name in one.headings())]))


def _in_order(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return tuple(sorted(columns, key=lambda column: (column.target, column.heading)))


@lru_cache(maxsize=256)
def compile_matching(matching: Matching) -> Callable[[Cells], list[Fields | None]]:
    """The reader of a row by column: the fields of each event of the matching, None for one that it does not tell of.

    Raises ValueError for a time format that is none.
    """
    read, headings = _compile(matching), matching.headings()
    return lambda cells: read([cells.get(heading) for heading in headings])


@lru_cache(maxsize=256)
def compile_places(matching: Matching, columns: tuple[str, ...]) -> Callable[[Sequence[Any]], list[Fields | None]]:
    """The same of a row that is the values of these columns."""
    read, place = _compile(matching), {column: at for at, column in enumerate(columns)}
    places = [place.get(heading) for heading in matching.headings()]
    if len(places) > 1 and None not in places:
        take = itemgetter(*places)
        return lambda values: read(take(values))
    return lambda values: read([None if at is None else values[at] for at in places])


@lru_cache(maxsize=256)
def _compile(matching: Matching) -> Callable[[Found], list[Fields | None]]:
    at = {heading: place for place, heading in enumerate(matching.headings())}
    columns = matching.columns
    find_phone, find_region, find_version = (_last(columns, target, at) for target in ("phone", "region", "source_version"))
    kinds = [(one.target.removeprefix(IDENTIFIER), _finder(one, at)) for one in columns if one.target.startswith(IDENTIFIER)]
    ids = [_finder(one, at) for one in columns if one.target == "id"]
    find_time = _time_finder(columns, at)
    events = [(_compile_event(one, find_time, at), _id_ends(matching.events, number)) for number, one in enumerate(matching.events)]

    def read(cells: Found) -> list[Fields | None]:
        phone = find_phone(cells) if find_phone is not None else None
        region = find_region(cells) if find_region is not None else None
        version = find_version(cells) if find_version is not None else None
        parts = [value for find in ids if (value := find(cells)) is not None]
        joined = "-".join(map(text_of, parts))
        has_cut = "E+" in joined and any(is_cut(text_of(part)) for part in parts)
        message_id = joined if parts and len(parts) == len(ids) and not has_cut else None
        found: list[Fields | None] = []
        for event, id_ends in events:
            if event.is_told is not None and not event.is_told(cells):
                found.append(None)
                continue
            name = event.name if event.find_name is None else event.find_name(cells)
            moment = event.find_time(cells) if event.find_time is not None else None
            identifiers = {kind: value for kind, find in kinds if (value := find(cells)) is not None}
            attributes = {}
            for code, place, find in event.attributes:
                value = cells[place] if find is None else find(cells)
                if type(value) is str:
                    if value := value.strip():
                        attributes[code] = value
                elif value is not None:
                    attributes[code] = value
            if not (attributes or identifiers or parts) and moment is phone is region is version is None:
                found.append(None)
                continue
            own_id = message_id and message_id + id_ends.format(name=name)
            notes = [cut_id(joined)] if has_cut else []
            found.append(Fields(name, phone, region, identifiers, moment, own_id, version, attributes, notes))
        return found

    return read


def _last(columns: tuple[Column, ...], target: str, at: dict[str, int]) -> Find | None:
    """What the last of the columns with this target says that says something; None where there is none."""
    finders = [_finder(column, at) for column in reversed(columns) if column.target == target]
    if len(finders) < 2:
        return finders[0] if finders else None
    return lambda cells: next((value for find in finders if (value := find(cells)) is not None), None)


def _id_ends(events: tuple[RowEvent, ...], number: int) -> str:
    """What a row's id is followed by for one of its events: the same whichever others the row tells of.

    Nothing for the first, else its name; its place too where one before it, the first apart, has or may have that name.
    """
    one = events[number]
    has_namesake = any(one.column or other.column or other.name == one.name for other in events[1:number])
    return "" if number == 0 else f":{{name}}:{number}" if has_namesake else ":{name}"


class _Event(msgspec.Struct, frozen=True):
    name: str
    find_name: Find | None
    is_told: Callable[[Found], bool] | None
    find_time: Find | None
    attributes: list[tuple[str, int, Find | None]]


def _compile_event(event: RowEvent, find_time: Find | None, at: dict[str, int]) -> _Event:
    attributes = [
        (one.target.removeprefix(ATTRIBUTE), at[one.heading], _finder(one, at) if one.written in _NUMBER else None)
        for one in event.columns
        if one.target.startswith(ATTRIBUTE)
    ]
    has_time = any(one.target == "occurred_at" for one in event.columns)
    return _Event(
        event.name,
        _cell_of(at[event.column]) if event.column else None,
        _condition(at[event.only_if], event.says) if event.only_if else None,
        _time_finder(event.columns, at) if has_time else find_time,
        attributes,
    )


def _condition(place: int, says: tuple[str, ...]) -> Callable[[Found], bool]:
    """Whether the column is filled, and says one of these where some are named."""
    find, wanted = _cell_of(place), {one.casefold() for one in says}
    if not wanted:
        return lambda cells: find(cells) is not None
    return lambda cells: (value := find(cells)) is not None and text_of(value).casefold() in wanted


def _cell_of(place: int) -> Find:
    def find(cells: Found) -> Any:
        value = cells[place]
        if type(value) is str:
            return value.strip() or None
        return value

    return find


def _finder(column: Column, at: dict[str, int]) -> Find:
    find = _cell_of(at[column.heading])
    pattern = _NUMBER.get(column.written)
    if pattern is None:
        return find

    def find_number(cells: Found) -> Any:
        value = find(cells)
        return plain_number(value, column.written) if type(value) is str else value

    return find_number


def plain_number(text: str, written: str) -> str:
    """ "¥1,234.50" as "1234.50"; what is no number written so stays as it is."""
    found = _NUMBER[written].fullmatch(plain_signs(text))
    if found is None:
        return text
    digits = found[3].replace(" ", "")
    digits = digits.replace(",", "") if written == POINT else digits.replace(".", "").replace(",", ".")
    return f"{found[1] or found[2]}{digits}".removeprefix("+")


def is_written(text: str, written: str) -> bool:
    """Whether it is a number in this notation."""
    return _NUMBER[written].fullmatch(plain_signs(text)) is not None


def plain_signs(text: str) -> str:
    """Full-width digits and signs as usual ones, other blanks as spaces."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _time_finder(columns: tuple[Column, ...], at: dict[str, int]) -> Find | None:
    """The time of a row from its column, or from the columns of its date and its time of day; as ISO 8601 where it is written as said. None: no column has one."""
    dates = [column for column in columns if column.target == "occurred_at"][:1]
    clocks = [column for column in columns if column.target == "time_of_day"][:1]
    if not dates:
        return None
    find_date = _cell_of(at[dates[0].heading])
    read_date = _time_reader(dates[0].written)
    if not clocks and not dates[0].written:
        return find_date
    if not clocks:
        return lambda cells: None if (date := find_date(cells)) is None else read_date(date)
    find_clock = _cell_of(at[clocks[0].heading])
    written = [f"{dates[0].written or '%Y-%m-%d'} {clock}" if clock else "" for clock in clocks[0].written.split(EITHER)]
    read_both = _first_reader([_time_reader(one) for one in written])

    def find(cells: Found) -> Any:
        date, clock = find_date(cells), find_clock(cells)
        if date is None or clock is None:
            return date if date is None else read_date(date)
        return read_both(f"{text_of(date)} {text_of(clock)}")

    return find


@lru_cache(maxsize=256)
def _moments(written: str) -> Callable[[str], datetime | None]:
    """What a text written so means; None where it is not written so."""
    parse = _from_serial if written == SERIAL else compile_strptime(written)

    @lru_cache(maxsize=4096)  # rows that stand together often have the same time
    def moment_of(text: str) -> datetime | None:
        try:
            return parse_to_midnight(parse, plain_signs(text))
        except (ValueError, ArithmeticError):
            return None

    return moment_of


def _time_reader(written: str) -> Callable[[Any], Any]:
    """A time as ISO 8601, without a zone where it has none; what is not written so stays as it is, for the core to say so."""
    if not written:
        return lambda value: value
    moment_of = _moments(written)

    def read(value: Any) -> Any:
        moment = moment_of(text_of(value))
        return value if moment is None else moment.isoformat(" ")

    return read


def _first_reader(readers: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """The first that reads a time."""
    if len(readers) == 1:
        return readers[0]

    def read(value: Any) -> Any:
        return next((moment for one in readers if (moment := one(value)) is not value), value)

    return read


def _from_serial(text: str) -> datetime | None:
    days = float(text)
    if not 1 <= days <= _MOST_DAYS:
        return None
    return _SERIAL_START + timedelta(seconds=round(days * 86_400))


def reads_as(text: str, written: str) -> datetime | None:
    """What a time written so means; None where it is not written so."""
    return _moments(written)(text) if written else None
