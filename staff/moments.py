"""Days and times as people say them, in the reader's language."""

from datetime import date, datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

# Beyond so many days the day itself says more than their number.
_COUNTED_DAYS = 60


def day_words(written: date | str) -> str:
    """A day, such as 31 Dec 2026. One that is written wrongly is told as it is written."""
    try:
        return date_format(date.fromisoformat(str(written)), "DATE_FORMAT")
    except ValueError:
        return str(written)


def moment_words(written: str) -> str:
    """A time written as ISO 8601, in the reader's zone; what is none is told as it is written."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return written
    return date_format(timezone.localtime(at) if timezone.is_aware(at) else at, "DATETIME_FORMAT")


def ago_words(at: datetime, now: datetime) -> str:
    """How long ago, in one unit: nobody needs the minutes of what was yesterday."""
    seconds = int((now - at).total_seconds())
    if seconds < 60:
        return _("just now")
    if seconds < 3600:
        return ngettext("%(number)s minute ago", "%(number)s minutes ago", seconds // 60) % {"number": seconds // 60}
    if seconds < 86_400:
        return ngettext("%(number)s hour ago", "%(number)s hours ago", seconds // 3600) % {"number": seconds // 3600}
    days = seconds // 86_400
    if days <= _COUNTED_DAYS:
        return ngettext("%(number)s day ago", "%(number)s days ago", days) % {"number": days}
    return day_words(timezone.localdate(at))
