"""What in a file's first rows may be read otherwise than it was meant, or has lost something: each once a column, with its row."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from ingestion.doors.files import RESERVED, FileFormat, Record, cells_of, cells_under
from taxonomy.standardize import is_cut, possible_days

_TIME = re.compile(r"[0-9]{4}[-/.年].*[0-9]{1,2}:[0-9]{2}.*")
_ZONED = re.compile(r".*[0-9](?: ?(?:Z|UTC|GMT)| ?[+-][0-9]{2}:?[0-9]{2})", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?[0-9]{1,3},[0-9]{3}")
_FULL_WIDTH = re.compile("[０-９Ａ-Ｚａ-ｚ]")
_SUM = re.compile(r"(?:合\s*计|总\s*计|小\s*计|(?:grand |sub-?)?total)s?\s*[:：]?", re.IGNORECASE)
# A sum is named in one of these.
_FIRST_CELLS = 3
_ODD_SPACE = re.compile("[\u00a0\u2007\u200b\u202f\u3000\ufeff]")
# A table of more columns than these is not looked through.
MOST_COLUMNS = 200
# Nothing is open in these once a matching says how the column is written.
_WRITTEN = ("grouped", "day_order", "day_number")


class Trap(NamedTuple):
    """`kind` is a key of ingestion.imports.words.TRAPS; `seen` the cell; `days` what a date may mean."""

    kind: str
    column: str
    row: int
    seen: str
    days: tuple[str, ...] = ()


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
            for kind, days in _kinds(cell):
                found.setdefault((at, kind), Trap(kind, columns[at], number, cell, days))
            if _TIME.fullmatch(cell):
                has_zone = _ZONED.fullmatch(cell.strip()) is not None
                if zoned.setdefault(at, (has_zone, number))[0] != has_zone:
                    found.setdefault((at, "zones"), Trap("zones", columns[at], number, cell))
    return [found[key] for key in sorted(found)]


def traps_in(found: Iterable[Record], file_format: FileFormat) -> list[Trap]:
    """The traps of a table's rows."""
    rows = ((one.row, cells_under(one.original, file_format)[0]) for one in found if cells_of(one, file_format) is not None)
    return find_traps([column for column in file_format.columns if column not in RESERVED][:MOST_COLUMNS], rows)


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
    elif _GROUPED.fullmatch(cell.strip()):
        yield "grouped", ()
    elif days := possible_days(cell):
        yield ("day_number" if cell.strip()[:5].isdigit() else "day_order"), tuple(days)
    if _FULL_WIDTH.search(cell):
        yield "full_width", ()
    if _ODD_SPACE.search(cell):
        yield "odd_space", ()
