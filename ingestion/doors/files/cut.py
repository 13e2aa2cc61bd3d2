"""The file door: opens a file and cuts it into blocks of whole records.

A block is what one worker reads and stores in one commit. The same file is always cut at the same places, so an
interrupted import knows which blocks are done. Nothing here holds more than one block.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from ingestion.doors.files.arrays import cut_list, entries_of, start_of_list
from ingestion.doors.files.encodings import as_cut, from_original, inner, to_original, without_mark
from ingestion.doors.files.formats import (
    BLOCK_BYTES,
    HEAD_BYTES,
    RECORD_BYTES,
    RESERVED,
    UNREAD,
    Block,
    FileFormat,
    Numbering,
    Record,
    UnreadableFile,
)
from ingestion.doors.files.names import by_name
from ingestion.doors.files.parquet import parquet_lines
from ingestion.doors.files.rows import Row, cut_lines, cut_rows, read_row, read_rows, start_of_rows
from ingestion.doors.files.sheets import sheet_blocks
from ingestion.doors.files.unpack import DAMAGED, damaged, opened, whole
from taxonomy.standardize import Refusal, decode_json, encode_json

# Of a JSON list, where what is left may stand after its end.
_BLANK = b" \t\r\n\0"


def blocks(path: Path, file_format: FileFormat, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Cut the file into blocks of about `block_bytes`, each of whole records. Raises UnreadableFile when it is damaged."""
    numbering = Numbering()
    for member in file_format.members or [file_format.member]:
        try:
            yield from _blocks(path, replace(file_format, member=member), numbering, block_bytes)
        except DAMAGED as error:
            raise damaged(error, row=numbering.row) from error


def _blocks(path: Path, file_format: FileFormat, numbering: Numbering, block_bytes: int) -> Iterator[Block]:
    if file_format.is_text:
        with opened(path, file_format.compression, file_format.member) as (stored, stream):
            yield from _stream_blocks(stored, as_cut(stream, file_format.encoding), file_format, numbering, block_bytes)
        return
    with whole(path, file_format.compression, file_format.member) as unpacked:
        share = path.stat().st_size / max(1, unpacked.stat().st_size)
        found = sheet_blocks if file_format.kind == "xlsx" else _table_blocks
        for block in found(unpacked, file_format, numbering, block_bytes=block_bytes):
            yield replace(block, read_bytes=int(block.read_bytes * share))


def _table_blocks(path: Path, file_format: FileFormat, numbering: Numbering, *, block_bytes: int) -> Iterator[Block]:
    """The rows of a Parquet file as lines of JSON."""
    with parquet_lines(path) as (stored, stream):
        stream.readline()  # the columns' names
        yield from _stream_blocks(stored, stream, file_format, numbering, block_bytes)


def _stream_blocks(stored: BinaryIO, stream: BinaryIO, file_format: FileFormat, numbering: Numbering, block_bytes: int) -> Iterator[Block]:
    head = without_mark(stream.read(HEAD_BYTES))
    start = _start(head, file_format)
    if file_format.by_line:
        numbering.row += head[:start].count(b"\n")
    waiting = io.BytesIO(head[start:])
    rest = b""
    while True:
        size = max(block_bytes, len(rest))  # of one long record, not looked through again with every piece
        piece = waiting.read(size) or stream.read(size)
        data, is_last = rest + piece, not piece
        end, rows, is_closed = _cut(data, file_format, last=is_last)
        lines = data.count(b"\n", 0, end) if file_format.by_line else rows
        if rows:
            yield numbering.block(data[:end], lines, stored.tell(), is_last=is_last)
        else:
            numbering.row += lines
        rest = data[end:]
        if is_closed:
            _finish(rest + waiting.read(), stream, head, numbering.row)
        if is_last or is_closed:
            return
        if len(rest) > RECORD_BYTES:
            raise UnreadableFile("file.record_too_long", row=numbering.row)


