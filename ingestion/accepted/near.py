"""Near-duplicates: events without a message id that say what another of their source said within a few seconds.

Whatever changes which events count queues their ids in its own commit; here a stretch is taken from that queue in the
commit that marks or merges, so a process killed anywhere does nothing twice. The earliest of a stretch stands, before it
what was looked at earlier; the window is measured from the one that stands, so a chain never grows beyond it: of three,
each eight seconds after the other and a window of ten, the second repeats the first and the third stands for itself.
First verdicts and their tallies are left alone.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Q

from ingestion.models import NearDuplicate, NearDuplicateSetting
from profiles.copying import array
from profiles.record import again_where_others_write
from profiles.untied import queue_untied, tie_anew
from taxonomy.released import released

# In one transaction: about half a second.
EVENTS_AT_ONCE = 20_000
_RUNS_AT_ONCE = 5_000
_STRETCHES_AT_ONCE = 100
DECIDED_AT_ONCE = 5_000
# Of a subject's other events in the window: a till that sends all under one number costs no more than this for each event.
LOOKED_AT = 200
# Whoever finds or decides holds it from the first statement on, before any row: so they cannot wait for each other in a ring.
_LOCK = 7_201_023
State = NearDuplicate.State
# (first id, last id) of events
Runs = list[tuple[int, int]]


class _Row(NamedTuple):
    """An event that has another beside it: in its `group`, or the stored one `of`."""

    event_id: int
    group: int
    occurred_at: datetime
    seconds: int
    source_id: UUID
    tag_id: UUID
    of: int | None


class _Pair(NamedTuple):
    event_id: int
    of: int
    source_id: UUID
    tag_id: UUID
    seconds: int


class _Former(NamedTuple):
    """What a pair said that is looked at anew."""

    state: str
    found_at: datetime | None
    decided_by: int | None
    decided_at: datetime | None


_NOT_DECIDED = _Former("", None, None, None)


def queue_near(cursor: CursorWrapper, firsts: Sequence[int], lasts: Sequence[int]) -> None:
    """Have these runs of events looked at, after the commit that stores them or changes whether or how they count."""
    runs = _joined(zip(firsts, lasts, strict=True))
    cursor.execute(
        "INSERT INTO ingestion_unpaired (first_id, last_id) SELECT * FROM unnest(%s::bigint[], %s::bigint[])",
        [array(first for first, _ in runs), array(last for _, last in runs)],
    )


def find_near_duplicates(now: datetime) -> int:
    """Look at what waits, a stretch a transaction, two million events at the most. The number of stretches."""
    stretches = 0
    while stretches < _STRETCHES_AT_ONCE and again_where_others_write(partial(_find_once, now)):
        stretches += 1
    if stretches:
        tie_anew()
    return stretches


def _find_once(now: datetime) -> bool:
    """False when nothing waited, or another process is at it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return False
        runs = _take(cursor)
        if not runs:
            return False
        former = _part(cursor, runs)
        settings = {one.source_id: one for one in NearDuplicateSetting.objects.all()}
        runs = _joined(runs, former)
        pairs = _pairs(_beside(cursor, runs, _windows(settings)))
        _write(cursor, pairs, {source for source, one in settings.items() if one.merge}, former, now)
        merged = _set_standings(cursor, runs)
        queue_untied(cursor, sorted({*former, *merged}))
    return True


def _take(cursor: CursorWrapper) -> Runs:
    """Take the oldest runs from the queue, up to about EVENTS_AT_ONCE events."""
    cursor.execute(
        """
        WITH oldest AS (SELECT id, first_id, last_id FROM ingestion_unpaired ORDER BY id LIMIT %s),
        counted AS (SELECT id, sum(last_id - first_id + 1) OVER (ORDER BY id) - (last_id - first_id + 1) AS before FROM oldest)
        DELETE FROM ingestion_unpaired WHERE id IN (SELECT id FROM counted WHERE before < %s) RETURNING first_id, last_id
        """,
        [_RUNS_AT_ONCE, EVENTS_AT_ONCE],
    )
    return _joined(cursor.fetchall())


def _joined(runs: Iterable[tuple[int, int]], event_ids: Iterable[int] = ()) -> Runs:
    """These runs and a run for each of these events, in order, no event in two of them."""
    found: Runs = []
    for first, last in sorted([*runs, *((one, one) for one in event_ids)]):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


_SAID = ("source_id", "subject_id", "tag_id", "attributes", "extra", "identifiers")
_EVENT_SAID, _THERE_SAID = (", ".join(f"{name}.{column}" for column in _SAID) for name in ("event", "there"))


