"""What is new in quarantine, told daily to the people of the departments that answer for it; and a source's month, once it is over.

On the days and at the hour that each chose for reminders, in their language. Personal data stays out of letters.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext_noop

from ingestion.models import Cause, CauseDay, Digest
from ingestion.quarantine.causes import add_up
from ingestion.quarantine.held import Group, held_groups
from ingestion.watching.scorecard import Scorecard, month_before, month_of, scorecards
from staff.letters import send_letter
from staff.masking import mask_in_text
from staff.models import User
from staff.notices import tell
from taxonomy.models import Source
from taxonomy.proposals.remind import is_due
from taxonomy.released import Named, released
from taxonomy.rights import among, reads_every_tag, rights_of

logger = logging.getLogger(__name__)
# A cause grew on a day when as many events came as this, and this many times those of a usual day before.
GROWS_FROM, GROWS_BY = 10, 2
_USUAL_DAYS = 7
# Of each kind, those with most events; the page of the quarantine has all. A letter names its first.
_MOST = 500


@dataclass(frozen=True, slots=True)
class Growing:
    """`events`: those of the day; `usual`: of a day of the week before it, on average."""

    group: Group
    day: date
    events: int
    usual: float


@dataclass(frozen=True, slots=True)
class News:
    new: list[Group]
    growing: list[Growing]
    fixed: list[Group]

    def __len__(self) -> int:
        return len(self.new) + len(self.growing) + len(self.fixed)


def news_for(person: User, since: datetime, until: datetime, *, shown: Any = mask_in_text) -> News:
    """What began to hold events, grew, or holds none any more, of the causes that are the person's or their department's."""
    mine = Cause.objects.filter(Q(person=person) | Q(department=person.department_id, department__isnull=False))
    rights = rights_of(person)
    if rights.limited:
        mine = mine.filter(source_id__in=among(Source.every.all(), rights).values("pk"))
    new = mine.filter(opened_at__gt=since, opened_at__lte=until, held__gt=0)
    first, today = (timezone.localdate(at, timezone.get_default_timezone()) for at in (since, until))
    grown = _grown(mine.filter(held__gt=0, opened_at__lte=since), first, today)
    growing = held_groups(mine.filter(pk__in=grown), limit=_MOST, shown=shown)
    fixed = mine.filter(emptied_at__gt=since, emptied_at__lte=until)
    arrived = fixed.alias(arrived=Sum("days__arrived")).filter(arrived__gt=0)  # of others all events were taken back
    return News(
        held_groups(new, limit=_MOST, shown=shown),
        [Growing(group, *grown[group.cause.pk]) for group in growing],
        held_groups(mine.filter(pk__in=arrived.values("pk")), limit=_MOST, shown=shown),
    )


def _grown(causes: Any, first: date, today: date) -> dict[int, tuple[date, int, float]]:
    """{cause: (day, its events, those of a usual day before)} of those that grew on a day since `first`: where on several, the worst. One query."""
    days = CauseDay.objects.filter(cause__in=causes, day__gte=first - timedelta(days=_USUAL_DAYS), day__lt=today)
    arrived: dict[int, dict[date, int]] = defaultdict(dict)
    for cause, day, events in days.values_list("cause", "day", "arrived"):
        arrived[cause][day] = events
    grown: dict[int, tuple[date, int, float]] = {}
    for cause, by_day in arrived.items():
        for day, events in by_day.items():
            usual = sum(by_day.get(day - timedelta(days=back), 0) for back in range(1, _USUAL_DAYS + 1)) / _USUAL_DAYS
            if day >= first and events >= max(GROWS_FROM, GROWS_BY * usual) and (cause not in grown or events > grown[cause][1]):
                grown[cause] = day, events, usual
    return grown


def send_digests(now: datetime) -> int:
    """Tell everybody whose hour it is and for whom there is something, once a day. How many letters were written."""
    add_up(now)
    written = 0
    people = User.objects.filter(is_active=True, department__isnull=False).exclude(reminder_days=[]).select_related("department")
    last = {one.user_id: one for one in Digest.objects.filter(user__in=people).order_by("user_id", "-until").distinct("user_id")}
    for person in people:
        digest = last.get(person.pk)
        if not is_due(person, now, None) or not person.has_perm("ingestion.view_quarantinereason"):
            continue
        if digest is None or is_due(person, now, digest.until):
            _tell(person, digest, now)
        late = Digest.objects.filter(user=person).exclude(unsent=[]).order_by("until", "pk")
        written += sum(_write(person, one, letter) for one in late for letter in list(one.unsent))
    return written


def _tell(person: User, last: Digest | None, now: datetime) -> None:
    """Leave notices of what is new since the last digest. What the last one's letter could not tell is told by this one's; scorecards wait with theirs."""
    until = last.until if last else now - timedelta(days=1)
    untold = last if last and "digest" in last.unsent else None
    digest = Digest(user=person, since=untold.since if untold else until, until=now)
    with translation.override(person.language or settings.LANGUAGE_CODE):
        fresh = news_for(person, until, now)
        digest.news = len(news_for(person, digest.since, now)) if untold else len(fresh)
        cards = _cards(person, now) if last and _month(until) != _month(now) else []
    digest.unsent = [name for name, wanted in (("digest", digest.news), ("scorecard", cards)) if wanted]
    with transaction.atomic():
        digest.save()
        if untold:
            untold.unsent.remove("digest")
            untold.save(update_fields=["unsent"])
        if fresh:
            said = gettext_noop("Quarantine: %(new)s new causes, %(growing)s growing, %(fixed)s fixed.")
            numbers = {"new": str(len(fresh.new)), "growing": str(len(fresh.growing)), "fixed": str(len(fresh.fixed))}
            tell([person], said, link=digest.get_absolute_url(), **numbers)
        for one, month, _earlier, link in cards:
            said = gettext_noop("%(source)s in %(month)s: %(conformity)s %% on the standard.")
            tell([person], said, link=link, source=one.labels, month=f"{month.month:%Y-%m}", conformity=f"{month.conformity:.1f}")


def _month(at: datetime) -> date:
    return month_of(timezone.localdate(at, timezone.get_default_timezone()))


def _cards(person: User, at: datetime) -> list[tuple[Named, Scorecard, Scorecard, str]]:
    """The scorecards of the month before, of the sources that the person's department owns: with those of the one before it, and a link."""
    if not reads_every_tag(rights_of(person)):
        return []  # first verdicts are not parted by tag: they would tell of what the person may not read
    owned = sorted(
        (one for one in released("source").values() if one.definition.get("owner") == person.department_id), key=lambda one: one.code
    )
    cards = [(one, scorecards(one, month_before(_month(at)), months=2, shown=mask_in_text)) for one in owned]
    return [(one, month, earlier, scorecard_link(one, month.month)) for one, (month, earlier) in cards if month.judged]


def scorecard_link(source: Named, month: date) -> str:
    return f"{reverse('admin:quarantine_scorecard', args=[source.pk])}?month={month:%Y-%m}"


def _write(person: User, digest: Digest, letter: str) -> int:
    """Until a mail server takes it, it is tried again at every run of the person's hours."""
    with translation.override(person.language or settings.LANGUAGE_CODE):
        context: dict[str, Any]
        if letter == "digest":
            context = {"news": news_for(person, digest.since, digest.until), "digest": digest}
        else:
            context = {"cards": _cards(person, digest.until), "month": month_before(_month(digest.until))}
    there = context.get("news") or context.get("cards")  # it may be gone since
    try:
        if there:
            send_letter(person, letter, {**context, "site": settings.SITE_URL.rstrip("/")})
    except OSError as error:
        logger.error("A letter about the quarantine could not be sent to colleague %s: %s", person.pk, type(error).__name__)
        return 0
    digest.unsent.remove(letter)
    digest.save(update_fields=["unsent"])
    return int(bool(there))
