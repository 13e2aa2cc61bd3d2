"""A source's month in a few numbers, against the month before: how much is on the standard, what holds most, how long until it is fixed."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db.models import Sum
from django.db.models.functions import TruncMonth
from django.utils import timezone

from ingestion.models import Cause, CauseDay, Withdrawal
from ingestion.quarantine.held import Group
from profiles.models import Tally
from taxonomy.released import Named


@dataclass(frozen=True, slots=True)
class Scorecard:
    """First verdicts of the month, without what is taken back; `fixed`: reasons put right in it; `top`: the cause with most arrivals, of which `top_events`."""

    month: date
    accepted: int
    quarantined: int
    refused: int
    fixed: int
    fixed_after: timedelta | None
    top: Group | None
    top_events: int

    @property
    def judged(self) -> int:
        return self.accepted + self.quarantined + self.refused

    @property
    def conformity(self) -> float | None:
        """Percent of what was judged that was on the standard; duplicates were judged before. None for nothing."""
        return 100 * self.accepted / self.judged if self.judged else None


def scorecards(source: Named, month: date, *, months: int, shown: Any) -> list[Scorecard]:
    """The month and those before it, the newest first. Four queries."""
    firsts = [month_before(month, back) for back in range(months)]
    zone = timezone.get_default_timezone()
    begin, end = (datetime.combine(day, time.min, tzinfo=zone) for day in (firsts[-1], month_before(month, -1)))
    tallies = Tally.objects.filter(source=source.pk, received_at__gte=begin, received_at__lt=end)
    verdicts = tallies.annotate(month=TruncMonth("received_at", tzinfo=zone)).values_list("month")
    judged = {row[0].date(): row[1:] for row in verdicts.annotate(*(Sum(name) for name in ("accepted", "quarantined", "refused")))}
    within = {"day__gte": firsts[-1], "day__lt": month_before(month, -1)}
    away = Withdrawal.objects.filter(source=source.pk, **within).annotate(month=TruncMonth("day")).values_list("month")
    withdrawn = {first: numbers for first, *numbers in away.annotate(Sum("counted"), Sum("held"))}
    days = CauseDay.objects.filter(cause__source=source.pk, **within)
    sums = days.annotate(month=TruncMonth("day")).values_list("month", "cause")
    by_month: dict[date, list[_OfCause]] = defaultdict(list)
    for first, *numbers in sums.annotate(Sum("arrived"), Sum("fixed"), Sum("fixed_after_seconds")):
        by_month[first].append(_OfCause(*numbers))
    tops = {first: max(rows, key=lambda row: (row.arrived, -row.cause)) for first, rows in by_month.items()}
    causes = Cause.objects.in_bulk([row.cause for row in tops.values()])
    groups = {pk: Group(cause, source, shown(cause.path), shown(cause.name)) for pk, cause in causes.items()}
    found = []
    for first in firsts:
        accepted, quarantined, refused = judged.get(first, (0, 0, 0))
        counted, held = withdrawn.get(first, (0, 0))
        fixed = sum(row.fixed for row in by_month[first])
        after = timedelta(seconds=sum(row.seconds for row in by_month[first]) / fixed) if fixed > 0 else None
        top = tops[first] if first in tops and tops[first].arrived > 0 else None
        held_most = (groups[top.cause], top.arrived) if top else (None, 0)
        found.append(Scorecard(first, accepted - counted, quarantined - held, refused, fixed, after, *held_most))
    return found


class _OfCause(NamedTuple):
    """One cause in one month."""

    cause: int
    arrived: int
    fixed: int
    seconds: float


def month_of(day: date) -> date:
    return day.replace(day=1)


def month_before(month: date, back: int = 1) -> date:
    """The first day of the month so many months before; after, for a negative number."""
    number = month.year * 12 + month.month - 1 - back
    return date(number // 12, number % 12 + 1, 1)
