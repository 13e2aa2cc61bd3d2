"""Reading stored events anew: the new reading takes the former's place, which is kept. What is fixed of an event stays.

Whoever reads an event anew holds its row, so that of two only one does, and a later sending that corrects it waits.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.db.backends.utils import CursorWrapper
from django.db.models import prefetch_related_objects

from profiles.copying import array, copy_events
from profiles.entries import CORRECTED, DISCARDED, HELD, MERGED, TAKEN_BACK, Delivery, Entry
from profiles.models import Event
from profiles.subjects import subject_ids
from profiles.ties import Ties
from taxonomy.standardize import Subject

_READING = "standing, occurred_at, subject_id, tag_id, attributes, extra, identifiers, refinements, report, rule_id, release_id"
_COLUMNS = _READING.split(", ")
# What a reading says of an event; the others say how it came to be.
SAID = ("tag_id", "attributes", "extra", "subject_id", "occurred_at", "identifiers", "refinements")
_WHAT = ", ".join(f"event.{column}" for column in SAID)
_WHAT_ANEW = ", ".join(f"anew.{column}" for column in SAID)
_DIFFERS = ", ".join(f"CASE WHEN event.{column} IS DISTINCT FROM anew.{column} THEN '{column}' END" for column in SAID)


class Difference(NamedTuple):
    """`before` and `after`: the tags' uuids; `what`: of SAID, those that differ."""

    event_id: int
    before: str | None
    after: str | None
    what: list[str]


def hold_still(cursor: CursorWrapper, event_ids: Collection[int], *, standings: Collection[int] = (HELD,)) -> set[int]:
    """Lock those of these events that stand so, and were counted by the rollup as they came; their ids."""
    cursor.execute(
        """
        SELECT id FROM profiles_event AS event WHERE id = ANY(%s::bigint[]) AND standing = ANY(%s)
            AND NOT EXISTS (SELECT FROM profiles_arrival AS arrival WHERE event.id BETWEEN arrival.first_id AND arrival.last_id)
        ORDER BY id FOR UPDATE
        """,
        [array(sorted(event_ids)), list(standings)],
    )
    return {event_id for (event_id,) in cursor.fetchall()}


def read_anew(cursor: CursorWrapper, read: list[tuple[Delivery, Entry]], act: UUID) -> dict[Subject, int]:
    """Give events, locked by `hold_still`, the readings of these entries. What to learn after the commit."""
    ids = stage(cursor, read)
    take_staged(cursor, read, ids, act)
    return ids


def stage(cursor: CursorWrapper, read: list[tuple[Delivery, Entry]]) -> dict[Subject, int]:
    """Put the readings of these entries beside the events, in the table read_anew of this transaction; the subjects' ids."""
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
    return ids


def differing(cursor: CursorWrapper) -> list[Difference]:
    """Which events the staged readings would read otherwise, in the order of their ids. By which rule and release does not count."""
    cursor.execute(
        f"""
        SELECT event.id, event.tag_id::text, anew.tag_id::text, array_remove(ARRAY[{_DIFFERS}], NULL)
        FROM profiles_event AS event JOIN read_anew AS anew ON anew.id = event.id WHERE ({_WHAT}) IS DISTINCT FROM ({_WHAT_ANEW}) ORDER BY event.id
        """
    )
    return [Difference(*row) for row in cursor.fetchall()]


def both_readings(event_ids: Collection[int]) -> list[tuple[Event, Event]]:
    """Of staged events the reading that each has, and the staged one, with their subjects; in this order. Four queries."""
    before = Event.objects.in_bulk(event_ids)
    after = {one.pk: one for one in Event.objects.raw("SELECT * FROM read_anew WHERE id = ANY(%s::bigint[])", [array(event_ids)])}
    prefetch_related_objects([*before.values(), *after.values()], "subject")
    return [(before[event_id], after[event_id]) for event_id in event_ids]


def take_staged(cursor: CursorWrapper, read: list[tuple[Delivery, Entry]], ids: dict[Subject, int], act: UUID) -> None:
    """Give the events of these entries, all of them staged, their new readings."""
    event_ids = [entry.event_id for _, entry in read if entry.event_id is not None]
    keep_former(cursor, event_ids, act)
    # What is merged into another stays so, and is looked at again: see ingestion/accepted/near.py.
    taken = ", ".join(f"{column} = anew.{column}" for column in _COLUMNS if column != "standing")
    cursor.execute(
        f"UPDATE profiles_event AS event SET read_by = %s, {taken}, standing = CASE WHEN event.standing = %s THEN %s ELSE anew.standing END"
        " FROM read_anew AS anew WHERE event.id = anew.id AND event.id = ANY(%s::bigint[])",
        [act, MERGED, MERGED, array(event_ids)],
    )
    ties = Ties()
    ties.add(read, ids)
    ties.write(cursor)


