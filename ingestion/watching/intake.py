"""What came of one source: counts by hour and day from the tallies, both set against what is stored; how late, how read, by which keys."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Q, Sum

from ingestion.models import Hook, ReadingDay, Withdrawal, WriteKey
from profiles.models import Event
from taxonomy.released import Named

HOURS = 24
# Deliveries, the newest first, whose named events show how late events come.
_LOOKED_AT = 500
COUNTS = ("accepted", "duplicate", "quarantined", "refused")


@dataclass(frozen=True, slots=True)
class Counts:
    """First verdicts of an hour or a day, by `at`, its beginning in the company's zone. `stored_…`: what is counted from the events themselves."""

    at: Any
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    refused: int = 0
    stored_accepted: int = 0
    stored_held: int = 0

    @property
    def received(self) -> int:
        return self.accepted + self.duplicate + self.quarantined + self.refused

    @property
    def reconciles(self) -> bool:
        """Accepted and quarantined were answered; so many events must be there."""
        return (self.accepted, self.quarantined) == (self.stored_accepted, self.stored_held)


@dataclass(frozen=True, slots=True)
class Lateness:
    """From the event to its being stored, in the middle and of the slowest twentieth, among so many of the newest events."""

    events: int
    median: timedelta
    p95: timedelta


@dataclass(slots=True)
class Intake:
    """`withdrawn`: of the days' events, those that are taken back now. `mapped` and `native`: accepted events that a rule read, and that came in the standard's own names."""

    days: list[Counts]
    hours: list[Counts]
    lateness: Lateness | None = None
    withdrawn: int = 0
    mapped: int = 0
    native: int = 0
    keys: list[WriteKey] = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)

    @property
    def total(self) -> Counts:
        names = (*COUNTS, "stored_accepted", "stored_held")
        return Counts(None, *(sum(getattr(one, name) for one in self.days) for name in names))

    @property
    def astray(self) -> list[Counts]:
        """The days that do not reconcile."""
        return [one for one in self.days if not one.reconciles]

    @property
    def hours_astray(self) -> list[Counts]:
        return [one for one in self.hours if not one.reconciles]

    @property
    def mapped_percent(self) -> float | None:
        read = self.mapped + self.native
        return 100 * self.mapped / read if read else None


def intake(source: Named, today: date, days: int, now: datetime) -> Intake:
    """Of the last `days` days, and of the last 24 hours. Eight queries."""
    since = today - timedelta(days=days - 1)
    by_rule = {"mapped": Q(rule__isnull=False), "native": Q(rule=None)}
    of_it = {"source": source.pk, "day__gte": since, "day__lte": today}
    read = ReadingDay.objects.filter(**of_it, accepted=True).aggregate(**{name: Sum("count", filter=q, default=0) for name, q in by_rule.items()})  # fmt: skip
    away = Withdrawal.objects.filter(**of_it).aggregate(**{name: Sum("counted", filter=q, default=0) for name, q in by_rule.items()})
    return Intake(
        days=_by_day(source.pk, since, today),
        hours=_by_hour(source.pk, now),
        lateness=_lateness(source.pk),
        withdrawn=Withdrawal.objects.filter(**of_it).events(),
        mapped=max(read["mapped"] - away["mapped"], 0),
        native=max(read["native"] - away["native"], 0),
        keys=list(WriteKey.objects.filter(source=source.pk).order_by("-last_used_at", "-created_at", "-id")),
        hooks=list(Hook.objects.filter(source=source.pk).select_related("source")),
    )


