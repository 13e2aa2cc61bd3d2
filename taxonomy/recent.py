"""What arrived lately. The events stand in a higher app: settings names the functions that know them."""

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from taxonomy.checks import Seen
from taxonomy.models import Source


def names_seen(source: Source) -> list[dict[str, Any]]:
    """[{"name", "count", "last_at"}], most frequent first."""
    return list(import_string(settings.TAGLINE_RECENT_NAMES)(source.pk))


def seen_lately() -> Seen:
    """What the checks of a plan know of the newest events of every source."""
    seen: Seen = import_string(settings.TAGLINE_RECENT_EVENTS)()
    return seen


def senders_of(tag_id: Any) -> list[dict[str, Any]]:
    """Which sources sent a tag lately: [{"source": uuid, "count", "last_at"}], the most frequent first."""
    return list(import_string(settings.TAGLINE_RECENT_SENDERS)(tag_id))
