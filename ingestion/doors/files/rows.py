"""Rows of cells parted by a delimiter: where each ends, its exact bytes and its cells."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from ingestion.doors.files.encodings import from_original, in_encoding, inner
from ingestion.doors.files.fixed import cut_cells
from ingestion.doors.files.formats import FileFormat
from taxonomy.standardize import LIMITS

csv.field_size_limit(LIMITS.event_bytes)


class Row(NamedTuple):
    """A row as it is cut, line end excluded. `is_text`: all its bytes are characters of the file's encoding. `at`: lines before it."""

    line: bytes
    cells: list[str]
    is_text: bool
    at: int = 0


_UNREAD = Row(b"", [], True)


def read_rows(data: bytes, file_format: FileFormat, width: int = 0) -> Iterator[Row]:
    """The rows in `data`; blank lines are none. `width`: cells of a right one, if known."""
    encoding, quote = inner(file_format.encoding), _quote(file_format)
    if quote and quote in data:
        yield from (row for _, row in _quoted_rows(data, file_format, width, last=True))
        return
    lines = data.split(b"\n")
    if file_format.kind != "fixed" and (texts := _texts(data, encoding)):
        for at, (line, text) in enumerate(zip(lines, texts, strict=True)):
            if line.strip():
                yield Row(line.rstrip(b"\r"), text.rstrip("\r").split(file_format.delimiter), True, at)
        return
    for at, line in enumerate(lines):
        if line.strip():
            stripped = line.rstrip(b"\r")
            text, is_text = _text(stripped, encoding)
            yield Row(stripped, _cells(text, file_format), is_text, at)


def read_row(original: bytes, file_format: FileFormat) -> Row:
    """One row again, from its exact bytes."""
    line = from_original(original, file_format.encoding)
    return next(read_rows(line, file_format, len(file_format.columns)), Row(line, [], True))


def write_row(cells: list[str], file_format: FileFormat) -> bytes:
    """One row as such a file has it, quoted where needed, with its line end."""
    delimiter = file_format.delimiter
    if len(delimiter) > 1:
        plain = (re.sub(r"[\r\n]+", " ", cell).replace(delimiter, " ") for cell in cells)
        return in_encoding(delimiter.join(plain) + "\r\n", file_format.encoding)
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, quotechar=file_format.quote or '"', lineterminator="\r\n").writerow(cells)
    return in_encoding(line.getvalue(), file_format.encoding)


def cut_lines(data: bytes, *, last: bool) -> tuple[int, int]:
    """Where the last whole line ends, and how many records stand before: (offset, records)."""
    end = len(data) if last else data.rfind(b"\n") + 1
    return end, sum(1 for line in data[:end].split(b"\n") if line.strip())


def cut_rows(data: bytes, file_format: FileFormat, *, last: bool) -> tuple[int, int]:
    """The same for rows, where a quoted cell may hold line ends; the last record may be unfinished and is left."""
    quote = _quote(file_format)
    if not quote or quote not in data:
        return cut_lines(data, last=last)
    ends = [end for end, _ in _quoted_rows(data, file_format, len(file_format.columns), last=last, only_ends=True)]
    if last:
        return len(data), len(ends)
    return (ends[-2], len(ends) - 1) if len(ends) > 1 else (0, 0)


def start_of_rows(head: bytes, file_format: FileFormat) -> int:
    """Where the rows after the header begin in the file's head."""
    start = 0
    for _ in range(file_format.above + len(file_format.heading)):
        row = next(read_rows(head[start:], file_format), None)
        if row is None:
            return len(head)
        start = head.index(row.line, start) + len(row.line)
    return start


