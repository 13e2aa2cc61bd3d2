"""What events carry as they were sent: read again from their original records, the newest ones."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from ingestion.discovery.discover import masked_example
from ingestion.discovery.values import kind_of
from ingestion.doors.files import FileFormat
from ingestion.models import Discovered
from ingestion.reread import reread
from staff.masking import Places, mask_in_record, mask_in_text
from taxonomy.current import NoRelease, current
from taxonomy.personal import Personal
from taxonomy.standardize import Plan, RawEvent, SourcePlan, decode_json, encode_json

# Enough to see what is always there and what now and then; read while somebody waits.
SAMPLE = 50
_MOST_ATTRIBUTES = 40
# Of the newest events, a few of each name: what is always there, is there.
_AMONG, _LOOKED_AT, _OF_EACH_NAME, _AT_MOST = 200_000, 20_000, 5, 2_000


@dataclass(frozen=True, slots=True)
class Carried:
    """An attribute of such events: its name masked, the share of the sample with it, its most frequent kind and a masked value."""

    name: str
    percent: float
    kind: str
    example: str


def carried(held: list[RawEvent], source: UUID) -> list[Carried]:
    """Those most events carry first."""
    events = [event.attributes for event in held]
    places = Personal().sent_by(source)
    values: dict[str, list[Any]] = defaultdict(list)
    for attributes in events:
        for name, value in attributes.items():
            values[name].append(value)
    names = sorted(values, key=lambda name: (-len(values[name]), name))[:_MOST_ATTRIBUTES]
    return [_carried(name, values[name], len(events), places) for name in names]


def _carried(name: str, values: list[Any], events: int, places: Places) -> Carried:
    kinds = Counter(kind_of(value) for value in values)
    kind = kinds.most_common(1)[0][0]
    value = next(value for value in values if kind_of(value) == kind)
    [shown] = mask_in_record({name: value}, hidden=places).values()
    text = shown if isinstance(shown, str) else encode_json(shown).decode()
    return Carried(mask_in_text(name), 100 * len(values) / events, kind, masked_example(kind, text))


def events_sent(sources: Collection[str]) -> list[tuple[str, RawEvent]]:
    """A few of the newest events of each name of these sources, as they were sent: [(source, event)]. One query.

    Where an accepted event's record is kept no longer, what was made of it stands for it.
    """
    try:
        plan = current().plan
    except NoRelease:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT event.source_id::text, event.name, (coalesce(event.extra, '{{}}') || coalesce(event.attributes, '{{}}'))::text, {_RECORD}
            FROM (
                SELECT *, row_number() OVER (PARTITION BY source_id, name ORDER BY id DESC) AS nth
                FROM (
                    SELECT * FROM (SELECT * FROM profiles_event ORDER BY id DESC LIMIT {_AMONG}) AS lately
                    WHERE standing <> 3 ORDER BY id DESC LIMIT {_LOOKED_AT}
                ) AS newest
                WHERE name IS NOT NULL AND source_id = ANY(%s::uuid[])
            ) AS event {_JOINED} WHERE nth <= {_OF_EACH_NAME} ORDER BY nth, event.id DESC LIMIT {_AT_MOST}
            """,
            [sorted(sources)],
        )
        stored = cursor.fetchall()
    found = []
    for uuid, name, made, *written in stored:
        source = plan.sources_by_uuid.get(uuid)
        if source is None:
            continue
        if written[0] is not None:
            event = _read_again(*written, source=source, plan=plan)
        else:
            attributes = decode_json(made.encode())
            event = RawEvent(source.code, name, None, None, {}, None, None, written[-1], None, None, attributes, {}, b"", [])
        found += [(uuid, event)] if event else []
    return found


def events_held(row: Discovered) -> list[RawEvent]:
    """The newest held events of an unknown name, as they were sent; none where its source is not released. One query."""
    try:
        plan = current().plan
    except NoRelease:
        return []
    source = plan.sources_by_uuid.get(str(row.source_id))
    if source is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {_RECORD}
            FROM (
                SELECT id, event_id FROM ingestion_quarantinereason
                WHERE open AND source_id = %s AND code = 'event.unknown' AND path = 'event' AND name = %s ORDER BY id DESC LIMIT %s
            ) AS reason JOIN profiles_event AS event ON event.id = reason.event_id {_JOINED} ORDER BY reason.id DESC
            """,
            [row.source_id, row.name, SAMPLE],
        )
        stored = cursor.fetchall()
    return [event for written in stored if written[0] and (event := _read_again(*written, source=source, plan=plan))]


_RECORD = "coalesce(original.record, held.record), original.item, batch.format::text, batch.door, event.received_at"
_JOINED = """
    LEFT JOIN profiles_original AS original ON original.event_id = event.id
    LEFT JOIN profiles_original AS held ON held.event_id = original.holder_id LEFT JOIN profiles_batch AS batch ON batch.id = event.batch_id
"""


def _read_again(
    record: bytes, item: int | None, written_format: str | None, door: str | None, received_at: datetime, *, source: SourcePlan, plan: Plan
) -> RawEvent | None:
    file_format = FileFormat(**decode_json(written_format.encode())) if written_format else None
    events = reread(bytes(record), source, plan, door=door or "", received_at=received_at, file_format=file_format)
    found = events[item or 0] if (item or 0) < len(events) else None
    return found if isinstance(found, RawEvent) else None
