"""Records of a file as the pipeline takes them, looked through as they go by."""

from collections.abc import Iterable, Iterator

from ingestion.doors.files import RESERVED, FileFormat, Record, as_matched, as_sent, decode_object
from ingestion.imports.traps import Look, Trap
from ingestion.pipeline import Incoming


class Reader:
    """`is_first`: the records are the file's first. `skipped`: headers within it, so far."""

    def __init__(self, file_format: FileFormat, *, is_first: bool) -> None:
        self._format, self.skipped = file_format, 0
        self._are_all_the_senders = not any(column in RESERVED for column in file_format.columns)
        self._by_place = file_format.matching is not None
        self._look = Look(file_format, is_first=is_first) if file_format.is_read_by_column else None

    def incoming(self, records: Iterable[Record]) -> Iterator[Incoming]:
        for one in records:
            if one.is_heading:
                self.skipped += 1
                if self._look:
                    self._look.note_heading(one)
                continue
            if one.values is not None and self._are_all_the_senders:
                if self._look:
                    self._look.note(one, one.values)
                yield Incoming(one.original, one.values if self._by_place else one.cells, None, one.row)
                continue
            came = incoming_of(one, self._format)
            if self._look:
                self._look.note(one, came.decoded)
            yield came

    def found(self) -> list[Trap]:
        return self._look.found() if self._look else []


def incoming_of(record: Record, file_format: FileFormat) -> Incoming:
    """A record of a file as the pipeline takes it."""
    if record.refusal is not None:
        return Incoming(record.original, record.refusal, row=record.row)
    if (cells := record.cells) is not None:
        closes = cells.pop("_tagline_id", None)
        cells.pop("_reason", None)
        return Incoming(record.original, cells, closes if isinstance(closes, str) else None, record.row)
    said = decode_object(record.original, file_format)
    closes = said.get("_tagline_id") if isinstance(said, dict) else None
    return Incoming(record.original, as_matched(as_sent(said), file_format), closes if isinstance(closes, str) else None, record.row)
