"""What in a file's first rows may be read otherwise than it was meant, or has lost something: each once a column, with its row."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from ingestion.doors.files import RESERVED, FileFormat, Record, all_cells, cells_of, cells_under, is_value
from ingestion.imports.columns import LOOKED_AT
from taxonomy.standardize import FULL_WIDTH, ODD_SPACE, is_cut, possible_days, whole_digits

_TIME = re.compile(r"[0-9]{4}[-/.年].*[0-9]{1,2}:[0-9]{2}.*")
_ZONED = re.compile(r".*[0-9](?: ?(?:Z|UTC|GMT)| ?[+-][0-9]{2}:?[0-9]{2})", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?[0-9]{1,3},[0-9]{3}")
_SUM = re.compile(r"(?:合\s*计|总\s*计|小\s*计|(?:grand |sub-?)?total)s?\s*[:：]?", re.IGNORECASE)
# A name that a system gives a column.
_CODE = re.compile(r"[A-Za-z_][A-Za-z_.-]*")
# So many rows, and four times as many at most, tell whether the first one is like them.
_BELOW = 3
# A sum is named in one of these.
_FIRST_CELLS = 3
# Fewer digits with a point and noughts are an amount.
_LEAST_DIGITS = 10
# A table of more columns than these is not looked through.
MOST_COLUMNS = 200
# Nothing is open in these once a matching says how the column is written.
_WRITTEN = ("grouped", "day_order", "day_number")


class Trap(NamedTuple):
    """`kind` is a key of ingestion.imports.words.TRAPS; `column` is "" for the row as a whole; `seen` the cell; `means` what it is or may be."""

    kind: str
    column: str
    row: int
    seen: str
    means: tuple[str, ...] = ()


class Looked(NamedTuple):
    """What the first rows of a file may hide. `rows`: how many were looked through, 0 where that was all."""

    traps: list[Trap]
    rows: int


def find_traps(columns: list[str], rows: Iterable[tuple[int, list[str]]]) -> list[Trap]:
    """`rows`: (number, cells). The first of each kind in each column, in the order of columns."""
    found: dict[tuple[int, str], Trap] = {}
    zoned: dict[int, tuple[bool, int]] = {}
    for number, cells in rows:
        if (at := _sum_at(cells[: len(columns)])) is not None:
            found.setdefault((at, "sum"), Trap("sum", columns[at], number, cells[at]))
        for at, cell in enumerate(cells[: len(columns)]):
            if not cell:
                continue
            for kind, means in _kinds(cell):
                found.setdefault((at, kind), Trap(kind, columns[at], number, cell, means))
            if _TIME.fullmatch(cell):
                has_zone = _ZONED.fullmatch(cell.strip()) is not None
                if zoned.setdefault(at, (has_zone, number))[0] != has_zone:
                    found.setdefault((at, "zones"), Trap("zones", columns[at], number, cell))
    return [found[key] for key in sorted(found)]


def look_through(found: Sequence[Record], file_format: FileFormat) -> Looked:
    """`found`: the first LOOKED_AT of the file."""
    return Looked(traps_in(found, file_format), 0 if len(found) < LOOKED_AT else len(found))


def traps_in(found: Sequence[Record], file_format: FileFormat) -> list[Trap]:
    """The traps of a table's rows, and of its headers that come again."""
    rows = [(one.row, cells_under(one.original, file_format)[0]) for one in found if cells_of(one, file_format) is not None]
    columns = [column for column in file_format.columns if column not in RESERVED][:MOST_COLUMNS]
    again = next((one for one in found if one.is_heading and not _is_left_out(one, file_format)), None)
    header = [] if again is None else [Trap("header", "", again.row, "")]
    return [*_broken_quotes(found, file_format), *_second_header(columns, rows, file_format), *find_traps(columns, rows), *header]


