"""What waits in quarantine, grouped by cause: one source's events held for the same code, place and name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, QuerySet

from ingestion.models import QuarantineReason
from profiles.models import Event
from taxonomy.models import Source
from taxonomy.released import Named, by_code, named
from taxonomy.standardize import storable
from taxonomy.violations import title_for

_AT_ONCE = 1_000
CAUSE = ("source_id", "code", "path", "name")


@dataclass(frozen=True)
class Group:
    """Held events with one cause. `reason_id`, any reason of it, names it in URLs: names and paths may be personal."""

    source: Named | None
    code: str
    path: str
    name: str
    count: int
    first_at: datetime
    last_at: datetime
    reason_id: int

    @property
    def title(self) -> str:
        return title_for(self.code)


def open_reasons(*, source: str = "", code: str = "", sources: QuerySet[Source] | None = None) -> QuerySet[QuarantineReason]:
    """Reasons that still hold an event, of one source (its code) or one violation code when given. `sources`: only of these."""
    reasons = QuarantineReason.objects.filter(open=True)
    if sources is not None:
        reasons = reasons.filter(source_id__in=sources.values("id"))
    if source:
        one = by_code("source", storable(source))
        reasons = reasons.filter(source_id=one.pk) if one else reasons.none()
    if code:
        reasons = reasons.filter(code=code)
    return reasons


def held_groups(
    *,
    source: str = "",
    code: str = "",
    sources: QuerySet[Source] | None = None,
    offset: int = 0,
    limit: int = 50,
    shown: Callable[[str], str] = str,
) -> list[Group]:
    """Groups with most events first, their names and paths as `shown` says. One query, whatever the number of groups."""
    rows = list(
        open_reasons(source=source, code=code, sources=sources)
        .values(*CAUSE)
        .annotate(count=Count("id"), first_at=Min("received_at"), last_at=Max("received_at"), reason_id=Min("id"))
        .order_by("-count", *CAUSE)[offset : offset + limit]
    )
    found = named("source", (row["source_id"] for row in rows))
    return [Group(source=found.get(row.pop("source_id")), name=shown(row.pop("name")), path=shown(row.pop("path")), **row) for row in rows]


def reasons_like(reason: QuarantineReason) -> QuerySet[QuarantineReason]:
    """The open reasons of the same group."""
    return QuarantineReason.objects.filter(open=True, source_id=reason.source_id, code=reason.code, path=reason.path, name=reason.name)


def held_events(*, source: str = "", code: str = "", sources: QuerySet[Source] | None = None) -> Iterator[Event]:
    """The events that are held, oldest first, with batch and original; a thousand at a time."""
    reasons = open_reasons(source=source, code=code, sources=sources)
    after = 0
    while True:
        ids = list(reasons.filter(event_id__gt=after).order_by("event_id").values_list("event_id", flat=True).distinct()[:_AT_ONCE])
        if not ids:
            return
        yield from Event.objects.filter(pk__in=ids).select_related("batch", "original__holder").order_by("pk")
        after = ids[-1]