def _quoted_rows(data: bytes, file_format: FileFormat, width: int, *, last: bool, only_ends: bool = False) -> Iterator[tuple[int, Row]]:
    """(offset after the row, the row). `only_ends`: what a row says is not asked for, so those without quotes are not read.

    A row of several lines that is past the size limit, of another width, or not closed at the end, has a stray quote: its
    first line is taken alone. Unless it is the last of data that goes on: its end may be missing.
    """
    encoding, delimiter = inner(file_format.encoding), file_format.delimiter
    lines = data.split(b"\n")
    texts = None if only_ends else _texts(data, encoding)
    taken = offset = 0
    is_text, is_unclosed = True, False

    def text_at(line: int) -> tuple[str, bool]:
        return (texts[line], True) if texts else _text(lines[line], encoding)

    def feed() -> Iterator[str]:
        nonlocal taken, is_text, is_unclosed
        while taken < len(lines):
            taken += 1
            text, is_good = text_at(taken - 1)
            is_text = is_text and is_good
            yield text + "\n"
        is_unclosed = True

    def reader() -> Iterator[list[str]]:
        return csv.reader(feed(), delimiter=delimiter, quotechar=file_format.quote)

    quote = _quote(file_format)
    rows = reader()
    strays: _Strays | None = None
    while taken < len(lines):
        line, first = lines[taken], taken
        if line.find(quote) < 0:  # outside of quotes, as here, it is a row of its own; find, not in: faster with bytes
            taken, offset = taken + 1, offset + len(line) + 1
            if not line.strip():
                continue
            if only_ends:
                yield min(offset, len(data)), _UNREAD
            else:
                text, is_text = text_at(first)
                yield min(offset, len(data)), Row(line.rstrip(b"\r"), text.rstrip("\r").split(delimiter), is_text, first)
            continue
        is_text, is_unclosed = True, False
        cells: list[str] | None = None
        if strays is None or not strays.begin_at(first):
            with suppress(csv.Error):
                cells = next(rows, [])
        line = lines[first] if taken <= first + 1 else b"\n".join(lines[first:taken])
        is_off = len(line) > LIMITS.event_bytes or bool(width and cells and len(cells) != width and (last or taken < len(lines)))
        if cells is None or (is_off and taken > first + 1) or (last and is_unclosed):
            if strays is None and taken > first + 1:
                strays = _Strays(lines, first, file_format, width, last=last)
            line, taken = lines[first], first + 1
            text, is_text = text_at(first)
            cells = text.rstrip("\r").split(delimiter)
            rows = reader()
        offset += len(line) + 1
        if line.strip():
            yield min(offset, len(data)), Row(line.rstrip(b"\r"), cells, is_text, first)


class _Strays:
    """Which lines open a quote that goes too far, told in one pass backwards: to read on from each of them would take time by its square.

    What stands after a line does not depend on what stood before it, but for whether it begins within quotes.
    """

    def __init__(self, lines: list[bytes], first: int, file_format: FileFormat, width: int, *, last: bool) -> None:
        self._first = first
        self._found = [False] * (len(lines) - first)
        encoding, quote, delimiter = inner(file_format.encoding), file_format.quote, file_format.delimiter
        # Of a row that comes within quotes to the line looked at: where it ends, cells that it has from there, bytes.
        end, more, size, is_bad = len(lines), 0, 0, False
        for at in range(len(lines) - 1, first - 1, -1):
            text, length = _text(lines[at], encoding)[0] + "\n", len(lines[at]) + 1
            cells, is_open = _leaves_open(text, delimiter, quote)
            if is_open:
                is_wrong = bool(width) and cells + more != width and (last or end + 1 < len(lines))
                is_large = length + size - 1 > LIMITS.event_bytes
                is_off = at + 1 < len(lines) and (is_bad or is_wrong or is_large)
                self._found[at - first] = is_off or (last and end == len(lines))
            cells, goes_on = _leaves_open(quote + text, delimiter, quote)
            if goes_on:
                more, size = cells - 1 + more, length + size
            else:
                end, more, size, is_bad = at, cells - 1, length, cells == 0

    def begin_at(self, line: int) -> bool:
        return self._found[line - self._first]


def _leaves_open(text: str, delimiter: str, quote: str) -> tuple[int, bool]:
    """(the cells of a line, none where it cannot be read, whether a quote is open at its end)."""
    rows = csv.reader((text, "x\n"), delimiter=delimiter, quotechar=quote)
    try:
        return len(next(rows)), rows.line_num > 1
    except csv.Error:
        return 0, False


def _cells(text: str, file_format: FileFormat) -> list[str]:
    """Of a line of fixed width whose columns end within characters, the whole line is one."""
    if file_format.kind == "fixed":
        return cut_cells(text, file_format) or [text]
    return text.split(file_format.delimiter)


def _quote(file_format: FileFormat) -> bytes:
    return file_format.quote.encode(inner(file_format.encoding))


def _texts(data: bytes, encoding: str) -> list[str] | None:
    """The lines of what is all characters of the encoding: together they take less time than one by one."""
    try:
        return data.decode(encoding).split("\n")
    except UnicodeDecodeError:
        return None


def _text(line: bytes, encoding: str) -> tuple[str, bool]:
    try:
        return line.decode(encoding), True
    except UnicodeDecodeError:
        return line.decode(encoding, "surrogateescape"), False
