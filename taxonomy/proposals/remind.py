"""Reminding people of reviews that wait for them, by e-mail and in the product, and of what has stopped, on the days and at the hour they chose."""

import logging
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext_noop

from staff.letters import send_letter
from staff.models import User
from staff.notices import tell
from taxonomy.models import Proposal, Release
from taxonomy.proposals.review import releases_waiting_for, waiting_for
from taxonomy.recent import stopped_since

logger = logging.getLogger(__name__)
_WAITS = gettext_noop("Waiting for your department's word: %(items)s.")
# of what waits, as much is named in the product
_NAMED = 5


def remind(now: datetime) -> int:
    """Write to everybody whose hour it is and for whom there is something; once a day. How many were written to."""
    written = 0
    for person in User.objects.filter(is_active=True, department__isnull=False).exclude(reminder_days=[]):
        if not is_due(person, now, person.reminded_at):
            continue
        proposals, to_review = waiting_for(person), releases_waiting_for(person)
        news = stopped_since(person, person.reminded_at or now - timedelta(days=1))
        if proposals or to_review:
            _leave_notice(person, _local(person, now), proposals, to_review)
        if proposals or to_review or news:
            try:
                send_letter(person, "waiting", {"proposals": proposals, "to_review": to_review, "news": news, "site": settings.SITE_URL})
            except OSError as error:
                logger.error("A reminder could not be sent to colleague %s: %s", person.pk, type(error).__name__)
                continue
            written += 1
        person.reminded_at = now
        person.save(update_fields=["reminded_at"])
    return written


def is_due(person: User, now: datetime, last: datetime | None) -> bool:
    """Whether it is past the person's hour on one of their days, and they were not written to (`last`) since."""
    local = _local(person, now)
    hour = local.replace(hour=person.reminder_hour, minute=0, second=0, microsecond=0)
    late = local - hour > timedelta(hours=3)  # nobody is written to in the evening because the server was down
    return (
        local.isoweekday() in person.reminder_days and hour <= local and not late and (last is None or last.astimezone(local.tzinfo) < hour)
    )


def _local(person: User, now: datetime) -> datetime:
    return now.astimezone(ZoneInfo(person.time_zone or settings.TIME_ZONE))


def _leave_notice(person: User, local: datetime, proposals: list[Proposal], to_review: list[Release]) -> None:
    """Once a day, however often the letter is tried again."""
    on = local.date().isoformat()
    if not person.notices.filter(text=_WAITS, values__on=on).exists():
        names = [*(f"“{one.title}”" for one in proposals), *(one.version for one in to_review)]
        items = ", ".join(names[:_NAMED]) + (" …" if names[_NAMED:] else "")
        tell([person], _WAITS, link=reverse("admin:taxonomy_proposal_changelist"), items=items, on=on)
