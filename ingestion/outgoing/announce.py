"""Telling subscribers of accepted events: queued with what counts them, made into messages after the commit.

The rollup, and a replay for what it lets in, write whom each event is to be told to in their own transaction, so none is
left out and none told twice, whatever is killed. Messages are made from that queue a few at a time: a receiver that is
down holds up to MOST_WAITING of them, and its events wait as numbers.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Count, Q

from ingestion.models import Dispatch, Subscriber, Unannounced
from ingestion.outgoing.dispatches import dispatch
from profiles.link import settle_soon
from staff.masking import mask_in_text, mask_phone
from staff.personal import looks_personal
from taxonomy.models import Attribute
from taxonomy.released import codes_of, named, released
from taxonomy.released import personal_codes as released_personal_codes
from taxonomy.standardize import decode_json, encode_json

# In one message, and about how many bytes: large events travel in fewer.
MOST_EVENTS = 100
MESSAGE_BYTES = 500_000
# Messages of events under way to one subscriber: what does not answer costs a worker 20 seconds each.
MOST_WAITING = 5
# One at a time, in whatever process.
_LOCK = 7_201_021


def wanted() -> bool:
    """Whether anybody is to be told of accepted events. One query, of a table of a few rows."""
    return Subscriber.objects.filter(active=True, events__contains=[Subscriber.Event.ACCEPTED]).exists()


def queue_accepted(cursor: CursorWrapper, firsts: Sequence[int], lasts: Sequence[int]) -> None:
    """Write down who is to be told of the accepted events of these runs of ids, in the caller's transaction."""
    if firsts and wanted():
        cursor.execute(_QUEUE, {"firsts": list(firsts), "lasts": list(lasts), "told_of": [Subscriber.Event.ACCEPTED], "most": MOST_EVENTS})


# A held event has no attributes, an accepted one always some, if only {}.
_QUEUE = """
    WITH told AS (
        SELECT chosen.subscriber_id, event.id,
            (row_number() OVER (PARTITION BY chosen.subscriber_id ORDER BY event.id) - 1) / %(most)s AS message
        FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS run (first_id, last_id)
        JOIN profiles_event AS event ON event.id BETWEEN run.first_id AND run.last_id
        JOIN ingestion_subscriber_tags AS chosen ON chosen.tag_id = event.tag_id
        JOIN ingestion_subscriber AS subscriber ON subscriber.id = chosen.subscriber_id
        WHERE event.attributes IS NOT NULL AND subscriber.active AND subscriber.events @> %(told_of)s::varchar[]
            AND (NOT EXISTS (SELECT FROM ingestion_subscriber_sources AS narrow WHERE narrow.subscriber_id = subscriber.id)
                OR EXISTS (
                    SELECT FROM ingestion_subscriber_sources AS narrow
                    WHERE narrow.subscriber_id = subscriber.id AND narrow.source_id = event.source_id
                ))
    )
    INSERT INTO ingestion_unannounced (subscriber_id, events)
    SELECT subscriber_id, array_agg(id ORDER BY id) FROM told GROUP BY subscriber_id, message ORDER BY subscriber_id, message
"""


def announce(now: datetime) -> int:
    """Make messages of what is queued, as far as each subscriber has room for; how many. One query where nothing is."""
    if not Unannounced.objects.exists():
        return 0
    settle_soon()  # so that an event known by another identifier names its customer
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        Unannounced.objects.filter(subscriber__active=False).delete()
        subscribers = Subscriber.objects.filter(pk__in=Unannounced.objects.values("subscriber"))
        under_way = dict(
            Dispatch.objects.filter(state=Dispatch.State.WAITING, event=Subscriber.Event.ACCEPTED)
            .values_list("subscriber")
            .annotate(messages=Count("id"))
        )
        return sum(_announce_to(cursor, one, MOST_WAITING - under_way.get(one.pk, 0), now) for one in subscribers)


