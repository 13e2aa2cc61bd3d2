"""What arrived lately, for people who edit rules."""

from collections import defaultdict
from typing import Any
from uuid import UUID

from django.db import connection

from taxonomy.checks import Seen

# The newest events looked at: enough to see every name in use, few enough to answer at once; they are found among the newest so many,
# for no index passes over those taken back.
_LOOKED_AT, _AMONG = 20_000, 200_000
_NEWEST = """
    SELECT name, received_at, standing, source_id, tag_id, rule_id FROM (SELECT * FROM profiles_event ORDER BY id DESC LIMIT %s) AS newest
    WHERE standing <> 3 ORDER BY id DESC LIMIT %s
"""


def names_seen(source_id: UUID) -> list[dict[str, Any]]:
    """The names among a source's newest events: [{"name", "count", "last_at", "held", "tags"}], most frequent first. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT name, count(*), max(received_at), count(*) FILTER (WHERE standing = 2),
                coalesce(array_agg(DISTINCT tag_id) FILTER (WHERE tag_id IS NOT NULL), '{{}}')
            FROM ({_NEWEST}) AS newest
            WHERE source_id = %s AND name IS NOT NULL GROUP BY name ORDER BY 2 DESC, 1 LIMIT 50
            """,
            [_AMONG, _LOOKED_AT, source_id],
        )
        return [dict(zip(("name", "count", "last_at", "held", "tags"), row, strict=True)) for row in cursor.fetchall()]


def seen_lately() -> Seen:
    """Names, tags and rules among the newest events, and a few values of each attribute. Two queries."""
    names: dict[str, list[str]] = defaultdict(list)
    tags, rules = set(), set()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT source_id, name, array_agg(DISTINCT tag_id) FILTER (WHERE tag_id IS NOT NULL), array_agg(DISTINCT rule_id) FILTER (WHERE rule_id IS NOT NULL)
            FROM ({_NEWEST}) AS newest
            GROUP BY source_id, name ORDER BY count(*) DESC, source_id, name LIMIT 5000
            """,
            [_AMONG, _LOOKED_AT],
        )
        for source, name, seen_tags, seen_rules in cursor.fetchall():
            if name:
                names[str(source)].append(name)
            tags |= {str(one) for one in seen_tags or []}
            rules |= {str(one) for one in seen_rules or []}
        cursor.execute(
            """
            SELECT key, (array_agg(DISTINCT left(value, 200)))[1:20]
            FROM (
                SELECT attributes FROM (SELECT * FROM profiles_event ORDER BY id DESC LIMIT %s) AS newest
                WHERE attributes IS NOT NULL AND standing <> 3 ORDER BY id DESC LIMIT 2000
            ) AS lately, jsonb_each_text(attributes) GROUP BY key
            """,
            [_AMONG],
        )
        return Seen(names, tags, rules, dict(cursor.fetchall()))
