"""Reading envelopes: one record of a source becomes its raw events, each field found where that source puts it."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from taxonomy.standardize.decode import NotedList, NotedRecord, encode_json, storable
from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.paths import Getter, compile_path, first_names
from taxonomy.standardize.spreadsheets import is_cut
from taxonomy.standardize.structs import RawEvent, Refusal, Violation

if TYPE_CHECKING:
    from taxonomy.standardize.envelopes import Envelope
    from taxonomy.standardize.plan import Plan, SourcePlan

# (item, what the whole record says of every item, received_at, original, notes, position of the item) -> the event
ItemReader = Callable[[dict[str, Any], dict[str, Any], datetime, bytes, list[Violation], int | None], RawEvent | Refusal]

# Columns of a failed-rows file: they say which held event a mended row closes, and are never attributes.
RESERVED = frozenset({"_tagline_id", "_reason"})
TAGLINE_FIELDS = RESERVED | {
    "id", "event", "phone", "region", "identifiers", "occurred_at", "sent_at", "source_version", "attributes", "context",
}  # fmt: skip
# Of these, what a cell of a table can say.
_OBJECTS = frozenset({"identifiers", "attributes", "context"})
_CELLS = TAGLINE_FIELDS - _OBJECTS
FLAT_FIELDS = RESERVED | {"id", "event", "phone", "region", "occurred_at"}
IDENTIFIER_COLUMN = "identifier."
IDENTIFIERS = "identifiers."

_MAX_BYTES, _MAX_NESTING = LIMITS.event_bytes, LIMITS.nesting
_MAX_ATTRIBUTES, _MAX_ID_CHARACTERS = LIMITS.attributes, LIMITS.message_id_characters
_MAX_NOTES = LIMITS.violations + 1  # one more tells that there are more
# What an id must have that a spreadsheet wrote as 2.10381E+18.
CUT = {"kind": "spreadsheet_digits"}
_MAX_SEEN_CHARACTERS = LIMITS.seen_characters
_BRACKET = ord("[")
_NOTHING: dict[str, Any] = {}
_NUMBERS = frozenset({int, float, Decimal})


class Fields(msgspec.Struct, gc=False):
    """What one event says, each field found and not yet read. `notes` are what finding them says."""

    name: Any
    phone: Any
    region: Any
    identifiers: dict[str, Any]
    occurred_at: Any
    message_id: Any
    source_version: Any
    attributes: dict[str, Any]
    notes: list[Violation]


def read(
    record: Any, source: "SourcePlan", plan: "Plan", *, received_at: datetime, original: bytes, preset: str = ""
) -> list[RawEvent | Refusal]:
    """Find the events in one decoded record. Never raises; `original` is the record's exact bytes.

    `preset`: the envelope that the protocol of a door fixes, such as "segment"; "": the source's own.
    """
    envelope = source.protocol_envelope(preset) if preset else source.own_envelope
    notes: list[Violation] = []
    if type(record) is not dict:
        if isinstance(record, Refusal):
            return [record]
        if isinstance(record, NotedRecord):
            notes, record = record.notes, dict(record)
        elif isinstance(record, NotedList):
            notes, record = record.notes, list(record)
    if 0 in original and (repaired := storable(record)) != record:  # every character of UTF-16 has a zero byte
        record = repaired
        if all(note.code != "text.repaired" for note in notes):
            notes = [*notes, Violation("text.repaired")]
    outer = _NOTHING
    if envelope.outer_finders:
        # Paths into the whole record: its depth counts too, two levels more than an event's for what stands around it.
        if isinstance(record, dict | list) and _may_be_deep(original) and is_nested_deeper(record, _MAX_NESTING + 2):
            return [Refusal("limit.nesting", values={"limit": _MAX_NESTING})]
        outer = {field: find(record) for field, find in envelope.outer_finders}
    if envelope.find_items is not None and (not envelope.may_be_one or envelope.find_items(record) is not None):
        return _read_many(record, outer, envelope, received_at, original, notes)
    return [_read_item(record, outer, envelope, received_at, original, notes, None, 0)]


def _read_many(
    record: Any, outer: dict[str, Any], envelope: "Envelope", received_at: datetime, original: bytes, notes: list[Violation]
) -> list[RawEvent | Refusal]:
    assert envelope.find_items is not None
    items = envelope.find_items(record)
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list) or not items:
        return [Refusal("record.empty", envelope.events)]
    if len(items) > LIMITS.events_per_record:
        return [Refusal("limit.events", values={"seen": len(items), "limit": LIMITS.events_per_record})]
    around = len(encode_json(outer)) if outer and len(original) > _MAX_BYTES else 0
    return [_read_item(item, outer, envelope, received_at, original, list(notes), position, around) for position, item in enumerate(items)]


def _may_be_deep(original: bytes) -> bool:
    """A JSON text with few brackets cannot be nested deep: counting them is far cheaper than walking."""
    return not original or original.count(b"{") + (original.count(b"[") if _BRACKET in original else 0) > _MAX_NESTING


def _read_item(
    item: Any, outer: dict[str, Any], envelope: "Envelope", received_at: datetime, original: bytes,
    notes: list[Violation], position: int | None, around: int,
) -> RawEvent | Refusal:  # fmt: skip
    """`around`: bytes of what the whole record says of each item."""
    where = "" if position is None else f"[{position}]"
    if type(item) is not dict:
        return Refusal("record.not_object", where, {"seen": type(item).__name__})
    if _may_be_deep(original) and is_nested_deeper(item, _MAX_NESTING):
        return Refusal("limit.nesting", where, {"limit": _MAX_NESTING})
    if len(original) > _MAX_BYTES:
        size = len(original) if position is None else len(encode_json(item)) + around
        if size > _MAX_BYTES:
            return Refusal("limit.size", where, {"seen": size, "limit": _MAX_BYTES})
    raw = envelope.read_item(item, outer, received_at, original, notes, position)
    if isinstance(raw, Refusal):
        raw.path = f"{where}.{raw.path}".strip(".")
        return raw
    raw = _within_limits(raw, where)
    if isinstance(raw, RawEvent) and raw.name is None and not any(is_given(value) for key, value in item.items() if key not in RESERVED):
        return Refusal("record.empty", where)
    return raw


def _within_limits(raw: RawEvent, where: str) -> RawEvent | Refusal:
    message_id = raw.message_id
    if message_id is not None and is_cut(message_id):
        # Many ids become the same one so: each is its own event, by its content.
        raw.notes.append(cut_id(message_id))
        raw.message_id = message_id = None
    if message_id is not None and len(message_id) > _MAX_ID_CHARACTERS:
        return Refusal("limit.message_id", where, {"seen": len(message_id), "limit": _MAX_ID_CHARACTERS})
    if len(raw.attributes) > _MAX_ATTRIBUTES:
        return Refusal("limit.attributes", where, {"seen": len(raw.attributes), "limit": _MAX_ATTRIBUTES})
    return raw


def read_fields(fields: Fields, source_code: str, *, received_at: datetime, original: bytes) -> RawEvent | Refusal:
    """The event of fields that are found already, read as those of our own JSON are. Never raises; `original` is the whole record's exact bytes."""
    if _may_be_deep(original) and is_nested_deeper(_values(fields), _MAX_NESTING):
        return Refusal("limit.nesting", values={"limit": _MAX_NESTING})
    if len(original) > _MAX_BYTES:
        return Refusal("limit.size", values={"seen": len(original), "limit": _MAX_BYTES})
    if 0 in original and (repaired := storable(_values(fields))) != _values(fields):
        fields = Fields(*repaired)
        fields.notes.append(Violation("text.repaired"))
    notes, attributes = fields.notes, fields.attributes
    name, phone, region, identifiers = fields.name, fields.phone, fields.region, fields.identifiers
    message_id, version = fields.message_id, fields.source_version
    are_texts = True
    for written in identifiers.values():
        are_texts = are_texts and type(written) is str and written != ""
    raw = RawEvent(
        source_code,
        name if type(name) is str and name and not name.isspace() else read_text(name, "event", notes),
        phone if phone is None else read_text(phone, "phone", notes),
        region if region is None else read_text(region, "region", notes),
        identifiers if are_texts else read_identifiers(identifiers, notes),
        read_time(fields.occurred_at),
        None,
        received_at,
        message_id if message_id is None else read_text(message_id, "id", notes),
        version if version is None else read_text(version, "source_version", notes),
        attributes,
        {},
        original,
        notes,
        None,
        "tagline",
    )
    if raw.name is None and not any(map(is_given, _values(fields)[:-1])):
        return Refusal("record.empty")
    return _within_limits(raw, "")


