"""What names and leaks say once events were taken back or put back: read again from the events that are left.

What was settled long ago stretch by stretch, each at its own moment; then the rest, all at one moment at which nobody counts: what is
counted later is added by whoever counts it. Nothing is written before the end, so a job killed, or during which events of these sources
were taken back or put back, begins anew; and what is written takes along the marks that asked for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Min
from django.utils import timezone

from ingestion.alone import alone_or_not
from ingestion.discovery.discover import COUNTED, Key, among_the_rest, first_row, key_of, see_again, write
from ingestion.models import Discovered, Leak, Sighting, TakeBack, Withdrawal
from ingestion.watching import leaks, rollup
from profiles.models import Arrival, Event

# One look at a time, by the lock of a run that is none.
_LOOK = UUID(int=7_201_024)
IDS_AT_ONCE = 20_000
# No commit takes so long: what was received before is there, or never comes. A moment at which all is seen holds VACUUM back.
SETTLED_AFTER = timedelta(days=1)

_Names = dict[Key, list[Sighting]]


def look_again(now: datetime) -> bool:
    """Read again what is marked. False where nothing is, or another process is at it."""
    if not _names() and not _leaks():
        return False
    with alone_or_not(_LOOK) as is_alone:
        if not is_alone:
            return False
        names, marked = _names(), _leaks()
        sources = {key[1] for key in names} | {one.source_id for one in marked}
        acts = _acts(sources)
        settled = _settled(now)
        look, left = _Look(marked), _left(names)
        first = look.first(names, marked)
        before = look.read(names, first, settled, sources)
        with _while_nobody_counts():
            names, marked = {key: some for key, some in _names().items() if key in names}, [one for one in _leaks() if one in marked]
            is_else = _acts(sources) != acts or _left(names) - left
            # ids are taken ahead: an event may come later than those after it
            if is_else or _counted(sources, first, settled) != before:
                return True
            limited = _limited(names)
            # what waited to be counted may have come in before what was seen first
            begin = settled + 1 if first <= settled else max(settled + 1, look.first(names, marked))
            look.read(names, begin, _last_id(), sources)
        _write_names(names, look.names, limited, now)
        for leak in marked:
            leaks.read_anew(leak, look.carried[_leak_key(leak)])
        leaks.tell_of_new(now)
    return True


class _Look:
    """What was read by now: `names` as they are told by it, and who carries the leaks."""

    def __init__(self, marked: list[Leak]) -> None:
        self.names: dict[Key, Discovered] = {}
        self.carried = {_leak_key(one): leaks.Carried(one.example) for one in marked}

    def first(self, names: _Names, marked: list[Leak]) -> int:
        """The first id that may say something of these; one beyond all where none may."""
        left, rows = _left(names), _rows(names)
        seen = [one.first_at for key in left for one in (*names[key], *([rows[key]] if key in rows else []))]
        seen += [*_first_taken_back(marked), *(one.first_at for one in marked)]
        if not seen:
            return _last_id() + 1
        with connection.cursor() as cursor:
            # `id + 0`, which no index has: by the time received, not through all ids
            cursor.execute("SELECT min(id + 0) FROM profiles_event WHERE received_at >= %s", [min(seen)])
            return cursor.fetchone()[0] or _last_id() + 1

    def read(self, names: _Names, first: int, last: int, sources: set[UUID]) -> int:
        """How many events of the sources there were; those that come meanwhile may be read and not be among them."""
        left, events = _left(names), 0
        for begin in range(first, last + 1, IDS_AT_ONCE):
            end = min(begin + IDS_AT_ONCE - 1, last)
            events += _counted(sources, begin, end)
            with transaction.atomic(), connection.cursor() as cursor:
                for key, one in (see_again(cursor, left, begin, end) if left else {}).items():
                    self.names.setdefault(key, first_row(one)).add(one)
                leaks.look_who_carries(self.carried, begin, end)
        return events


@contextmanager
def _while_nobody_counts() -> Iterator[None]:
    """A transaction that sees one moment: what was counted by then, it was by all that was taken back by then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [rollup.LOCK])
        is_locked = True
        try:
            with transaction.atomic():
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SELECT pg_advisory_unlock(%s)", [rollup.LOCK])
                is_locked = False
                yield
        finally:
            if is_locked:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [rollup.LOCK])


