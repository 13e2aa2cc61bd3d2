"""What the rows of a file may hide: what may be read otherwise than it was meant, or has lost something; each once a column, with its row."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

from ingestion.doors.files import RESERVED, FileFormat, Record, all_cells, as_text, cells_of, is_value
from ingestion.imports.columns import LOOKED_AT
from taxonomy.standardize import FULL_WIDTH, ODD_SPACE, is_cut, possible_days, storable, whole_digits

_TIME = re.compile(r"[0-9]{4}[-/.年].*[0-9]{1,2}:[0-9]{2}.*")
_ZONED = re.compile(r".*[0-9](?: ?(?:Z|UTC|GMT)| ?[+-][0-9]{2}:?[0-9]{2})", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?[0-9]{1,3},[0-9]{3}")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_SUM = re.compile(r"(?:合\s*+计|总\s*+计|小\s*+计|(?:grand |sub-?)?total)s?\s*+[:：]?", re.IGNORECASE)
# How what _kinds() tells begins; most cells end here. What is of full width or has an odd space is no ASCII.
_PECULIAR = re.compile(
    r"\s*(?:[0-9](?:\.[0-9]*)?[eE]\+?[0-9]{1,3}\s*\Z|[0-9]{10,15}\.0|[1-9][0-9]{4}(?:\.[0-9]*)?\s*\Z|[0-9]{1,2}[/.-][0-9]{1,2}[/.-]|[+-]?[0-9]{1,3},[0-9]{3}"
    r"|[0-9]{4}[-/.年])"
)
_ODD_SIGN = re.compile(f"{FULL_WIDTH.pattern}|{ODD_SPACE.pattern}")
# What these are hangs on their digits: of a 13th month there is no day.
_EXPONENT = re.compile(r"[0-9.][eE]")
_SLASHED = re.compile(r"\s*[0-9]{1,2}[/.-][0-9]{1,2}[/.-]")
_DIGITS = dict.fromkeys(map(ord, "123456789"), "0")
# What a column is called, and what a system calls it: a number may stand behind.
_NAME = re.compile(r"\D+[0-9]{0,2}")
_CODE = re.compile(r"[A-Za-z_][A-Za-z_.-]*[0-9]{0,2}")
# Stands in no cell that can be stored.
_PARTED = "\0"
# So many rows, and four times as many at most, tell whether the first one is like them.
_BELOW = 3
# A sum is named in one of these.
_FIRST_CELLS = 3
# Fewer digits with a point and noughts are an amount.
_LEAST_DIGITS = 10
# A table of more columns than these is not looked through.
MOST_COLUMNS = 200
# Rows are looked through so many together: what a column repeats is looked at once, and few cells are kept.
_AT_ONCE = 512
_SHOWN = 60
# A time is no longer than this, whose pattern takes its square.
_LONGEST = 64
# Of longer cells, and beyond so many, what was looked at is not kept in mind.
_MOST_SHAPES = 2_000
# Nothing is open in these once a matching says how the column is written.
_WRITTEN = ("grouped", "day_order", "day_number")
# Times are a trap where a column has both.
_ZONES = ("zoned", "local")
# What parts rows wrongly is told first.
_FIRST = ("quote", "quote_lines", "quote_refused", "second_header")


class Trap(NamedTuple):
    """`kind` is a key of ingestion.imports.words.TRAPS; `column` is "" for the row as a whole; `seen` the cell's beginning; `means` what it is or may be."""

    kind: str
    column: str
    row: int
    seen: str
    means: Sequence[str] = ()


class Looked(NamedTuple):
    """What the first rows of a file may hide. `rows`: how many were looked through, 0 where that was all."""

    traps: list[Trap]
    rows: int


