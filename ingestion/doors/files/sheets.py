"""Sheets of Excel workbooks, streamed: of a sheet one piece is held, of the workbook its texts. A record's bytes are a JSON list of its cells as they are seen.

openpyxl makes an object of every cell, which takes five times as long as expat's characters do. What a workbook brings to fill
the memory is refused: a document type, texts of more than 256 MB, a part that unpacks 200 times over, a cell of 16 MB.
"""

import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple
from xml.parsers import expat

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

from ingestion.doors.files.formats import RECORD_BYTES, Block, FileFormat, Numbering, UnreadableFile
from ingestion.doors.files.unpack import DAMAGED, damaged, refuse_bomb
from taxonomy.standardize import encode_json

# What is not rows (texts, styles) is held in memory while the sheet is read.
_HELD_BYTES = 256 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
# Excel has no more.
_MOST_COLUMNS, _MOST_ROWS = 16_384, 1_048_576
# Excel keeps 15 digits of a number.
_EXACT = 10**15
_BROKEN = (*DAMAGED, LookupError, ValueError, TypeError, ArithmeticError, RuntimeError, StopIteration, struct.error, expat.ExpatError)
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_DIGITS = "0123456789"
_END = object()
# Of a cell, its value; or its text where it stands within.
_CONTENT = frozenset({"v", "t"})

_Part = IO[bytes]
_Shower = Callable[[str], str]


class _Book(NamedTuple):
    """`sheets`: {name: part}. `texts` and `showers` go by number: the shared texts, and how a number of each style is shown."""

    sheets: dict[str, str]
    texts: "_Texts"
    showers: list[_Shower]


def sheet_names(path: Path) -> list[str]:
    with _opened(path) as packed:
        return list(_sheets(packed)[0])


def sheet_rows(path: Path, sheet: str) -> Iterator[tuple[int, list[str], int]]:
    """(its number in the sheet; the cells as they are seen, without empty ones at the end; bytes of the file read so far), of every row with one."""
    size = path.stat().st_size
    with _opened(path) as packed:
        book = _read_book(packed)
        if sheet not in book.sheets:
            raise UnreadableFile("file.no_sheet", sheet=sheet)
        whole = packed.getinfo(book.sheets[sheet]).file_size
        with packed.open(book.sheets[sheet]) as part:
            for number, cells in _rows(part, book):
                while cells and not cells[-1].strip():
                    cells.pop()
                if cells:
                    yield number, cells, size * part.tell() // whole


def sheet_blocks(path: Path, file_format: FileFormat, numbering: Numbering, *, block_bytes: int) -> Iterator[Block]:
    """The sheet's rows after its header, as lines of JSON, with empty ones for its empty rows. Raises UnreadableFile."""
    width, lines, size, read_bytes = len(file_format.columns), list[bytes](), 0, 0
    before = file_format.above + len(file_format.heading)
    # A sheet of formats kept before zips of workbooks were read stands as the member.
    for at, (number, cells, read_bytes) in enumerate(sheet_rows(path, file_format.sheet or file_format.member)):
        if at < before:
            continue
        if file_format.by_line and not lines:
            numbering.row = number
        elif file_format.by_line:
            lines += [b""] * (number - numbering.row - len(lines))
        line = encode_json([*cells, *[""] * (width - len(cells))])
        if len(line) > RECORD_BYTES:
            raise UnreadableFile("file.record_too_long", row=numbering.row + len(lines))
        lines.append(line)
        size += len(line)
        if size >= block_bytes:
            yield numbering.block(b"\n".join(lines), len(lines), read_bytes, is_last=False)
            lines, size = [], 0
    if lines:
        yield numbering.block(b"\n".join(lines), len(lines), read_bytes, is_last=True)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as packed:
            held = 0
            for part in packed.infolist():
                refuse_bomb(part.file_size, part.compress_size)
                held += 0 if part.filename.startswith("xl/worksheets/") else part.file_size
            if held > _HELD_BYTES:
                raise UnreadableFile("file.workbook_too_large")
            yield packed
    except _BROKEN as error:
        raise damaged(error) from error


def _read_book(packed: zipfile.ZipFile) -> _Book:
    sheets, is_1904 = _sheets(packed)
    parts = packed.namelist()
    formats = _number_formats(packed) if "xl/styles.xml" in parts else []
    return _Book(sheets, _Texts(packed), [_shower(one, is_1904) for one in formats or [""]])