def _values(fields: Fields) -> list[Any]:
    return [getattr(fields, field) for field in Fields.__struct_fields__]


def cut_id(written: str) -> Violation:
    """What is said of an id in which digits are lost."""
    return Violation("envelope.wrong_type", "id", shorten(written), CUT)


def is_given(value: Any) -> bool:
    return value is not None and value != "" and value != {} and value != []


def is_nested_deeper(value: Any, limit: int) -> bool:
    """Whether containers stand in one another more than `limit` deep; the value itself is the first."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for container in level
            for inner in (container.values() if isinstance(container, dict) else container)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def text_of(value: Any) -> str:
    """A value as text: the digits of a number as they were written, true and false, JSON for the rest."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind in _NUMBERS:
        text = str(value)
        # str() gives 0.0000001 as 1E-7
        return f"{value:f}" if kind is Decimal and "E-" in text else text
    if kind is bool:
        return "true" if value else "false"
    return encode_json(value).decode()


def read_text(value: Any, path: str, notes: list[Violation]) -> str | None:
    """A field of the envelope that must be text; a number will do."""
    if value is None:
        return None
    if type(value) is str:
        return value if value and not value.isspace() else None
    if type(value) is bool or type(value) in _NUMBERS:
        return text_of(value)
    if value == {} or value == []:
        return None
    notes.append(Violation("envelope.wrong_type", storable(path[:120]), shorten(value), "text"))
    return None


