"""Ties: evidence, written with the events, that two subjects are one person."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db.backends.utils import CursorWrapper

from profiles.copying import array
from taxonomy.standardize import Subject

if TYPE_CHECKING:
    from profiles.entries import Delivery, Entry

# An identifier with so many others is nobody's; more events with it ask for no new links.
HOPELESS = 50


class Ties:
    """The ties of one commit: one row per pair, written when it is new or earlier than what stands.

    A pair seen again asks for new links only if its weaker subject is tied to others too: then the newest may have changed.
    """

    def __init__(self) -> None:
        # (weaker subject's id, stronger subject's id) -> when first, by which event
        self._seen: dict[tuple[int, int], tuple[datetime, int]] = {}

    def add(self, new: "list[tuple[Delivery, Entry]]", ids: dict[Subject, int]) -> None:
        for _, entry in new:
            result = entry.result
            if not entry.others or result is None or result.verdict != "accepted":
                continue
            assert result.subject is not None and result.occurred_at is not None and entry.event_id is not None
            seen = result.occurred_at, entry.event_id
            for other in entry.others:
                pair = ids[other], ids[result.subject]
                if pair not in self._seen or seen[0] < self._seen[pair][0]:
                    self._seen[pair] = seen

    def write(self, cursor: CursorWrapper) -> bool:
        """Write what does not stand yet. True if links may have to change."""
        if not self._seen:
            return False
        standing = self._lock(cursor)
        new = {pair: seen for pair, seen in self._seen.items() if pair not in standing}
        if new:
            _write(cursor, new)
        return bool(new) + _ask_again(cursor, standing) > 0

    def _lock(self, cursor: CursorWrapper) -> set[tuple[int, int]]:
        """Lock what stands, in one order for all writers: they would deadlock otherwise. The pairs that stand from then on already."""
        cursor.execute(
            """
            SELECT tie.weaker_id, tie.stronger_id, tie.first_at <= pair.first_at
            FROM profiles_tie AS tie JOIN unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) AS pair (weaker_id, stronger_id, first_at)
                ON tie.weaker_id = pair.weaker_id AND tie.stronger_id = pair.stronger_id
            ORDER BY tie.weaker_id, tie.stronger_id FOR UPDATE OF tie
            """,
            [array(column) for column in zip(*((*pair, at) for pair, (at, _) in self._seen.items()), strict=True)],
        )
        return {(weaker, stronger) for weaker, stronger, is_older in cursor.fetchall() if is_older}


def _write(cursor: CursorWrapper, new: dict[tuple[int, int], tuple[datetime, int]]) -> None:
    rows = [(*pair, at, event_id) for pair, (at, event_id) in sorted(new.items())]
    cursor.execute(
        """
        INSERT INTO profiles_tie AS tie (weaker_id, stronger_id, first_at, event_id, settled)
        SELECT *, false FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[])
        ON CONFLICT (weaker_id, stronger_id) DO UPDATE SET
            settled = false,
            first_at = least(tie.first_at, excluded.first_at),
            event_id = CASE WHEN excluded.first_at < tie.first_at THEN excluded.event_id ELSE tie.event_id END
        """,
        [array(column) for column in zip(*rows, strict=True)],
    )


def _ask_again(cursor: CursorWrapper, standing: set[tuple[int, int]]) -> int:
    """A statement of its own, after the locks: one that waited for them would not see the tie that the other writer added."""
    if not standing:
        return 0
    cursor.execute(
        """
        UPDATE profiles_tie AS tie SET settled = false
        FROM unnest(%s::bigint[], %s::bigint[]) AS seen (weaker_id, stronger_id)
        WHERE tie.weaker_id = seen.weaker_id AND tie.stronger_id = seen.stronger_id AND (
            SELECT count(*) FROM (SELECT FROM profiles_tie AS other WHERE other.weaker_id = seen.weaker_id LIMIT %s) AS others
        ) BETWEEN 2 AND %s
        """,
        [*(array(column) for column in zip(*sorted(standing), strict=True)), HOPELESS, HOPELESS - 1],
    )
    return int(cursor.rowcount)
