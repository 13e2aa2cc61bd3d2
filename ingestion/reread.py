"""A record read as its door has it: now, and again later from its exact bytes."""

from datetime import datetime
from typing import Any

from ingestion.doors.files import FileFormat, Matching, compile_matching, decode_row
from taxonomy.standardize import Plan, RawEvent, Refusal, SourcePlan, decode_body, decode_json, read, record_of_row
from taxonomy.standardize.decode import NotedRecord

# Envelopes without columns: the rows of a table are read by our own.
_WITHOUT_COLUMNS = frozenset({"tagline", "segment", "cloudevents"})
# Doors whose protocol fixes the envelope, whatever the source's own is.
_PRESETS = {"segment": "segment", "cloudevents": "cloudevents"}
_OURS = "tagline"
_UNTOLD = Refusal("record.empty")


def decode(original: bytes, *, door: str, file_format: FileFormat | None = None) -> Any:
    """One record from its exact bytes. `file_format`: how the rows of its file are read."""
    if file_format:
        return decode_row(original, file_format)
    return decode_body(original) if door == "hook" else decode_json(original)


def read_as(
    decoded: Any,
    source: SourcePlan,
    plan: Plan,
    *,
    door: str,
    received_at: datetime,
    original: bytes,
    file_format: FileFormat | None = None,
) -> list[RawEvent | Refusal]:
    """Find the events in one decoded record that came through `door`. `file_format`: of the file that it is a row of."""
    found = _in_places(decoded, source, plan, door=door, received_at=received_at, original=original, file_format=file_format)
    return found if len(found) == 1 else [one for one in found if one is not _UNTOLD] or [_UNTOLD]


def _in_places(
    decoded: Any,
    source: SourcePlan,
    plan: Plan,
    *,
    door: str,
    received_at: datetime,
    original: bytes,
    file_format: FileFormat | None,
) -> list[RawEvent | Refusal]:
    """As `read_as`, each at its `item`: where a row does not tell of one of its matching's events stands that."""
    if file_format and file_format.matching and isinstance(decoded, dict):
        matched = _read_matched(decoded, file_format.matching, source, plan, received_at=received_at, original=original)
        return _noted(matched, decoded) if isinstance(decoded, NotedRecord) else matched
    preset = _PRESETS.get(door, "")
    own = source.envelope.get("preset") or "tagline"
    if file_format and file_format.has_columns and isinstance(decoded, dict) and own in _WITHOUT_COLUMNS:
        decoded, preset = record_of_row(decoded, own), "tagline"
    events = read(decoded, source, plan, received_at=received_at, original=original, preset=preset)
    if door == "file":
        for event in events:
            # When a row was sent was said by another clock about another sending: it corrects nothing.
            if isinstance(event, RawEvent) and event.sent_at is not None:
                event.sent_at = None
    return events


def _noted(events: list[RawEvent | Refusal], record: NotedRecord) -> list[RawEvent | Refusal]:
    """With what is said of reading the record itself."""
    for event in events:
        if isinstance(event, RawEvent):
            event.notes = [*record.notes, *event.notes]
    return events


def _read_matched(
    cells: dict[str, Any], matching: Matching, source: SourcePlan, plan: Plan, *, received_at: datetime, original: bytes
) -> list[RawEvent | Refusal]:
    """The events of a row whose columns are matched, in their places: records of our own JSON, whatever the source's envelope is."""
    events: list[RawEvent | Refusal] = []
    for place, record in enumerate(compile_matching(matching)(cells)):
        if record is None:
            events.append(_UNTOLD)
            continue
        (event,) = read(record, source, plan, received_at=received_at, original=original, preset=_OURS)
        if isinstance(event, RawEvent):
            event.preset = _OURS
            event.item = place if len(matching.events) > 1 else None
        events.append(event)
    return events


def reread(
    original: bytes, source: SourcePlan, plan: Plan, *, door: str, received_at: datetime, file_format: FileFormat | None = None
) -> list[RawEvent | Refusal]:
    """Read a stored record again: an event stands at its `item`."""
    decoded = decode(original, door=door, file_format=file_format)
    return _in_places(decoded, source, plan, door=door, received_at=received_at, original=original, file_format=file_format)