def _sheets(packed: zipfile.ZipFile) -> tuple[dict[str, str], bool]:
    """({a sheet's name: its part}, whether days are counted from 1904)."""
    targets = {one["Id"]: one["Target"] for name, one in _elements(packed, "xl/_rels/workbook.xml.rels") if name == "Relationship"}
    sheets, is_1904 = {}, False
    for name, one in _elements(packed, "xl/workbook.xml"):
        if name == "sheet":
            target = targets[next(value for key, value in one.items() if key.endswith("}id"))]
            part = target.removeprefix("/") if target.startswith("/") else str(PurePosixPath("xl") / target)
            if "worksheets/" in part:
                sheets[one["name"]] = part
        elif name == "workbookPr":
            is_1904 = one.get("date1904") in ("1", "true")
    return sheets, is_1904


def _number_formats(packed: zipfile.ZipFile) -> list[str]:
    """The number format of each style, in their order."""
    own: dict[int, str] = {}
    formats: list[str] = []
    is_of_cells = False
    for name, one in _elements(packed, "xl/styles.xml"):
        if name == "numFmt" and "formatCode" in one:
            own[int(one["numFmtId"])] = one["formatCode"]
        elif name in ("cellXfs", "cellStyleXfs", "cellStyles"):
            is_of_cells = name == "cellXfs"
        elif name == "xf" and is_of_cells:
            number = int(one.get("numFmtId", 0))
            formats.append(own.get(number) or BUILTIN_FORMATS.get(number, ""))
    return formats


def _elements(packed: zipfile.ZipFile, part: str) -> list[tuple[str, dict[str, str]]]:
    """(name, attributes) of every element of a small part."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = _parser()
    parser.StartElementHandler = lambda tag, attributes: found.append((_local(tag), attributes))
    with packed.open(part) as stream:
        for _ in _parsed(parser, stream):
            pass
    return found


class _Texts:
    """The shared texts, read as far as they are asked for: writers number them as they come, so that those of the first rows stand first."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self.read: list[str] = []
        self._more = _read_texts(packed, self.read)

    def __getitem__(self, number: int) -> str:
        while number >= len(self.read) and next(self._more, _END) is not _END:
            pass
        return self.read[number]


def _read_texts(packed: zipfile.ZipFile, texts: list[str]) -> Iterator[None]:
    """Add them, each joined of its runs; how it is pronounced is no part of it."""
    if "xl/sharedStrings.xml" not in packed.namelist():
        return
    runs: list[str] = []
    is_inside = False
    pronounced = 0
    local = _Names()

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal is_inside, pronounced
        name = local[tag]
        if name == "t":
            is_inside = not pronounced
        elif name == "rPh":
            pronounced += 1

    def end(tag: str) -> None:
        nonlocal is_inside, pronounced
        name = local[tag]
        if name == "si":
            texts.append(_unescaped("".join(runs)))
            runs.clear()
        elif name == "t":
            is_inside = False
        elif name == "rPh":
            pronounced -= 1

    def characters(text: str) -> None:
        if is_inside:
            runs.append(text)

    parser = _parser()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    with packed.open("xl/sharedStrings.xml") as stream:
        yield from _parsed(parser, stream)


def _rows(part: _Part, book: _Book) -> Iterator[tuple[int, list[str]]]:
    parser, reader = _parser(), _RowReader(book)
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = reader.start, reader.end, reader.characters
    for _ in _parsed(parser, part):
        yield from reader.finished
        reader.finished.clear()


