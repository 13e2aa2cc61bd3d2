"""The first rows of a file as they are understood, before any of them is imported."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ingestion.doors.files import (
    RESERVED,
    FileFormat,
    Record,
    UnreadableFile,
    all_cells,
    blocks,
    cells_under,
    check_columns,
    decimal_sign,
    decode_row,
    records,
)  # fmt: skip
from ingestion.doors.files.sheets import sheet_names
from ingestion.doors.files.unpack import data_files, whole
from ingestion.imports.columns import LOOKED_AT
from ingestion.imports.repeated import check_repeated
from ingestion.imports.traps import MOST_COLUMNS, Looked, Trap, look_through, open_traps
from ingestion.imports.words import file_problem, looked_words, traps_words
from ingestion.models import ImportChunk, ImportRun
from taxonomy.standardize import Refusal, Violation, encode_json, storable
from taxonomy.violations import message_for

_ROWS = 10
_BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """`problem`: why it cannot be read, in a sentence."""

    number: int
    cells: list[str]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """`members`: the files of the zip. `sheets`: of the workbook. `problem`: why it cannot be imported as it is read."""

    file_format: FileFormat
    columns: list[str]
    rows: list[PreviewRow]
    members: list[str] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)
    problem: str = ""
    has_decimal_comma: bool = False
    traps: list[str] = field(default_factory=list)
    looked_at: str = ""


def preview(run: ImportRun) -> Preview:
    file_format, path = FileFormat(**run.format), Path(run.path)
    try:
        looked_at = list(
            islice(
                (record for block in blocks(path, file_format, block_bytes=_BLOCK_BYTES) for record in records(block, file_format)),
                LOOKED_AT,
            )
        )
        first = looked_at[:_ROWS]
        members = data_files(path) if file_format.compression == "zip" else []
        sheets = _sheets(path, file_format)
        columns, rows = _table(first, file_format)
    except UnreadableFile as error:
        return Preview(file_format, [], [], problem=file_problem(error.code, error.values))
    try:
        check_columns(file_format)
        check_repeated(file_format, run.source, run.matching)
    except UnreadableFile as error:
        problem = file_problem(error.code, error.values)
    else:
        problem = ""
    found = look_through(looked_at, file_format) if file_format.has_columns else Looked([], 0)
    return Preview(
        file_format,
        columns,
        rows,
        members,
        sheets,
        problem,
        decimal_sign([row.cells for row in rows]) == ",",
        traps_words(found.traps),
        looked_words(found),
    )


def warnings(run: ImportRun) -> list[Trap]:
    """What the rows that were read may hide and the matching leaves open."""
    chunks = ImportChunk.objects.filter(run=run).exclude(traps=[]).order_by("index").values_list("traps", flat=True)
    found = [[Trap(*one) for one in traps] for traps in chunks]
    return open_traps(found, FileFormat(**run.format)) if found else []


def may_be_left_out(file_format: FileFormat, traps: Iterable[Trap]) -> list[int]:
    """The rows among these traps that are no events, such as a sum: whoever sees them may say so."""
    if not file_format.has_columns or file_format.kind == "parquet":
        return []
    return list(dict.fromkeys(trap.row for trap in traps if trap.kind in ("sum", "second_header")))


def cells_at(run: ImportRun, row: int) -> list[str]:
    """The cells of a row, by its number in the file. Raises LookupError where there is none before a place where it is damaged."""
    file_format = FileFormat(**run.format)
    block = None
    with suppress(UnreadableFile):
        for following in blocks(Path(run.path), file_format):
            if following.first_row > row:
                break
            block = following
    found = (one for one in records(block, file_format) if one.row == row) if block else iter(())
    if (record := next(found, None)) is None:
        raise LookupError(row)
    return all_cells(record.original, run.format)


def _sheets(path: Path, file_format: FileFormat) -> list[str]:
    if file_format.kind != "xlsx":
        return []
    with whole(path, file_format.compression, file_format.member) as unpacked:
        return sheet_names(unpacked)


def _table(first: list[Record], file_format: FileFormat) -> tuple[list[str], list[PreviewRow]]:
    if file_format.has_names:
        found = [(record, cells_under(record.original, file_format)) for record in first if not record.is_heading]
        return _shown_columns(file_format), [
            PreviewRow(one.row, storable([*cells, *more][:MOST_COLUMNS]), _problem(_refusal(one, file_format)))
            for one, (cells, more) in found
        ]
    decoded = [(record, record.refusal or decode_row(record.original, file_format)) for record in first]
    columns = list(dict.fromkeys(name for _, said in decoded if isinstance(said, dict) for name in said))[:MOST_COLUMNS]
    return columns, [PreviewRow(record.row, *_fields(said, columns)) for record, said in decoded]


def _refusal(record: Record, file_format: FileFormat) -> Refusal | None:
    if record.refusal or not file_format.is_json:
        return record.refusal
    said = decode_row(record.original, file_format)
    return said if isinstance(said, Refusal) else None if isinstance(said, dict) else Refusal("record.not_object")


def _shown_columns(file_format: FileFormat) -> list[str]:
    return [column for column in file_format.columns if column not in RESERVED][:MOST_COLUMNS]


def _fields(said: object, columns: list[str]) -> tuple[list[str], str]:
    if isinstance(said, dict):
        return [_text(said[name]) if name in said else "" for name in columns], ""
    return [""] * len(columns), _problem(said if isinstance(said, Refusal) else Refusal("record.not_object"))


def _text(value: Any) -> str:
    return storable(value) if isinstance(value, str) else encode_json(value).decode()


def _problem(refusal: Refusal | None) -> str:
    return message_for(Violation(refusal.code, refusal.path, values=refusal.values)) if refusal else ""