def records(block: Block, file_format: FileFormat) -> Iterator[Record]:
    """The records of a block with their exact bytes, line end excluded."""
    read: Callable[[Block, FileFormat], Iterator[Record]] = {
        "ndjson": _lines, "json": _entries, "xlsx": _listed_rows, "parquet": _listed_rows, "csv": _rows, "fixed": _rows,
    }[file_format.kind]  # fmt: skip
    return read(block, file_format)


def decode_row(original: bytes, file_format: FileFormat) -> object:
    """One record of a file again, from its exact bytes: what a door gave the pipeline when it came, of a row by column."""
    if file_format.has_columns:
        row, columns = _row(original, file_format), file_format.columns
        if not _fits(row, columns):
            return _refused(row, file_format)
        return {column: cell for column, cell in zip(columns, row.cells, strict=True) if column not in RESERVED}
    return as_matched(as_sent(decode_object(original, file_format)), file_format)


def as_matched(decoded: object, file_format: FileFormat) -> object:
    """A record of JSON as the file's matching reads it."""
    return by_name(decoded) if file_format.matching and isinstance(decoded, dict) else decoded


def as_sent(decoded: object) -> object:
    """What a record of JSON says, where it came as a text to be mended."""
    if isinstance(decoded, dict) and isinstance(decoded.get(UNREAD), str) and decoded.keys() <= {UNREAD, *RESERVED}:
        return decode_json(decoded[UNREAD].encode("utf-8", "surrogatepass"))
    return decoded


def decode_object(original: bytes, file_format: FileFormat) -> object:
    """One record of JSON, with the names that are ours."""
    line = from_original(original, file_format.encoding)
    if file_format.encoding == "utf-8":
        return decode_json(line)
    try:
        return decode_json(line.decode(inner(file_format.encoding)).encode())
    except UnicodeDecodeError:
        return Refusal("record.encoding", values={"encoding": file_format.encoding})


def cells_of(record: Record, file_format: FileFormat) -> dict[str, Any] | None:
    """What a record says by column; None where it cannot be read so."""
    return record.cells if not file_format.is_json or record.refusal else _named(record.original, file_format)


def _named(original: bytes, file_format: FileFormat) -> dict[str, Any] | None:
    decoded = as_sent(decode_object(original, file_format))
    return by_name(decoded) if isinstance(decoded, dict) else None


def first_objects(head: bytes, file_format: FileFormat, *, is_whole: bool) -> Iterator[dict[str, Any]]:
    """The objects of JSON in the file's head, by name. `is_whole`: the file ends there."""
    data = head[_start(head, file_format) :]
    whole_ones = data[: _cut(data, file_format, last=is_whole)[0]]
    for record in records(Block(0, 1, whole_ones, 0, is_whole), file_format):
        found = cells_of(record, file_format)
        if found is not None:
            yield found


def cells_under(original: bytes, file_format: FileFormat) -> tuple[list[str], list[str]]:
    """(the cells of a row under each column that is not ours, empty where the row is too short; what stands beyond the last column)."""
    columns = file_format.columns
    if file_format.is_json:
        named = _named(original, file_format) or {}
        return [as_text(named.get(column)) for column in columns if column not in RESERVED], []
    cells = [as_text(cell) for cell in _row(original, file_format).cells]
    padded = [*cells, *[""] * (len(columns) - len(cells))]
    return [cell for column, cell in zip(columns, padded, strict=False) if column not in RESERVED], padded[len(columns) :]


def all_cells(original: bytes, file_format: dict[str, Any]) -> list[str]:
    """The cells of a row as its import read them. `file_format`: what a batch keeps of it."""
    return [as_text(cell) for cell in _row(original, FileFormat(**file_format)).cells]


def as_text(cell: Any) -> str:
    """A cell as a person reads it; those of Parquet files have types."""
    if isinstance(cell, str):
        return cell
    return "" if cell is None else encode_json(cell).decode()


def _start(head: bytes, file_format: FileFormat) -> int:
    match file_format.kind:
        case "json":
            return start_of_list(head, file_format.encoding)
        case "csv" | "fixed":
            return start_of_rows(head, file_format)
    return 0


