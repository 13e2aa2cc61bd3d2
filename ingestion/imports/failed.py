"""The file of an import's failed rows, in the format they came in: mended and sent again, each closes what it held."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _
from msgspec import convert
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from ingestion.doors.files import (
    RESERVED,
    UNREAD,
    Block,
    FileFormat,
    Record,
    UnreadableFile,
    blocks,
    cells_under,
    decode_object,
    in_encoding,
    records,
    whole,
    widths_of,
    write_cells,
    write_chosen,
    write_row,
)  # fmt: skip
from ingestion.imports.report import has_failed
from ingestion.imports.words import with_column
from ingestion.models import ImportChunk, ImportRun, QuarantineReason
from profiles.models import Event
from taxonomy.standardize import Violation, decode_json, encode_json
from taxonomy.violations import message_for

_PIECE_BYTES = 64 * 1024
# Of a chunk's failed rows, the events that wait still.
_HELD = "(SELECT failed->>1 FROM jsonb_array_elements(failed_rows) AS failed JOIN profiles_event ON key = decode(failed->>1, 'hex') WHERE standing = %s)"


class _Failed(NamedTuple):
    record: Record
    event_ids: str
    reason: str


def failed_rows(run: ImportRun) -> Iterator[bytes]:
    """The records of which an event is held still, and those that were refused, with `_tagline_id` and `_reason`. Of a try, all that failed."""
    file_format = FileFormat(**run.format)
    if file_format.kind == "parquet":
        yield from _as_parquet(run, file_format)
        return
    write = {"csv": _as_csv, "fixed": _as_fixed, "ndjson": _as_lines, "json": _as_list, "xlsx": _as_workbook}[file_format.kind]
    yield from write(_failed(run, file_format), file_format)


def has_failed_rows(run: ImportRun) -> bool:
    """Whether `failed_rows` has any. No event is looked up where some were refused, or where the source has none held any more."""
    chunks = ImportChunk.objects.filter(run=run)
    if run.dry_run or chunks.filter(counts__refused__gt=0).exists():
        return has_failed(run)
    if not QuarantineReason.objects.filter(source=run.source_id, open=True).exists():
        return False
    return chunks.filter(RawSQL(f"EXISTS{_HELD}", [Event.Standing.HELD], output_field=BooleanField())).exists()


def _failed(run: ImportRun, file_format: FileFormat) -> Iterator[_Failed]:
    failed = groupby(_failures(run), key=lambda failure: failure[0])
    row, failures = next(failed, (0, iter(())))
    for block in _readable(run, file_format):
        if not row:
            return
        for record in records(block, file_format):
            if record.row == row:
                events = list(failures)
                reason = " ".join(
                    message_for(with_column(convert(one, Violation), file_format.matching))
                    for _row, _event_id, found in events
                    for one in found
                )
                told = _("Row %(row)d of %(file)s: %(reason)s") % {"row": row, "file": run.file_name, "reason": reason}
                yield _Failed(record, " ".join(event_id for _row, event_id, _found in events if event_id), told)
                row, failures = next(failed, (0, iter(())))


def _readable(run: ImportRun, file_format: FileFormat) -> Iterator[Block]:
    """The blocks before a place where the file is damaged: the import came no further either."""
    with suppress(UnreadableFile):
        yield from blocks(Path(run.path), file_format)


def _as_csv(failed: Iterator[_Failed], file_format: FileFormat) -> Iterator[bytes]:
    """With a byte order mark: without it Excel takes UTF-8 for the code page of its computer. It knows none of GB18030."""
    written = _written(file_format)
    yield (b"" if written.encoding == "gb18030" else in_encoding("\ufeff", written.encoding)) + write_row(
        [*_kept(file_format), *RESERVED], written
    )
    for one in failed:
        cells, surplus = cells_under(one.record.original, file_format)
        yield write_row([*cells, one.event_ids, one.reason, *surplus], written)


def _as_fixed(failed: Iterator[_Failed], file_format: FileFormat) -> Iterator[bytes]:
    """Two blanks between columns as wide as they must be, measured as in the file: so that they are found again."""
    encoding, measure = _written(file_format).encoding, file_format.measure
    header = [*_kept(file_format), *RESERVED]
    with tempfile.TemporaryFile("w+b") as waiting:
        for one in failed:
            cells, surplus = cells_under(one.record.original, file_format)
            waiting.write(encode_json([*cells, one.event_ids, " ".join([one.reason, *surplus])]) + b"\n")
        waiting.seek(0)
        widths = widths_of(chain([header], map(decode_json, waiting)), measure)
        waiting.seek(0)
        yield _mark(encoding)
        for row in chain([header], map(decode_json, waiting)):
            yield in_encoding(write_cells(row, widths, measure) + "\r\n", encoding)


def _as_parquet(run: ImportRun, file_format: FileFormat) -> Iterator[bytes]:
    """The same columns with the same types, and the two that are ours."""
    chosen = ((one.record.row, one.event_ids, one.reason) for one in _failed(run, file_format))
    with ExitStack() as unpacked, tempfile.NamedTemporaryFile() as stored:
        members = file_format.members or [file_format.member]
        paths = [unpacked.enter_context(whole(Path(run.path), file_format.compression, member)) for member in members]
        write_chosen(paths, Path(stored.name), chosen)
        while piece := stored.read(_PIECE_BYTES):
            yield piece


def _as_lines(failed: Iterator[_Failed], file_format: FileFormat) -> Iterator[bytes]:
    encoding = _written(file_format).encoding
    yield _mark(encoding)
    for one in failed:
        yield in_encoding(_object(one, file_format) + "\n", encoding)


def _as_list(failed: Iterator[_Failed], file_format: FileFormat) -> Iterator[bytes]:
    encoding = _written(file_format).encoding
    yield _mark(encoding) + in_encoding("[", encoding)
    for number, one in enumerate(failed):
        yield in_encoding((",\n" if number else "\n") + _object(one, file_format), encoding)
    yield in_encoding("\n]\n", encoding)


def _as_workbook(failed: Iterator[_Failed], file_format: FileFormat) -> Iterator[bytes]:
    """Every cell a text: Excel changes no digit of it, and calculates nothing."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()

    def texts(cells: list[str]) -> list[Any]:
        written = []
        for text in cells:
            cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("\ufffd", text))
            cell.data_type, cell.number_format = "s", "@"
            written.append(cell)
        return written

    sheet.append(texts([*_kept(file_format), *RESERVED]))
    for one in failed:
        cells, surplus = cells_under(one.record.original, file_format)
        sheet.append(texts([*cells, one.event_ids, one.reason, *surplus]))
    with tempfile.TemporaryFile() as stored:
        book.save(stored)
        stored.seek(0)
        while piece := stored.read(_PIECE_BYTES):
            yield piece