def read_time(value: Any) -> Any:
    return None if type(value) is str and (not value or value.isspace()) else value


def read_object(value: Any, path: str, notes: list[Violation]) -> dict[str, Any]:
    if type(value) is dict:
        return value
    if is_given(value):
        notes.append(Violation("envelope.wrong_type", path, shorten(value), "object"))
    return {}


def read_identifiers(value: Any, notes: list[Violation]) -> dict[str, str]:
    identifiers = {}
    found: list[Violation] = []
    for kind, identifier in read_object(value, "identifiers", notes).items():
        written = identifier if type(identifier) is str and identifier else read_text(identifier, f"identifiers.{kind}", found)
        if written is not None:
            identifiers[kind] = written
    notes += found[:_MAX_NOTES]
    return identifiers


def shorten(value: Any) -> Any:
    """What a violation repeats of a value: numbers and booleans as they are, else a storable text of 200 characters."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str and len(value) <= _MAX_SEEN_CHARACTERS and value.isascii() and "\0" not in value:
        return value
    text = text_of(value)
    if len(text) > _MAX_SEEN_CHARACTERS:
        text = text[: _MAX_SEEN_CHARACTERS - 1] + "…"
    elif kind in _NUMBERS:
        return value
    return storable(text)


# What the columns of a table are called where a protocol has a name of its own for a field of ours.
_PROTOCOL_COLUMNS = {
    "segment": {
        "messageId": "id", "timestamp": "occurred_at", "originalTimestamp": "occurred_at", "sentAt": "sent_at",
        "userId": "identifier.user_id", "anonymousId": "identifier.anonymous_id",
    },
    "cloudevents": {"type": "event", "time": "occurred_at"},
}  # fmt: skip


def record_of_row(cells: dict[str, Any], preset: str = "tagline") -> dict[str, Any]:
    """A table's row as a record of our own JSON: `identifier.<kind>` are identifiers, other columns of no field's name attributes.

    `preset`: of the source, whose protocol's own names of our fields are read too, where ours says nothing.
    """
    record: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    identifiers: dict[str, Any] = {}
    ours = _PROTOCOL_COLUMNS.get(preset, {})
    for written, value in cells.items():
        if value == "":
            continue
        key = ours.get(written, written)
        if key != written and cells.get(key):
            key = written
        if key in _CELLS:
            record[key] = value
        elif key.startswith(IDENTIFIER_COLUMN):
            identifiers[key[len(IDENTIFIER_COLUMN) :]] = value
        elif key in _OBJECTS and type(value) is dict:
            record[key] = value
        else:
            attributes[key] = value
    return {
        **record,
        "identifiers": {**record.get("identifiers", {}), **identifiers},
        "attributes": {**record.get("attributes", {}), **attributes},
    }


def tagline_reader(source_code: str) -> ItemReader:
    def read_item(
        item: dict[str, Any], outer: dict[str, Any], received_at: datetime, original: bytes, notes: list[Violation], position: int | None
    ) -> RawEvent:
        get = item.get
        if not item.keys() <= TAGLINE_FIELDS:
            notes += [Violation("envelope.unknown_field", storable(key[:200])) for key in sorted(item.keys() - TAGLINE_FIELDS)[:_MAX_NOTES]]
        name = get("event")
        phone = get("phone")
        attributes = get("attributes")
        identifiers = get("identifiers")
        context = get("context")
        region, message_id, version = get("region"), get("id"), get("source_version")
        return RawEvent(
            source_code,
            name if type(name) is str and name and not name.isspace() else read_text(name, "event", notes),
            phone if phone is None else read_text(phone, "phone", notes),
            region if region is None else read_text(region, "region", notes),
            read_identifiers(identifiers, notes) if identifiers else {},
            read_time(get("occurred_at")),
            get("sent_at"),
            received_at,
            message_id if message_id is None else read_text(message_id, "id", notes),
            version if version is None else read_text(version, "source_version", notes),
            attributes if type(attributes) is dict else read_object(attributes, "attributes", notes),
            context if type(context) is dict else {},
            original,
            notes,
            position,
        )

    return read_item


def flat_reader(source_code: str) -> ItemReader:
    def read_item(
        item: dict[str, Any], outer: dict[str, Any], received_at: datetime, original: bytes, notes: list[Violation], position: int | None
    ) -> RawEvent:
        get = item.get
        attributes: dict[str, Any] = {}
        identifiers: dict[str, str] = {}
        found: list[Violation] = []
        for key, value in item.items():
            if value is None or value == "" or key in FLAT_FIELDS:
                continue
            if key.startswith(IDENTIFIER_COLUMN):
                written = read_text(value, f"identifiers.{key[len(IDENTIFIER_COLUMN) :]}", found)
                if written is not None:
                    identifiers[key[len(IDENTIFIER_COLUMN) :]] = written
            else:
                attributes[key] = value
        notes += found[:_MAX_NOTES]
        return RawEvent(
            source_code,
            read_text(get("event"), "event", notes),
            read_text(get("phone"), "phone", notes),
            read_text(get("region"), "region", notes),
            identifiers,
            read_time(get("occurred_at")),
            None,
            received_at,
            read_text(get("id"), "id", notes),
            None,
            attributes,
            {},
            original,
            notes,
            position,
        )

    return read_item


def custom_reader(source_code: str, envelope: dict[str, Any]) -> ItemReader:
    find = {field: compile_path(path) for field, path in custom_paths(envelope).items() if not path.startswith("$.")}
    find_name, find_phone, find_region = find.get("event"), find.get("phone"), find.get("region")
    find_occurred_at, find_sent_at, find_id = find.get("occurred_at"), find.get("sent_at"), find.get("message_id")
    find_version, find_context, find_attributes = find.get("source_version"), find.get("context"), find.get("attributes")
    find_identifiers = [
        (field.removeprefix(IDENTIFIERS), field, find.get(field)) for field in custom_paths(envelope) if field.startswith(IDENTIFIERS)
    ]
    takes_all = not envelope.get("attributes")
    constant = envelope.get("event_constant") or None
    used = used_names(envelope) | RESERVED

    def read_item(
        item: dict[str, Any], outer: dict[str, Any], received_at: datetime, original: bytes, notes: list[Violation], position: int | None
    ) -> RawEvent:
        name = find_name(item) if find_name is not None else outer.get("event")
        phone = find_phone(item) if find_phone is not None else outer.get("phone")
        region = find_region(item) if find_region is not None else outer.get("region")
        occurred_at = read_time(find_occurred_at(item)) if find_occurred_at is not None else None
        if occurred_at is None:
            occurred_at = outer.get("occurred_at")
        message_id = find_id(item) if find_id is not None else outer.get("message_id")
        version = find_version(item) if find_version is not None else outer.get("source_version")
        context = find_context(item) if find_context is not None else outer.get("context")
        identifiers = {}
        for kind, field, find_identifier in find_identifiers:
            written = find_identifier(item) if find_identifier is not None else outer.get(field)
            if written is not None:
                text = read_text(written, field, notes)
                if text is not None:
                    identifiers[kind] = text
        attributes: Any
        if takes_all:
            attributes = {key: value for key, value in item.items() if key not in used}
        else:
            attributes = find_attributes(item) if find_attributes is not None else outer.get("attributes")
            if type(attributes) is not dict:
                attributes = read_object(attributes, "attributes", notes)
        return RawEvent(
            source_code,
            name if type(name) is str and name and not name.isspace() else read_text(name, "event", notes) or constant,
            phone if type(phone) is str and phone and not phone.isspace() else read_text(phone, "phone", notes),
            None if region is None else read_text(region, "region", notes),
            identifiers,
            read_time(occurred_at),
            find_sent_at(item) if find_sent_at is not None else outer.get("sent_at"),
            received_at,
            message_id if type(message_id) is str and message_id and not message_id.isspace() else read_text(message_id, "id", notes),
            None if version is None else read_text(version, "source_version", notes),
            attributes,
            context if type(context) is dict else {},
            original,
            notes,
            position,
        )

    return read_item


_CUSTOM_FIELDS = ("event", "phone", "region", "occurred_at", "sent_at", "message_id", "source_version", "context")


def custom_paths(envelope: dict[str, Any]) -> dict[str, str]:
    """Every path a custom envelope names: {field: path}."""
    paths = {field: envelope.get(field) or "" for field in (*_CUSTOM_FIELDS, "attributes", "events")}
    paths |= {f"{IDENTIFIERS}{kind}": path for kind, path in (envelope.get("identifiers") or {}).items()}
    return {field: path for field, path in paths.items() if path}


def used_names(envelope: dict[str, Any]) -> set[str]:
    """Top-level names of an item that its envelope's fields are read from, so that they are no attributes."""
    return {
        name
        for field, path in custom_paths(envelope).items()
        if field not in ("attributes", "events") and not path.startswith("$.")
        for name in first_names(path)
    }


def compile_outer(envelope: dict[str, Any]) -> list[tuple[str, Getter]]:
    """The fields whose path begins with "$.": looked up once in the whole record, for every event in it.

    The time too, whatever its path: of many events in a record those that tell none have the record's.
    """
    if envelope.get("preset") != "custom":
        return []
    paths = custom_paths(envelope)
    has_both = "events" in paths
    return [
        (field, compile_path(path.removeprefix("$.")))
        for field, path in paths.items()
        if field != "events" and (path.startswith("$.") or (has_both and field == "occurred_at"))
    ]
