"""Columns of fixed width: where they stand, found from the rows, and a line's cells.

Tills and mainframes count bytes, in which a Chinese character of GB18030 takes two; others count characters. A file that was
turned to UTF-8 afterwards still stands by the bytes of GB18030.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from ingestion.doors.files.formats import RESERVED, FileFormat

CHARACTERS = "characters"
MEASURES = (CHARACTERS, "gb18030", "utf-8")
# After one blank alone a column begins only where so many rows have something there: it may be a space within a text.
_NEARLY_ALL = 0.9
_FEW_ROWS = 10
_NUMBER = re.compile(r"[-+]?\d[\d.,/-]*")
# In a header as `write_cells` has it, where two blanks and more stand between names only.
_NAME = re.compile("[^ ]+(?: [^ ]+)*")
# What would part cells or lines that are written.
_BLANKS = re.compile(r"[ \t\n\v\f\r]+")
# So many rows that fit one measure better than another tell which it is.
_TELLING = 100


def find_widths(lines: list[str]) -> tuple[list[int], str]:
    """(the columns' widths with the blanks after them, the last to the line's end; the measure); no widths where there are no columns."""
    rows = [line for line in lines if line.strip()]
    _, widths, measure = _best(rows)
    if len(rows) > _FEW_ROWS:  # a header need not stand over its columns
        _, below, measured_so = _best(rows[1:])
        if len(below) == len(rows[0].split()) > len(widths):
            return below, measured_so
    return widths, measure


def is_of_failed_rows(header: str) -> bool:
    """Whether it is a header as `write_cells` has it, that ends in the columns that are ours."""
    return _NAME.findall(header)[-len(RESERVED) :] == [*RESERVED]


def widths_under(header: str, rows: Iterable[str]) -> tuple[list[int], str]:
    """(widths, measure) of failed rows, whatever they say: their columns begin where the names in the header do."""
    starts = {measure: [len(_measured(header[: name.start()], measure)) for name in _NAME.finditer(header)] for measure in MEASURES}
    fits, telling = Counter[str](), 0
    for row in rows:
        begun = {measure: _begun(_measured(row, measure), starts[measure]) for measure in MEASURES}
        if len({*begun.values()}) > 1:
            fits.update(begun)
            telling += 1
        if telling == _TELLING:
            break
    measure = max(MEASURES, key=fits.__getitem__)
    return [end - start for start, end in itertools.pairwise([0, *starts[measure][1:]])] + [0], measure


def _begun(row: str | bytes, starts: list[int]) -> int:
    """How many of the cells begin where their columns do, after two blanks."""
    return sum(1 for at in starts[1:] if row[at : at + 1].strip() and not row[at - 2 : at].strip())


def _best(rows: list[str]) -> tuple[tuple[bool, int], list[int], str]:
    return max((_columns(rows, measure) for measure in MEASURES), key=lambda found: found[0])


def cut_cells(line: str, file_format: FileFormat) -> list[str] | None:
    """The line's cells without the blanks around them; what stands past the last column is one more. None where a column ends within a character."""
    cells, start = list[str | bytes](), 0
    measured = _measured(line, file_format.measure)
    for width in file_format.widths:
        end = start + width if width else len(measured)
        cells.append(measured[start:end])
        start = max(end, start)
    if measured[start:].strip():
        cells.append(measured[start:])
    try:
        return [(cell if isinstance(cell, str) else cell.decode(file_format.measure)).strip() for cell in cells]
    except UnicodeDecodeError:
        return None


def write_cells(cells: list[str], widths: list[int], measure: str) -> str:
    """A line with each cell padded to its width, and two blanks before the next."""
    return "".join(
        text + " " * max(0, width - len(_measured(text, measure))) + "  "
        for text, width in zip((_BLANKS.sub(" ", cell) for cell in cells), widths, strict=True)
    ).rstrip()


def widths_of(rows: Iterator[list[str]], measure: str) -> list[int]:
    """How wide each column must be for these rows."""
    widths: list[int] = []
    for row in rows:
        sizes = [len(_measured(_BLANKS.sub(" ", cell), measure)) for cell in row]
        widths = [max(one, other) for one, other in zip(widths or sizes, sizes, strict=True)]
    return widths


def _columns(rows: list[str], measure: str) -> tuple[tuple[bool, int], list[int], str]:
    """(how well the rows stand one under the other: padded to one length, places blank in all; the widths; the measure).

    A column begins with its first cell; but numbers that end one under the other become longer to the left, so theirs begins
    right after the numbers before it.
    """
    measured = [_measured(row, measure) for row in rows]
    length = max(map(len, measured), default=0)
    filled = [sum(1 for row in measured if row[at : at + 1] not in (" ", b" ", "", b"")) for at in range(length)]
    enough = len(rows) * _NEARLY_ALL if len(rows) >= _FEW_ROWS else len(rows) + 1
    edges = [0]
    for (_, before), (start, end) in itertools.pairwise(_runs(filled)):
        if start - before > 1 or max(filled[start], filled[end - 1]) >= enough:
            are_numbers = min(filled[before - 1], filled[end - 1]) >= enough and all(
                _is_number(row[edges[-1] : before]) and _is_number(row[start:end]) for row in measured
            )
            edges.append(before if are_numbers else start)
    widths = [end - start for start, end in itertools.pairwise(edges)]
    fit = (len(set(map(len, measured))) == 1, filled.count(0))
    return fit, [*widths, 0] if widths else [], measure


def _runs(filled: list[int]) -> list[tuple[int, int]]:
    """The places between those that are blank in all rows: [(first, after the last)]."""
    groups = itertools.groupby(range(len(filled)), key=lambda at: filled[at] > 0)
    found = [list(places) for is_filled, places in groups if is_filled]
    return [(places[0], places[-1] + 1) for places in found]


def _is_number(cell: str | bytes) -> bool:
    text = (cell if isinstance(cell, str) else cell.decode("ascii", "replace")).strip()
    return not text or _NUMBER.fullmatch(text) is not None


def _measured(text: str, measure: str) -> str | bytes:
    return text if measure == CHARACTERS else text.encode(measure, "replace")
