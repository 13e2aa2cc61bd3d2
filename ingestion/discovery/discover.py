"""Event names and attributes that arrive and that the standard does not know: counted, looked at, kept up to a limit."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.backends.utils import CursorWrapper
from django.db.models import Count

from ingestion.discovery.values import kind_of
from ingestion.models import Discovered, Sighting
from staff.masking import STARS, mask_identifier, mask_in_text
from taxonomy.personal import Personal

# What is kept of one source; a hostile one sends a new name with every event.
MOST: dict[str, int] = {Discovered.Kind.NAME: 300, Discovered.Kind.ATTRIBUTE: 500}
WRITTEN_EVERY = timedelta(hours=1)
# Values of one attribute looked at in one stretch of events.
_VALUES = 300
_EXAMPLE_CHARACTERS = 80
# Where a source is at its limit, names seen once or twice make room after so long.
_RARE, _RARE_AFTER = 2, timedelta(days=7)

EVENTS = """
    FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS run (first_id, last_id)
    JOIN profiles_event AS event ON event.id BETWEEN run.first_id AND run.last_id
"""

# An event of a thousand invented attributes costs no more than one of two hundred; what holds an event comes first.
MOST_VIOLATIONS = 200
VIOLATIONS = "CROSS JOIN LATERAL jsonb_array_elements(event.report->'violations') WITH ORDINALITY AS each (violation, place)"

Key = tuple[str, UUID, UUID | None, str]

# The names alone: what a value is read for costs far more, and is read of the names that are kept.
_UNKNOWN = """
    SELECT 'name' AS kind, event.source_id, NULL::uuid AS tag_id, left(event.name, 200) AS name, event.received_at, event.standing = 3 AS is_away
    {events} WHERE event.attributes IS NULL AND event.name IS NOT NULL AND event.report->'violations' @> '[{{"code": "event.unknown"}}]'
    UNION ALL
    SELECT 'attribute', event.source_id, event.tag_id, left(substring(violation->>'path' FROM 12), 200), event.received_at, event.standing = 3
    {events} {violations}
    WHERE event.report IS NOT NULL AND place <= {most} AND violation->>'code' = 'attribute.unplanned'
        AND event.tag_id IS NOT NULL
"""
_NAMES = """
    WITH unknown AS ({unknown}), grouped AS (
        SELECT kind, source_id, tag_id, name, count(*) AS count, min(received_at) AS first_at, max(received_at) AS last_at,
            bool_or(is_away) AS is_away
        FROM unknown GROUP BY 1, 2, 3, 4
    ), there AS (
        SELECT source_id, kind, count(*) AS names FROM ingestion_discovered GROUP BY 1, 2
    ), ranked AS (
        SELECT grouped.*, known.id IS NOT NULL AS is_known,
            row_number() OVER (PARTITION BY grouped.source_id, grouped.kind, known.id IS NOT NULL ORDER BY grouped.count DESC, grouped.name)
                + coalesce(there.names, 0) <= CASE grouped.kind WHEN 'name' THEN %(most_names)s ELSE %(most_attributes)s END AS has_room
        FROM grouped LEFT JOIN ingestion_discovered AS known ON known.source_id = grouped.source_id AND known.kind = grouped.kind
            AND known.tag_id IS NOT DISTINCT FROM grouped.tag_id AND known.name = grouped.name
        LEFT JOIN there ON there.source_id = grouped.source_id AND there.kind = grouped.kind
    )
    SELECT CASE WHEN kept THEN kind ELSE 'rest' END, source_id, CASE WHEN kept THEN tag_id END, CASE WHEN kept THEN name ELSE '' END,
        sum(count), min(first_at), max(last_at), kept AND bool_or(is_away)
    FROM (SELECT *, is_known OR has_room AS kept FROM ranked) AS judged GROUP BY 1, 2, 3, 4, kept ORDER BY 1, 2, 3, 4
