"""Judging each stream of events: every tag of every source, every tag and every source as a whole."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from ingestion.models import Stream
from ingestion.watching.rhythm import judge
from ingestion.watching.stopped import tell_of_stopped

# One judgment at a time.
_LOCK = 7_201_012
# A monthly day needs a year to be known by; anything quieter is judged as gone.
HISTORY = timedelta(days=400)
# Hours older than the two months that judge looks at tell nothing more than their days.
_HOURS = timedelta(days=63)

Pair = tuple[UUID | None, UUID | None]


@dataclass(slots=True)
class _Past:
    """`days`: {day: the hours of it as bits, and how many events}."""

    days: dict[date, tuple[int, int]] = field(default_factory=dict)
    last_at: datetime | None = None


@transaction.atomic
def judge_streams(now: datetime) -> int:
    """Judge every stream anew, from the daily counts, and tell of what has stopped. The number of streams; 0 while another judges."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    today = now.astimezone(ZoneInfo(settings.TIME_ZONE)).date()
    made = [_judged(pair, past, now, today) for pair, past in _pasts(today).items()]
    Stream.objects.all().delete()
    Stream.objects.bulk_create(made, batch_size=2000)
    tell_of_stopped(made, now)
    return len(made)


@contextmanager
def unjudged() -> Iterator[None]:
    """Hold judgments by others back while what arrived long ago is being stored: half of it looks like silence."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _pasts(today: date) -> dict[Pair, _Past]:
    """A day of which all is taken back is none; of one of which something is left, its hours and last time stay."""
    found: dict[Pair, _Past] = defaultdict(_Past)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT source_id, tag_id, day, bit_or(hours), sum(count), max(last_at) FROM (
                SELECT source_id, tag_id, day, hours, count, last_at FROM ingestion_readingday WHERE day >= %(since)s
                UNION ALL SELECT source_id, tag_id, day, 0, -(counted + held), NULL FROM ingestion_withdrawal WHERE day >= %(since)s
            ) AS line GROUP BY GROUPING SETS ((source_id, tag_id, day), (source_id, day), (tag_id, day))
            HAVING NOT (grouping(tag_id) = 0 AND tag_id IS NULL) AND sum(count) > 0 ORDER BY 1, 2, 3
            """,
            {"since": today - HISTORY},
        )
        for source, tag, day, hours, count, last_at in cursor.fetchall():
            past = found[source, tag]
            past.days[day] = (hours, int(count))
            past.last_at = max(past.last_at or last_at, last_at)
    return found


def _judged(pair: Pair, past: _Past, now: datetime, today: date) -> Stream:
    here = now.astimezone(ZoneInfo(settings.TIME_ZONE)).replace(tzinfo=None)
    rhythm = judge(_hours(past, today), here)
    ago = [(today - day).days for day in past.days]
    counts = [count for _, count in past.days.values()]
    assert past.last_at is not None
    return Stream(
        source_id=pair[0], tag_id=pair[1], state=rhythm.state, usual=rhythm.usual, usual_days=rhythm.usual_days,
        first_day=min(past.days), last_at=past.last_at, judged_at=now,
        week=sum(count for back, count in zip(ago, counts, strict=True) if back < 7),
        week_before=sum(count for back, count in zip(ago, counts, strict=True) if 7 <= back < 14),
    )  # fmt: skip


def _hours(past: _Past, today: date) -> list[datetime]:
    """The hours with events, each by its beginning; of days long past only the last."""
    found = []
    for day, (bits, _count) in past.days.items():
        hours = [hour for hour in range(24) if bits >> hour & 1]
        wanted = hours if today - day <= _HOURS else hours[-1:]
        found += [datetime.combine(day, time(hour)) for hour in wanted]
    return found
