"""Who sends: a write key proves its source. Checked in memory, so that a request costs no query; revoked within a second."""

import hashlib
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from ingestion.models import FailedRequest, WriteKey

_SECONDS_KEPT = 1.0
_MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Sender:
    """Who may send now, by a write key, or (`key_id` None) by a webhook. `per_second`: events, over all processes; 0: no limit."""

    key_id: int | None
    source_id: str
    test: bool
    per_second: int


_senders: dict[bytes, tuple[float, Sender | None]] = {}
_lock = threading.Lock()


def sender(secret: str) -> Sender | None:
    """The sender a secret proves, or None. One query a second per key at the most."""
    hashed = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
    now = time.monotonic()
    known = _senders.get(hashed)
    if known is not None and known[0] > now:
        return known[1]
    found = _look_up(hashed)
    with _lock:
        if len(_senders) > _MOST_KEPT:
            _senders.clear()
        _senders[hashed] = (now + _SECONDS_KEPT, found)
    return found


def _look_up(hashed: bytes) -> Sender | None:
    now = timezone.now()
    key = WriteKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), hash=hashed, revoked_at=None).first()
    if key is None:
        return None
    _note_use(key, now)
    return Sender(key.pk, str(key.source_id), key.test, key.per_second)


def _note_use(key: WriteKey, now: datetime) -> None:
    """Keep the minute of the last use: one write a minute and key at the most."""
    minute = now.replace(second=0, microsecond=0)
    if key.last_used_at is None or key.last_used_at < minute:
        WriteKey.objects.filter(pk=key.pk).update(last_used_at=minute)


class Allowance:
    """A key's events per second, shared by all processes: each takes a tenth of a second's worth at a time from one row."""

    def __init__(self) -> None:
        self._left: Counter[tuple[int, int]] = Counter()
        self._lock = threading.Lock()

    def take(self, one: Sender, events: int) -> bool:
        """Whether so many events may be sent in this second."""
        if not one.per_second or one.key_id is None:
            return True
        second = int(time.time())
        needed = min(events, one.per_second)  # a larger request takes a whole second's worth; it could never be sent otherwise
        with self._lock:
            if self._left[one.key_id, second] < needed:
                share = max(needed, one.per_second // 10)
                self._left[one.key_id, second] += _lease(one, second, share)
            if self._left[one.key_id, second] < needed:
                return False
            self._left[one.key_id, second] -= needed
            for stale in [kept for kept in self._left if kept[1] < second]:
                del self._left[stale]
            return True


def _lease(one: Sender, second: int, share: int) -> int:
    """Take up to `share` of what is left of this second: the events granted."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ingestion_keylease AS lease (key_id, second, taken) VALUES (%(key)s, %(second)s, least(%(share)s, %(limit)s))
            ON CONFLICT (key_id) DO UPDATE SET
                second = excluded.second,
                taken = CASE WHEN lease.second = excluded.second THEN least(lease.taken + %(share)s, %(limit)s)
                             ELSE excluded.taken END,
                before = CASE WHEN lease.second = excluded.second THEN lease.taken ELSE 0 END
            RETURNING taken - before
            """,
            {"key": one.key_id, "second": second, "share": share, "limit": one.per_second},
        )
        return int(cursor.fetchone()[0])


allowance = Allowance()


def count_failure(cause: str, source_id: str | None = None) -> None:
    """Count a request that failed as a whole, by hour. Never lets the answer fail."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {FailedRequest._meta.db_table} AS failed (source_id, cause, hour, count) VALUES (%s, %s, %s, 1)
            ON CONFLICT (source_id, cause, hour) DO UPDATE SET count = failed.count + 1
            """,
            [source_id, cause, hour],
        )


def forget() -> None:
    """Forget the senders known, as tests need between databases."""
    with _lock:
        _senders.clear()


def rotate(key: WriteKey, *, overlap: timedelta) -> tuple[WriteKey, str]:
    """Make a key's successor; the old one works on for `overlap`. Returns it and its secret, shown this once."""
    successor = WriteKey(source=key.source, name=key.name, test=key.test, per_second=key.per_second, created_by=key.created_by)
    secret = successor.set_secret()
    successor.save()
    key.expires_at = timezone.now() + overlap
    key.save(update_fields=["expires_at"])
    return successor, secret
