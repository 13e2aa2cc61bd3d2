"""Reading stored events anew: the new reading takes the former's place, which is kept. What is fixed of an event stays.

Whoever reads an event anew holds its row, so that of two only one does, and a later sending that corrects it waits.
"""

from collections.abc import Collection
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from profiles.copying import copy_events
from profiles.models import Event
from profiles.record import Delivery, Entry
from profiles.subjects import subject_ids
from profiles.ties import Ties
from taxonomy.standardize import Subject

COUNTED, HELD, DISCARDED = int(Event.Standing.COUNTED), int(Event.Standing.HELD), int(Event.Standing.DISCARDED)
_READING = "standing, occurred_at, subject_id, tag_id, attributes, extra, identifiers, refinements, report, rule_id, release_id"
_COLUMNS = _READING.split(", ")


def hold_still(cursor: CursorWrapper, event_ids: Collection[int]) -> set[int]:
    """Lock those of these events that are held, and counted as such by the rollup; their ids."""
    cursor.execute(
        """
        SELECT id FROM profiles_event AS event WHERE id = ANY(%s) AND standing = %s
            AND NOT EXISTS (SELECT FROM profiles_arrival AS arrival WHERE event.id BETWEEN arrival.first_id AND arrival.last_id)
        ORDER BY id FOR UPDATE
        """,
        [sorted(event_ids), HELD],
    )
    return {event_id for (event_id,) in cursor.fetchall()}


def read_anew(cursor: CursorWrapper, read: list[tuple[Delivery, Entry]], act: UUID) -> tuple[dict[Subject, int], Ties]:
    """Give events, locked by `hold_still`, the readings of these entries. What to learn after the commit."""
    subjects: set[Subject] = set()
    for _, entry in read:
        assert entry.result is not None
        if entry.result.subject is not None:
            subjects.add(entry.result.subject)
            if entry.result.verdict == "accepted":
                subjects.update(entry.others)
    ids = subject_ids(cursor, subjects)
    cursor.execute("CREATE TEMP TABLE IF NOT EXISTS read_anew (LIKE profiles_event) ON COMMIT DELETE ROWS")
    copy_events(cursor, read, ids, table="read_anew")
    keep_former(cursor, [entry.event_id for _, entry in read if entry.event_id is not None], act)
    taken = ", ".join(f"{column} = anew.{column}" for column in _COLUMNS)
    cursor.execute(
        f"UPDATE profiles_event AS event SET read_by = %s, {taken} FROM read_anew AS anew WHERE event.id = anew.id",
        [act],
    )
    ties = Ties()
    ties.add(read, ids)
    ties.write(cursor)
    return ids, ties


def discard(cursor: CursorWrapper, event_ids: Collection[int], act: UUID) -> None:
    """Let go of events, locked by `hold_still`: they are kept, and count nowhere."""
    keep_former(cursor, event_ids, act)
    cursor.execute("UPDATE profiles_event SET read_by = %s, standing = %s WHERE id = ANY(%s)", [act, DISCARDED, sorted(event_ids)])


def keep_former(cursor: CursorWrapper, event_ids: Collection[int], act: UUID) -> None:
    cursor.execute(
        f"""
        INSERT INTO profiles_formerreading (event_id, replaced_at, replaced_by, read_by, {_READING})
        SELECT id, now(), %s, read_by, {_READING} FROM profiles_event WHERE id = ANY(%s) ORDER BY id
        """,
        [act, sorted(event_ids)],
    )


def give_back(cursor: CursorWrapper, event_ids: Collection[int], act: UUID) -> list[int]:
    """Give events the readings they had before the act; the ids of those that still had the act's."""
    given = ", ".join(f"{column} = former.{column}" for column in _COLUMNS)
    cursor.execute(
        f"""
        WITH former AS (
            DELETE FROM profiles_formerreading AS former USING profiles_event AS event
            WHERE former.replaced_by = %s AND former.event_id = ANY(%s) AND event.id = former.event_id AND event.read_by = %s
                AND event.standing = ANY(%s)
            RETURNING former.*
        )
        UPDATE profiles_event AS event SET read_by = former.read_by, {given} FROM former WHERE event.id = former.event_id RETURNING event.id
        """,
        [act, sorted(event_ids), act, [COUNTED, DISCARDED]],
    )
    return sorted(event_id for (event_id,) in cursor.fetchall())