def _object(one: _Failed, file_format: FileFormat) -> str:
    """A failed record of JSON with the names that are ours; what was no object stands in one as its text."""
    decoded = decode_object(one.record.original, file_format)
    fields = {**decoded} if isinstance(decoded, dict) else {UNREAD: one.record.original.decode(file_format.encoding, "replace")}
    return encode_json({**fields, "_tagline_id": one.event_ids, "_reason": one.reason}).decode()


def _written(file_format: FileFormat) -> FileFormat:
    """Windows-1252 cannot hold the reasons in every language."""
    return replace(file_format, encoding="utf-8") if file_format.encoding == "cp1252" else file_format


def _mark(encoding: str) -> bytes:
    return in_encoding("\ufeff", encoding) if encoding.startswith("utf-16") else b""


def _kept(file_format: FileFormat) -> list[str]:
    """The columns that are not ours, as the file calls them."""
    named = file_format.named or file_format.columns
    return [name for name, column in zip(named, file_format.columns, strict=True) if column not in RESERVED]


def _failures(run: ImportRun) -> Iterator[tuple[int, str | None, list[dict[str, Any]]]]:
    """(row, id of its event, why that waits), in the file's order. One query.

    A row is left out once nothing of it waits; else it names all its events, so that those that were mended do not count again.
    """
    chunks = ImportChunk.objects.filter(run=run).order_by("index").annotate(held=RawSQL(f"ARRAY{_HELD}", [Event.Standing.HELD]))
    for failures, held in chunks.values_list("failed_rows", "held").iterator(chunk_size=8):
        waiting = {None, *held}
        for _row, events in groupby(failures, key=itemgetter(0)):
            told = [(row, event_id, reasons, run.dry_run or event_id in waiting) for row, event_id, reasons, *_ in events]
            if any(waits for *_, waits in told):
                yield from ((row, event_id, reasons if waits else []) for row, event_id, reasons, waits in told)