def _part(cursor: CursorWrapper, runs: Runs) -> dict[int, _Former]:
    """Undo what these events repeat, where it is so no more, and whatever repeats these: by event.

    It is no more where one of the two was taken back, is held again or says something else. What staff decided to let count
    twice stays decided. Two statements, each with an index: joined by one OR, every pair there is was compared with every run.
    """
    values = _columns(runs)
    cursor.execute(
        f"""
        WITH broken AS (
            SELECT pair.event_id FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS run (first_id, last_id)
            JOIN ingestion_nearduplicate AS pair ON pair.event_id BETWEEN run.first_id AND run.last_id
            JOIN profiles_event AS event ON event.id = pair.event_id JOIN profiles_event AS there ON there.id = pair.of_id
            WHERE NOT (event.standing IN (1, 6) AND there.standing = 1 AND ({_EVENT_SAID}) IS NOT DISTINCT FROM ({_THERE_SAID})
                AND event.occurred_at BETWEEN there.occurred_at - pair.window_seconds * interval '1 second'
                    AND there.occurred_at + pair.window_seconds * interval '1 second')
            UNION
            SELECT pair.event_id FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS run (first_id, last_id)
            JOIN ingestion_nearduplicate AS pair ON pair.of_id BETWEEN run.first_id AND run.last_id
        )
        DELETE FROM ingestion_nearduplicate AS pair USING broken WHERE pair.event_id = broken.event_id AND pair.state <> 'kept'
        RETURNING pair.event_id, pair.state, pair.found_at, pair.decided_by_id, pair.decided_at
        """,
        values,
    )
    gone = {event_id: _Former(*rest) for event_id, *rest in cursor.fetchall()}
    # Also those that were given back a reading from when they were merged.
    cursor.execute(
        """
        UPDATE profiles_event AS event SET standing = 1 FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS run (first_id, last_id)
        WHERE event.id BETWEEN run.first_id AND run.last_id AND event.standing = 6
            AND NOT EXISTS (SELECT FROM ingestion_nearduplicate AS pair WHERE pair.event_id = event.id AND pair.state = 'merged')
        """,
        _columns(_joined(runs, gone)),
    )
    return gone


# What still waits to be counted or looked at is no partner yet: it will find this one when its turn comes.
_BESIDE = f"""
    WITH waiting AS MATERIALIZED (
        SELECT range_agg(int8range(first_id, last_id, '[]')) AS ids FROM (
            SELECT first_id, last_id FROM profiles_arrival UNION ALL SELECT first_id, last_id FROM ingestion_unpaired
            UNION ALL SELECT * FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[])
        ) AS run
    ), looked AS MATERIALIZED (
        SELECT event.id, event.occurred_at, {_EVENT_SAID}, chosen.seconds, chosen.seconds * interval '1 second' AS near
        FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS run (first_id, last_id)
        JOIN profiles_event AS event ON event.id BETWEEN run.first_id AND run.last_id
        LEFT JOIN unnest(%(sources)s::uuid[], %(windows)s::int[]) AS own (source_id, seconds) ON own.source_id = event.source_id
        CROSS JOIN LATERAL (SELECT coalesce(own.seconds, %(seconds)s) AS seconds) AS chosen
        WHERE event.standing = 1 AND event.message_id IS NULL AND event.subject_id IS NOT NULL AND event.tag_id IS NOT NULL AND chosen.seconds > 0
            AND NOT EXISTS (SELECT FROM ingestion_nearduplicate AS pair WHERE pair.event_id = event.id)
    ), grouped AS (
        SELECT looked.*, first_value(id) OVER said AS of_group, lag(occurred_at) OVER said AS before, lead(occurred_at) OVER said AS after
        FROM looked
        WINDOW said AS (PARTITION BY subject_id, source_id, tag_id, attributes, extra, identifiers ORDER BY occurred_at, id)
    )
    SELECT grouped.id, grouped.of_group, grouped.occurred_at, grouped.seconds, grouped.source_id, grouped.tag_id, stored.id
    FROM grouped LEFT JOIN LATERAL (
        SELECT there.id FROM (
            SELECT * FROM profiles_event AS other
            WHERE other.subject_id = grouped.subject_id
                AND other.occurred_at BETWEEN grouped.occurred_at - grouped.near AND grouped.occurred_at + grouped.near
            ORDER BY other.occurred_at, other.id LIMIT {LOOKED_AT}
        ) AS there
        WHERE there.standing = 1 AND there.message_id IS NULL AND NOT there.id <@ (SELECT ids FROM waiting)
            AND there.source_id = grouped.source_id AND there.tag_id = grouped.tag_id AND there.attributes = grouped.attributes
            AND there.extra IS NOT DISTINCT FROM grouped.extra AND there.identifiers IS NOT DISTINCT FROM grouped.identifiers
            AND NOT EXISTS (SELECT FROM ingestion_nearduplicate AS pair WHERE pair.event_id = there.id AND (pair.state <> 'kept' OR pair.of_id = grouped.id))
        ORDER BY there.occurred_at, there.id LIMIT 1
    ) AS stored ON true
    WHERE stored.id IS NOT NULL OR grouped.occurred_at - grouped.before <= grouped.near OR grouped.after - grouped.occurred_at <= grouped.near
    ORDER BY grouped.of_group, grouped.occurred_at, grouped.id
"""


