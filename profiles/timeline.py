"""A customer's counted events over all their links, newest first, by keyset: as quick on the thousandth page as on the first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from profiles.models import Customer, Event, Link
from profiles.readable import Readable

PAGE = 50


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last event of a page: the next one begins after it."""

    occurred_at: datetime
    event_id: int

    def __str__(self) -> str:
        microseconds = (self.occurred_at - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
        return f"{microseconds:x}.{self.event_id:x}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        moment, _dot, event_id = text.partition(".")
        if len(text) > 40:
            return None
        try:
            at = datetime(1970, 1, 1, tzinfo=UTC) + int(moment, 16) * _MICROSECOND
            return cls(at, found) if 0 <= (found := int(event_id, 16)) < 2**63 else None
        except (ValueError, OverflowError):
            return None


_MICROSECOND = datetime.resolution


def timeline(
    customer: Customer,
    *,
    after: Cursor | None = None,
    limit: int = PAGE,
    since: datetime | None = None,
    until: datetime | None = None,
    tag_ids: Iterable[UUID] | None = None,
    source_id: UUID | None = None,
    readable: Readable | None = None,
) -> tuple[list[Event], Cursor | None]:
    """(events, cursor of the next page or None). Two queries; each link is read by its index, a page at the most."""
    where = ["standing = 1"]
    values: dict[str, Any] = {}
    if after:
        where.append("(occurred_at, id) < (%(at)s, %(id)s)")
        values |= {"at": after.occurred_at, "id": after.event_id}
    if since:
        where.append("occurred_at >= %(since)s")
        values["since"] = since
    if until:
        where.append("occurred_at < %(until)s")
        values["until"] = until
    if tag_ids is not None:
        where.append("tag_id = ANY(%(tags)s)")
        values["tags"] = list(tag_ids)
    if source_id:
        where.append("source_id = %(source)s")
        values["source"] = source_id
    if readable:
        where.append("(tag_id IS NULL OR tag_id = ANY(%(read_tags)s)) AND source_id = ANY(%(read_sources)s)")
        values |= {"read_tags": list(readable.tags), "read_sources": list(readable.sources)}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT found.id FROM profiles_link AS link CROSS JOIN LATERAL (
                SELECT id, occurred_at FROM profiles_event
                WHERE subject_id = link.subject_id
                    AND occurred_at >= coalesce(link.since, '-infinity') AND occurred_at < coalesce(link.until, 'infinity')
                    AND {" AND ".join(where)}
                ORDER BY occurred_at DESC, id DESC LIMIT %(limit)s
            ) AS found
            WHERE link.customer_id = %(customer)s AND link.withdrawn_at IS NULL
            ORDER BY found.occurred_at DESC, found.id DESC LIMIT %(limit)s
            """,
            {**values, "customer": customer.pk, "limit": limit + 1},
        )
        ids = [event_id for (event_id,) in cursor.fetchall()]
    by_id = Event.objects.in_bulk(ids[:limit])
    events = [by_id[event_id] for event_id in ids[:limit]]
    following = Cursor(events[-1].occurred_at, events[-1].pk) if len(ids) > limit else None  # type: ignore[arg-type]
    return events, following


def holder_of(key: bytes) -> Customer | None:
    """The customer whose timeline has this event, by its key."""
    event = Event.objects.filter(key=key, subject__isnull=False).only("subject_id", "occurred_at").first()
    if event is None:
        return None
    at = event.occurred_at
    links = Link.objects.filter(
        Q(since=None) | Q(since__lte=at), Q(until=None) | Q(until__gt=at), subject=event.subject_id, withdrawn_at=None
    )
    found = links.select_related("customer").first()
    return found.customer if found else None


def events_of(customer: Customer) -> QuerySet[Event]:
    """What the customer's subjects did while they were the customer's, whatever its standing; what has no time yet, when it came."""
    links = Link.objects.filter(customer=customer, withdrawn_at=None)
    theirs = links.filter(
        Q(since=None) | Q(since__lte=OuterRef("at")), Q(until=None) | Q(until__gt=OuterRef("at")), subject=OuterRef("subject")
    )
    return Event.objects.alias(at=Coalesce("occurred_at", "received_at")).filter(Exists(theirs), subject__in=links.values("subject"))


def event_of(customer: Customer, key: bytes) -> Event | None:
    """One of the customer's events by its key, whatever its standing."""
    found: Any = events_of(customer).filter(key=key).select_related("release", "batch", "subject").defer("release__snapshot").first()
    return found
