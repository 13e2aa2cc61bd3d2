"""Opening what people upload: an .xlsx workbook, a CSV file or a zip of them, to sheets of cells. Nothing in it is evaluated."""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from taxonomy.exchange.cells import Cell, Odd

FILE_BYTES = 20 * 1024 * 1024
# A plan of 2,000 tags and 2,000 rules is 12 MB unpacked.
UNPACKED_BYTES = 200 * 1024 * 1024
ROWS = 50_000
# Rows looked at in one sheet, empty ones included: some programs write a million of those.
ROWS_SEEN = 200_000
COLUMNS = 100
# The page of explanations has them under a title in the first.
_ABOUT_COLUMNS = 2
CELL_LONGEST = 100_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell [^>]*ref="([A-Z0-9:]{1,30})"')
# How a workbook writes the first half of Windows' line end, and a text that looks like that.
_ESCAPE = re.compile("_x005F(_x[0-9A-Fa-f]{4}_)|_x000D_")
_DAMAGED = (zipfile.BadZipFile, InvalidFileException, ParseError, KeyError, ValueError, TypeError, OSError, EOFError, AttributeError, IndexError)  # fmt: skip


class UnreadableBook(Exception):
    """The file is no workbook that can be read. `code` is stable, `values` say where and what was seen."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code, self.values = code, values


@dataclass(slots=True)
class SheetRead:
    """A sheet as it came: `rows` without the header, each (its number in the sheet, its cells)."""

    title: str
    header: list[str]
    rows: list[tuple[int, list[Cell]]] = field(default_factory=list)


def open_book(content: bytes, name: str) -> list[SheetRead]:
    """The sheets of an upload. `name`: the file's, which names the sheet of a single CSV. Raises UnreadableBook."""
    if len(content) > FILE_BYTES:
        raise UnreadableBook("book.too_large", limit=FILE_BYTES // 1024 // 1024)
    if not content.strip(b"\0 \r\n\t"):
        raise UnreadableBook("book.empty")
    if content.startswith(_OLE):
        raise UnreadableBook("book.password" if "EncryptedPackage".encode("utf-16-le") in content else "book.old_excel")
    if content.startswith(b"PK"):
        sheets = _open_zip(content)
    elif name.lower().endswith((".xlsx", ".xlsm")):
        raise UnreadableBook("book.not_xlsx")
    else:
        sheets = [_open_csv(content, name)]
    sheets = [sheet for sheet in sheets if any(sheet.header)]
    if not sheets:
        raise UnreadableBook("book.empty")
    if sum(len(sheet.rows) for sheet in sheets) > ROWS:
        raise UnreadableBook("book.too_many_rows", limit=ROWS)
    return sheets


def _open_zip(content: bytes) -> list[SheetRead]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            entries = packed.infolist()
            if len(entries) > 1_000 or sum(entry.file_size for entry in entries) > UNPACKED_BYTES:
                raise UnreadableBook("book.bomb", limit=UNPACKED_BYTES // 1024 // 1024)
            if any(entry.flag_bits & 1 for entry in entries):
                raise UnreadableBook("book.password")
            names = {entry.filename for entry in entries}
            if any(name.lower().endswith("vbaproject.bin") for name in names):
                raise UnreadableBook("book.macros")
            if "[Content_Types].xml" in names:
                _refuse_odd_parts(packed, entries)
                return list(_open_xlsx(content))
            return _open_csvs(packed, entries)
    except _DAMAGED as error:
        raise UnreadableBook("book.not_xlsx") from error


def _refuse_odd_parts(packed: zipfile.ZipFile, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Merged cells, which a reader by rows does not see, and entities of XML, which no workbook has."""
    if "xl/workbook.xml" not in packed.namelist():
        raise UnreadableBook("book.not_xlsx")
    for entry in entries:
        if not entry.filename.endswith((".xml", ".rels")):
            continue
        with packed.open(entry) as part:
            before = b""
            while piece := part.read(1024 * 1024):
                window = before + piece
                if b"<!DOCTYPE" in window or b"<!ENTITY" in window:
                    raise UnreadableBook("book.not_xlsx")
                if entry.filename.startswith("xl/worksheets/") and (found := _MERGED.search(window)):
                    raise UnreadableBook("book.merged", cells=found.group(1).decode())
                before = window[-64:]


def _open_xlsx(content: bytes) -> Iterator[SheetRead]:
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
    try:
        for sheet in book.worksheets:
            if sheet.sheet_state == "visible":
                sheet.reset_dimensions()
                yield _sheet(sheet.title, ([_cell(one) for one in row[:COLUMNS]] for row in sheet.iter_rows()))
    finally:
        book.close()


def _sheet(title: str, rows: Iterable[list[Cell]]) -> SheetRead:
    """The first row with anything in it is the header; empty rows are none."""
    found: SheetRead | None = None
    for number, cells in enumerate(rows, 1):
        if number > ROWS_SEEN:
            raise UnreadableBook("book.too_long", sheet=title, limit=ROWS_SEEN)
        if all(cell is None or cell == "" for cell in cells):
            continue
        if found is None:
            texts = [cell.text if isinstance(cell, Odd) else "" if cell is None else str(cell).strip() for cell in cells]
            while not texts[-1]:
                texts.pop()
            found = SheetRead(title, texts)
            continue
        if len(found.rows) >= ROWS:
            raise UnreadableBook("book.too_many_rows", limit=ROWS)
        found.rows.append((number, cells[: max(len(found.header), _ABOUT_COLUMNS)]))
    return found or SheetRead(title, [])


def _cell(cell: Any) -> Cell:
    value = cell.value
    if value is None:
        return None
    if cell.data_type == "f":
        return Odd("formula", str(getattr(value, "text", value))[:200])
    if cell.data_type == "e":
        return Odd("error", str(value))
    if isinstance(value, datetime):
        return Odd("date", value.date().isoformat() if value.time() == time() else value.isoformat(sep=" "))
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (date, time)):
        return Odd("date", value.isoformat())
    text = _ESCAPE.sub(lambda found: found.group(1) or "", str(value))
    if len(text) > CELL_LONGEST:
        raise UnreadableBook("book.cell_too_long", cell=cell.coordinate, limit=CELL_LONGEST)
    return text


def _open_csvs(packed: zipfile.ZipFile, entries: Iterable[zipfile.ZipInfo]) -> list[SheetRead]:
    files = [entry for entry in entries if entry.filename.lower().endswith((".csv", ".tsv", ".txt")) and "__MACOSX" not in entry.filename]
    if not files:
        raise UnreadableBook("book.not_xlsx")
    return [_open_csv(packed.read(entry), entry.filename) for entry in files]


def _open_csv(content: bytes, name: str) -> SheetRead:
    text = _decoded(content, name)
    title = re.split(r"[/\\]", name)[-1].rpartition(".")[0] or name
    first, _end, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        delimiter, text = first.strip()[4], rest
    else:
        unquoted = re.sub(r'"[^"]*"', "", first)
        delimiter = max(",;\t，；", key=unquoted.count)
    try:
        return _sheet(title, ([_unescaped(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)))
    except csv.Error as error:
        raise UnreadableBook("book.csv", file=name) from error


def _decoded(content: bytes, name: str) -> str:
    """UTF-8, UTF-16 by its mark or its zeros, else GB18030, as Excel writes it in China."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif content[1:200:2].count(0) > len(content[:200]) // 4:
        encodings = ["utf-16-le"]
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise UnreadableBook("book.encoding", file=name)


# What a spreadsheet takes for the beginning of a formula, the wide forms of Chinese keyboards too.
FORMULA = "=+-@\t\r'＝＋－＠"


def escaped(text: str) -> str:
    """The text with a ' before what a spreadsheet would take for a formula."""
    return f"'{text}" if text.startswith(tuple(FORMULA)) else text


def _unescaped(text: str) -> str:
    return text[1:] if len(text) > 1 and text[0] == "'" and text[1] in FORMULA else text
