"""Ties: evidence, written with the events, that two subjects are one person."""

import threading
from collections import OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.backends.utils import CursorWrapper

from taxonomy.standardize import Subject

if TYPE_CHECKING:
    from profiles.record import Delivery, Entry

_KEPT = 200_000
# An identifier with so many others is nobody's; more events with it ask for no new links.
HOPELESS = 50

# (weaker subject's id, stronger subject's id) -> since when: what this process knows to be written
_written: OrderedDict[tuple[int, int], datetime] = OrderedDict()
_lock = threading.Lock()


class Ties:
    """The ties of one commit: one row per pair, written when it is new or earlier than known.

    A pair seen again asks for new links only if its weaker subject is tied to others too: then the newest may have changed.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int], tuple[datetime, int]] = {}
        self._again: dict[tuple[int, int], tuple[datetime, int]] = {}

    def add(self, new: "list[tuple[Delivery, Entry]]", ids: dict[Subject, int]) -> None:
        for _, entry in new:
            result = entry.result
            if result is None or result.verdict != "accepted" or not entry.others:
                continue
            assert result.subject is not None and result.occurred_at is not None and entry.event_id is not None
            stronger, at = ids[result.subject], result.occurred_at
            for other in entry.others:
                pair = (ids[other], stronger)
                since = _written.get(pair)
                _keep_first(self._again if since is not None and since <= at else self._rows, pair, (at, entry.event_id))

    def write(self, cursor: CursorWrapper) -> bool:
        """Write the rows. True if links may have to change."""
        self._lock(cursor)
        return self._write_rows(cursor) + self._ask_again(cursor) > 0

    def _lock(self, cursor: CursorWrapper) -> None:
        """Lock what stands, in one order for all writers: they would deadlock otherwise.

        A pair that this process knows may be there no more, or only from later on: its events were taken back meanwhile.
        """
        if pairs := sorted(self._rows.keys() | self._again.keys()):
            cursor.execute(
                """
                SELECT weaker_id, stronger_id, first_at FROM profiles_tie AS tie
                JOIN unnest(%s::bigint[], %s::bigint[]) AS pair (weaker_id, stronger_id) USING (weaker_id, stronger_id)
                ORDER BY tie.weaker_id, tie.stronger_id FOR UPDATE OF tie
                """,
                [list(column) for column in zip(*pairs, strict=True)],
            )
            standing = {(weaker, stronger): first_at for weaker, stronger, first_at in cursor.fetchall()}
            for pair, seen in list(self._again.items()):
                if pair not in standing or seen[0] < standing[pair]:
                    _keep_first(self._rows, pair, self._again.pop(pair))

    def learn(self) -> None:
        """Remember, after the commit, what was written."""
        with _lock:
            _written.update({pair: at for pair, (at, _) in self._rows.items()})
            while len(_written) > _KEPT:
                _written.popitem(last=False)

    def _write_rows(self, cursor: CursorWrapper) -> int:
        if not self._rows:
            return 0
        rows = [(*pair, at, event_id) for pair, (at, event_id) in sorted(self._rows.items())]
        cursor.execute(
            """
            INSERT INTO profiles_tie AS tie (weaker_id, stronger_id, first_at, event_id, settled)
            SELECT *, false FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[])
            ON CONFLICT (weaker_id, stronger_id) DO UPDATE SET
                settled = false,
                first_at = least(tie.first_at, excluded.first_at),
                event_id = CASE WHEN excluded.first_at < tie.first_at THEN excluded.event_id ELSE tie.event_id END
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
        return len(rows)

    def _ask_again(self, cursor: CursorWrapper) -> int:
        if not self._again:
            return 0
        cursor.execute(
            """
            UPDATE profiles_tie AS tie SET settled = false
            FROM unnest(%s::bigint[], %s::bigint[]) AS seen (weaker_id, stronger_id)
            WHERE tie.weaker_id = seen.weaker_id AND tie.stronger_id = seen.stronger_id AND (
                SELECT count(*) FROM (SELECT FROM profiles_tie AS other WHERE other.weaker_id = seen.weaker_id LIMIT %s) AS others
            ) BETWEEN 2 AND %s
            """,
            [*[list(column) for column in zip(*sorted(self._again), strict=True)], HOPELESS, HOPELESS - 1],
        )
        return int(cursor.rowcount)


def _keep_first(found: dict[tuple[int, int], tuple[datetime, int]], pair: tuple[int, int], seen: tuple[datetime, int]) -> None:
    if pair not in found or seen[0] < found[pair][0]:
        found[pair] = seen


def forget() -> None:
    with _lock:
        _written.clear()