class Look:
    """Looks through rows of a file as they go by. `is_first`: they are its first."""

    def __init__(self, file_format: FileFormat, *, is_first: bool) -> None:
        self._format = file_format
        self._columns = [column for column in file_format.columns if column not in RESERVED][:MOST_COLUMNS]
        self._width = len(self._columns)
        self._quotes = _Quotes(file_format) if file_format.kind == "csv" and file_format.quote else None
        self._found: dict[tuple[str, str], Trap] = {}
        self._shapes: list[set[str]] = [set() for _ in self._columns]
        self._numbers: list[int] = []
        self._cells: list[list[Any]] = []
        self._is_first, self._is_table = is_first, file_format.has_columns
        self._is_text = self._is_table and file_format.is_text

    def note(self, record: Record, said: object) -> None:
        """`said`: what the record says by name, or of all the columns in their places, where it can be read."""
        if self._quotes and record.original.find(self._quotes.mark) >= 0 and (broken := self._quotes.broken(record)):
            self._add(broken)
        if isinstance(said, list) and self._is_table:
            self._cells.append(said if len(said) == self._width else said[: self._width])
        elif isinstance(said, dict):
            self._cells.append([said.get(column) for column in self._columns])
        else:
            return
        self._numbers.append(record.row)
        if len(self._numbers) == _AT_ONCE:
            self._look()

    def note_heading(self, record: Record) -> None:
        """A header that comes again; what somebody left out is told to nobody."""
        left_out = self._format.left_out
        if not left_out or all_cells(record.original, self._format.as_json()) not in left_out:
            self._add(Trap("header", "", record.row, ""))

    def found(self) -> list[Trap]:
        """The first of each kind in each column so far, and of `_ZONES`: for told()."""
        self._look()
        return list(self._found.values())

    def _add(self, trap: Trap) -> None:
        if (trap.kind, trap.column) not in self._found:
            means = [one[:_SHOWN] for one in trap.means]
            self._found[trap.kind, trap.column] = Trap(trap.kind, storable(trap.column), trap.row, storable(trap.seen[:_SHOWN]), means)

    def _look(self) -> None:
        if not self._numbers:
            return
        numbers, columns = self._numbers, list(zip(*self._cells, strict=True))
        if not self._is_text:
            columns = [tuple(map(as_text, cells)) for cells in columns]
        if self._is_first:
            for trap in _second_header(self._columns, columns, numbers, self._format):
                self._add(trap)
        self._is_first, self._numbers, self._cells = False, [], []
        may_be_sums = False
        for place, (column, cells, shapes) in enumerate(zip(self._columns, columns, self._shapes, strict=True)):
            different = {*cells}
            text = _PARTED.join(different)
            may_be_sums = may_be_sums or (place < _FIRST_CELLS and ("计" in text or "total" in text.lower()))
            if odd := _odd(different, text, shapes):
                for kind, means, at in _peculiar(cells, different, odd, shapes):
                    self._add(Trap(kind, column, numbers[at], cells[at], means))
        for number, row in zip(numbers, zip(*columns, strict=True), strict=True) if may_be_sums else ():
            if (first := _sum_at(row)) is not None:
                self._add(Trap("sum", self._columns[first], number, row[first]))


def told(found: Iterable[Trap], columns: Sequence[str]) -> list[Trap]:
    """Of what was found in parts of a file, one after the other, the first of each kind in each column: first what parts rows wrongly, then by column."""
    firsts: dict[tuple[str, str], Trap] = {}
    for trap in found:
        firsts.setdefault((trap.kind, trap.column), trap)
    traps = [trap for trap in firsts.values() if trap.kind not in _ZONES]
    for column in columns:
        both = [firsts[kind, column] for kind in _ZONES if (kind, column) in firsts]
        if len(both) > 1:
            traps.append(max(both, key=attrgetter("row"))._replace(kind="zones"))
    place = {column: at for at, column in enumerate(columns)}
    return sorted(traps, key=lambda trap: (trap.kind not in _FIRST, place.get(trap.column, len(place)), trap.kind))


def look_through(found: Sequence[Record], file_format: FileFormat) -> Looked:
    """`found`: the first LOOKED_AT of the file."""
    return Looked(traps_in(found, file_format), 0 if len(found) < LOOKED_AT else len(found))


def traps_in(found: Iterable[Record], file_format: FileFormat) -> list[Trap]:
    """The traps of a file's first records."""
    look = Look(file_format, is_first=True)
    for one in found:
        if one.is_heading:
            look.note_heading(one)
        else:
            said = cells_of(one, file_format)
            look.note(one, said and {column: cell for column, cell in said.items() if column not in RESERVED})
    return told(look.found(), file_format.columns)


def open_traps(parts: Iterable[Iterable[Trap]], file_format: FileFormat) -> list[Trap]:
    """What is told of parts of a file, one after the other, where its matching leaves it open."""
    traps = told(chain.from_iterable(parts), file_format.columns)
    return still_open(traps, file_format.matching.written() if file_format.matching else ())


def still_open(traps: Iterable[Trap], written: Collection[str]) -> list[Trap]:
    """Those left where the writing of some columns is said."""
    return [trap for trap in traps if trap.kind not in _WRITTEN or trap.column not in written]


def _odd(different: set[str], text: str, shapes: set[str]) -> set[str]:
    """Those of a column's cells in which something may be hidden; none where all their shapes are known. `text`: all of them."""
    odd = set(filter(_PECULIAR.match, different))
    if not text.isascii():
        odd.update(filter(_ODD_SIGN.search, different))
    return odd if not shapes.issuperset(_PARTED.join(odd).translate(_DIGITS).split(_PARTED)) else set()


