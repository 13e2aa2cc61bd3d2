"""What is on disk under a delivery's keys: found, compared with what says it again, and set aside where it gives way."""

from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from profiles.copying import hex_array
from profiles.entries import CORRECTED, DISCARDED, HELD, TAKEN_BACK, Delivery, Entry, Pair, Sent, Stored
from taxonomy.standardize import content_hash, decode_json


def stored_of(cursor: CursorWrapper, keys: Iterable[bytes]) -> dict[bytes, Stored]:
    wanted = list(keys)
    if not wanted:
        return {}
    # What is new, as nearly all is, asks no more: planning the question below costs more than storing an event.
    cursor.execute("SELECT key FROM profiles_event WHERE key = ANY(%s::bytea[])", [hex_array(wanted)])
    wanted = [bytes(key) for (key,) in cursor.fetchall()]
    if not wanted:
        return {}
    # No index has `id + 0`: sorted by id, all readings were gone through while PostgreSQL did not know how many are new.
    cursor.execute(
        """
        SELECT event.id, event.source_id, key, standing, corrected_by_id, tag_id, refinements,
            (CASE WHEN read_by IS NULL THEN report ELSE (
                SELECT (array_agg(former.report ORDER BY former.id + 0))[1] FROM profiles_formerreading AS former WHERE former.event_id = event.id
            ) END)::text, coalesce(original.record, holder.record), original.item, batch_id
        FROM profiles_event AS event LEFT JOIN profiles_original AS original ON original.event_id = event.id
        LEFT JOIN profiles_original AS holder ON holder.event_id = original.holder_id
        WHERE key = ANY(%s)
        """,
        [wanted],
    )
    found = cursor.fetchall()
    read_with = _read_with(cursor, {batch_id for *_, batch_id in found})
    return {
        bytes(key): Stored(
            event_id,
            source_id,
            bytes(key),
            standing,
            corrected_by_id,
            tag_id,
            refinements or [],
            decode_json(report.encode()) if report else {},
            Sent(bytes(original or b""), item, *read_with.get(batch_id, ("", None))),
        )
        for event_id, source_id, key, standing, corrected_by_id, tag_id, refinements, report, original, item, batch_id in found
    }


def mends_of(cursor: CursorWrapper, named: Collection[Stored], *, but: set[UUID]) -> dict[bytes, Stored]:
    """{key of an event that was corrected: what stands in its place}. `but`: not by these batches."""
    gone = (CORRECTED, TAKEN_BACK)
    corrected = {one.event_id: one.key for one in named if one.standing in gone and one.corrected_by_id is not None}
    if not corrected:
        return {}
    cursor.execute(
        """
        WITH RECURSIVE later (first, id) AS (
            SELECT id, corrected_by_id FROM profiles_event WHERE id = ANY(%s)
            UNION SELECT first, event.corrected_by_id FROM later JOIN profiles_event AS event USING (id) WHERE event.standing = ANY(%s)
        )
        SELECT first, key FROM later JOIN profiles_event USING (id) WHERE standing <> ALL(%s) AND batch_id <> ALL(%s)
        """,
        [list(corrected), list(gone), list(gone), list(but)],
    )
    keys = {corrected[first]: bytes(key) for first, key in cursor.fetchall()}
    stored = stored_of(cursor, set(keys.values()))
    return {key: stored[mend] for key, mend in keys.items() if mend in stored}


def _read_with(cursor: CursorWrapper, batch_ids: set[UUID]) -> dict[UUID, tuple[str, dict[str, Any] | None]]:
    """Door and file format of batches. Asked apart, so that what is new asks nothing and a file's columns come once."""
    if not batch_ids:
        return {}
    cursor.execute("SELECT id, door, format::text FROM profiles_batch WHERE id = ANY(%s)", [list(batch_ids)])
    return {batch_id: (door, decode_json(form.encode()) if form else None) for batch_id, door, form in cursor.fetchall()}


def set_aside(cursor: CursorWrapper, superseded: list[tuple[Stored, Entry]]) -> None:
    """Free the keys of events that give way. One held or let go of is thereby corrected; what was taken back stays so, and for good.

    One that stands otherwise by now keeps its key: storing it again is then a unique violation, and the whole is done again.
    """
    if not superseded:
        return
    if held_again := [stands.event_id for stands, _ in superseded if stands.corrected_by_id is not None]:
        _release(cursor, held_again)
    cursor.execute(
        """
        UPDATE profiles_event AS event
        SET key = freed.key, take_back_id = NULL, standing = CASE WHEN was = ANY(%(mended)s) THEN %(corrected)s ELSE was END,
            corrected_by_id = CASE WHEN was = ANY(%(mended)s) THEN freed.by ELSE corrected_by_id END
        FROM unnest(%(ids)s::bigint[], %(keys)s::bytea[], %(by)s::bigint[], %(was)s::int[]) AS freed (id, key, by, was)
        WHERE event.id = freed.id AND event.standing = was
        """,
        {
            "mended": [HELD, DISCARDED], "corrected": CORRECTED,
            "ids": [stands.event_id for stands, _ in superseded],
            "keys": [freed_key(stands.key, stands.event_id) for stands, _ in superseded],
            "by": [entry.event_id for _, entry in superseded],
            "was": [stands.standing for stands, _ in superseded],
        },
    )  # fmt: skip


