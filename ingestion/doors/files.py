"""The file door: opens a CSV or NDJSON file, plain, gzip or zstd, and cuts it into blocks of whole records.

A block is what one worker reads and stores in one commit. The same file is always cut at the same places, so an
interrupted import knows which blocks are done. Nothing here holds more than one block.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from taxonomy.standardize import LIMITS, Refusal, decode_json

csv.field_size_limit(LIMITS.event_bytes)

BLOCK_BYTES = 1_536 * 1024
SNIFF_BYTES = 64 * 1024
# Columns of ours in a failed-rows file.
RESERVED = ("_tagline_id", "_reason")
# Of a line that was no JSON, its text: mended there, it is the record.
UNREAD = "_record"
RECORD_BYTES = 16 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BOM = b"\xef\xbb\xbf"


_DAMAGED = (OSError, EOFError, zlib.error, zstandard.ZstdError)


class UnreadableFile(Exception):
    """The file cannot be read as events at all. `code` is stable, `values` say what was seen."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How a file is read. `columns` and `delimiter` are for CSV only."""

    kind: str
    compression: str = ""
    delimiter: str = ","
    columns: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records. `first_row` is the 1-based number of its first record; `read_bytes` of the stored file so far."""

    index: int
    first_row: int
    data: bytes
    read_bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file: its exact bytes, and for CSV its cells by column (None: a row of another width)."""

    row: int
    original: bytes
    cells: dict[str, str] | None = None
    width: int = 0


def sniff(path: Path) -> FileFormat:
    """Tell how the file is to be read from its first bytes. Raises UnreadableFile."""
    compression = _compression(path)
    try:
        with path.open("rb") as stored, _unpacked(stored, compression) as stream:
            head = stream.read(SNIFF_BYTES)
    except _DAMAGED as error:
        raise UnreadableFile("file.damaged", detail=type(error).__name__) from error
    head = head.removeprefix(BOM).lstrip(b"\r\n")
    if not head.strip():
        raise UnreadableFile("file.empty")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head[:1000]:
        raise UnreadableFile("file.not_text")
    if head.lstrip()[:1] == b"{":
        return FileFormat("ndjson", compression)
    if head.lstrip()[:1] == b"[":
        raise UnreadableFile("file.json_array")
    if b"\r" in head and b"\n" not in head:
        raise UnreadableFile("file.line_ends")
    return _csv_format(head, compression)


