"""What events with an unknown name carry: read again from the newest ones that are held, so that one can tell what they mean."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from ingestion.discover import masked_example
from ingestion.doors.files import FileFormat
from ingestion.models import Discovered
from ingestion.reread import reread
from ingestion.values import kind_of
from staff.masking import STARS, mask_in_text
from taxonomy.current import NoRelease, current
from taxonomy.released import personal_codes
from taxonomy.standardize import Plan, Refusal, SourcePlan, decode_json, encode_json

# Enough to see what is always there and what now and then; read while somebody waits.
SAMPLE = 50
_MOST_ATTRIBUTES = 40


@dataclass(frozen=True, slots=True)
class Carried:
    """An attribute of such events: its name masked, the share of the sample with it, its most frequent kind and a masked value."""

    name: str
    percent: float
    kind: str
    example: str


def carried(row: Discovered) -> list[Carried]:
    """Those most events carry first; none when no event is held any more, or its source is not released."""
    try:
        plan = current().plan
    except NoRelease:
        return []
    source = plan.sources_by_uuid.get(str(row.source_id))
    if source is None:
        return []
    events = list(_attributes_of(row, source, plan))
    personal = personal_codes()
    values: dict[str, list[Any]] = defaultdict(list)
    for attributes in events:
        for name, value in attributes.items():
            values[name].append(value)
    names = sorted(values, key=lambda name: (-len(values[name]), name))[:_MOST_ATTRIBUTES]
    return [_carried(name, values[name], len(events), hidden=name.lower() in personal) for name in names]


def _carried(name: str, values: list[Any], events: int, *, hidden: bool) -> Carried:
    kinds = Counter(kind_of(value) for value in values)
    kind = kinds.most_common(1)[0][0]
    value = next(value for value in values if kind_of(value) == kind)
    text = value if isinstance(value, str) else encode_json(value).decode()
    return Carried(mask_in_text(name), 100 * len(values) / events, kind, STARS if hidden else masked_example(kind, text))


def _attributes_of(row: Discovered, source: SourcePlan, plan: Plan) -> Iterator[dict[str, Any]]:
    """The attributes as sent of the newest held events of this name. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(original.record, held.record), original.item, batch.format::text, batch.door, event.received_at
            FROM (
                SELECT event_id FROM ingestion_quarantinereason
                WHERE open AND source_id = %s AND code = 'event.unknown' AND path = 'event' AND name = %s ORDER BY id DESC LIMIT %s
            ) AS reason JOIN profiles_event AS event ON event.id = reason.event_id
            JOIN profiles_original AS original ON original.event_id = event.id
            LEFT JOIN profiles_original AS held ON held.event_id = original.holder_id LEFT JOIN profiles_batch AS batch ON batch.id = event.batch_id
            """,
            [row.source_id, row.name, SAMPLE],
        )
        stored = cursor.fetchall()
    for record, item, written_format, door, received_at in stored:
        original = bytes(record)
        file_format = decode_json(written_format.encode()) if written_format else None
        events = reread(
            original, source, plan, door=door or "", received_at=received_at, file_format=FileFormat(**file_format) if file_format else None
        )
        at = item or 0
        if at < len(events) and not isinstance(raw := events[at], Refusal):
            yield raw.attributes
