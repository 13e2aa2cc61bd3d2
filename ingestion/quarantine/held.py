"""What waits in quarantine, grouped by cause: one source's events held for the same code, place and name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Max, Model, Q, QuerySet

from ingestion.models import Cause, QuarantineReason, Replayed
from profiles.models import Event
from taxonomy.models import Source
from taxonomy.released import Named, by_code, named
from taxonomy.standardize import storable
from taxonomy.violations import title_for

_AT_ONCE = 1_000
# how groups may be ordered: most events first, those seen last, those that began last
ORDERS = {"held": "-held", "last": "-last_at", "first": "-first_at"}


@dataclass(frozen=True)
class Group:
    """A cause, its place and name as the reader may see them."""

    cause: Cause
    source: Named | None
    path: str
    name: str

    @property
    def title(self) -> str:
        return title_for(self.cause.code)


def open_reasons(*, source: str = "", code: str = "", sources: QuerySet[Source] | None = None) -> QuerySet[QuarantineReason]:
    """Reasons that still hold an event, of one source (its code) or one violation code when given. `sources`: only of these."""
    return _of(QuarantineReason.objects.filter(open=True), source=source, code=code, sources=sources)


def _of[Row: Model](rows: QuerySet[Row], *, source: str, code: str, sources: QuerySet[Source] | None) -> QuerySet[Row]:
    if sources is not None:
        rows = rows.filter(source_id__in=sources.values("id"))
    if source:
        one = by_code("source", storable(source))
        rows = rows.filter(source_id=one.pk) if one else rows.none()
    return rows.filter(code=code) if code else rows


def held_causes(*, source: str = "", code: str = "", sources: QuerySet[Source] | None = None) -> QuerySet[Cause]:
    """Causes that hold events, by their kept sums; asked for as `open_reasons`."""
    return _of(Cause.objects.filter(held__gt=0), source=source, code=code, sources=sources)


# what may be masked in a name: an address, or digits that may make a number
_MAY_BE_MASKED = r"[@＠]|([0-9][^0-9]{0,12}){5}"


def told_with(causes: QuerySet[Cause], text: str, *, masked: bool) -> QuerySet[Cause]:
    """Those whose name as sent or place holds a text. `masked`: for readers from whom personal data is kept, who find none by it."""
    text = str(storable(text))
    found = causes.filter(Q(name__icontains=text) | Q(path__icontains=text))
    return found.exclude(Q(name__regex=_MAY_BE_MASKED) | Q(path__regex=_MAY_BE_MASKED)) if masked else found


def held_groups(
    causes: QuerySet[Cause], *, order: str = "held", offset: int = 0, limit: int = 50, shown: Callable[[str], str] = str
) -> list[Group]:
    """Groups in one of the `ORDERS`, their names and paths as `shown` says. One query, whatever is held."""
    rows = list(causes.select_related("department", "person").order_by(ORDERS[order], "id")[offset : offset + limit])
    found = named("source", (row.source_id for row in rows))
    return [Group(row, found.get(row.source_id), shown(row.path), shown(row.name)) for row in rows]


def reasons_like(cause: Cause) -> QuerySet[QuarantineReason]:
    """The open reasons of a cause."""
    return QuarantineReason.objects.filter(open=True, source_id=cause.source_id, code=cause.code, path=cause.path, name=cause.name)


class Attempts(NamedTuple):
    """How often an event was read again, and when that was asked for last."""

    times: int = 0
    last_at: datetime | None = None


def held_events(*, source: str = "", code: str = "", sources: QuerySet[Source] | None = None) -> Iterator[tuple[Event, Attempts]]:
    """The events that are held, oldest first, with batch and original; a thousand at a time."""
    reasons = open_reasons(source=source, code=code, sources=sources)
    after = 0
    while True:
        ids = list(reasons.filter(event_id__gt=after).order_by("event_id").values_list("event_id", flat=True).distinct()[:_AT_ONCE])
        if not ids:
            return
        attempts = _attempts(ids)
        for event in Event.objects.filter(pk__in=ids).select_related("batch", "original__holder").order_by("pk"):
            yield event, attempts.get(event.pk, Attempts())
        after = ids[-1]


def _attempts(event_ids: list[int]) -> dict[int, Attempts]:
    counted = Replayed.objects.filter(event_id__in=event_ids).values("event_id").annotate(Count("id"), Max("replay__created_at"))
    return {event_id: Attempts(*told) for event_id, *told in counted.values_list("event_id", "id__count", "replay__created_at__max")}