def blocks(path: Path, file_format: FileFormat, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Cut the file into blocks of about `block_bytes`, each of whole records. Raises UnreadableFile when it is damaged."""
    cut = _cut_lines if file_format.kind == "ndjson" else partial(_cut_rows, file_format=file_format)
    with path.open("rb") as stored, _unpacked(stored, file_format.compression) as stream:
        rest, index, row, at_start = b"", 0, 1, True
        while True:
            try:
                piece = stream.read(block_bytes)
            except _DAMAGED as error:
                raise UnreadableFile("file.damaged", row=row, detail=type(error).__name__) from error
            data = rest + piece
            if at_start:
                data, at_start = _without_header(data.removeprefix(BOM), file_format), False
            end, rows = cut(data, last=not piece)
            if rows:
                yield Block(index, row, data[:end], stored.tell())
                index, row = index + 1, row + rows
            rest = data[end:]
            if not piece:
                return
            if len(rest) > RECORD_BYTES:
                raise UnreadableFile("file.record_too_long", row=row)


def records(block: Block, file_format: FileFormat) -> Iterator[Record]:
    """The records of a block with their exact bytes, line end excluded."""
    if file_format.kind == "ndjson":
        row = block.first_row
        for line in block.data.split(b"\n"):
            if line.strip():
                yield Record(row, line.removesuffix(b"\r"))
                row += 1
        return
    columns, width = file_format.columns, len(file_format.columns)
    for number, (original, cells) in enumerate(_rows(block.data, file_format.delimiter, width), block.first_row):
        if len(cells) == width:
            yield Record(number, original, dict(zip(columns, cells, strict=True)), width)
        else:
            yield Record(number, original, None, len(cells))


def decode_row(original: bytes, file_format: FileFormat) -> object:
    """One record of a file again, from its exact bytes: what a door gave the pipeline when it came."""
    if file_format.kind == "ndjson":
        decoded = decode_json(original)
        if isinstance(decoded, dict) and isinstance(decoded.get(UNREAD), str) and decoded.keys() <= {UNREAD, *RESERVED}:
            return decode_json(decoded[UNREAD].encode("utf-8", "surrogatepass"))
        return decoded
    cells = next(_rows(original, file_format.delimiter), (b"", []))[1]
    return cells_or_refusal(cells, file_format)


def cells_or_refusal(cells: list[str], file_format: FileFormat) -> dict[str, str] | Refusal:
    """A row by column, without the columns that are ours; a row of another width is refused, its cells stand elsewhere."""
    if len(cells) != len(file_format.columns):
        return Refusal("record.columns", values={"seen": len(cells), "expected": len(file_format.columns)})
    return {column: cell for column, cell in zip(file_format.columns, cells, strict=True) if column not in RESERVED}


def cells_under(original: bytes, file_format: FileFormat) -> tuple[list[str], list[str]]:
    """(the cells of a row under each column that is not ours, empty where the row is too short; what stands beyond the last column)."""
    columns = file_format.columns
    cells = next(_rows(original, file_format.delimiter), (b"", []))[1]
    padded = [*cells, *[""] * (len(columns) - len(cells))]
    return [cell for column, cell in zip(columns, padded, strict=False) if column not in RESERVED], padded[len(columns) :]


def write_row(cells: list[str], delimiter: str) -> bytes:
    """One CSV row, quoted where needed, with its line end."""
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return line.getvalue().encode("utf-8", "surrogateescape")


def _compression(path: Path) -> str:
    with path.open("rb") as stored:
        magic = stored.read(4)
    if magic[:2] == GZIP_MAGIC:
        return "gzip"
    return "zstd" if magic == ZSTD_MAGIC else ""


def _unpacked(stored: BinaryIO, compression: str) -> BinaryIO:
    if compression == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stored))
    if compression == "zstd":
        return cast(BinaryIO, io.BufferedReader(_Zstd(stored)))
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, stored)))


class _Zstd(io.RawIOBase):
    """zstd unpacked. The library's own stream takes a file that is cut off for one that ends."""

    # A few bytes may stand for 128 KB: so much is unpacked at once at the most that 32 MB come of it.
    _PIECE = 1024

    def __init__(self, stored: BinaryIO) -> None:
        self._stored = stored
        self._frame: Any = None
        self._packed, self._waiting = b"", memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not len(self._waiting):
            self._packed = self._packed or self._stored.read(self._PIECE)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the file ends within a zstd frame")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._waiting = memoryview(self._frame.decompress(self._packed))
            self._packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        size = min(len(buffer), len(self._waiting))
        buffer[:size], self._waiting = self._waiting[:size], self._waiting[size:]
        return size


def _csv_format(head: bytes, compression: str) -> FileFormat:
    text = head.decode("utf-8", "surrogateescape")
    first_line = text.splitlines()[0]
    delimiter = max(",;\t|", key=first_line.count)
    try:
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except (csv.Error, StopIteration) as error:
        raise UnreadableFile("file.no_header") from error
    columns = [name.strip() for name in header]
    if any(not name for name in columns):
        raise UnreadableFile("file.column_unnamed", position=columns.index("") + 1)
    repeated = next((name for name in columns if columns.count(name) > 1), None)
    if repeated:
        raise UnreadableFile("file.column_repeated", column=repeated)
    return FileFormat("csv", compression, delimiter, columns)


def _without_header(data: bytes, file_format: FileFormat) -> bytes:
    if file_format.kind == "ndjson":
        return data
    data = data.lstrip(b"\r\n")
    header = next(_rows(data, file_format.delimiter), (b"", []))[0]
    return data[len(header) :].lstrip(b"\r\n")


def _cut_lines(data: bytes, *, last: bool) -> tuple[int, int]:
    """Where the last whole line ends, and how many records stand before: (offset, records)."""
    end = len(data) if last else data.rfind(b"\n") + 1
    return end, sum(1 for line in data[:end].split(b"\n") if line.strip())


def _cut_rows(data: bytes, *, last: bool, file_format: FileFormat) -> tuple[int, int]:
    """The same for CSV, where a quoted cell may hold line ends; the last record may be unfinished and is left."""
    if b'"' not in data:
        return _cut_lines(data, last=last)
    ends = [end for end, _, _ in _quoted_rows(data, file_format.delimiter, len(file_format.columns), last=last)]
    if last:
        return len(data), len(ends)
    return (ends[-2], len(ends) - 1) if len(ends) > 1 else (0, 0)


def _rows(data: bytes, delimiter: str, width: int = 0) -> Iterator[tuple[bytes, list[str]]]:
    """CSV records with their exact bytes, line end excluded; blank lines are none. `width`: cells of a right one, if known."""
    if b'"' in data:
        yield from ((original, cells) for _, original, cells in _quoted_rows(data, delimiter, width, last=True))
        return
    for line in data.split(b"\n"):
        if line.strip():
            original = line.removesuffix(b"\r")
            yield original, original.decode("utf-8", "surrogateescape").split(delimiter)


def _quoted_rows(data: bytes, delimiter: str, width: int, *, last: bool) -> Iterator[tuple[int, bytes, list[str]]]:
    """(offset after the record, its bytes, its cells).

    A record of several lines that is past the size limit, or of another width, has a stray quote: its first line is taken
    alone. Unless it is the last of data that goes on: its end may be missing.
    """
    lines = data.split(b"\n")
    taken = offset = 0

    def feed() -> Iterator[str]:
        nonlocal taken
        while taken < len(lines):
            taken += 1
            yield lines[taken - 1].decode("utf-8", "surrogateescape") + "\n"

    reader = csv.reader(feed(), delimiter=delimiter)
    while taken < len(lines):
        first = taken
        try:
            cells: list[str] | None = next(reader, [])
        except csv.Error:
            cells = None
        original = lines[first] if taken == first + 1 else b"\n".join(lines[first:taken])
        is_off = len(original) > LIMITS.event_bytes or bool(width and cells and len(cells) != width and (last or taken < len(lines)))
        if cells is None or (is_off and taken > first + 1):
            original, taken = lines[first], first + 1
            cells = original.decode("utf-8", "surrogateescape").split(delimiter)
            reader = csv.reader(feed(), delimiter=delimiter)
        offset += len(original) + 1
        if original.strip():
            yield min(offset, len(data)), original.removesuffix(b"\r"), cells