def _settled(now: datetime) -> int:
    """The last id up to which every event is there and counted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(id + 0) FROM profiles_event WHERE received_at >= %s", [now - SETTLED_AFTER])
        recent = cursor.fetchone()[0]
    waiting = Arrival.objects.aggregate(first=Min("first_id"))["first"]
    return _last_id(before=min((one for one in (recent, waiting) if one is not None), default=None))


def _last_id(before: int | None = None) -> int:
    events = Event.objects.all() if before is None else Event.objects.filter(pk__lt=before)
    return events.order_by("-pk").values_list("pk", flat=True).first() or 0


def _counted(sources: set[UUID], first: int, last: int) -> int:
    with connection.cursor() as cursor:
        which: dict[str, Any] = {"sources": list(sources), "first_id": first, "last_id": last}
        cursor.execute(f"SELECT count(*) FROM profiles_event AS event WHERE {COUNTED}", which)
        return int(cursor.fetchone()[0])


def _acts(sources: set[UUID]) -> int:
    """How often any of their events were taken back or put back: each commit of an act leaves rows behind."""
    return Withdrawal.objects.filter(source__in=sources).count()


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


def _leak_key(one: Leak) -> leaks.Key:
    return one.source_id, one.tag_id, one.attribute, one.kind


def _rows(names: _Names) -> dict[Key, Discovered]:
    rows = Discovered.objects.filter(source__in={key[1] for key in names})
    return {key_of(row): row for row in rows if key_of(row) in names}


def _limited(names: _Names) -> set[UUID]:
    """The sources of these that sent more names than are kept. When events were counted a name may have been among the rest, or kept and since
    forgotten, and not when they were taken back: of these the events left are counted, and the rest is fewer by what a name has more."""
    of_them = {"kind": Discovered.Kind.REST, "source__in": {key[1] for key in names}}
    return {source for seen in (Discovered, Sighting) for source in seen.objects.filter(**of_them).values_list("source_id", flat=True)}


def _left(names: _Names) -> set[Key]:
    """Those of which events may be left: their counts tell it, but at a limit."""
    rows, limited = _rows(names), _limited(names)
    return {key for key, some in names.items() if key[1] in limited or _count(rows.get(key), some) > 0}


def _count(row: Discovered | None, some: list[Sighting]) -> int:
    return (row.count if row else 0) + sum(one.count for one in some)


def _first_taken_back(marked: list[Leak]) -> list[datetime]:
    """When the first event was received that sources of these ever took back: a leak's own first time is of those left then. One or none."""
    days = Withdrawal.objects.filter(source__in={one.source_id for one in marked}).aggregate(first=Min("day"))
    return [datetime.combine(days["first"], time.min, tzinfo=timezone.get_default_timezone())] if days["first"] else []


@transaction.atomic
def _write_names(names: _Names, read: dict[Key, Discovered], limited: set[UUID], now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [rollup.LOCK])
        seen = [one.pk for some in names.values() for one in some]
        cursor.execute("DELETE FROM ingestion_sighting WHERE id = ANY(%s) RETURNING id", [seen])
        taken = {pk for (pk,) in cursor.fetchall()}
    rows = _rows(names)
    changed, moved = [], []
    for key, some in names.items():
        if not any(one.again and one.pk in taken for one in some):
            continue  # written meanwhile, or by a look that saw more
        row = rows.get(key) or first_row(some[0])
        row.count, row.written_at, row.kinds, row.examples = row.count + sum(one.count for one in some if one.pk in taken), now, {}, []
        if one := read.get(key):
            row.first_at, row.last_at, row.kinds, row.examples = one.first_at, one.last_at, one.kinds, one.examples
        if key[1] in limited and (more := (one.count if one else 0) - row.count):
            row.count += more
            moved.append(among_the_rest(row, -more))
        changed.append(row)
    write(changed)
    Sighting.objects.bulk_create(moved)
