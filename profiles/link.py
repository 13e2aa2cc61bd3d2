"""Ties become links: a deterministic function of the evidence, so that any order of arrival ends in the same links.

Links are only ever added or withdrawn. A subject's links by evidence follow from its ties alone:
device and anonymous_id follow the newest phone, from that event on; an account kind belongs to its first phone, all its
past included, until a second phone makes it contested; an identifier with too many phones is shared and ties nothing.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from profiles.models import Event, Link, Subject, Tie
from profiles.ties import HOPELESS
from taxonomy.released import released
from taxonomy.standardize import GLOBAL_KINDS, KINDS

_LOCK = 7_201_005
logger = logging.getLogger(__name__)

_FOLLOWING = frozenset({"device", "anonymous_id"})
_STRENGTH = {kind: rank for rank, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From `since` (None: the beginning) until `until` (None: without end) a subject is the customer's."""

    customer_id: int
    since: datetime | None
    until: datetime | None


def settle() -> int:
    """Draw the links that follow from ties not yet settled; the number of ties. One process at a time, others wait."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            lock_links(cursor)
            # Before the events are read: one that is committed later asks again. A tie somebody writes is theirs to settle.
            cursor.execute(
                """
                UPDATE profiles_tie AS tie SET settled = true
                FROM (SELECT id FROM profiles_tie WHERE NOT settled FOR UPDATE SKIP LOCKED) AS due
                WHERE tie.id = due.id RETURNING tie.weaker_id
                """
            )
            unsettled = [weaker for (weaker,) in cursor.fetchall()]
        relink(set(unsettled))
        return len(unsettled)


def lock_links(cursor: CursorWrapper) -> None:
    """Wait until nobody else draws links, and let nobody until the commit."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def settle_soon() -> None:
    """Settle now; where that fails, the periodic job does. The events are on disk: their sender must not be told otherwise."""
    try:
        settle()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("links are drawn later: %s", type(error).__name__)


def relink(subject_ids: Iterable[int]) -> None:
    """Draw the links of these subjects, and of all weaker ones that hang on them, anew from what ties them."""
    affected = _with_weaker(set(subject_ids))
    kinds = dict(Subject.objects.filter(pk__in=affected).exclude(kind="phone").values_list("id", "kind"))
    if not kinds:
        return
    sightings = _sightings(kinds.keys())
    spans = _standing_spans({stronger for seen in sightings.values() for stronger, _ in seen} - kinds.keys())
    for subject_id in sorted(kinds, key=lambda one: (_STRENGTH[kinds[one]], one)):
        spans[subject_id] = wanted_spans(kinds[subject_id], sightings[subject_id], spans)
    _write({subject_id: spans[subject_id] for subject_id in kinds})


def _sightings(subject_ids: Iterable[int]) -> dict[int, list[tuple[int, datetime]]]:
    """{subject: [(stronger subject, time)]}, oldest first: its ties; or, of one with several, every event that carried both."""
    found: dict[int, list[tuple[int, datetime]]] = defaultdict(list)
    ties = Tie.objects.filter(weaker_id__in=list(subject_ids))
    for weaker, stronger, at in ties.order_by("first_at", "stronger__value").values_list("weaker_id", "stronger_id", "first_at"):
        found[weaker].append((stronger, at))
    several = [weaker for weaker, seen in found.items() if 1 < len(seen) < HOPELESS]
    if several:
        found |= _events_of(several)
    return found


def _events_of(subject_ids: list[int]) -> dict[int, list[tuple[int, datetime]]]:
    namespaces = {str(one.pk): one.definition.get("namespace") or "" for one in released("source").values()}
    found: dict[int, list[tuple[int, datetime]]] = {subject_id: [] for subject_id in subject_ids}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT weaker.id, event.subject_id, event.occurred_at
            FROM profiles_subject AS weaker
            JOIN profiles_tie AS tie ON tie.weaker_id = weaker.id
            JOIN profiles_subject AS stronger ON stronger.id = tie.stronger_id
            JOIN profiles_event AS event ON event.subject_id = stronger.id
            LEFT JOIN unnest(%s::uuid[], %s::text[]) AS source (id, namespace) ON source.id = event.source_id
            WHERE weaker.id = ANY(%s) AND event.standing = %s AND event.identifiers ->> weaker.kind = weaker.value
              AND (weaker.kind = ANY(%s) OR coalesce(source.namespace, '') = weaker.namespace)
            ORDER BY event.occurred_at, stronger.value
            """,
            [list(namespaces), list(namespaces.values()), subject_ids, int(Event.Standing.COUNTED), sorted(GLOBAL_KINDS)],
        )
        for weaker, stronger, at in cursor.fetchall():
            found[weaker].append((stronger, at))
    return found


def wanted_spans(kind: str, sightings: list[tuple[int, datetime]], spans: dict[int, list[Span]]) -> list[Span]:
    """The spans that a subject's sightings, oldest first, ask for, given the spans of the stronger subjects."""
    seen = [
        (span.customer_id, at)
        for stronger, at in sightings
        for span in spans.get(stronger, [])
        if (span.since is None or span.since <= at) and (span.until is None or at < span.until)
    ]
    customers = list(dict.fromkeys(customer_id for customer_id, _ in seen))
    if not customers or len(customers) >= settings.TAGLINE_SHARED_FROM[kind]:
        return []
    changes = [seen[0]]
    for customer_id, at in seen:
        if customer_id != changes[-1][0]:
            changes.append((customer_id, at))
    if kind not in _FOLLOWING:
        return [Span(changes[0][0], None, changes[1][1] if len(changes) > 1 else None)]
    ends = [at for _, at in changes[1:]] + [None]
    starts = [None, *[at for _, at in changes[1:]]]
    return [
        Span(customer_id, since, until)
        for (customer_id, _), since, until in zip(changes, starts, ends, strict=True)
        if since is None or since != until
    ]


def _with_weaker(subject_ids: set[int]) -> set[int]:
    found, new = set(subject_ids), subject_ids
    while new:
        new = set(Tie.objects.filter(stronger_id__in=new).values_list("weaker_id", flat=True)) - found
        found |= new
    return found


def _standing_spans(subject_ids: set[int]) -> dict[int, list[Span]]:
    spans: dict[int, list[Span]] = defaultdict(list)
    rows = Link.objects.filter(subject_id__in=subject_ids, withdrawn_at=None)
    for subject_id, customer_id, since, until in rows.values_list("subject_id", "customer_id", "since", "until"):
        spans[subject_id].append(Span(customer_id, since, until))
    return spans


def _write(wanted: dict[int, list[Span]]) -> None:
    """Withdraw links by ties that are no longer asked for, add those that are missing. A person's decisions stay."""
    standing: dict[tuple[int, Span], int] = {}
    decided: set[int] = set()
    for link in Link.objects.filter(subject_id__in=wanted, withdrawn_at=None):
        if link.evidence == Link.Evidence.PERSON:
            decided.add(link.subject_id)
        else:
            standing[link.subject_id, Span(link.customer_id, link.since, link.until)] = link.pk
    asked = {(subject_id, span) for subject_id, spans in wanted.items() if subject_id not in decided for span in spans}
    gone = [pk for key, pk in standing.items() if key not in asked]
    Link.objects.filter(pk__in=gone).update(withdrawn_at=timezone.now())
    Link.objects.bulk_create(
        Link(subject_id=subject_id, customer_id=span.customer_id, since=span.since, until=span.until, evidence=Link.Evidence.TIE)
        for subject_id, span in asked
        if (subject_id, span) not in standing
    )