def _second_header(columns: list[str], rows: Sequence[tuple[int, list[str]]], file_format: FileFormat) -> Iterator[Trap]:
    """The first row, where it is words throughout, each another, and under them are numbers, phones or times; and no word comes again."""
    if len(file_format.heading) != 1 or len(rows) <= _BELOW:
        return
    (number, first), *below = rows[: _BELOW * 4]
    words = [cell.strip() for cell in first[: len(columns)]]
    if len({*words, ""}) <= len(words) or any(map(str.isdigit, "".join(words))):
        return
    under = [[cells[at].strip() for _number, cells in below if cells[at].strip()] for at in range(len(words))]
    values = [at for at, cells in enumerate(under) if len(cells) >= _BELOW and all(map(is_value, cells))]
    is_told = len(values) > 1 or (values and all(map(_CODE.fullmatch, words)))
    if is_told and not any(word in cells for word, cells in zip(words, under, strict=True)):
        at = values[0]
        yield Trap("second_header", columns[at], number, words[at], (under[at][0],))


def _is_left_out(one: Record, file_format: FileFormat) -> bool:
    return bool(file_format.left_out) and all_cells(one.original, file_format.as_json()) in file_format.left_out


def _broken_quotes(found: Iterable[Record], file_format: FileFormat) -> list[Trap]:
    """The first cell of each column whose quotation mark is not closed, or closed before its end; where it parts the row wrongly, the row."""
    quote, delimiter = file_format.quote, re.escape(file_format.delimiter)
    if file_format.kind != "csv" or not quote:
        return []
    cell = re.compile(rf"(?:{quote}(?:[^{quote}]|{quote}{quote})*+{quote}|(?!{quote})(?:(?!{delimiter}).)*+)({delimiter}|\Z)", re.DOTALL)
    traps: dict[tuple[str, str], Trap] = {}
    for one in found:
        text = one.original.decode(file_format.encoding, "replace")
        if quote not in text or (broken := _first_broken(text, cell)) is None:
            continue
        at, start = broken
        if one.cells is not None:
            column = file_format.columns[at]
            seen = str(one.cells[column])
            trap = Trap("quote_lines" if "\n" in seen else "quote", column, one.row, seen)
        elif one.refusal is not None and one.refusal.code == "record.columns":
            trap = Trap("quote_refused", "", one.row, text[start:])
        else:
            continue
        traps.setdefault((trap.kind, trap.column), trap)
    return list(traps.values())


def _first_broken(text: str, cell: re.Pattern[str]) -> tuple[int, int] | None:
    """(which cell of the row, where it begins)."""
    at = start = 0
    while found := cell.match(text, start):
        if not found[1]:
            return None
        at, start = at + 1, found.end()
    return at, start


def still_open(traps: Iterable[Trap], written: Collection[str]) -> list[Trap]:
    """Those left where the writing of some columns is said."""
    return [trap for trap in traps if trap.kind not in _WRITTEN or trap.column not in written]


def _sum_at(cells: list[str]) -> int | None:
    """Where a row says that it is a sum of others: in what stands first in it, with cells that are left empty."""
    at = next((at for at, cell in enumerate(cells[:_FIRST_CELLS]) if cell.strip()), None)
    is_sum = at is not None and _SUM.fullmatch(cells[at].strip()) is not None and not all(cell.strip() for cell in cells)
    return at if is_sum else None


def _kinds(cell: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if is_cut(cell):
        yield "cut", ()
    elif "." in cell and len(digits := whole_digits(cell.strip()) or "") >= _LEAST_DIGITS:
        yield "decimal", (digits,)
    elif _GROUPED.fullmatch(cell.strip()):
        yield "grouped", ()
    elif days := possible_days(cell):
        yield ("day_number" if cell.strip()[:5].isdigit() else "day_order"), tuple(days)
    if FULL_WIDTH.search(cell):
        yield "full_width", ()
    if ODD_SPACE.search(cell):
        yield "odd_space", ()