def _cut(data: bytes, file_format: FileFormat, *, last: bool) -> tuple[int, int, bool]:
    """(where the last whole record ends, the records before, whether no more can follow)."""
    if file_format.kind == "json":
        return cut_list(data, file_format.encoding, last=last)
    if file_format.kind in ("ndjson", "parquet"):
        return (*cut_lines(data, last=last), False)
    return (*cut_rows(data, file_format, last=last), False)


def _finish(rest: bytes, stream: BinaryIO, head: bytes, row: int) -> None:
    """Read to the file's end, so that damage shows. After a list that is all there is, nothing may stand."""
    is_all = head.lstrip()[:1] == b"["
    for piece in chain([rest], iter(lambda: stream.read(BLOCK_BYTES), b"")):
        if is_all and piece.strip(_BLANK):
            raise UnreadableFile("file.after_list", row=row)


def _rows(block: Block, file_format: FileFormat) -> Iterator[Record]:
    columns, passed = file_format.columns, [*file_format.heading, *file_format.left_out]
    width, encoding, by_line = len(columns), file_format.encoding, file_format.by_line
    rows = read_rows(block.data, file_format, width)
    ends_open = block.is_last and not block.data.endswith(b"\n")
    for counted, row in enumerate(rows):
        line, cells, is_text, at = row
        number = block.first_row + (at if by_line else counted)
        original = to_original(line, encoding)
        if cells in passed:
            yield Record(number, original, is_heading=True)
        elif is_text and len(cells) == width:  # as _fits
            yield Record(number, original, cells, columns)
        elif ends_open and len(cells) <= width and block.data.endswith(line):
            yield Record(number, original, refusal=Refusal("record.cut_off"))
        else:
            yield Record(number, original, refusal=_refused(row, file_format))


def _listed_rows(block: Block, file_format: FileFormat) -> Iterator[Record]:
    passed = [*file_format.heading, *file_format.left_out]
    for number, line in enumerate(block.data.split(b"\n"), block.first_row):
        if not line:
            continue
        row = _row(line, file_format)
        if row.cells in passed:
            yield Record(number, line, is_heading=True)
            continue
        if _fits(row, file_format.columns):
            yield Record(number, line, row.cells, file_format.columns)
        else:
            yield Record(number, line, refusal=_refused(row, file_format))


def _lines(block: Block, file_format: FileFormat) -> Iterator[Record]:
    row = block.first_row
    for at, line in enumerate(block.data.split(b"\n"), block.first_row):
        if not line.strip():
            continue
        row = at if file_format.by_line else row
        original = to_original(line.removesuffix(b"\r"), file_format.encoding)
        is_cut = block.is_last and block.data.endswith(line) and not line.rstrip().endswith(b"}")
        is_cut = is_cut and isinstance(decode_row(original, file_format), Refusal)
        yield Record(row, original, refusal=Refusal("record.cut_off") if is_cut else None)
        row += 1


def _entries(block: Block, file_format: FileFormat) -> Iterator[Record]:
    for row, (entry, is_whole) in enumerate(entries_of(block.data, file_format.encoding, last=block.is_last), block.first_row):
        original = to_original(entry, file_format.encoding)
        yield Record(row, original, refusal=None if is_whole else Refusal("record.cut_off"))


def _row(original: bytes, file_format: FileFormat) -> Row:
    """A row from its exact bytes. Those of a sheet or a Parquet file are a JSON list of its cells."""
    if not file_format.is_text:
        return Row(original, decode_json(original), True)
    return read_row(original, file_format)


def _fits(row: Row, columns: list[str]) -> bool:
    """A row of another width is refused: its cells stand elsewhere."""
    return row.is_text and len(row.cells) == len(columns)


def _refused(row: Row, file_format: FileFormat) -> Refusal:
    if not row.is_text:
        return Refusal("record.encoding", values={"encoding": file_format.encoding})
    return Refusal("record.columns", values={"seen": len(row.cells), "expected": len(file_format.columns)})
