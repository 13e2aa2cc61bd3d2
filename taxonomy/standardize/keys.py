"""Message identity: one event per source and message id, whatever its verdict, door or time.

A 16-byte BLAKE2b hash, so that the unique index holds no personal data. The kinds of hash are kept apart by
BLAKE2's `person` parameter: an id that looks like somebody's derived key is still another event.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from taxonomy.standardize.decode import storable
from taxonomy.standardize.read import CUT, text_of
from taxonomy.standardize.spreadsheets import is_cut
from taxonomy.standardize.structs import RawEvent

if TYPE_CHECKING:
    from taxonomy.standardize.plan import SourcePlan

KEY_BYTES = 16

_canonical = msgspec.json.Encoder(order="sorted", decimal_format="string")
_exact = msgspec.json.Encoder(order="sorted", decimal_format="number")


class MessageKey(msgspec.Struct, frozen=True, gc=False):
    """`identity` says what the key rests on: the id as sent, the content, or neither (each sending is its own event)."""

    key: bytes
    identity: Literal["given", "derived", "none"]


def message_key(source_uuid: str, message_id: str) -> bytes:
    """Hash a source's uuid and a message id as sent."""
    hashing = _started(source_uuid, b"given").copy()
    hashing.update(message_id.encode("utf-8", "surrogatepass"))
    return hashing.digest()


def message_key_of(raw: RawEvent, source: "SourcePlan", *, nonce: bytes = b"", row: bytes = b"") -> MessageKey:
    """The key of an event: of its message id, else derived from its content as written.

    `nonce` tells sendings apart that have neither id nor time (random per sending, or file and row number).
    `row` is given by file doors only: file and row number, used where the source says identical rows are separate.
    """
    if raw.message_id is not None:
        return MessageKey(message_key(source.uuid, raw.message_id), "given")
    hashing = _started(source.uuid, b"derived").copy()
    hashing.update(_as_written(raw))
    if raw.notes:
        hashing.update(_left_of_id(raw))
    if raw.occurred_at is None:
        hashing.update(nonce)
        return MessageKey(hashing.digest(), "none")
    if source.separate_rows:
        hashing.update(row)
    return MessageKey(hashing.digest(), "derived")


def _left_of_id(raw: RawEvent) -> bytes:
    """Where an id was sent and cannot be read: what keeps events with other ids from being each other's duplicates."""
    for note in raw.notes:
        if note.path == "id" and note.expected == "text":
            return raw.original + b"\0%d" % (raw.item or 0)
        if note.path == "id" and note.expected == CUT and not is_cut(note.seen):
            return str(note.seen).encode()  # the parts beside the cut one
    return b""


def told_apart(key: MessageKey, likes: dict[bytes, int]) -> bytes:
    """The key of an event among those of one record: like ones were written on purpose, so the second and later have keys of their own.

    `likes` counts the record's events so far. Counted, not placed: the first is what it would be alone, and their order does not matter.
    """
    if key.identity != "derived":
        return key.key
    before = likes.get(key.key, 0)
    likes[key.key] = before + 1
    return blake2b(key.key + before.to_bytes(4), digest_size=KEY_BYTES, person=b"like").digest() if before else key.key


def content_hash(raw: RawEvent, *, as_text: bool = False) -> bytes:
    """Hash what a reading can depend on, types included: tells "sent again" from "sent again, corrected".

    `as_text`: what it says, scalars as text and nothing that is empty, so that a row of a file and a JSON object may say the same.
    """
    occurred_at, attributes = raw.occurred_at, raw.attributes
    if as_text:
        occurred_at, attributes = None if occurred_at is None else text_of(occurred_at), _texts(attributes)
    content = [raw.name, raw.phone, raw.region, raw.identifiers, occurred_at, raw.source_version, attributes, raw.context]
    return blake2b(_encode(_exact, content), digest_size=KEY_BYTES, person=b"content").digest()


@lru_cache(maxsize=2048)
def _started(source_uuid: str, person: bytes) -> blake2b:
    """A hash that has taken the source in already; copy it before use."""
    return blake2b(source_uuid.encode() + b"\0", digest_size=KEY_BYTES, person=person)


def _as_written(raw: RawEvent) -> bytes:
    """Name, phone, identifiers, time, and attributes with scalars as text and keys sorted.

    Absent and empty values do not count, so that a CSV row and a JSON object saying the same are the same.
    Never received_at, context, region or release.
    """
    occurred_at = raw.occurred_at
    content = [
        raw.name,
        raw.phone,
        raw.identifiers,
        occurred_at if occurred_at is None or type(occurred_at) is str else text_of(occurred_at),
        raw.attributes if _are_filled_texts(raw.attributes) else _texts(raw.attributes),
    ]
    return _encode(_canonical, content)


def _are_filled_texts(attributes: dict[str, Any]) -> bool:
    """As the rows of files are: they say already what they say as texts."""
    are_filled = True
    for value in attributes.values():  # all() would take half as long again
        are_filled = are_filled and type(value) is str and value != ""
    return are_filled


def _texts(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value if type(value) is str else str(value) if type(value) in _WHOLE else _as_text(value)
        for key, value in attributes.items()
        if value or (value is not None and value != "")
    }


def _as_text(value: Any) -> Any:
    """Scalars as text, all the way down."""
    if type(value) is dict:
        return _texts(value)
    if type(value) is list:
        return [_as_text(inner) for inner in value]
    return value if value is None else text_of(value)


_WHOLE = frozenset({int, float})


def _encode(encoder: msgspec.json.Encoder, content: Any) -> bytes:
    try:
        return encoder.encode(content)
    except UnicodeEncodeError:
        return encoder.encode(storable(content))
