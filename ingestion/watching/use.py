"""Who uses what of the standard: questions other parts ask of the daily counts. Named in cdp/settings.py."""

from collections.abc import Collection
from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import Max, Sum

from ingestion.models import ReadingDay, ViolationDay
from taxonomy.recent import Use, Watched


def rule_use(rule_ids: Collection[UUID]) -> dict[UUID, Use]:
    """{rule: how often it read an event}; a rule that never did is absent. One query."""
    return _uses(ReadingDay.objects.filter(rule__in=rule_ids).values_list("rule"))


def tag_use(tag_ids: Collection[UUID]) -> dict[UUID, dict[UUID, Use]]:
    """{tag: {source: what it sent of it}}, accepted and held; a tag nobody sends is absent. One query."""
    found: dict[UUID, dict[UUID, Use]] = {}
    for (tag, source), use in _uses(ReadingDay.objects.filter(tag__in=tag_ids).values_list("tag_id", "source_id")).items():
        found.setdefault(tag, {})[source] = use
    return found


def tags_sent(tag_ids: Collection[UUID], since: date) -> list[tuple[UUID, UUID]]:
    """[(tag, source)] of these tags that arrived by their own names, on that day or later. One query."""
    rows = ReadingDay.objects.filter(tag__in=tag_ids, rule=None, day__gte=since)
    return list(rows.values_list("tag_id", "source_id").distinct())


def watched(tag_ids: Collection[UUID]) -> list[Watched]:
    """What would have been held of tags, per source, path and code, most first. One query."""
    rows = (
        ViolationDay.objects.filter(tag__in=list(tag_ids), effect=ViolationDay.Effect.WATCHED)
        .values_list("source_id", "path", "code")
        .annotate(events=Sum("count"), last_day=Max("day"))
        .order_by("-events", "source_id", "path", "code")
    )
    return [Watched(*row) for row in rows]


def _uses(grouped: Any) -> dict[Any, Use]:
    rows = grouped.annotate(events=Sum("count"), last_day=Max("day")).order_by()
    return {(row[0] if len(row) == 3 else row[:-2]): Use(int(row[-2]), row[-1]) for row in rows}
