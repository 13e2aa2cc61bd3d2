"""Event names a source sent lately. The events stand in a higher app: settings names the function that knows them."""

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from taxonomy.models import Source


def names_seen(source: Source) -> list[dict[str, Any]]:
    """[{"name", "count", "last_at"}], most frequent first."""
    return list(import_string(settings.TAGLINE_RECENT_NAMES)(source.pk))