def _release(cursor: CursorWrapper, held_again: list[int]) -> None:
    """Of events held again because their corrections were taken back: those corrections cannot be put back any more."""
    cursor.execute(
        """
        WITH RECURSIVE later (id) AS (
            SELECT corrected_by_id FROM profiles_event WHERE id = ANY(%s)
            UNION SELECT event.corrected_by_id FROM later JOIN profiles_event AS event ON event.id = later.id
        )
        UPDATE profiles_event SET take_back_id = NULL WHERE id IN (SELECT id FROM later) AND standing = %s
        """,
        [held_again, TAKEN_BACK],
    )


def freed_key(key: bytes, event_id: int) -> bytes:
    """The key of an event that gave its own to another."""
    return blake2b(key + event_id.to_bytes(8), digest_size=16, person=b"freed").digest()


def close(cursor: CursorWrapper, pairs: Iterable[Pair], named: dict[bytes, Stored]) -> list[int]:
    """Close the events held, or let go of, that mended rows name, of the same source; their ids. A row that came before in order closes too.

    Of a row that tells of several events each closes only what was held of its own place in the row. `named`: what stands by now
    for the keys that they name.
    """
    closing = [
        (held, delivery.source_id, entry.first.event_id if entry.first else entry.event_id, entry.raw.item if entry.raw else None)
        for delivery, entry in pairs
        if entry.closes and (entry.first is None or entry.first.verdict == "accepted")
        for key in entry.closes
        if (held := named[key].key if key in named else key) not in (entry.key, entry.first and entry.first.key)
    ]
    if not closing:
        return []
    cursor.execute(
        """
        UPDATE profiles_event AS event SET standing = %s, corrected_by_id = closing.by
        FROM unnest(%s::bytea[], %s::uuid[], %s::bigint[], %s::int[]) AS closing (key, source_id, by, item)
        WHERE event.key = closing.key AND event.source_id = closing.source_id AND standing = ANY(%s) AND NOT EXISTS (
            SELECT FROM profiles_original AS original WHERE original.event_id = event.id AND original.item <> closing.item
        ) RETURNING event.id
        """,
        [CORRECTED, *[list(column) for column in zip(*closing, strict=True)], [HELD, DISCARDED]],
    )
    return [event_id for (event_id,) in cursor.fetchall()]


def same_content(one: Pair, other: Pair) -> bool:
    """Whether they say the same, by whatever door: a number and its digits as text do."""
    return _sent(*one) == _sent(*other) or _content(one[1]) == _content(other[1])


def mends(pair: Pair, held: Pair) -> bool:
    """Whether it takes the place of what is held: it says otherwise, or says it in types that are accepted."""
    entry, former = pair[1], held[1]
    if same_content(pair, held):
        assert entry.raw is not None and former.raw is not None
        return is_accepted(entry) and content_hash(entry.raw) != content_hash(former.raw)
    return True


def is_accepted(entry: Entry) -> bool:
    return entry.result is not None and entry.result.verdict == "accepted"


def _sent(delivery: Delivery, entry: Entry) -> Sent:
    assert entry.raw is not None
    return Sent(entry.original, entry.raw.item, delivery.door, delivery.format)


def _content(entry: Entry) -> bytes:
    assert entry.raw is not None
    return content_hash(entry.raw, as_text=True)


def supersedes(entry: Entry, stands: Stored, delivery: Delivery) -> bool:
    """Whether an entry takes the place of what is stored under its key: taken back, or held and now said otherwise.

    What was let go of gives way only to what is accepted: it would come back with each sending again.
    """
    if stands.standing == TAKEN_BACK:
        return True
    if stands.standing == DISCARDED:
        return is_accepted(entry) and says_otherwise(entry, stands, delivery, exactly=True)
    return stands.standing == HELD and says_otherwise(entry, stands, delivery, exactly=is_accepted(entry))


def says_otherwise(entry: Entry, stands: Stored, delivery: Delivery, *, exactly: bool = False) -> bool:
    """Whether it and what is stored say different things, each read as its own door and its own file's columns have it.

    `exactly`: other types are another thing too.
    """
    assert stands.sent is not None
    if _sent(delivery, entry) == stands.sent:
        return False
    former = delivery.reread(stands.sent)
    assert entry.raw is not None
    return former is None or content_hash(entry.raw, as_text=not exactly) != content_hash(former, as_text=not exactly)
