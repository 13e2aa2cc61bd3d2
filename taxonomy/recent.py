"""What arrived lately. The events stand in a higher app: settings names the functions that know them."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from staff.models import Notice, User
from taxonomy.checks import Seen
from taxonomy.models import Source
from taxonomy.standardize import RawEvent


def names_seen(source: Source) -> list[dict[str, Any]]:
    """[{"name", "count", "last_at", "held", "tags": what it became}], most frequent first."""
    return list(import_string(settings.TAGLINE_RECENT_NAMES)(source.pk))


def seen_lately() -> Seen:
    """What the checks of a plan know of the newest events of every source."""
    seen: Seen = import_string(settings.TAGLINE_RECENT_EVENTS)()
    return seen


def events_sent(sources: Collection[str]) -> list[tuple[str, RawEvent]]:
    """A few of the newest events of each name of these sources, as they were sent. One query."""
    return list(import_string(settings.TAGLINE_EVENTS_SENT)(sources))


class Use(NamedTuple):
    """Events ever counted, and the company's day of the last."""

    events: int
    last_day: date


class Watched(NamedTuple):
    """Events that a rule in watch mode would have held."""

    source: UUID
    path: str
    code: str
    events: int
    last_day: date


def rule_use(rule_ids: Collection[UUID]) -> dict[UUID, Use]:
    """{rule: how often it read an event}; a rule that never did is absent. One query."""
    return dict(import_string(settings.TAGLINE_RULE_USE)(rule_ids))


def tag_use(tag_ids: Collection[UUID]) -> dict[UUID, dict[UUID, Use]]:
    """{tag: {source: what it sent of it}}, accepted and held; a tag nobody sends is absent. One query."""
    return dict(import_string(settings.TAGLINE_TAG_USE)(tag_ids))


def tags_sent(tag_ids: Collection[UUID], since: date) -> list[tuple[UUID, UUID]]:
    """[(tag, source)] of these tags that arrived by their own names, whatever the case or refinement, on that day or later. One query."""
    return list(import_string(settings.TAGLINE_TAGS_SENT)(tag_ids, since))


def stopped_since(person: User, since: datetime) -> list[Notice]:
    """What of a person's has stopped or is back since then."""
    return list(import_string(settings.TAGLINE_STOPPED)(person, since))


def watched(tag_ids: Collection[UUID]) -> list[Watched]:
    """What would have been held of tags, per source, path and code, most first. One query."""
    return list(import_string(settings.TAGLINE_WATCHED)(tag_ids))
