"""How much: a customer's events, purchases and given traits in a few set-based questions."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from profiles.bought import bought, separate_sources
from profiles.models import Customer, Event
from profiles.timeline import events_of
from taxonomy.released import by_code, by_codes

_EVENTS = """
    FROM profiles_link AS link JOIN profiles_event AS event ON event.subject_id = link.subject_id
        AND event.occurred_at >= coalesce(link.since, '-infinity') AND event.occurred_at < coalesce(link.until, 'infinity')
    WHERE link.customer_id = %(customer)s AND link.withdrawn_at IS NULL
"""


@dataclass(slots=True)
class Summary:
    """`by_month`: {(month, tag id, source id): events}. `sums`: {currency: purchases less refunds}."""

    events: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    held: int = 0
    by_month: dict[tuple[date, UUID, UUID], int] = field(default_factory=dict)
    purchases: int = 0
    last_purchase_at: datetime | None = None
    sums: dict[str, Decimal] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)


def summary(customer: Customer) -> Summary:
    """A few queries over the customer's own events."""
    found = Summary()
    with connection.cursor() as cursor:
        _count(cursor, customer, found)
        _add_purchases(cursor, customer, found)
        _add_traits(cursor, customer, found)
    return found


def _count(cursor: Any, customer: Customer, found: Summary) -> None:
    cursor.execute(
        f"""
        SELECT date_trunc('month', event.occurred_at AT TIME ZONE %(zone)s)::date, tag_id, source_id, count(*),
            min(event.occurred_at), max(event.occurred_at)
        {_EVENTS} AND standing = 1 GROUP BY 1, 2, 3
        """,
        {"customer": customer.pk, "zone": settings.TIME_ZONE},
    )
    for month, tag_id, source_id, count, first_at, last_at in cursor.fetchall():
        found.by_month[month, tag_id, source_id] = count
        found.events += count
        found.first_at = min(first_at, found.first_at or first_at)
        found.last_at = max(last_at, found.last_at or last_at)
    found.held = held_of(customer).count()


def held_of(customer: Customer) -> QuerySet[Event]:
    """The events held that name a subject of this customer."""
    return events_of(customer).filter(standing=Event.Standing.HELD)


def _add_purchases(cursor: Any, customer: Customer, found: Summary) -> None:
    """Distinct order ids, else events; each order and refund summed once, refunds taken off."""
    tags = {code: tag.pk for code, tag in by_codes("tag", ("purchase", "refund")).items()}
    separate = separate_sources({source for _month, _tag, source in found.by_month})
    cursor.execute(
        bought(_EVENTS, customer="link.customer_id"),
        {"customer": customer.pk, "purchase": tags.get("purchase"), "refund": tags.get("refund"), "separate": separate},
    )
    orders: set[Any] = set()
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for event_id, tag_id, order_id, occurred_at, currency, amount, counts in cursor.fetchall():
        is_purchase = tag_id == tags.get("purchase")
        if counts:
            sums[currency] += amount if is_purchase else -amount
        if is_purchase:
            orders.add(order_id or event_id)
            found.last_purchase_at = max(occurred_at, found.last_purchase_at or occurred_at)
    found.purchases, found.sums = len(orders), dict(sorted(sums.items()))


def _add_traits(cursor: Any, customer: Customer, found: Summary) -> None:
    """The newest given value of each trait."""
    tag = by_code("tag", "profile_update")
    cursor.execute(
        f"""
        SELECT event.attributes::text
        {_EVENTS} AND standing = 1 AND event.tag_id = %(tag)s ORDER BY event.occurred_at, event.id
        """,
        {"customer": customer.pk, "tag": tag.pk if tag else None},
    )
    for (attributes,) in cursor.fetchall():
        found.traits |= json.loads(attributes, parse_float=Decimal)
