"""Counting what arrived, by day, after the commit: a few statements for thousands of events, no job per event.

The queue is `Arrival`: runs of event ids, each written by the commit that stored the events. They are deleted in the
transaction that holds their counts, so a rollup killed anywhere counts everything once. The row of a transaction still
open is not there yet, and is found later: whatever order commits come in, none is passed over.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from traceback import format_tb
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper

from ingestion.accepted.near import find_near_duplicates, queue_near
from ingestion.discovery.discover import EVENTS, MOST_VIOLATIONS, TAKEN_BACK, VIOLATIONS, discover, fold, forget_rare
from ingestion.models import StoredHour
from ingestion.outgoing.announce import queue_accepted
from ingestion.quarantine.causes import add_up
from ingestion.watching.leaks import look_for_leaks
from taxonomy.standardize.codes import HELD

_log = logging.getLogger(__name__)
# One rollup at a time, in whatever process.
LOCK = 7_201_011
# Events counted in one transaction: a second's work, and little to do again when it is killed.
EVENTS_AT_ONCE = 20_000
_RUNS_AT_ONCE = 2_000
# A job ends some time, however much goes on arriving; the next begins ten seconds later.
_STRETCHES_AT_ONCE = 100
# A source that sends another version with every event gets this many by name.
MOST_VERSIONS = 100
OTHER_VERSIONS = "…"
_VERSION_CHARACTERS = 40
_VERSIONS_REMEMBERED = timedelta(days=30)
_HOURS_KEPT = timedelta(days=2)
# Paths that the sender is free to choose; Discovered keeps those that matter, with a limit.
_FREE_PATHS = ("record.repeated_key", "envelope.unknown_field", "identifier.unknown_kind", "attribute.unplanned")


def roll_up(now: datetime) -> int:
    """Count what waits, a stretch a transaction, two million events at the most. The number of stretches."""
    stretches = 0
    while stretches < _STRETCHES_AT_ONCE and roll_up_once(now):
        stretches += 1
    with transaction.atomic():
        if _alone():
            _beside_the_counts(partial(fold, now))
            _beside_the_counts(partial(forget_rare, now))
            StoredHour.objects.filter(hour__lt=now - _HOURS_KEPT).delete()
    find_near_duplicates(now)
    add_up(now)
    return stretches


def roll_up_once(now: datetime) -> bool:
    """Count one stretch of what waits. False when nothing did."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not _alone():
            return False
        firsts, lasts = _take(cursor)
        if not firsts:
            return False
        values: dict[str, Any] = {
            "firsts": firsts, "lasts": lasts, "zone": settings.TIME_ZONE, "held": list(HELD), "free": list(_FREE_PATHS),
            "versions": _versions(cursor, firsts, lasts), "other": OTHER_VERSIONS,
        }  # fmt: skip
        for statement in (_READINGS, _HOURS, _VIOLATIONS, _ATTRIBUTES):
            cursor.execute(statement, values)
        _beside_the_counts(partial(discover, cursor, firsts, lasts))
        _beside_the_counts(partial(look_for_leaks, cursor, firsts, lasts, now))
        queue_accepted(cursor, firsts, lasts)
        queue_near(cursor, firsts, lasts)
        _beside_the_counts(partial(fold, now))
    return True


def watch_less(cursor: CursorWrapper, take_back_id: int, ids: list[int], *, sign: int = 1) -> None:
    """Write into the ledger what these events, taken back, violated of what is only watched. `sign` -1: put back. One statement."""
    values: dict[str, Any] = {"ids": ids, "act": take_back_id, "sign": sign, "zone": settings.TIME_ZONE, "held": list(HELD)}
    values["free"] = list(_FREE_PATHS)
    cursor.execute(_WATCHED_LESS, values)


