"""Ties drawn anew from the events that count, for subjects some of whose events were taken back or put back.

Taking back deletes no tie itself: it queues the subjects of its events in the commit that takes them back. So a process
killed in between leaves nothing undone, and each commit here is short.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from profiles.link import lock_links, relink
from profiles.models import Event
from profiles.subjects import subject_ids
from taxonomy.released import named
from taxonomy.standardize import GLOBAL_KINDS, Subject

# Others who draw links wait that long.
_SUBJECTS_AT_ONCE = 500

# (weaker subject's id, stronger subject's id) -> (first time, first event)
Evidence = dict[tuple[int, int], tuple[datetime, int]]


def queue_untied(cursor: CursorWrapper, event_ids: list[int]) -> None:
    """Have the ties of these events' subjects drawn anew, after the commit that changes what counts."""
    cursor.execute(
        """
        INSERT INTO profiles_untied (subject_id)
        SELECT DISTINCT subject_id FROM profiles_event WHERE id = ANY(%s) AND subject_id IS NOT NULL AND identifiers IS NOT NULL
        """,
        [event_ids],
    )


def tie_anew() -> int:
    """Draw the ties and links of every subject that waits; how many waited. Resumable: each commit stands for itself."""
    done = 0
    while taken := _tie_anew_once():
        done += taken
    return done


def _tie_anew_once() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        lock_links(cursor)
        # An array: as a subquery it was run again for every row of the queue.
        cursor.execute(
            """
            DELETE FROM profiles_untied WHERE subject_id = ANY(ARRAY(
                SELECT DISTINCT subject_id FROM profiles_untied ORDER BY subject_id LIMIT %s
            )) RETURNING subject_id
            """,
            [_SUBJECTS_AT_ONCE],
        )
        waiting = {subject_id for (subject_id,) in cursor.fetchall()}
        if waiting:
            relink(_write_ties(cursor, sorted(waiting)))
    return len(waiting)


def _write_ties(cursor: CursorWrapper, stronger_ids: list[int]) -> set[int]:
    """Make the ties to these subjects those that counted events give; the weaker subjects concerned.

    The rows are locked before the events are read: whoever ties the same pair meanwhile waits, and then sees what stands.
    """
    cursor.execute(
        "SELECT weaker_id, stronger_id FROM profiles_tie WHERE stronger_id = ANY(%s) ORDER BY weaker_id, stronger_id FOR UPDATE",
        [stronger_ids],
    )
    before = set(cursor.fetchall())
    found = _evidence(cursor, stronger_ids)
    cursor.execute(
        "DELETE FROM profiles_tie AS tie USING unnest(%s::bigint[], %s::bigint[]) AS gone (weaker_id, stronger_id)"
        " WHERE tie.weaker_id = gone.weaker_id AND tie.stronger_id = gone.stronger_id",
        _columns(before - found.keys(), 2),
    )
    cursor.execute(
        """
        UPDATE profiles_tie AS tie SET first_at = seen.first_at, event_id = seen.event_id
        FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[]) AS seen (weaker_id, stronger_id, first_at, event_id)
        WHERE tie.weaker_id = seen.weaker_id AND tie.stronger_id = seen.stronger_id
            AND (tie.first_at, tie.event_id) IS DISTINCT FROM (seen.first_at, seen.event_id)
        """,
        _columns(((*pair, *found[pair]) for pair in found.keys() & before), 4),
    )
    cursor.execute(
        """
        INSERT INTO profiles_tie AS tie (weaker_id, stronger_id, first_at, event_id, settled)
        SELECT *, true FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[])
        ON CONFLICT (weaker_id, stronger_id) DO UPDATE SET settled = false, first_at = least(tie.first_at, excluded.first_at)
        """,
        _columns(((*pair, *found[pair]) for pair in found.keys() - before), 4),
    )
    return {weaker for weaker, _stronger in before | found.keys()}


def _evidence(cursor: CursorWrapper, stronger_ids: list[int]) -> Evidence:
    """What counted events about these subjects tie to them. One query, more for what this process has not met."""
    cursor.execute(
        """
        SELECT event.subject_id, event.source_id, said.kind, said.value, min(event.occurred_at),
            (array_agg(event.id ORDER BY event.occurred_at, event.id))[1]
        FROM profiles_event AS event CROSS JOIN LATERAL jsonb_each_text(event.identifiers) AS said (kind, value)
        WHERE event.subject_id = ANY(%s) AND event.standing = %s AND event.identifiers IS NOT NULL
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        """,
        [stronger_ids, int(Event.Standing.COUNTED)],
    )
    said = cursor.fetchall()
    sources = named("source", (source for _stronger, source, *_rest in said))
    rows = [
        (stronger, Subject(kind, "" if kind in GLOBAL_KINDS else sources[source].definition.get("namespace") or "", value), at, event_id)
        for stronger, source, kind, value, at, event_id in said
    ]
    ids = subject_ids(cursor, {subject for _stronger, subject, _at, _event_id in rows})
    found: Evidence = {}
    for stronger, subject, at, event_id in rows:
        pair = (ids[subject], stronger)
        if ids[subject] != stronger and (pair not in found or (at, event_id) < found[pair]):
            found[pair] = (at, event_id)
    return found


def _columns(rows: Iterable[tuple[object, ...]], width: int) -> list[list[object]]:
    ordered = sorted(rows)  # type: ignore[type-var]
    return [list(column) for column in zip(*ordered, strict=True)] or [[] for _ in range(width)]