class _RowReader:
    """Takes the parser's calls; whole rows gather in `finished`."""

    def __init__(self, book: _Book) -> None:
        self.finished: list[tuple[int, list[str]]] = []
        self._number = 0
        self._texts, self._showers = book.texts, book.showers
        self._local = _Names()
        self._places: dict[str, int] = {}
        self._cells: list[str] = []
        self._runs: list[str] = []
        self._kind = self._style = ""
        self._is_inside = False
        self._size = self._pronounced = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = self._local[tag]
        if name == "c":
            self._kind, self._style, self._runs = attributes.get("t", "n"), attributes.get("s", "0"), []
            if place := attributes.get("r"):
                self._go_to(place.rstrip(_DIGITS))
        elif name in _CONTENT:
            self._is_inside = not self._pronounced
        elif name == "row":
            self._cells, self._size = [], 0
            self._number = _row_number(attributes.get("r", ""), self._number)
        elif name == "rPh":
            self._pronounced += 1

    def characters(self, text: str) -> None:
        if self._is_inside:
            self._runs.append(text)
            self._size += len(text)
            if self._size > RECORD_BYTES:
                raise UnreadableFile("file.record_too_long")

    def end(self, tag: str) -> None:
        name = self._local[tag]
        if name in _CONTENT:
            self._is_inside = False
        elif name == "c":
            runs = self._runs
            self._cells.append(self._shown(runs[0] if len(runs) == 1 else "".join(runs)) if runs else "")
            if len(self._cells) > _MOST_COLUMNS:
                raise ValueError("more columns than there can be")
        elif name == "row":
            self.finished.append((self._number, self._cells))
        elif name == "rPh":
            self._pronounced -= 1

    def _go_to(self, column: str) -> None:
        """Cells that are empty are left out."""
        at = self._places.get(column)
        if at is None:
            at = self._places[column] = _place(column)
        missing = at - len(self._cells)
        if missing < 0:
            raise ValueError("a cell out of order")
        if missing:
            self._cells += [""] * missing

    def _shown(self, text: str) -> str:
        kind = self._kind
        if kind == "s":
            return self._texts[int(text)]
        if kind == "n":
            return self._showers[int(self._style)](text)
        if kind == "b":
            return "TRUE" if text.strip() == "1" else "FALSE"
        return _unescaped(text)


class _Names(dict[str, str]):
    """An element's name without its namespace, which differs between the two editions of the standard."""

    def __missing__(self, tag: str) -> str:
        self[tag] = name = _local(tag)
        return name


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*_: object) -> None:
    raise UnreadableFile("file.bomb")


def _parsed(parser: expat.XMLParserType, part: _Part) -> Iterator[None]:
    """Parse a part, pausing after each piece of it."""
    while piece := part.read(_PIECE_BYTES):
        parser.Parse(piece, False)
        yield
    parser.Parse(b"", True)


def _place(column: str) -> int:
    """A is 0, AA 26."""
    place = 0
    for letter in column:
        place = place * 26 + ord(letter) - 64
    if not 0 < place <= _MOST_COLUMNS:
        raise ValueError("no such column")
    return place - 1


def _row_number(said: str, before: int) -> int:
    """What a row says of itself, where that can be; else the next."""
    number = int(said) if said.isascii() and said.isdigit() and len(said) < 8 else 0
    return number if before < number <= _MOST_ROWS else before + 1


def _unescaped(text: str) -> str:
    """Characters that XML cannot hold stand as _x000B_."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _shower(number_format: str, is_1904: bool) -> _Shower:
    """How a number of this format is seen."""
    if is_date_format(number_format):
        return _date_shower(number_format, is_1904)
    zeros = len(number_format) if number_format and not number_format.strip("0") else 0

    def show(text: str) -> str:
        if len(text) < 16 and text.isdigit() and text.isascii():  # nearly all that are whole
            return (text.lstrip("0") or "0").zfill(zeros)
        return _number(float(text) if "." in text or "E" in text or "e" in text else int(text), zeros)

    return show


def _number(value: float, zeros: int) -> str:
    """A number as its cell shows it: leading zeros of a format such as 000000 stay, and digits that Excel lost are none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value) if abs(value) < _EXACT else value
    if isinstance(value, int):
        # Fifteen digits, and zeros for the rest, as Excel writes a longer number: whoever reads it must not take it for whole.
        if abs(value) >= _EXACT and str(abs(value))[15:].strip("0") == "":
            return f"{value:.14E}"
        return f"{value:0{zeros}d}" if zeros else str(value)
    return f"{value:.14E}" if abs(value) >= _EXACT else format(value, ".15g")


def _date_shower(number_format: str, is_1904: bool) -> _Shower:
    epoch = CALENDAR_MAC_1904 if is_1904 else CALENDAR_WINDOWS_1900
    is_timedelta = is_timedelta_format(number_format)
    shows_time = re.search("[hHsS]", number_format) is not None

    def show(text: str) -> str:
        try:
            return _moment(from_excel(float(text), epoch, timedelta=is_timedelta), shows_time)
        except (ValueError, OverflowError):
            return text

    return show


def _moment(value: datetime | date | time | timedelta, shows_time: bool) -> str:
    if isinstance(value, datetime):
        has_time = shows_time or value.time() != time()
        return value.isoformat(sep=" ", timespec="seconds") if has_time else value.date().isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return value.isoformat()