def discard(cursor: CursorWrapper, event_ids: Collection[int], act: UUID) -> None:
    """Let go of events, locked by `hold_still`: they are kept, and count nowhere."""
    keep_former(cursor, event_ids, act)
    cursor.execute(
        "UPDATE profiles_event SET read_by = %s, standing = %s WHERE id = ANY(%s::bigint[])", [act, DISCARDED, array(sorted(event_ids))]
    )


def keep_former(cursor: CursorWrapper, event_ids: Collection[int], act: UUID) -> None:
    cursor.execute(
        f"""
        INSERT INTO profiles_formerreading (event_id, replaced_at, replaced_by, read_by, {_READING})
        SELECT id, now(), %s, read_by, {_READING} FROM profiles_event WHERE id = ANY(%s::bigint[]) ORDER BY id
        """,
        [act, array(sorted(event_ids))],
    )


def wait_for_writers(cursor: CursorWrapper, event_ids: Collection[int]) -> None:
    """Lock events: what else changes how they stand is waited for, and seen."""
    cursor.execute("SELECT FROM profiles_event WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE", [array(sorted(event_ids))])


def hand_over(cursor: CursorWrapper, heirs: Mapping[int, UUID], act: UUID) -> None:
    """Have readings of the act stand by other acts, which read the same, and have none of their own. `heirs`: the other act, by event."""
    pairs: list[Any] = [array(list(heirs)), array([str(heir) for heir in heirs.values()]), act]
    pair = "unnest(%s::bigint[], %s::uuid[]) AS heir (event_id, act)"
    cursor.execute(
        f"UPDATE profiles_event AS event SET read_by = heir.act FROM {pair} WHERE event.id = heir.event_id AND read_by = %s", pairs
    )
    for column in ("replaced_by", "read_by"):
        cursor.execute(
            f"UPDATE profiles_formerreading AS former SET {column} = heir.act FROM {pair}"
            f" WHERE former.event_id = heir.event_id AND {column} = %s",
            pairs,
        )


def leave_out(cursor: CursorWrapper, event_ids: Collection[int], act: UUID) -> None:
    """Where a later act replaced the act's reading of an event, have it replace the one before."""
    cursor.execute(
        """
        WITH newer AS (
            DELETE FROM profiles_formerreading AS newer USING profiles_formerreading AS former
            WHERE former.event_id = ANY(%s::bigint[]) AND former.replaced_by = %s
                AND newer.event_id = former.event_id AND newer.read_by = %s AND newer.id > former.id
            RETURNING former.id, newer.replaced_by, newer.replaced_at
        )
        UPDATE profiles_formerreading AS former SET replaced_by = newer.replaced_by, replaced_at = newer.replaced_at
        FROM newer WHERE former.id = newer.id
        """,
        [array(sorted(event_ids)), act, act],
    )


def give_back(cursor: CursorWrapper, event_ids: Collection[int], act: UUID) -> tuple[list[int], list[int]]:
    """Give events, locked by `wait_for_writers`, the readings they had before the act: ids (of those that still had the act's, and
    stand by it again, of those that stand aside).

    What was taken back or corrected since stands as it did, over the reading it had: put back, it is what it was before the act.
    """
    ids = array(sorted(event_ids))
    given = ", ".join(f"{column} = former.{column}" for column in _COLUMNS if column != "standing")
    # The events are named too: joined by their former readings alone, all before them were gone through for each stretch.
    cursor.execute(
        f"""
        WITH former AS (
            DELETE FROM profiles_formerreading AS former USING profiles_event AS event
            WHERE former.replaced_by = %s AND former.event_id = ANY(%s::bigint[]) AND event.id = former.event_id
                AND event.id = ANY(%s::bigint[]) AND event.read_by = %s
            RETURNING former.*
        )
        UPDATE profiles_event AS event
        SET read_by = former.read_by, {given}, standing = CASE WHEN event.standing = ANY(%s) THEN event.standing ELSE former.standing END
        FROM former WHERE event.id = former.event_id AND event.id = ANY(%s::bigint[]) RETURNING event.id, event.standing
        """,
        [act, ids, ids, act, [TAKEN_BACK, CORRECTED], ids],
    )
    read = sorted(cursor.fetchall())
    aside = [event_id for event_id, standing in read if standing in (TAKEN_BACK, CORRECTED)]
    return [event_id for event_id, standing in read if standing not in (TAKEN_BACK, CORRECTED)], aside