def _beside_the_counts(look: Callable[[], object]) -> None:
    """What looks into values: where it fails over one of them, the counts of these events stand, and those after them go on."""
    try:
        with transaction.atomic():
            look()
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # Where it happened, without what it says: that may repeat what was sent.
        _log.error("%s while looking at what arrived\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _take(cursor: CursorWrapper) -> tuple[list[int], list[int]]:
    """Take the oldest runs from the queue, up to about EVENTS_AT_ONCE events: their first and their last ids."""
    cursor.execute(
        """
        WITH oldest AS (SELECT id, first_id, last_id FROM profiles_arrival ORDER BY id LIMIT %s),
        counted AS (SELECT id, sum(last_id - first_id + 1) OVER (ORDER BY id) - (last_id - first_id + 1) AS before FROM oldest)
        DELETE FROM profiles_arrival WHERE id IN (SELECT id FROM counted WHERE before < %s) RETURNING first_id, last_id
        """,
        [_RUNS_AT_ONCE, EVENTS_AT_ONCE],
    )
    taken = sorted(cursor.fetchall())
    return [first for first, _ in taken], [last for _, last in taken]


def _versions(cursor: CursorWrapper, firsts: list[int], lasts: list[int]) -> list[str]:
    """The versions kept by name, as "source version": those of the last month, then the most frequent new ones up to the limit."""
    cursor.execute(
        f"""
        SELECT event.source_id::text, left(event.source_version, %(characters)s), count(*), min(event.received_at) {EVENTS}
        WHERE event.source_version IS NOT NULL GROUP BY 1, 2
        """,
        {"firsts": firsts, "lasts": lasts, "characters": _VERSION_CHARACTERS},
    )
    seen = cursor.fetchall()
    if not seen:
        return []
    cursor.execute(
        "SELECT DISTINCT source_id::text, source_version FROM ingestion_readingday"
        " WHERE source_id = ANY(%s::uuid[]) AND day > %s AND source_version <> ''",
        [list({row[0] for row in seen}), min(row[3] for row in seen).date() - _VERSIONS_REMEMBERED],
    )
    kept: dict[str, set[str]] = {}
    for source, version in cursor.fetchall():
        kept.setdefault(source, set()).add(version)
    for source, version, _count, _first_at in sorted(seen, key=lambda row: (-row[2], row[0], row[1])):
        known = kept.setdefault(source, set())
        if len(known) < MOST_VERSIONS:
            known.add(version)
    return [f"{source} {version}" for source, versions in kept.items() for version in versions]


_DAY = "(event.received_at AT TIME ZONE %(zone)s)::date"
_VERSION = f"""
    CASE WHEN event.source_version IS NULL THEN ''
         WHEN event.source_id::text || ' ' || left(event.source_version, {_VERSION_CHARACTERS}) = ANY(%(versions)s::text[])
         THEN left(event.source_version, {_VERSION_CHARACTERS}) ELSE %(other)s END
"""

# Held events keep no attributes, accepted ones always some, if only {}: the first verdict, whatever became of it since.
_READINGS = f"""
    INSERT INTO ingestion_readingday AS there
        (day, source_id, tag_id, rule, release_id, source_version, accepted, count, hours, last_at)
    SELECT {_DAY} AS day, event.source_id, event.tag_id, event.rule_id, event.release_id, {_VERSION} AS version,
        event.attributes IS NOT NULL, count(*), bit_or(1 << extract(hour FROM event.received_at AT TIME ZONE %(zone)s)::int),
        max(event.received_at)
    {EVENTS} GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT ON CONSTRAINT reading_day_once DO UPDATE SET count = there.count + excluded.count, hours = there.hours | excluded.hours,
        last_at = greatest(there.last_at, excluded.last_at)
"""

_HOURS = f"""
    INSERT INTO ingestion_storedhour AS there (source_id, hour, accepted, held)
    SELECT event.source_id, date_trunc('hour', event.received_at, %(zone)s) AS hour, count(event.attributes), count(*) - count(event.attributes)
    {EVENTS} GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT ON CONSTRAINT stored_hour_once DO UPDATE SET accepted = there.accepted + excluded.accepted, held = there.held + excluded.held
"""

_PATH = """
    CASE WHEN violation->>'code' = ANY(%(free)s) THEN ''
         ELSE left(regexp_replace(coalesce(violation->>'path', ''), '\\[\\d+\\]|\\.\\d+(?=\\.|$)', '[]', 'g'), 200) END
"""
# A violation that holds, on an event that was accepted, was only watched.
_EFFECT = """
    CASE WHEN coalesce(violation->>'mode', '') <> '' THEN 'watched' WHEN violation->>'code' <> ALL(%(held)s) THEN 'noted'
         WHEN event.attributes IS NULL THEN 'held' ELSE 'watched' END
"""
_VIOLATIONS = f"""
    INSERT INTO ingestion_violationday AS there
        (day, source_id, tag_id, code, path, release_id, source_version, effect, count)
    SELECT {_DAY} AS day, event.source_id, event.tag_id, left(violation->>'code', 60), {_PATH}, event.release_id, {_VERSION} AS version,
        {_EFFECT}, count(DISTINCT event.id)
    {EVENTS} {VIOLATIONS}
    WHERE event.report IS NOT NULL AND place <= {MOST_VIOLATIONS} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
    ON CONFLICT ON CONSTRAINT violation_day_once DO UPDATE SET count = there.count + excluded.count
"""
_WATCHED_LESS = f"""
    INSERT INTO ingestion_watchedless (take_back_id, day, source_id, tag_id, code, path, count)
    SELECT %(act)s, {_DAY} AS day, event.source_id, event.tag_id, left(violation->>'code', 60), {_PATH} AS path, %(sign)s * count(DISTINCT event.id)
    {TAKEN_BACK} {VIOLATIONS}
    WHERE event.report IS NOT NULL AND place <= {MOST_VIOLATIONS} AND {_EFFECT} = 'watched' GROUP BY 2, 3, 4, 5, 6
"""

_ATTRIBUTES = f"""
    INSERT INTO ingestion_attributeday AS there (day, source_id, tag_id, attribute, count)
    SELECT {_DAY} AS day, event.source_id, event.tag_id, left(code, 120), count(*)
    {EVENTS} CROSS JOIN LATERAL jsonb_object_keys(event.attributes) AS code
    WHERE event.attributes IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT ON CONSTRAINT attribute_day_once DO UPDATE SET count = there.count + excluded.count
"""
