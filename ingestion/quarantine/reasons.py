"""Why events are held: written in the commit that holds them, closed in the commit that mends them."""

from collections.abc import Collection
from typing import Any

from django.db.backends.utils import CursorWrapper

from profiles.copying import array
from profiles.entries import Delivery
from taxonomy.standardize import decode_json, general, storable
from taxonomy.violations import is_blocking

_CHARACTERS = 200
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def write_reasons(cursor: CursorWrapper, deliveries: list[Delivery], closed: list[int]) -> None:
    """A row per event held and distinct reason; the reasons of closed events stay, closed: of those too that came in the same deliveries."""
    _insert(cursor, deliveries)
    if closed:
        cursor.execute("UPDATE ingestion_quarantinereason SET open = false, fixed_at = now() WHERE open AND event_id = ANY(%s)", [closed])


def close_reasons(cursor: CursorWrapper, event_ids: Collection[int], *, fixed: bool) -> None:
    """Of events that are let in (`fixed`) or let go of: the reasons stay, closed, to be opened again where that is taken back."""
    cursor.execute(
        "UPDATE ingestion_quarantinereason SET open = false, fixed_at = CASE WHEN %s THEN now() END WHERE open AND event_id = ANY(%s::bigint[])",
        [fixed, array(sorted(event_ids))],
    )


def open_reasons_again(cursor: CursorWrapper, event_ids: Collection[int]) -> None:
    """Of those of these events that are held."""
    cursor.execute(
        """
        UPDATE ingestion_quarantinereason SET open = true, fixed_at = NULL
        WHERE NOT open AND event_id IN (SELECT id FROM profiles_event WHERE id = ANY(%s::bigint[]) AND standing = 2)
        """,
        [array(sorted(event_ids))],
    )


def replace_reasons(cursor: CursorWrapper, event_ids: Collection[int], deliveries: list[Delivery]) -> None:
    """Of events that stay held: what holds them now."""
    cursor.execute("DELETE FROM ingestion_quarantinereason WHERE event_id = ANY(%s::bigint[])", [array(sorted(event_ids))])
    _insert(cursor, deliveries)


def reasons_as_reported(cursor: CursorWrapper, event_ids: Collection[int]) -> None:
    """What their readings say of those of these events that are held, or stand aside: taken back or corrected. Of those it stays closed."""
    cursor.execute(
        """
        SELECT id, source_id, name, received_at, report::text FROM profiles_event
        WHERE id = ANY(%s::bigint[]) AND standing IN (2, 3, 4) AND attributes IS NULL
        """,
        [array(sorted(event_ids))],
    )
    found = cursor.fetchall()
    cursor.execute(
        "DELETE FROM ingestion_quarantinereason WHERE event_id = ANY(%s::bigint[]) RETURNING event_id, open, fixed_at, taken_back",
        [array(event_id for event_id, *_ in found)],
    )
    closed = {event_id: (fixed_at, taken_back) for event_id, is_open, fixed_at, taken_back in cursor.fetchall() if not is_open}
    _copy(
        cursor,
        {
            (event_id, str(source), one["code"], _short(general(one.get("path", ""))), _short(name or ""), received_at)
            for event_id, source, name, received_at, report in found
            for one in decode_json(report.encode())["violations"]
            if is_blocking(one)
        },
    )
    cursor.execute(
        """
        UPDATE ingestion_quarantinereason AS reason SET open = false, fixed_at = closed.fixed_at, taken_back = closed.taken_back
        FROM unnest(%s::bigint[], %s::timestamptz[], %s::boolean[]) AS closed (event_id, fixed_at, taken_back), profiles_event AS event
        WHERE reason.event_id = closed.event_id AND event.id = closed.event_id AND event.standing IN (3, 4)
        """,
        [array(closed), array(at for at, _ in closed.values()), array(is_taken for _, is_taken in closed.values())],
    )


def _insert(cursor: CursorWrapper, deliveries: list[Delivery]) -> None:
    rows = {
        (
            entry.event_id,
            delivery.source_id,
            violation.code,
            _short(general(violation.path)),
            _short(entry.raw.name or ""),
            delivery.received_at,
        )
        for delivery in deliveries
        for entry in delivery.entries
        if entry.result is not None and entry.result.verdict == "quarantined" and entry.status == "quarantined"
        if entry.raw is not None and entry.event_id is not None
        for violation in entry.result.violations
        if violation.blocking
    }
    _copy(cursor, rows)


def _copy(cursor: CursorWrapper, rows: set[tuple[Any, ...]]) -> None:
    if not rows:
        return
    before = None
    said: dict[tuple[object, ...], str] = {}
    lines = []
    for event_id, *rest in sorted(rows):
        reason = tuple(rest)
        if (line := said.get(reason)) is None:
            line = said[reason] = "\t".join(_as_text(one) for one in reason)
        lines.append(f"{event_id}\t{line}\tt\t{'f' if event_id == before else 't'}\n")
        before = event_id
    with cursor.copy(
        "COPY ingestion_quarantinereason (event_id, source_id, code, path, name, received_at, open, leads) FROM STDIN"
    ) as copy:
        copy.write("".join(lines))


def _as_text(value: object) -> str:
    """As COPY reads a column: the signs that mean something to it are escaped."""
    return str(value).translate(_ESCAPED)


def _short(text: str) -> str:
    return str(storable(text))[:_CHARACTERS]
