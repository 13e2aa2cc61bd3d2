"""What names and leaks say once events were taken back or put back: read again from the events that are left.

Stretch by stretch, all at one moment at which nobody counts: what is counted later is added by whoever counts it. Nothing is
written before the end, so a killed job begins anew, and what is written takes along the marks that asked for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time
from typing import Any

from django.db import connection, transaction
from django.db.models import Min
from django.utils import timezone

from ingestion.discovery.discover import Key, first_row, key_of, see_again, write
from ingestion.models import Discovered, Leak, Sighting, TakeBack, Withdrawal
from ingestion.watching import leaks, rollup

_LOCK = 7_201_024
IDS_AT_ONCE = 20_000

_Names = dict[Key, list[Sighting]]


def look_again(now: datetime) -> bool:
    """Read again what is marked. False where nothing is, or another process is at it."""
    if not _names() and not _leaks():
        return False
    with _while_nobody_counts() as is_alone:
        if not is_alone:
            return False
        names, marked = _names(), _leaks()
        rows = _rows(names)
        left = {key for key, some in names.items() if _count(rows.get(key), some) > 0}
        seen = [*(row for key, row in rows.items() if key in left), *(one for key in left for one in names[key])]
        read: dict[Key, Discovered] = {}
        carried = {(one.source_id, one.tag_id, one.attribute, one.kind): leaks.Carried(one.example) for one in marked}
        with connection.cursor() as cursor:
            for first_id, last_id in _stretches([*seen, *marked], _first_taken_back(marked)):
                for key, one in (see_again(cursor, left, first_id, last_id) if left else {}).items():
                    read.setdefault(key, first_row(one)).add(one)
                leaks.look_who_carries(carried, first_id, last_id)
    _write_names(names, read, now)
    for leak in marked:
        leaks.read_anew(leak, carried[leak.source_id, leak.tag_id, leak.attribute, leak.kind])
    leaks.tell_of_new(now)
    return True


@contextmanager
def _while_nobody_counts() -> Iterator[bool]:
    """A transaction that sees one moment: what was counted by then, it was by all that was taken back by then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [rollup.LOCK])
        is_locked = True
        try:
            with transaction.atomic():
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SELECT pg_advisory_unlock(%s), pg_try_advisory_xact_lock(%s)", [rollup.LOCK, _LOCK])
                is_locked = False
                yield bool(cursor.fetchone()[1])
        finally:
            if is_locked:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [rollup.LOCK])


def _busy() -> Any:
    """The sources of which events are being taken back or put back: they are read once it is done."""
    return TakeBack.objects.filter(state__in=(TakeBack.State.TAKING, TakeBack.State.PUTTING)).values("source")


def _names() -> _Names:
    """What was seen of the marked names, not yet in their rows."""
    marked = set(map(key_of, Sighting.objects.filter(again=True).exclude(source__in=_busy())))
    found: _Names = {}
    for one in Sighting.objects.filter(source__in={key[1] for key in marked}).order_by("id") if marked else ():
        if key_of(one) in marked:
            found.setdefault(key_of(one), []).append(one)
    return found


def _leaks() -> list[Leak]:
    return list(Leak.objects.filter(again__gt=0).exclude(source__in=_busy()))


def _rows(names: _Names) -> dict[Key, Discovered]:
    rows = Discovered.objects.filter(source__in={key[1] for key in names})
    return {key_of(row): row for row in rows if key_of(row) in names}


def _count(row: Discovered | None, some: list[Sighting]) -> int:
    return (row.count if row else 0) + sum(one.count for one in some)


def _first_taken_back(marked: list[Leak]) -> list[datetime]:
    """When the first event was received that sources of these ever took back: a leak's own first time is of those left then. One or none."""
    days = Withdrawal.objects.filter(source__in={one.source_id for one in marked}).aggregate(first=Min("day"))
    return [datetime.combine(days["first"], time.min, tzinfo=timezone.get_default_timezone())] if days["first"] else []


def _stretches(seen: list[Any], firsts: list[datetime]) -> Iterator[tuple[int, int]]:
    """Ids from the first to the last event that may say something of what was seen."""
    if not seen:
        return
    with connection.cursor() as cursor:
        # `id + 0`, which no index has: by the time received, not through all ids
        cursor.execute("SELECT min(id + 0), max(id + 0) FROM profiles_event WHERE received_at >= %s", [min([*firsts, *(one.first_at for one in seen)])])  # fmt: skip
        first, last = cursor.fetchone()
    for begin in range(first, last + 1, IDS_AT_ONCE) if first else ():
        yield begin, min(begin + IDS_AT_ONCE - 1, last)


@transaction.atomic
def _write_names(names: _Names, read: dict[Key, Discovered], now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [rollup.LOCK])
        seen = [one.pk for some in names.values() for one in some]
        cursor.execute("DELETE FROM ingestion_sighting WHERE id = ANY(%s) RETURNING id", [seen])
        taken = {pk for (pk,) in cursor.fetchall()}
    rows = _rows(names)
    changed = []
    for key, some in names.items():
        if not any(one.again and one.pk in taken for one in some):
            continue  # written meanwhile, or by a look that saw more
        row = rows.get(key) or first_row(some[0])
        row.count, row.written_at, row.kinds, row.examples = row.count + sum(one.count for one in some if one.pk in taken), now, {}, []
        if one := read.get(key):
            row.first_at, row.last_at, row.kinds, row.examples = one.first_at, one.last_at, one.kinds, one.examples
        changed.append(row)
    write(changed)
