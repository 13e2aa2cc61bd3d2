"""Files: told apart, opened, cut into blocks and records, and a record read again from its exact bytes."""

from ingestion.doors.files.cut import (
    all_cells,
    as_matched,
    as_sent,
    as_text,
    blocks,
    cells_of,
    cells_under,
    decode_object,
    decode_row,
    records,
)
from ingestion.doors.files.encodings import BOM, ENCODINGS, in_encoding
from ingestion.doors.files.fixed import MEASURES, widths_of, write_cells
from ingestion.doors.files.formats import BLOCK_BYTES, MOST_SIGNS, RESERVED, UNREAD, Block, FileFormat, Record, UnreadableFile, is_delimiter
from ingestion.doors.files.matching import Column, Matching, RowEvent, compile_matching, compile_places
from ingestion.doors.files.parquet import write_chosen
from ingestion.doors.files.rows import write_row
from ingestion.doors.files.sniff import DELIMITERS, QUOTES, Choices, check_columns, decimal_sign, is_value, sniff
from ingestion.doors.files.unpack import GZIP_MAGIC, whole

__all__ = [
    "BLOCK_BYTES",
    "BOM",
    "DELIMITERS",
    "ENCODINGS",
    "GZIP_MAGIC",
    "MEASURES",
    "MOST_SIGNS",
    "QUOTES",
    "RESERVED",
    "UNREAD",
    "Block",
    "Choices",
    "Column",
    "FileFormat",
    "Matching",
    "Record",
    "RowEvent",
    "UnreadableFile",
    "all_cells",
    "as_matched",
    "as_sent",
    "as_text",
    "blocks",
    "cells_of",
    "cells_under",
    "check_columns",
    "compile_matching",
    "compile_places",
    "decimal_sign",
    "decode_object",
    "decode_row",
    "in_encoding",
    "is_delimiter",
    "is_value",
    "records",
    "sniff",
    "whole",
    "widths_of",
    "write_cells",
    "write_chosen",
    "write_row",
]  # fmt: skip
