"""What arrived lately, for people who edit rules."""

from typing import Any
from uuid import UUID

from django.db import connection

# The newest events looked at: enough to see every name in use, few enough to answer at once.
_LOOKED_AT = 20_000


def names_seen(source_id: UUID) -> list[dict[str, Any]]:
    """The names among a source's newest events: [{"name", "count", "last_at", "held"}], most frequent first. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT name, count(*), max(received_at), count(*) FILTER (WHERE standing = 2)
            FROM (SELECT name, received_at, standing, source_id FROM profiles_event ORDER BY id DESC LIMIT %s) AS newest
            WHERE source_id = %s AND name IS NOT NULL GROUP BY name ORDER BY 2 DESC LIMIT 50
            """,
            [_LOOKED_AT, source_id],
        )
        return [dict(zip(("name", "count", "last_at", "held"), row, strict=True)) for row in cursor.fetchall()]
