"""Who uses what of the standard: questions other parts ask of the daily counts. Named in cdp/settings.py."""

from collections.abc import Collection
from datetime import date
from typing import Any
from uuid import UUID

from django.db import connection

from ingestion.models import ViolationDay
from taxonomy.recent import Use, Watched

# The daily counts less what the ledger says was taken back of them; a day of which nothing is left is none.
_LEFT = """
    SELECT {by}, sum(events)::bigint, max(day) FROM (
        SELECT {by}, day, sum(count) AS events FROM (
            SELECT {by}, day, count FROM ingestion_readingday WHERE {of}
            UNION ALL SELECT {by}, day, -(counted + held) FROM ingestion_withdrawal WHERE {of}
        ) AS line GROUP BY {by}, day HAVING sum(count) > 0
    ) AS left_over GROUP BY {by} ORDER BY {by}
"""

_WATCHED = """
    SELECT source_id, path, code, sum(events)::bigint AS events, max(day) FROM (
        SELECT source_id, path, code, day, sum(count) AS events FROM (
            SELECT source_id, path, code, day, count FROM ingestion_violationday WHERE tag_id = ANY(%(ids)s::uuid[]) AND effect = %(effect)s
            UNION ALL SELECT source_id, path, code, day, -count FROM ingestion_watchedless WHERE tag_id = ANY(%(ids)s::uuid[])
        ) AS line GROUP BY source_id, path, code, day HAVING sum(count) > 0
    ) AS left_over GROUP BY source_id, path, code ORDER BY events DESC, source_id, path, code
"""


def rule_use(rule_ids: Collection[UUID]) -> dict[UUID, Use]:
    """{rule: how often it read an event}; a rule that never did is absent. One query."""
    return {rule: Use(*use) for rule, *use in _left("rule", "rule = ANY(%(ids)s::uuid[])", rule_ids)}


def tag_use(tag_ids: Collection[UUID]) -> dict[UUID, dict[UUID, Use]]:
    """{tag: {source: what it sent of it}}, accepted and held; a tag nobody sends is absent. One query."""
    found: dict[UUID, dict[UUID, Use]] = {}
    for tag, source, *use in _left("tag_id, source_id", "tag_id = ANY(%(ids)s::uuid[])", tag_ids):
        found.setdefault(tag, {})[source] = Use(*use)
    return found


def tags_sent(tag_ids: Collection[UUID], since: date) -> list[tuple[UUID, UUID]]:
    """[(tag, source)] of these tags that arrived by their own names, on that day or later. One query."""
    rows = _left("tag_id, source_id", "tag_id = ANY(%(ids)s::uuid[]) AND rule IS NULL AND day >= %(since)s", tag_ids, since=since)
    return [(tag, source) for tag, source, *_use in rows]


def tags_of(source: UUID) -> set[UUID]:
    """The tags of which it ever sent an event. One query."""
    return {tag for tag, *_use in _left("tag_id", "source_id = ANY(%(ids)s::uuid[]) AND tag_id IS NOT NULL", [source])}


def _left(by: str, of: str, ids: Collection[UUID], **more: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_LEFT.format(by=by, of=of), {"ids": list(ids), **more})
        return list(cursor.fetchall())


def watched(tag_ids: Collection[UUID]) -> list[Watched]:
    """What would have been held of tags, per source, path and code, most first. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_WATCHED, {"ids": list(tag_ids), "effect": ViolationDay.Effect.WATCHED})
        return [Watched(*row) for row in cursor.fetchall()]
