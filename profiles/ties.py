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

# weaker subject's id -> (stronger subject's id, since when): what this process last wrote
_written: OrderedDict[int, tuple[int, datetime]] = OrderedDict()
_lock = threading.Lock()


class Ties:
    """The ties of one commit. A pair is written when it is new, earlier than known, or follows another stronger one."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int, datetime], tuple[datetime, int]] = {}
        self._learned: dict[int, tuple[int, datetime]] = {}

    def add(self, new: "list[tuple[Delivery, Entry]]", ids: dict[Subject, int]) -> None:
        for _, entry in new:
            result = entry.result
            if result is None or result.verdict != "accepted" or not entry.others:
                continue
            assert result.subject is not None and result.occurred_at is not None and entry.event_id is not None
            stronger, at = ids[result.subject], result.occurred_at
            for other in entry.others:
                weaker = ids[other]
                last = self._learned.get(weaker) or _written.get(weaker)
                if last is not None and last[0] == stronger and last[1] <= at:
                    continue
                self._rows[weaker, stronger, at] = (at, entry.event_id)
                self._learned[weaker] = (stronger, at)

    def write(self, cursor: CursorWrapper) -> bool:
        """Write the rows. True if there were any."""
        if not self._rows:
            return False
        rows = sorted((weaker, stronger, at, last, event_id) for (weaker, stronger, at), (last, event_id) in self._rows.items())
        cursor.execute(
            """
            INSERT INTO profiles_tie (weaker_id, stronger_id, first_at, last_at, event_id, settled)
            SELECT *, false FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::bigint[])
            ON CONFLICT (weaker_id, stronger_id, first_at) DO NOTHING
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
        return True

    def learn(self) -> None:
        """Remember, after the commit, what was written."""
        with _lock:
            _written.update(self._learned)
            while len(_written) > _KEPT:
                _written.popitem(last=False)


def forget() -> None:
    with _lock:
        _written.clear()
