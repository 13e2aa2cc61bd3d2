"""The one table of envelope presets: how a record of each kind is read, compiled for one source."""

from collections.abc import Callable
from typing import Any, NamedTuple

from taxonomy.standardize.cloudevents import cloudevents_reader
from taxonomy.standardize.paths import Getter, compile_path
from taxonomy.standardize.read import ItemReader, compile_outer, custom_reader, flat_reader, tagline_reader
from taxonomy.standardize.segment import OUTER_FIELDS, segment_reader
from taxonomy.standardize.times import TimeReader, compile_time


class Envelope(NamedTuple):
    """`find_items` finds the events where a record may hold many, under the path `events`.

    `may_be_one`: a record where it finds nothing is an event itself.
    """

    read_item: ItemReader
    outer_finders: list[tuple[str, Getter]]
    events: str
    find_items: Getter | None
    may_be_one: bool
    parse_time: TimeReader


_READERS: dict[str, Callable[[str, dict[str, Any]], ItemReader]] = {
    "tagline": lambda source_code, envelope: tagline_reader(source_code),
    "flat": lambda source_code, envelope: flat_reader(source_code),
    "custom": custom_reader,
    "segment": lambda source_code, envelope: segment_reader(source_code),
    "cloudevents": cloudevents_reader,
}
PRESETS = tuple(_READERS)
_BATCH = "batch"


def compile_reader(source_code: str, envelope: dict[str, Any]) -> ItemReader:
    """Compile the reader of one event. Raises ValueError for what is no preset."""
    preset = envelope.get("preset") or "tagline"
    if preset not in _READERS:
        raise ValueError(f"Envelope preset {preset!r}: expected one of {', '.join(PRESETS)}")
    return _READERS[preset](source_code, envelope)


def compile_envelope(source_code: str, envelope: dict[str, Any], timezone: str) -> Envelope:
    """Compile a whole envelope. `timezone`: of times that are written without one. Raises ValueError."""
    read_item = compile_reader(source_code, envelope)
    if envelope.get("preset") == "segment":
        outer = [(field, compile_path(field)) for field in OUTER_FIELDS]
        return Envelope(read_item, outer, _BATCH, compile_path(_BATCH), True, compile_time("", timezone))
    if envelope.get("preset") == "cloudevents":
        return Envelope(read_item, [], "", None, False, compile_time("", timezone))
    events = (envelope.get("events") or "") if envelope.get("preset") == "custom" else ""
    return Envelope(
        read_item,
        compile_outer(envelope),
        events,
        compile_path(events.removeprefix("$.")) if events else None,
        False,
        compile_time(envelope.get("time_format") or "", timezone),
    )
