"""COPY of events and their originals, in PostgreSQL's binary form: it takes less than text to write here and to read there.

Rows are built by hand: that is most of what storing a file costs this process. Source: PostgreSQL's manual, "Binary Format" of COPY.
"""

import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from django.db.backends.utils import CursorWrapper

from profiles.models import Event
from taxonomy.standardize import Result, Subject, encode_json, storable

if TYPE_CHECKING:
    from profiles.entries import Delivery, Entry

_COLUMNS = (
    "source_id, batch_id, received_at, release_id, tag_id, rule_id, standing, id, subject_id, key, message_id, name, source_version, "
    "occurred_at, attributes, extra, identifiers, refinements, report"
)
_BEGIN, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_NONE = b"\xff\xff\xff\xff"  # a length of -1
_NAME_CHARACTERS = 1_000
_size, _number = struct.Struct(">i").pack, struct.Struct(">iq").pack
_columns = struct.pack(">h", _COLUMNS.count(",") + 1)
_numbers, _key = struct.Struct(">iqiq").pack, struct.Struct(">i16s").pack
_COUNTED, _HELD = (struct.pack(">ih", 2, int(one)) for one in (Event.Standing.COUNTED, Event.Standing.HELD))
_ERA = datetime(2000, 1, 1, tzinfo=UTC)
_TEXT_TYPE, _JSONB_VERSION = 25, 1
_json_head = struct.Struct(">iB").pack
_first = itemgetter(0)


def copy_events(
    cursor: CursorWrapper, new: "list[tuple[Delivery, Entry]]", ids: dict[Subject, int], *, table: str = "profiles_event"
) -> None:
    """Written by key, as the index has them."""
    alike: dict[tuple[int, str | None, str | None, bool], bytes] = {}
    rows: list[tuple[bytes, bytes]] = []
    for delivery, entry in new:
        result = entry.result
        assert result is not None
        held = result.verdict != "accepted"
        kind = id(delivery), result.tag, result.rule, held
        head = alike.get(kind)
        if head is None:
            head = alike[kind] = _alike(delivery, result, held=held)
        if result.subject is None:
            numbers = _number(8, entry.event_id) + _NONE
        else:
            numbers = _numbers(8, entry.event_id, 8, ids[result.subject])
        rows.append((entry.key, b"".join((head, numbers, entry.said or said_by(entry)))))
    rows.sort(key=_first)
    with cursor.copy(f"COPY {table} ({_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"".join((_BEGIN, *[row for _, row in rows], _END)))


def copy_originals(cursor: CursorWrapper, new: "list[tuple[Delivery, Entry]]") -> None:
    """A record of many events is stored with the first of them; the others say with which."""
    head, held_by_itself, item = struct.Struct(">hiq").pack, struct.Struct(">hiqi").pack, struct.Struct(">ii").pack
    pieces = [_BEGIN]
    holders: dict[int, int] = {}
    for _, entry in new:
        assert entry.event_id is not None and entry.raw is not None
        original, event_id, place = entry.original, entry.event_id, entry.raw.item
        holder = event_id if place is None else holders.setdefault(id(original), event_id)
        if holder == event_id:
            pieces += (held_by_itself(4, 8, event_id, len(original)), original, _NONE if place is None else item(4, place), _NONE)
        else:
            assert place is not None
            pieces += (head(4, 8, event_id), _NONE, item(4, place), _number(8, holder))
    pieces.append(_END)
    with cursor.copy("COPY profiles_original (event_id, record, item, holder_id) FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"".join(pieces))


def _alike(delivery: "Delivery", result: Result, *, held: bool) -> bytes:
    """How the rows of a delivery begin that are of one tag by one rule, held or not."""
    return b"".join(
        (
            _columns,
            _uuid(delivery.source_id),
            _size(16) + delivery.batch_id.bytes,
            _time(delivery.received_at),
            _number(8, delivery.release_id),
            _uuid(result.tag) if result.tag else _NONE,
            _uuid(result.rule) if result.rule else _NONE,
            _HELD if held else _COUNTED,
        )
    )


def said_by(entry: "Entry") -> bytes:
    """The end of its row: the columns that hang on nothing but itself."""
    result, raw = entry.result, entry.raw
    assert result is not None and raw is not None
    return b"".join(
        (
            _key(16, entry.key),
            _NONE if raw.message_id is None else _text(raw.message_id),
            _NONE if raw.name is None else _text(raw.name),
            _NONE if raw.source_version is None else _text(raw.source_version),
            _NONE if result.occurred_at is None else _time(result.occurred_at),
            _NONE if result.verdict != "accepted" else _json(result.attributes),
            _json(result.extra) if result.extra else _NONE,
            _json(result.identifiers) if result.identifiers else _NONE,
            _texts(result.refinements) if result.refinements else _NONE,
            _report(result) if result.changes or result.violations else _NONE,
        )
    )


def _text(value: str) -> bytes:
    """NUL is nothing PostgreSQL can hold, and half a surrogate pair nothing that UTF-8 can: they are shown by their escapes."""
    text = value[:_NAME_CHARACTERS].encode("utf-8", "backslashreplace")
    if 0 in text:
        text = text.replace(b"\0", b"\\u0000")
    return _size(len(text)) + text


def _time(value: datetime) -> bytes:
    """In microseconds since 2000."""
    since = value - _ERA
    return _number(8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _uuid(value: str) -> bytes:
    return _size(16) + UUID(value).bytes


def _json(value: object) -> bytes:
    """NUL is nothing jsonb can hold."""
    text = encode_json(value)
    if text.find(b"\\u0000") >= 0:  # find, not in: faster with bytes
        text = encode_json(storable(msgspec.to_builtins(value, builtin_types=(Decimal,))))
    return _json_head(len(text) + 1, _JSONB_VERSION) + text


def _report(result: Result) -> bytes:
    return _json({"changes": result.changes, "violations": result.violations})


def _texts(values: list[str]) -> bytes:
    """An array of one dimension, beginning at 1, in which nothing is null."""
    entries = b"".join(map(_text, values))
    return _size(20 + len(entries)) + struct.pack(">iiiii", 1, 0, _TEXT_TYPE, len(values), 1) + entries


def array(values: Iterable[object]) -> str:
    """As PostgreSQL writes an array. As a parameter this costs a tenth of the same list."""
    return "{" + ",".join([str(one) if type(one) is int else "NULL" if one is None else _quoted(one) for one in values]) + "}"


def hex_array(values: Iterable[bytes]) -> str:
    return "{" + ",".join([f'"\\\\x{value.hex()}"' for value in values]) + "}"


def _quoted(value: object) -> str:
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
