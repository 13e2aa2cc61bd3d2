"""Sheets of Excel workbooks, read row by row. A record's bytes are a JSON list of its cells as they are seen."""

import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook

from ingestion.doors.files.formats import RECORD_BYTES, Block, FileFormat, UnreadableFile
from ingestion.doors.files.unpack import DAMAGED, refuse_bomb
from taxonomy.standardize import encode_json

# What is not rows (texts, styles) is held in memory while the sheet is read.
_HELD_BYTES = 256 * 1024 * 1024
# Before its first element a part has a declaration and comments at the most.
_PROLOGUE_BYTES = 16 * 1024
# Excel keeps 15 digits of a number.
_EXACT = 10**15
_BROKEN = (*DAMAGED, KeyError, ValueError, TypeError, AttributeError, IndexError, ParseError)


def sheet_names(path: Path) -> list[str]:
    with _workbook(path) as (_, book):
        return list(book.sheetnames)


def sheet_rows(path: Path, sheet: str) -> Iterator[tuple[list[str], int]]:
    """(the cells as they are seen, without empty ones at the end; bytes of the file read so far), of every row with one."""
    with _workbook(path) as (stored, book):
        if sheet not in book.sheetnames:
            raise UnreadableFile("file.no_sheet", sheet=sheet)
        rows = book[sheet]
        rows.reset_dimensions()  # what the file says of its size is often wrong
        for row in rows.iter_rows():
            cells = [_as_seen(cell) for cell in row]
            while cells and not cells[-1].strip():
                cells.pop()
            if cells:
                yield cells, stored.tell()


def sheet_blocks(path: Path, file_format: FileFormat, *, block_bytes: int) -> Iterator[Block]:
    """The sheet's rows after its header, as lines of JSON. Raises UnreadableFile."""
    width, lines = len(file_format.columns), list[bytes]()
    index, row, size, read_bytes = 0, 1, 0, 0
    for number, (cells, read_bytes) in enumerate(sheet_rows(path, file_format.member)):
        if number < file_format.above + len(file_format.heading):
            continue
        line = encode_json([*cells, *[""] * (width - len(cells))])
        if len(line) > RECORD_BYTES:
            raise UnreadableFile("file.record_too_long", row=row + len(lines))
        lines.append(line)
        size += len(line)
        if size >= block_bytes:
            yield Block(index, row, b"\n".join(lines), read_bytes)
            index, row, lines, size = index + 1, row + len(lines), [], 0
    if lines:
        yield Block(index, row, b"\n".join(lines), read_bytes, is_last=True)


@contextmanager
def _workbook(path: Path) -> Iterator[tuple[BinaryIO, Any]]:
    try:
        with path.open("rb") as stored, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that it does not know
            _check_parts(stored)
            book = load_workbook(stored, read_only=True, data_only=True, keep_links=False)
            try:
                yield stored, book
            finally:
                book.close()
    except _BROKEN as error:
        raise UnreadableFile("file.damaged", detail=type(error).__name__) from error


def _check_parts(stored: BinaryIO) -> None:
    """Refuse a workbook that was made to fill the memory, by its sizes and by XML that would grow."""
    with zipfile.ZipFile(stored) as packed:
        held = 0
        for part in packed.infolist():
            refuse_bomb(part.file_size, part.compress_size)
            held += 0 if part.filename.startswith("xl/worksheets/") else part.file_size
            if part.filename.endswith((".xml", ".rels")):
                with packed.open(part) as stream:
                    _check_prologue(stream.read(_PROLOGUE_BYTES))
        if held > _HELD_BYTES:
            raise UnreadableFile("file.workbook_too_large")


def _check_prologue(head: bytes) -> None:
    before = re.split(rb"<[A-Za-z_]", head, maxsplit=1)
    if b"<!DOCTYPE" in head or b"\0" in before[0] or (len(before) == 1 and head.strip()):
        raise UnreadableFile("file.bomb")


def _as_seen(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number(value, cell.number_format or "")
    if isinstance(value, datetime):
        has_time = value.time() != time() or re.search("[hHsS]", cell.number_format or "")
        return value.isoformat(sep=" ", timespec="seconds") if has_time else value.date().isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _number(value: float, number_format: str) -> str:
    """A number as its cell shows it: leading zeros of a format such as 000000 stay, and digits that Excel lost are none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value) if abs(value) < _EXACT else value
    if isinstance(value, int):
        # Fifteen digits, and zeros for the rest, as Excel writes a longer number: whoever reads it must not take it for whole.
        if abs(value) >= _EXACT and str(value)[15:].strip("0") == "":
            return f"{value:.14E}"
        return f"{value:0{len(number_format)}d}" if number_format and not number_format.strip("0") else str(value)
    return f"{value:.14E}" if abs(value) >= _EXACT else format(value, ".15g")