"""
# What stands aside in an event is taken apart once, and filtered by one hashed list before anything is joined:
# in one join, the planner compared each of 900 names with each of 500 wanted ones, for every event.
_SEEN_VALUES = """
    WITH sent AS MATERIALIZED (
        SELECT event.source_id, event.tag_id, left(each.key, 200) AS name, each.value
        {events} CROSS JOIN LATERAL jsonb_each(event.extra) AS each
        WHERE event.extra IS NOT NULL AND left(each.key, 200) = ANY(%(wanted)s::text[])
    )
    SELECT source_id, tag_id, name, json_type, text, count FROM (
        SELECT source_id, tag_id, name, jsonb_typeof(value) AS json_type, left(value #>> '{{}}', 200) AS text, count(*) AS count,
            row_number() OVER (PARTITION BY source_id, tag_id, name
                ORDER BY count(*) DESC, jsonb_typeof(value), left(value #>> '{{}}', 200)) AS rank
        FROM sent GROUP BY 1, 2, 3, 4, 5
    ) AS grouped WHERE rank <= {most} ORDER BY source_id, tag_id, name, rank
"""


# Events as they were read first: by that they were counted. As in ingestion/accepted/takeback.py no index has `id + 0`.
_AS_READ_FIRST = """
    FROM (
        SELECT event.id, event.source_id, event.name, event.received_at, event.standing,
            CASE WHEN (first.one).id IS NULL THEN event.tag_id ELSE (first.one).tag_id END AS tag_id,
            CASE WHEN (first.one).id IS NULL THEN event.attributes ELSE (first.one).attributes END AS attributes,
            CASE WHEN (first.one).id IS NULL THEN event.extra ELSE (first.one).extra END AS extra,
            CASE WHEN (first.one).id IS NULL THEN event.report ELSE (first.one).report END AS report
        FROM profiles_event AS event LEFT JOIN LATERAL (
            SELECT (array_agg(former ORDER BY former.id + 0))[1] AS one FROM profiles_formerreading AS former WHERE former.event_id = event.id
        ) AS first ON true WHERE {which}
    ) AS event
"""
TAKEN_BACK = _AS_READ_FIRST.format(which="event.id = ANY(%(ids)s)")
# Of a stretch of ids: what was counted, taken back or not.
COUNTED = """
    event.id BETWEEN %(first_id)s AND %(last_id)s AND event.source_id = ANY(%(sources)s::uuid[]) AND NOT EXISTS (
        SELECT FROM profiles_arrival AS run WHERE run.last_id >= %(first_id)s AND run.first_id <= %(last_id)s
            AND event.id BETWEEN run.first_id AND run.last_id
    )
"""
_LEFT = _AS_READ_FIRST.format(which=f"{COUNTED} AND event.standing <> 3")
_LEFT_OF = """
    SELECT kind, source_id, tag_id, name, count(*), min(received_at), max(received_at), false
    FROM ({unknown}) AS unknown WHERE name = ANY(%(names)s::text[]) GROUP BY 1, 2, 3, 4
"""


def discover(cursor: CursorWrapper, firsts: list[int], lasts: list[int]) -> None:
    """Write a sighting for each unknown name and unplanned attribute among these runs of events. Three statements."""
    runs: dict[str, Any] = {"firsts": firsts, "lasts": lasts}
    found = _sightings(cursor, _NAMES, EVENTS, runs)
    _look_at_values(cursor, EVENTS, runs, found)
    Sighting.objects.bulk_create(found.values())


def see_less(cursor: CursorWrapper, ids: list[int], *, sign: int = 1) -> None:
    """Write sightings of fewer: what these events, taken back, were counted for. `sign` -1: put back. Two statements."""
    found = _sightings(cursor, _NAMES, TAKEN_BACK, {"ids": ids}).values()
    for one in found:
        one.count *= -sign
        one.again = one.kind != Discovered.Kind.REST
    Sighting.objects.bulk_create(found)


def see_again(cursor: CursorWrapper, keys: Collection[Key], first_id: int, last_id: int) -> dict[Key, Sighting]:
    """What a stretch of events says of these names, of those that were counted and are not taken back. Two statements."""
    which = {"first_id": first_id, "last_id": last_id, "sources": list({key[1] for key in keys}), "names": list({key[3] for key in keys})}
    found = {key: one for key, one in _sightings(cursor, _LEFT_OF, _LEFT, which).items() if key in keys}
    _look_at_values(cursor, _LEFT, which, found)
    return found


def _sightings(cursor: CursorWrapper, statement: str, events: str, which: dict[str, Any]) -> dict[Key, Sighting]:
    unknown = _UNKNOWN.format(events=events, violations=VIOLATIONS, most=MOST_VIOLATIONS)
    limits = {"most_names": MOST[Discovered.Kind.NAME], "most_attributes": MOST[Discovered.Kind.ATTRIBUTE]}
    cursor.execute(statement.format(unknown=unknown), limits | which)
    return {
        (kind, source, tag, name): Sighting(
            kind=kind, source_id=source, tag_id=tag, name=name, count=count, first_at=first, last_at=last, again=again
        )
        for kind, source, tag, name, count, first, last, again in cursor.fetchall()
    }


def _look_at_values(cursor: CursorWrapper, events: str, which: dict[str, Any], found: dict[Key, Sighting]) -> None:
    wanted = [key[3] for key in found if key[0] == Discovered.Kind.ATTRIBUTE]
    if not wanted:
        return
    personal = Personal()
    cursor.execute(_SEEN_VALUES.format(events=events, most=_VALUES), which | {"wanted": wanted})
    for source, tag, name, json_type, text, count in cursor.fetchall():
        sighting = found.get((Discovered.Kind.ATTRIBUTE, source, tag, name))
        if sighting is None:  # the name is wanted of another tag or source, and of this one there was no room for it
            continue
        kind = kind_of(_value(json_type, text))
        sighting.kinds[kind] = sighting.kinds.get(kind, 0) + count
        if len(sighting.examples) < Discovered.EXAMPLES and kind != "empty":
            example = STARS if personal.sent_by(source).hides(name, text) else masked_example(kind, text)
            sighting.examples += [example] * (example not in sighting.examples)


def _value(json_type: str, text: str) -> Any:
    return {"boolean": True, "array": [], "object": {}, "null": None}.get(json_type, text)


def masked_example(kind: str, text: str) -> str:
    """A value as people may see it who may not see personal data: what is not surely a thing's is masked."""
    shown = mask_in_text(text[:_EXAMPLE_CHARACTERS])
    if shown == text[:_EXAMPLE_CHARACTERS] and kind in ("digits", "phone", "identity_card", "bank_card"):
        return mask_identifier("", shown)
    return shown


def fold(now: datetime) -> None:
    """Add the sightings to their names' rows: of new names at once, of others when the row is an hour old.

    Names of which events were taken back or put back wait for ingestion/watching/again.py.
    """
    due = sorted(Sighting.objects.raw(_DUE, [now - WRITTEN_EVERY]), key=lambda one: one.pk)
    if not due:
        return
    rows = {key_of(row): row for row in Discovered.objects.filter(source__in={one.source_id for one in due})}
    for one in due:
        row = rows.setdefault(key_of(one), first_row(one))
        row.add(one)
        row.written_at = now
    write(rows[key] for key in dict.fromkeys(map(key_of, due)))
    Sighting.objects.filter(pk__in=[one.pk for one in due]).delete()


def write(rows: Iterable[Discovered]) -> None:
    rows = list(rows)
    there = [row for row in rows if row.pk is not None]
    Discovered.objects.bulk_create(row for row in rows if row.pk is None)
    Discovered.objects.bulk_update(there, ["count", "first_at", "last_at", "kinds", "examples", "written_at"])


_DUE = """
    SELECT * FROM ingestion_sighting AS seen WHERE NOT EXISTS (
        SELECT FROM ingestion_discovered AS there WHERE there.source_id = seen.source_id AND there.kind = seen.kind
            AND there.tag_id IS NOT DISTINCT FROM seen.tag_id AND there.name = seen.name AND there.written_at > %s
    ) AND NOT EXISTS (
        SELECT FROM ingestion_sighting AS other WHERE other.again AND other.source_id = seen.source_id AND other.kind = seen.kind
            AND other.tag_id IS NOT DISTINCT FROM seen.tag_id AND other.name = seen.name
    )
"""


def forget_rare(now: datetime) -> None:
    """Make room where a source is at its limit."""
    full = Discovered.objects.values("source_id", "kind").annotate(rows=Count("id"))
    for one in full:
        if one["rows"] >= MOST.get(one["kind"], one["rows"] + 1):
            Discovered.objects.filter(
                source=one["source_id"], kind=one["kind"], count__lte=_RARE, last_at__lt=now - _RARE_AFTER, ignorings=None
            ).delete()


def key_of(row: Discovered | Sighting) -> Key:
    return row.kind, row.source_id, row.tag_id, row.name


def first_row(one: Sighting) -> Discovered:
    return Discovered(
        kind=one.kind, source_id=one.source_id, tag_id=one.tag_id, name=one.name, first_at=one.first_at, last_at=one.last_at,
        kinds={}, examples=[],
    )  # fmt: skip