def _announce_to(cursor: CursorWrapper, subscriber: Subscriber, room: int, now: datetime) -> int:
    made = 0
    for row in Unannounced.objects.filter(subscriber=subscriber).order_by("id")[: max(0, room)]:
        told = told_events(cursor, row.events, personal=subscriber.personal)
        for some in _by_size(told):
            dispatch(subscriber, Subscriber.Event.ACCEPTED, {"events": some}, at=now)
            made += 1
        row.delete()
    return made


def _by_size(told: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    bytes_left = MESSAGE_BYTES
    for one in told:
        size = len(encode_json(one))
        if some and size > bytes_left:
            yield some
            some, bytes_left = [], MESSAGE_BYTES
        some.append(one)
        bytes_left -= size
    if some:
        yield some


def told_events(cursor: CursorWrapper, event_ids: Collection[int], *, personal: bool) -> list[dict[str, Any]]:
    """What is told of these events, in the order they happened; one that was held again, taken back or merged into another meanwhile is left out."""
    cursor.execute(
        """
        SELECT encode(event.key, 'hex'), event.tag_id, coalesce(event.refinements, '{}'), event.attributes::text, event.occurred_at,
            event.received_at, event.source_id, event.identifiers::text, CASE subject.kind WHEN 'phone' THEN subject.value END,
            (
                SELECT customer.public_id FROM profiles_link AS link JOIN profiles_customer AS customer ON customer.id = link.customer_id
                WHERE link.subject_id = event.subject_id AND link.withdrawn_at IS NULL
                    AND event.occurred_at >= coalesce(link.since, '-infinity') AND event.occurred_at < coalesce(link.until, 'infinity')
                ORDER BY link.id LIMIT 1
            )
        FROM profiles_event AS event LEFT JOIN profiles_subject AS subject ON subject.id = event.subject_id
        WHERE event.id = ANY(%s) AND event.attributes IS NOT NULL AND event.standing NOT IN (3, 6) ORDER BY event.occurred_at, event.id
        """,
        [list(event_ids)],
    )
    hidden = set() if personal else personal_codes()
    told = []
    rows = cursor.fetchall()
    tags, sources = named("tag", {row[1] for row in rows}), named("source", {row[6] for row in rows})
    for key, tag, refinements, attributes, occurred_at, received_at, source, identifiers, phone, customer in rows:
        given = decode_json(attributes.encode())
        one = {
            "id": key,
            "tag": tags[tag].code if tag else None,
            "refinements": refinements,
            "attributes": given,
            "occurred_at": occurred_at,
            "received_at": received_at,
            "source": sources[source].code,
            "customer": str(customer) if customer else None,
            "phone": phone,
        }
        if personal:
            one["identifiers"] = decode_json(identifiers.encode()) if identifiers else {}
        else:
            left_out = [str(value) for code, value in given.items() if code.lower() in hidden and value not in (None, "")]
            one["refinements"] = without_personal([each for each in refinements if not any(text in each for text in left_out)], hidden)
            one["attributes"] = without_personal(given, hidden)
            one["phone"] = mask_phone(phone) if phone else None
        told.append(one)
    return told


def personal_codes() -> set[str]:
    """Codes, in small letters, of attributes that are personal, or that hold a phone or an e-mail address, by the release or the draft."""
    contact = (Attribute.Type.PHONE, Attribute.Type.EMAIL)
    drafted = codes_of(Attribute.objects.filter(Q(type__in=contact) | Q(of__in=contact)))
    standing = {one.code for one in released("attribute").values() if {one.definition["type"], one.definition.get("of")} & {*contact}}
    return {*released_personal_codes(), *(code.lower() for code in drafted | standing)}


def without_personal(value: Any, hidden: Collection[str]) -> Any:
    """Without what stands under these names, at any depth; in other texts, what surely is somebody's is masked."""
    if isinstance(value, dict):
        return {key: without_personal(item, hidden) for key, item in value.items() if str(key).lower() not in hidden}
    if isinstance(value, list):
        return [without_personal(item, hidden) for item in value]
    return mask_in_text(value) if isinstance(value, str) and looks_personal(value) else value