def _peculiar(cells: Sequence[str], different: set[str], odd: set[str], shapes: set[str]) -> Iterator[tuple[str, Sequence[str], int]]:
    """(kind, what it means, where) of a column's cells. `shapes`: of what was looked at before, and says nothing new."""
    for at, cell in enumerate(cells):
        if cell not in odd or (shape := cell.translate(_DIGITS)) in shapes:
            continue
        kinds = list(_kinds(cell))
        if kinds and kinds[0][0] == "day_number" and any(map(_is_number, different)):
            kinds = kinds[1:]
        is_like_others = not _EXPONENT.search(cell) and (kinds or not _SLASHED.match(cell))
        if is_like_others and len(shape) <= _LONGEST and len(shapes) < _MOST_SHAPES:
            shapes.add(shape)
        yield from ((kind, means, at) for kind, means in kinds)


def _is_number(cell: str) -> bool:
    """Whether it is a number and no day's: a column that has such ones has no days."""
    return _NUMBER.fullmatch(cell) is not None and not possible_days(cell)


def _second_header(columns: list[str], cells: Sequence[Sequence[str]], numbers: list[int], file_format: FileFormat) -> Iterator[Trap]:
    """The first row, where it is words throughout, each another, and under them are numbers, phones or times; and no word comes again. `cells`: by column."""
    if len(file_format.heading) != 1 or len(numbers) <= _BELOW:
        return
    words = [under[0].strip() for under in cells]
    if len({*words, ""}) <= len(words) or not all(map(_NAME.fullmatch, words)):
        return
    below = [[cell.strip() for cell in under[1 : _BELOW * 4] if cell.strip()] for under in cells]
    values = [at for at, under in enumerate(below) if len(under) >= _BELOW and all(map(is_value, under))]
    is_told = len(values) > 1 or (values and all(map(_CODE.fullmatch, words)))
    if is_told and not any(word in under for word, under in zip(words, below, strict=True)):
        at = values[0]
        yield Trap("second_header", columns[at], numbers[0], words[at], (below[at][0],))


class _Quotes:
    """Finds cells whose quotation mark is not closed, or closed before their end."""

    def __init__(self, file_format: FileFormat) -> None:
        quote, delimiter = re.escape(file_format.quote), re.escape(file_format.delimiter)
        plain = f"[^{delimiter}]" if len(file_format.delimiter) == 1 else f"(?:(?!{delimiter}).)"
        cell = f"(?:{quote}(?:[^{quote}]|{quote}{quote})*+{quote}|(?!{quote}){plain}*+)"
        self._cell = re.compile(rf"{cell}({delimiter}|\Z)", re.DOTALL)
        self._whole = re.compile(rf"(?:{cell}{delimiter})*+{cell}", re.DOTALL)
        # none of other signs than ASCII's: each row is looked at
        self.mark = file_format.quote.encode("ascii", "ignore")
        self._format = file_format

    def broken(self, record: Record) -> Trap | None:
        """The first such cell of a row that has a mark; where it parts the row wrongly, the row."""
        text = record.original.decode(self._format.encoding, "replace")
        if self._format.quote not in text or self._whole.fullmatch(text):
            return None
        at, start = self._first(text)
        if record.cells is not None:
            column = self._format.columns[at]
            seen = str(record.cells.get(column, ""))
            return Trap("quote_lines" if "\n" in seen else "quote", column, record.row, seen)
        if record.refusal is not None and record.refusal.code == "record.columns":
            return Trap("quote_refused", "", record.row, text[start:])
        return None

    def _first(self, text: str) -> tuple[int, int]:
        """(which cell of the row, where it begins)."""
        at = start = 0
        while found := self._cell.match(text, start):
            at, start = at + 1, found.end()
        return at, start


def _sum_at(cells: Sequence[str]) -> int | None:
    """Where a row says that it is a sum of others: in what stands first in it, with cells that are left empty."""
    at = next((at for at, cell in enumerate(cells[:_FIRST_CELLS]) if cell.strip()), None)
    is_sum = at is not None and _SUM.fullmatch(cells[at].strip()) is not None and not all(cell.strip() for cell in cells)
    return at if is_sum else None


def _kinds(cell: str) -> Iterator[tuple[str, Sequence[str]]]:
    if is_cut(cell):
        yield "cut", ()
    elif "." in cell and len(digits := whole_digits(cell.strip()) or "") >= _LEAST_DIGITS:
        yield "decimal", (digits,)
    elif _GROUPED.fullmatch(cell.strip()):
        yield "grouped", ()
    elif days := possible_days(cell):
        yield ("day_number" if cell.strip()[:5].isdigit() else "day_order"), tuple(days)
    elif len(cell) <= _LONGEST and _TIME.fullmatch(cell):
        yield "zoned" if _ZONED.fullmatch(cell.strip()) else "local", ()
    if FULL_WIDTH.search(cell):
        yield "full_width", ()
    if ODD_SPACE.search(cell):
        yield "odd_space", ()