def _beside(cursor: CursorWrapper, runs: Runs, windows: dict[UUID, int]) -> list[_Row]:
    """Those of these events that have an equal one within their source's window. One statement, by the index of the timeline."""
    values: dict[str, Any] = {"sources": list(windows), "windows": list(windows.values()), "seconds": NearDuplicateSetting.WINDOW_SECONDS}
    cursor.execute(_BESIDE, _columns(runs) | values)
    return [_Row(*row) for row in cursor.fetchall()]


def _pairs(rows: list[_Row]) -> list[_Pair]:
    """Who repeats whom: a stored one, else the last of its group that repeats nobody. Rows come by group and time."""
    pairs: list[_Pair] = []
    stands: _Row | None = None
    for row in rows:
        of = row.of
        if of is None and stands and stands.group == row.group and row.occurred_at - stands.occurred_at <= timedelta(seconds=row.seconds):
            of = stands.event_id
        if of is None:
            stands = row
        else:
            pairs.append(_Pair(row.event_id, of, row.source_id, row.tag_id, row.seconds))
    return pairs


def _windows(settings: dict[UUID, NearDuplicateSetting]) -> dict[UUID, int]:
    """{source: seconds} where it is not the usual one. Who says that identical rows are separate means it, until told otherwise."""
    separate = {source: 0 for source, one in released("source").items() if one.definition.get("separate_rows")}
    return separate | {source: one.window_seconds for source, one in settings.items()}


def _write(cursor: CursorWrapper, pairs: list[_Pair], merging: set[UUID], former: dict[int, _Former], now: datetime) -> None:
    """What somebody merged by hand stays merged, whatever it repeats now."""
    rows = []
    for pair in pairs:
        before = former.get(pair.event_id, _NOT_DECIDED)
        merged = pair.source_id in merging or before.state == State.MERGED
        rows.append((*pair, State.MERGED if merged else State.MARKED, before.decided_by, before.decided_at, before.found_at or now))
    cursor.execute(
        """
        INSERT INTO ingestion_nearduplicate
            (event_id, of_id, source_id, tag_id, window_seconds, state, decided_by_id, decided_at, found_at)
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
        """,
        [list(column) for column in zip(*rows, strict=True)] or [[]] * 9,
    )


def _set_standings(cursor: CursorWrapper, runs: Runs) -> list[int]:
    """Let what is merged of these not count: found now, or given back a reading that counted. Their ids."""
    cursor.execute(
        """
        UPDATE profiles_event AS event SET standing = 6
        FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS run (first_id, last_id)
        JOIN ingestion_nearduplicate AS pair ON pair.event_id BETWEEN run.first_id AND run.last_id
        WHERE pair.state = 'merged' AND event.id = pair.event_id AND event.standing = 1 RETURNING event.id
        """,
        _columns(runs),
    )
    return [event_id for (event_id,) in cursor.fetchall()]


def _columns(runs: Runs) -> dict[str, Any]:
    return {"firsts": [first for first, _ in runs], "lasts": [last for _, last in runs]}


def decide(pairs: Q, act: str, *, by: int | None, now: datetime) -> int:
    """Let both count ("keep"), for good, or only the one ("merge"), of these pairs; how many. Safe to call again after any interruption.

    Merged is only what stands beside an event that counts.
    """
    done = 0
    while some := again_where_others_write(partial(_decide_some, pairs, act, by, now)):
        done += some
    if done:
        tie_anew()
    return done


def _decide_some(pairs: Q, act: str, by: int | None, now: datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if act == "keep":
            state, before, after = State.KEPT, 6, 1
            wanted = NearDuplicate.objects.exclude(state=State.KEPT)
        else:
            state, before, after = State.MERGED, 1, 6
            wanted = NearDuplicate.objects.exclude(state=State.MERGED).filter(event__standing=1, of__standing=1)
        ids = list(wanted.filter(pairs).order_by("event_id").values_list("event_id", flat=True)[:DECIDED_AT_ONCE])
        NearDuplicate.objects.filter(pk__in=ids).update(state=state, decided_by=by, decided_at=now)
        cursor.execute("UPDATE profiles_event SET standing = %s WHERE id = ANY(%s) AND standing = %s", [after, ids, before])
        queue_untied(cursor, ids)
    return len(ids)


def found_of(source_id: UUID, *, tag_id: UUID | None, since: datetime | None, until: datetime) -> Q:
    """The pairs of a source that were found in this time and nobody decided to keep apart."""
    found = Q(source=source_id, found_at__lt=until) & ~Q(state=State.KEPT)
    found &= Q(found_at__gte=since) if since else Q()
    return found & Q(tag=tag_id) if tag_id else found
