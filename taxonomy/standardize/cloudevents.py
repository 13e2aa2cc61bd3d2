"""CloudEvents 1.0: the event's own attributes are its envelope, and its data is read as the source's envelope says.

| of the event | becomes |
|---|---|
| type | the name |
| source and id | the message id, with a space between |
| time | when it happened |
| data | attributes; phone, region, identifiers and the like where the source's own format has them, else under our names |
| every attribute but data | context |

Source: CloudEvents 1.0.2, "Context attributes"; JSON event format 1.0.2, "Envelope".
"""

import base64
import binascii
from datetime import datetime
from hashlib import blake2b
from typing import Any

from taxonomy.standardize.decode import decode_json
from taxonomy.standardize.identifiers import KINDS
from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.paths import compile_path
from taxonomy.standardize.read import ItemReader, custom_paths, custom_reader, is_given, read_time
from taxonomy.standardize.structs import RawEvent, Refusal, Violation

SPEC_VERSION = "1.0"
REQUIRED = ("specversion", "id", "source", "type")
_DATA = ("data", "data_base64")
# Where our own JSON has them, for a source that names no places of its own.
_OURS: dict[str, Any] = {
    "phone": "phone",
    "region": "region",
    "source_version": "source_version",
    "identifiers": {kind: f"identifiers.{kind}" for kind in KINDS if kind != "phone"},
}
# What the event itself says.
_ITS_OWN = ("event", "event_constant", "events", "occurred_at", "time_format", "sent_at", "message_id", "context")


def problem_of_event(event: dict[str, Any]) -> Refusal | None:
    """What makes a JSON object no CloudEvent."""
    for name in REQUIRED:
        if type(event.get(name)) is not str or not event[name].strip():
            return Refusal("record.not_cloudevent", name, {"expected": SPEC_VERSION if name == "specversion" else name})
    if event["specversion"] != SPEC_VERSION:
        return Refusal("record.not_cloudevent", "specversion", {"seen": event["specversion"][:20], "expected": SPEC_VERSION})
    if is_given(event.get("data")) and is_given(event.get("data_base64")):
        return Refusal("record.not_cloudevent", "data_base64", {"expected": "data or data_base64"})
    return None


def data_envelope(envelope: dict[str, Any]) -> dict[str, Any]:
    """Where things are in the data: where the source's own envelope has them, else under our names."""
    named = envelope.get("phone") or envelope.get("identifiers")
    own = {key: value for key, value in envelope.items() if key not in _ITS_OWN} if named else _OURS
    return {**own, "preset": "custom"}


def cloudevents_reader(source_code: str, envelope: dict[str, Any]) -> ItemReader:
    own = data_envelope(envelope)
    read_all, read_named = custom_reader(source_code, own), custom_reader(source_code, {"attributes": "attributes", **own})
    outer_finders = [(field, compile_path(path[2:])) for field, path in custom_paths(own).items() if path.startswith("$.")]

    def read_item(
        item: dict[str, Any], outer: dict[str, Any], received_at: datetime, original: bytes, notes: list[Violation], position: int | None
    ) -> RawEvent | Refusal:
        refusal = problem_of_event(item)
        if refusal is not None:
            return refusal
        data = _data_of(item)
        outer = {field: find(item) for field, find in outer_finders}
        read_data = read_named if type(data.get("attributes")) is dict else read_all
        raw = read_data(data, outer, received_at, original, notes, position)
        if isinstance(raw, RawEvent):
            raw.name, raw.message_id, raw.occurred_at = item["type"], _message_id(item["source"], item["id"]), read_time(item.get("time"))
            raw.context = {key: value for key, value in item.items() if key not in _DATA and value is not None}
            raw.preset = "cloudevents"
        return raw

    return read_item


def _data_of(event: dict[str, Any]) -> dict[str, Any]:
    """The data as an object; what is none stands under "data", and bytes that are no JSON under "data_base64"."""
    data, packed = event.get("data"), event.get("data_base64")
    if type(packed) is str and packed:
        data = _unpacked(packed, str(event.get("datacontenttype") or "application/json"))
        if data is None:
            return {"data_base64": packed}
    return data if type(data) is dict else {"data": data} if is_given(data) else {}


def is_json(media_type: str) -> bool:
    """Whether a media type, such as "application/problem+json; charset=utf-8", is JSON's."""
    name = media_type.partition(";")[0].strip().lower()
    return name.endswith(("/json", "+json"))


def _unpacked(packed: str, media_type: str) -> Any:
    if not is_json(media_type):
        return None
    try:
        decoded = decode_json(base64.b64decode(packed, validate=True))
    except (binascii.Error, ValueError):
        return None
    return None if isinstance(decoded, Refusal) else decoded


def _message_id(source: str, event_id: str) -> str:
    """Both make one event. A source has no spaces in it; what is too long for an id is known by its hash."""
    written = f"{source} {event_id}"
    return (
        written if len(written) <= LIMITS.message_id_characters else f"cloudevent {blake2b(written.encode(), digest_size=16).hexdigest()}"
    )
