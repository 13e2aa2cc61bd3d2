"""What every part of the file door speaks of: how a file is read, its blocks and its records."""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import msgspec

from ingestion.doors.files.matching import Matching
from taxonomy.standardize import Refusal

BLOCK_BYTES = 1_536 * 1024
# The header, and in JSON the beginning of the list, stand within so much.
HEAD_BYTES = 256 * 1024
RECORD_BYTES = 16 * 1024 * 1024
MOST_SIGNS = 3
# Columns of ours in a failed-rows file.
RESERVED = ("_tagline_id", "_reason")
# Of a line that was no JSON, its text: mended there, it is the record.
UNREAD = "_record"
# Of columns of one name, so many positions are told.
_TOLD = 10


def is_delimiter(signs: str) -> bool:
    """Whether cells can be parted so: by one to three characters that are no letters, digits, quotation marks or line ends."""
    return 0 < len(signs) <= MOST_SIGNS and not any(one.isalnum() or one in '"\r\n\0' for one in signs)


class UnreadableFile(Exception):
    """The file cannot be read as events at all. `code` is stable, `values` say what was seen."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How a file is read. `kind` is csv, fixed (width), ndjson, json (one list), xlsx or parquet.

    `delimiter` and `quote` are for rows only. `columns` are theirs, or the names in the first objects of JSON. `above` counts the rows before the header, `heading` is the header
    as it stands: no row, one or two. `member` is the file taken from a zip, `members` several that are read as one, `sheet`
    the one of a workbook. `widths` of columns are counted in `measure`: characters, or bytes of an encoding; 0: to the line's end.
    `matching` says what the columns mean; None: the source's envelope does. `by_line`: rows have the numbers of the file's own
    lines, or of the sheet's rows; else, as where there are no lines or several files, and in formats kept before, they are counted.
    `named` is what the header calls the columns, where two have one name: the second is told by its number in `columns`.
    `left_out` are rows, cell by cell, that somebody said are none, such as a sum: passed over like the header where it comes again.
    """

    kind: str
    compression: str = ""
    delimiter: str = ","
    columns: list[str] = field(default_factory=list)
    encoding: str = "utf-8"
    quote: str = '"'
    above: int = 0
    heading: list[list[str]] = field(default_factory=list)
    member: str = ""
    members: list[str] = field(default_factory=list)
    sheet: str = ""
    widths: list[int] = field(default_factory=list)
    measure: str = ""
    matching: Matching | None = None
    by_line: bool = False
    left_out: list[list[str]] = field(default_factory=list)
    named: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """From JSON too, as it is stored."""
        if isinstance(self.matching, dict):
            object.__setattr__(self, "matching", Matching.of(self.matching))

    def as_json(self) -> dict[str, object]:
        matching = msgspec.json.decode(msgspec.json.encode(self.matching))
        return asdict(replace(self, matching=None)) | {"matching": matching}

    def repeated(self) -> list[str]:
        """The names that several columns have, each once."""
        return [name for name, count in Counter(self.named or self.columns).items() if count > 1]

    def repeats(self, name: str) -> UnreadableFile:
        """What is said where columns of one name cannot be told apart."""
        places = [str(at) for at, one in enumerate(self.named or self.columns, 1) if one == name]
        told = ", ".join([*places[:_TOLD], *(["…"] if len(places) > _TOLD else [])])
        return UnreadableFile("file.our_column_repeated" if name in RESERVED else "file.column_repeated", column=name, positions=told)

    @property
    def has_columns(self) -> bool:
        return self.kind in ("csv", "fixed", "xlsx", "parquet")

    @property
    def is_json(self) -> bool:
        return self.kind in ("ndjson", "json")

    @property
    def has_names(self) -> bool:
        """Whether its values have names that can be matched."""
        return self.has_columns or bool(self.columns)

    @property
    def is_read_by_column(self) -> bool:
        """Of JSON, only what is matched."""
        return self.has_columns or self.matching is not None

    @property
    def is_text(self) -> bool:
        """Whether it has an encoding of its own."""
        return self.kind not in ("xlsx", "parquet")


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records. `first_row` is the 1-based number of its first record, or line; `read_bytes` of the stored file so far."""

    index: int
    first_row: int
    data: bytes
    read_bytes: int
    is_last: bool = False


class Numbering:
    """Numbers the blocks and records, or lines, of a file, or of several that are read as one."""

    def __init__(self) -> None:
        self.index, self.row = 0, 1

    def block(self, data: bytes, rows: int, read_bytes: int, *, is_last: bool) -> Block:
        """`rows` is how many numbers it takes."""
        made = Block(self.index, self.row, data, read_bytes, is_last)
        self.index, self.row = self.index + 1, self.row + rows
        return made


class Record(msgspec.Struct, gc=False):
    """One record of a file: its exact bytes, and of a row its `values`, one for each of `columns`.

    `refusal` says why it cannot be read; `is_heading` that it is the header once more or left out, which is no record of events.
    """

    row: int
    original: bytes
    values: list[Any] | None = None
    columns: list[str] = []
    refusal: Refusal | None = None
    is_heading: bool = False

    @property
    def cells(self) -> dict[str, Any] | None:
        """Of a row, its values by column: made anew each time."""
        return None if self.values is None else dict(zip(self.columns, self.values, strict=True))