def _by_day(source: UUID, since: date, until: date) -> list[Counts]:
    """Every day, nothing sent too. One statement, so that both sides are of one moment: what is not yet counted is counted here."""
    zone = ZoneInfo(settings.TIME_ZONE)
    first, last = (datetime.combine(day, time.min, tzinfo=zone) for day in (since, until + timedelta(days=1)))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH tallied AS (
                SELECT (received_at AT TIME ZONE %(zone)s)::date AS day, sum(accepted) AS accepted, sum(duplicate) AS duplicate,
                    sum(quarantined) AS quarantined, sum(refused) AS refused
                FROM profiles_tally WHERE source_id = %(source)s AND received_at >= %(first)s AND received_at < %(last)s GROUP BY 1
            ), stored AS (
                SELECT day, sum(count) FILTER (WHERE accepted) AS accepted, sum(count) FILTER (WHERE NOT accepted) AS held FROM (
                    SELECT day, accepted, count FROM ingestion_readingday
                    WHERE source_id = %(source)s AND day BETWEEN %(since)s AND %(until)s
                    UNION ALL
                    SELECT (event.received_at AT TIME ZONE %(zone)s)::date, event.attributes IS NOT NULL, 1
                    FROM profiles_arrival AS run JOIN profiles_event AS event ON event.id BETWEEN run.first_id AND run.last_id
                    WHERE event.source_id = %(source)s AND event.received_at >= %(first)s AND event.received_at < %(last)s
                ) AS counted GROUP BY day
            )
            SELECT day::date, coalesce(tallied.accepted, 0)::bigint, coalesce(duplicate, 0)::bigint, coalesce(quarantined, 0)::bigint,
                coalesce(refused, 0)::bigint, coalesce(stored.accepted, 0)::bigint, coalesce(held, 0)::bigint
            FROM generate_series(%(since)s::timestamp, %(until)s::timestamp, '1 day') AS every (each)
            CROSS JOIN LATERAL (SELECT each::date AS day) AS of LEFT JOIN tallied USING (day) LEFT JOIN stored USING (day) ORDER BY day
            """,
            {"source": source, "since": since, "until": until, "first": first, "last": last, "zone": settings.TIME_ZONE},
        )
        return [Counts(*row) for row in cursor.fetchall()]


def _by_hour(source: UUID, now: datetime) -> list[Counts]:
    """The last 24 hours by the clock's hour, the present one last. One statement, as by day."""
    zone = ZoneInfo(settings.TIME_ZONE)
    begun = now.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    hours = [begun - timedelta(hours=before) for before in reversed(range(HOURS))]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH tallied AS (
                SELECT date_trunc('hour', received_at, %(zone)s) AS hour, sum(accepted) AS accepted, sum(duplicate) AS duplicate,
                    sum(quarantined) AS quarantined, sum(refused) AS refused
                FROM profiles_tally WHERE source_id = %(source)s AND received_at >= %(first)s GROUP BY 1
            ), stored AS (
                SELECT hour, sum(accepted) AS accepted, sum(held) AS held FROM (
                    SELECT hour, accepted, held FROM ingestion_storedhour WHERE source_id = %(source)s AND hour >= %(first)s
                    UNION ALL
                    SELECT date_trunc('hour', event.received_at, %(zone)s), (event.attributes IS NOT NULL)::int, (event.attributes IS NULL)::int
                    FROM profiles_arrival AS run JOIN profiles_event AS event ON event.id BETWEEN run.first_id AND run.last_id
                    WHERE event.source_id = %(source)s AND event.received_at >= %(first)s
                ) AS counted GROUP BY hour
            )
            SELECT hour, coalesce(tallied.accepted, 0)::bigint, coalesce(duplicate, 0)::bigint, coalesce(quarantined, 0)::bigint,
                coalesce(refused, 0)::bigint, coalesce(stored.accepted, 0)::bigint, coalesce(held, 0)::bigint
            FROM unnest(%(hours)s::timestamptz[]) AS every (hour) LEFT JOIN tallied USING (hour) LEFT JOIN stored USING (hour) ORDER BY hour
            """,
            {"source": source, "first": hours[0], "hours": hours, "zone": settings.TIME_ZONE},
        )
        return [Counts(hour.astimezone(zone), *counts) for hour, *counts in cursor.fetchall()]


def _lateness(source: UUID) -> Lateness | None:
    """Of accepted events that its newest deliveries name: events have no index by source."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY event.received_at - event.occurred_at),
                percentile_cont(0.95) WITHIN GROUP (ORDER BY event.received_at - event.occurred_at)
            FROM (
                SELECT newest FROM profiles_tally WHERE source_id = %s AND newest IS NOT NULL ORDER BY received_at DESC LIMIT %s
            ) AS delivery
            CROSS JOIN LATERAL unnest(delivery.newest) AS named (event_id)
            JOIN profiles_event AS event ON event.id = named.event_id
            WHERE event.standing = %s AND event.occurred_at IS NOT NULL
            """,
            [source, _LOOKED_AT, Event.Standing.COUNTED],
        )
        events, median, p95 = cursor.fetchone()
        return Lateness(events, median, p95) if events else None
