"""COPY of events and their originals. The lines are built by hand: that is most of what storing a file costs this process."""

import re
import struct
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from django.db.backends.utils import CursorWrapper

from profiles.models import Event
from taxonomy.standardize import Result, Subject, encode_json, storable

if TYPE_CHECKING:
    from profiles.entries import Delivery, Entry

_COLUMNS = (
    "id, key, source_id, batch_id, message_id, name, received_at, standing, occurred_at, subject_id, tag_id, "
    "attributes, extra, identifiers, refinements, report, rule_id, source_version, release_id"
)
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\\\u0000"})
# To look first is ten times faster than to translate.
_SPECIAL = re.compile(r"[\\\t\n\r\0]")
_NULL = "\\N"
_NONE = b"\xff\xff\xff\xff"  # a length of -1
_NAME_CHARACTERS = 1_000
_COUNTED, _HELD = str(int(Event.Standing.COUNTED)), str(int(Event.Standing.HELD))


def copy_events(
    cursor: CursorWrapper, new: "list[tuple[Delivery, Entry]]", ids: dict[Subject, int], *, table: str = "profiles_event"
) -> None:
    same = {key: _same_of(delivery) for key, delivery in {id(delivery): delivery for delivery, _ in new}.items()}
    lines = "".join([_line(same[id(delivery)], entry, ids) for delivery, entry in new])
    with cursor.copy(f"COPY {table} ({_COLUMNS}) FROM STDIN") as copy:
        copy.write(lines.encode("utf-8"))


def copy_originals(cursor: CursorWrapper, new: "list[tuple[Delivery, Entry]]") -> None:
    """In PostgreSQL's binary form, so that bytes need no hex. Source: its manual, "Binary Format" of COPY.

    A record of many events is stored with the first of them; the others say with which.
    """
    head, size = struct.Struct(">hiq").pack, struct.Struct(">i").pack
    item, holder = struct.Struct(">ii").pack, struct.Struct(">iq").pack
    pieces = [b"PGCOPY\n\xff\r\n\0" + bytes(8)]
    holders: dict[int, int] = {}
    for _, entry in new:
        assert entry.event_id is not None and entry.raw is not None
        pieces.append(head(4, 8, entry.event_id))
        held_by = entry.event_id if entry.raw.item is None else holders.setdefault(id(entry.original), entry.event_id)
        pieces += (size(len(entry.original)), entry.original) if held_by == entry.event_id else (_NONE,)
        pieces.append(_NONE if entry.raw.item is None else item(4, entry.raw.item))
        pieces.append(_NONE if held_by == entry.event_id else holder(8, held_by))
    pieces.append(b"\xff\xff")
    with cursor.copy("COPY profiles_original (event_id, record, item, holder_id) FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"".join(pieces))


def _same_of(delivery: "Delivery") -> tuple[str, str, str, str]:
    """What every line of a delivery says alike."""
    return delivery.source_id, str(delivery.batch_id), _time(delivery.received_at), f"{delivery.release_id}\n"


def _line(same: tuple[str, str, str, str], entry: "Entry", ids: dict[Subject, int]) -> str:
    source_id, batch_id, received_at, release_id = same
    result, raw = entry.result, entry.raw
    assert result is not None and raw is not None
    held = result.verdict != "accepted"
    return "\t".join(
        (
            str(entry.event_id),
            "\\\\x" + entry.key.hex(),
            source_id,
            batch_id,
            _text(raw.message_id),
            _text(raw.name),
            received_at,
            _HELD if held else _COUNTED,
            _time(result.occurred_at),
            str(ids[result.subject]) if result.subject is not None else _NULL,
            result.tag or _NULL,
            _NULL if held else _json(result.attributes),
            _json(result.extra) if result.extra else _NULL,
            _json(result.identifiers) if result.identifiers else _NULL,
            _array(result.refinements) if result.refinements else _NULL,
            _report(result),
            result.rule or _NULL,
            _NULL if raw.source_version is None else _text(raw.source_version),
            release_id,
        )
    )


def _text(value: str | None) -> str:
    if value is None:
        return _NULL
    return _text_whole(value[:_NAME_CHARACTERS])


def _time(value: datetime | None) -> str:
    return _NULL if value is None else value.isoformat()


def _json(value: object) -> str:
    """JSON holds no raw control characters; only its backslashes mean something to COPY. NUL is nothing jsonb can hold."""
    text = encode_json(value).decode()
    if "\\" not in text:
        return text
    if "\\u0000" in text:
        text = encode_json(storable(msgspec.to_builtins(value, builtin_types=(Decimal,)))).decode()
    return text.replace("\\", "\\\\")


def _report(result: Result) -> str:
    if not result.changes and not result.violations:
        return _NULL
    return _json({"changes": result.changes, "violations": result.violations})


def array(values: Iterable[object]) -> str:
    """As PostgreSQL writes an array. As a parameter this costs a tenth of the same list."""
    return "{" + ",".join(["NULL" if one is None else _quoted(one) for one in values]) + "}"


def hex_array(values: Iterable[bytes]) -> str:
    return array(f"\\x{value.hex()}" for value in values)


def _quoted(value: object) -> str:
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(values: list[str]) -> str:
    return _text_whole(array(values))


def _text_whole(value: str) -> str:
    shown = value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    return shown.translate(_ESCAPED) if _SPECIAL.search(shown) else shown
