"""What a cause's place is called in the file that its newest held event came with; of what attributes its newest events lack one."""

from collections.abc import Iterable

from django.db import connection

from ingestion.doors.files import Matching
from ingestion.imports.words import other_heading
from ingestion.models import Cause
from taxonomy.places import ATTRIBUTES
from taxonomy.standardize import Violation, decode_json

_NEWEST = r"""
    SELECT cause.id, cause.path, batch.format ->> 'matching', (
        SELECT found.value #>> '{values,from}' FROM jsonb_array_elements(event.report -> 'violations') AS found (value)
        WHERE found.value ->> 'code' = cause.code AND regexp_replace(found.value ->> 'path', '\[\d+\]', '[]', 'g') = cause.path LIMIT 1
    )
    FROM ingestion_cause AS cause CROSS JOIN LATERAL (
        SELECT event_id FROM ingestion_quarantinereason AS reason
        WHERE open AND (reason.source_id, reason.code, reason.path, reason.name) = (cause.source_id, cause.code, cause.path, cause.name)
        ORDER BY event_id DESC LIMIT 1
    ) AS newest JOIN profiles_event AS event ON event.id = newest.event_id JOIN profiles_batch AS batch ON batch.id = event.batch_id
    WHERE cause.id = ANY(%s) AND cause.path <> '' AND jsonb_typeof(batch.format -> 'matching') = 'object'
"""

# So many of the newest events of a cause are asked, for not all need lack the same.
_ASKED = 20
_LACKED = """
    SELECT DISTINCT cause.id, found.value #>> '{expected,one_of}'
    FROM ingestion_cause AS cause CROSS JOIN LATERAL (
        SELECT event_id FROM ingestion_quarantinereason AS reason
        WHERE open AND (reason.source_id, reason.code, reason.path, reason.name) = (cause.source_id, cause.code, cause.path, cause.name)
        ORDER BY event_id DESC LIMIT %s
    ) AS newest JOIN profiles_event AS event ON event.id = newest.event_id
    CROSS JOIN LATERAL jsonb_array_elements(event.report -> 'violations') AS found (value)
    WHERE cause.id = ANY(%s) AND found.value ->> 'code' = cause.code AND found.value ->> 'path' = cause.path
        AND found.value #> '{expected,one_of}' IS NOT NULL
    ORDER BY 1, 2
"""


def headings_of(causes: Iterable[Cause]) -> dict[int, str]:
    """{cause: heading}, of those whose newest event was read by a matching that knows the place. One query, however much is held."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [[cause.pk for cause in causes]])
        found = {
            pk: other_heading(Violation("", path, values={"from": origin}), Matching.of(decode_json(written.encode())))
            for pk, path, written, origin in cursor.fetchall()
        }
    return {pk: heading for pk, heading in found.items() if heading}


def lacked_in(causes: Iterable[Cause]) -> dict[int, list[list[str]]]:
    """{cause: groups of attributes}, of each of which one is missing; of those that tell so of an event as a whole. At most one query."""
    asked = [cause.pk for cause in causes if cause.path == ATTRIBUTES]
    found: dict[int, list[list[str]]] = {}
    if asked:
        with connection.cursor() as cursor:
            cursor.execute(_LACKED, [_ASKED, asked])
            for pk, group in cursor.fetchall():
                found.setdefault(pk, []).append(decode_json(group.encode()))
    return found
