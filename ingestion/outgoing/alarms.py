"""Telling subscribers that a cause holds more events than they set as a limit: once, until it holds fewer again."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse

from ingestion.models import Alarm, Subscriber
from ingestion.outgoing.dispatches import dispatch
from ingestion.quarantine.causes import add_up
from staff.masking import mask_in_text
from taxonomy.released import named

# New ones of one subscriber in one go, those with most events first: names are the sender's to choose.
MOST_AT_ONCE = 100
# One judgment at a time.
_LOCK = 7_201_022

Cause = tuple[UUID, str, str, str]


class _Held(NamedTuple):
    """Events held for one cause in a window of time."""

    number: int
    first_at: datetime
    last_at: datetime
    cause_id: int


@transaction.atomic
def raise_alarms(now: datetime) -> int:
    """Tell each subscriber of the causes that came over its limit, and forget those that fell below; how many were told."""
    subscribers = list(Subscriber.objects.filter(active=True, events__contains=[Subscriber.Event.HELD]).prefetch_related("sources"))
    if not subscribers:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    add_up(now)
    windows = {one.held_minutes: _held_since(now - timedelta(minutes=one.held_minutes)) for one in subscribers}
    names = named("source", {cause[0] for held in windows.values() for cause in held})
    sources = {one.pk: one.code for one in names.values() if one.code}
    return sum(_raise_for(one, windows[one.held_minutes], sources, now) for one in subscribers)


def _held_since(since: datetime) -> dict[Cause, _Held]:
    """What is still held of what arrived since, by cause; read by the index of what is held."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT cause.source_id, cause.code, cause.path, cause.name, count(*), min(event.received_at), max(event.received_at),
                min(cause.id)
            FROM profiles_event AS event JOIN ingestion_quarantinereason AS reason ON reason.event_id = event.id AND reason.open
            JOIN ingestion_cause AS cause ON (cause.source_id, cause.code, cause.path, cause.name)
                = (reason.source_id, reason.code, reason.path, reason.name)
            WHERE event.standing = 2 AND event.received_at >= %s GROUP BY 1, 2, 3, 4
            """,
            [since],
        )
        return {row[:4]: _Held(*row[4:]) for row in cursor.fetchall()}


def _raise_for(subscriber: Subscriber, held: dict[Cause, _Held], sources: dict[UUID, str], now: datetime) -> int:
    only = {source.pk for source in subscriber.sources.all()}
    over = {
        cause: one
        for cause, one in held.items()
        if one.number >= subscriber.held_events and cause[0] in sources and (not only or cause[0] in only)
    }
    stand: dict[Cause, int] = {(one.source_id, one.code, one.path, one.name): one.pk for one in subscriber.alarms.all()}
    Alarm.objects.filter(pk__in=[pk for cause, pk in stand.items() if cause not in over]).delete()
    new = sorted(over.keys() - stand.keys(), key=lambda cause: (-over[cause].number, over[cause].cause_id))[:MOST_AT_ONCE]
    for cause in new:
        source_id, code, path, name = cause
        Alarm.objects.create(subscriber=subscriber, source_id=source_id, code=code, path=path, name=name, raised_at=now)
        dispatch(subscriber, Subscriber.Event.HELD, _said(subscriber, cause, over[cause], sources[source_id]), at=now)
    return len(new)


def _said(subscriber: Subscriber, cause: Cause, held: _Held, source: str) -> dict[str, Any]:
    _source_id, code, path, name = cause
    shown = str if subscriber.personal else mask_in_text
    return {
        "source": source,
        "code": code,
        "path": shown(path),
        "name": shown(name),
        "held": held.number,
        "limit": subscriber.held_events,
        "minutes": subscriber.held_minutes,
        "first_at": held.first_at,
        "last_at": held.last_at,
        "page": settings.SITE_URL + reverse("admin:quarantine_cause", args=[held.cause_id]),
    }
