"""A record read as its door has it: now, and again later from its exact bytes."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ingestion.doors.files import FileFormat, compile_matching, compile_places, decode_row
from taxonomy.standardize import Plan, RawEvent, Refusal, SourcePlan, decode_body, decode_json, read, record_of_row
from taxonomy.standardize.decode import NotedRecord
from taxonomy.standardize.read import Fields, read_fields

# Envelopes without columns: the rows of a table are read by our own.
_WITHOUT_COLUMNS = frozenset({"tagline", "segment", "cloudevents"})
# Doors whose protocol fixes the envelope, whatever the source's own is.
_PRESETS = {"segment": "segment", "cloudevents": "cloudevents"}
_UNTOLD = Refusal("record.empty")


def decode(original: bytes, *, door: str, file_format: FileFormat | None = None) -> Any:
    """One record from its exact bytes. `file_format`: how the rows of its file are read."""
    if file_format:
        return decode_row(original, file_format)
    return decode_body(original) if door == "hook" else decode_json(original)


def reader_of(
    source: SourcePlan, plan: Plan, *, door: str, received_at: datetime, file_format: FileFormat | None = None
) -> Callable[[Any, bytes], list[RawEvent | Refusal]]:
    """What finds the events in a decoded record that came through `door`, given the record and its exact bytes. `file_format`: of the file that it is a row of."""
    read_in_places = _reader_in_places(source, plan, door=door, received_at=received_at, file_format=file_format)

    def read_all(decoded: Any, original: bytes) -> list[RawEvent | Refusal]:
        found = read_in_places(decoded, original)
        return found if len(found) == 1 else [one for one in found if one is not _UNTOLD] or [_UNTOLD]

    return read_all


def _reader_in_places(
    source: SourcePlan, plan: Plan, *, door: str, received_at: datetime, file_format: FileFormat | None
) -> Callable[[Any, bytes], list[RawEvent | Refusal]]:
    """As `reader_of`, each at its `item`: where a row does not tell of one of its matching's events stands that."""
    read_matched = _matched_reader(file_format, source, received_at=received_at) if file_format and file_format.matching else None
    preset = _PRESETS.get(door, "")
    own = source.envelope.get("preset") or "tagline"
    has_columns = bool(file_format and file_format.has_columns)
    is_of_table = has_columns and own in _WITHOUT_COLUMNS
    rows = (dict, list) if has_columns else dict

    def read_in_places(decoded: Any, original: bytes) -> list[RawEvent | Refusal]:
        if read_matched is not None and isinstance(decoded, rows):
            matched = read_matched(decoded, original)
            return _noted(matched, decoded) if isinstance(decoded, NotedRecord) else matched
        if is_of_table and isinstance(decoded, dict):
            events = read(record_of_row(decoded, own), source, plan, received_at=received_at, original=original, preset="tagline")
        else:
            events = read(decoded, source, plan, received_at=received_at, original=original, preset=preset)
        if door == "file":
            for event in events:
                # When a row was sent was said by another clock about another sending: it corrects nothing.
                if isinstance(event, RawEvent) and event.sent_at is not None:
                    event.sent_at = None
        return events

    return read_in_places


def _noted(events: list[RawEvent | Refusal], record: NotedRecord) -> list[RawEvent | Refusal]:
    """With what is said of reading the record itself."""
    for event in events:
        if isinstance(event, RawEvent):
            event.notes = [*record.notes, *event.notes]
    return events


def _matched_reader(
    file_format: FileFormat, source: SourcePlan, *, received_at: datetime
) -> Callable[[dict[str, Any] | list[Any], bytes], list[RawEvent | Refusal]]:
    """The events of a row whose columns are matched, in their places, whatever the source's envelope is. Rows are by column, or all the columns' values."""
    matching = file_format.matching
    assert matching is not None
    read_row, source_code, are_many = compile_matching(matching), source.code, len(matching.events) > 1
    read_values: Callable[[list[Any]], list[Fields | None]] | None = None

    def read_matched(row: dict[str, Any] | list[Any], original: bytes) -> list[RawEvent | Refusal]:
        nonlocal read_values
        if not isinstance(row, list):
            found = read_row(row)
        else:
            if read_values is None:
                read_values = compile_places(matching, tuple(file_format.columns))
            found = read_values(row)
        events: list[RawEvent | Refusal] = []
        for place, fields in enumerate(found):
            if fields is None:
                events.append(_UNTOLD)
                continue
            event = read_fields(fields, source_code, received_at=received_at, original=original)
            if are_many and type(event) is RawEvent:
                event.item = place
            events.append(event)
        return events

    return read_matched


def reread(
    original: bytes, source: SourcePlan, plan: Plan, *, door: str, received_at: datetime, file_format: FileFormat | None = None
) -> list[RawEvent | Refusal]:
    """Read a stored record again: an event stands at its `item`."""
    decoded = decode(original, door=door, file_format=file_format)
    return _reader_in_places(source, plan, door=door, received_at=received_at, file_format=file_format)(decoded, original)
