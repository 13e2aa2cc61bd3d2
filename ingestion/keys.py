"""Who sends: a write key proves its source. Checked in memory, so that a request costs no query; revoked within a second."""

import hashlib
import logging
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import Q
from django.utils import timezone

from ingestion.models import FailedRequest, WriteKey

_SECONDS_KEPT = 1.0
_MOST_KEPT = 10_000
# A process takes so many parts of a second's worth.
_SHARES, _KEPT_SECONDS = 20, 5
_MORE_AFTER_SECONDS = 1 / _SHARES
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who may send now, by a write key, or (`key_id` None) by a webhook. `per_second`: events, over all processes; 0: no limit."""

    key_id: int | None
    source_id: str
    test: bool
    per_second: int
    hook_id: int | None = None

    @property
    def lease(self) -> tuple[str, int] | None:
        """What its allowance is taken from, "key" or "hook", and its id; None: it has no limit."""
        of, number = ("key", self.key_id) if self.hook_id is None else ("hook", self.hook_id)
        return (of, number) if self.per_second and number is not None else None


_senders: dict[bytes, tuple[float, Sender | None]] = {}
_lock = threading.Lock()


def sender(secret: str) -> Sender | None:
    """The sender a secret proves, or None. Of a key in use another thread asks again before its second is over, so that none waits."""
    hashed = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
    left = (known := _senders.get(hashed, (0.0, None)))[0] - time.monotonic()
    if left <= 0:
        return _learn(hashed)
    if known[1] is not None and left < _SECONDS_KEPT / 2:
        _again.ask(hashed)
    return known[1]


def _learn(hashed: bytes) -> Sender | None:
    now = time.monotonic()
    found = _look_up(hashed)
    with _lock:
        if len(_senders) > _MOST_KEPT:
            _senders.clear()
        _senders[hashed] = (now + _SECONDS_KEPT, found)
    return found


class _Again:
    """Looks keys up again in a thread of its own, whose connection is open already."""

    def __init__(self) -> None:
        self.wanted: set[bytes] = set()
        self._any = threading.Event()
        self._thread: threading.Thread | None = None

    def ask(self, hashed: bytes) -> None:
        if hashed in self.wanted:
            return
        with _lock:
            self.wanted.add(hashed)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look_up_on, name="keys", daemon=True)
                self._thread.start()
        self._any.set()

    def _look_up_on(self) -> None:
        while True:
            self._any.wait()
            self._any.clear()
            for hashed in list(self.wanted):
                with suppress(DatabaseError, InterfaceError):  # then a request asks for itself
                    _learn(hashed)
                with _lock:
                    self.wanted.discard(hashed)
            close_old_connections()


_again = _Again()


def known(secret: str) -> Sender | None:
    """The sender, where it was looked up within the last second. No query."""
    hashed = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
    found = _senders.get(hashed)
    return found[1] if found is not None and found[0] > time.monotonic() else None


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


@dataclass(slots=True)
class _Share:
    """What this process took of a key's or webhook's allowance and did not send yet.

    Until `more_at`, in seconds since 1970, `too_many` events and more are known to be too many.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    left: int = 0
    taken_at: float = 0.0
    more_at: float = 0.0
    too_many: int = 1


class Allowance:
    """Events per second of a key or webhook, shared by all processes: each takes a twentieth of a second's worth at a time from one row.

    Up to a second's worth is saved up while nothing is sent; then it comes back evenly, so that a flood is let in event by
    event and not in a burst at the top of each second, for which all others would wait. While none is left no process asks for
    more of it than twenty times a second: what a flood is refused costs no query. None waits for another's. What a process took
    and did not send within five seconds is gone.
    """

    def __init__(self) -> None:
        self._shares: dict[tuple[str, int], _Share] = {}

    def take(self, one: Sender, events: int) -> bool:
        """Whether so many events may be sent now."""
        lease = one.lease
        if lease is None:
            return True
        needed = min(events, one.per_second)  # a larger request takes a whole second's worth; it could never be sent otherwise
        share = self._shares.setdefault(lease, _Share())
        with share.lock:
            # Not before the lock: who waited for it would ask for a moment that is over.
            now = time.time()
            if now - share.taken_at > _KEPT_SECONDS:
                share.left = 0
            least = needed - share.left
            if least > 0 and (now >= share.more_at or least < share.too_many):
                wanted = max(least, one.per_second // _SHARES)
                granted = _take_of(lease, now, least, wanted, one.per_second)
                share.left, share.taken_at = share.left + granted, now
                if granted < wanted:
                    share.more_at, share.too_many = now + _MORE_AFTER_SECONDS, 1 if granted else least
            if share.left < needed:
                return False
            share.left -= needed
            return True

    def is_used_up(self, one: Sender) -> bool:
        """Whether even one event more is known to be too many now. No query."""
        lease = one.lease
        share = self._shares.get(lease) if lease is not None else None
        return share is not None and share.left == 0 and share.too_many == 1 and time.time() < share.more_at


# What is left, of which the last digits of a moment may take a little.
_LEFT = "floor((%(now)s + 1 - greatest(lease.spent_until, %(now)s)) * %(limit)s + 0.05)::bigint"


def _take_of(lease: tuple[str, int], now: float, least: int, wanted: int, limit: int) -> int:
    """Take up to `wanted` of what is left, nothing if that is less than `least`: the events granted."""
    of, number = lease
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO ingestion_{of}lease AS lease ({of}_id, spent_until, granted)
            VALUES (%(id)s, %(now)s + %(wanted)s::float8 / %(limit)s, %(wanted)s)
            ON CONFLICT ({of}_id) DO UPDATE SET
                spent_until = greatest(lease.spent_until, %(now)s) + least(%(wanted)s, {_LEFT})::float8 / %(limit)s,
                granted = least(%(wanted)s, {_LEFT})
            WHERE {_LEFT} >= %(least)s
            RETURNING granted
            """,
            {"id": number, "now": now, "least": least, "wanted": wanted, "limit": limit},
        )
        found = cursor.fetchone()
        return int(found[0]) if found else 0


allowance = Allowance()


RATE_LIMITED = "rate_limited"


class _Refused:
    """How often each source was refused for its pace, written once a second: a write for each would be what a flood costs others.

    A process that is killed loses the last second of it; every other failure is written at once.
    """

    def __init__(self) -> None:
        self._counts: Counter[str | None] = Counter()
        self._lock = threading.Lock()
        self._any = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, source_id: str | None) -> None:
        with self._lock:
            self._counts[source_id] += 1
            # One thread for good: another each second would open another connection each second, for which all others wait.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._write_on, name="refused", daemon=True)
                self._thread.start()
        self._any.set()

    def write(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        for source_id, count in counts.items():
            _count(RATE_LIMITED, source_id, count)

    def forget(self) -> None:
        with self._lock:
            self._counts = Counter()

    def _write_on(self) -> None:
        while True:
            self._any.wait()
            time.sleep(1)
            self._any.clear()
            try:
                self.write()
            except (DatabaseError, InterfaceError) as error:
                _log.warning("refused requests were not counted: %s", type(error).__name__)
            close_old_connections()


refused = _Refused()


def count_failure(cause: str, source_id: str | None = None, *, times: int = 1) -> None:
    """Count requests that failed as a whole, by hour."""
    if cause == RATE_LIMITED:
        refused.add(source_id)
    else:
        _count(cause, source_id, times)


def _count(cause: str, source_id: str | None, count: int) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {FailedRequest._meta.db_table} AS failed (source_id, cause, hour, count) VALUES (%s, %s, %s, %s)
            ON CONFLICT (source_id, cause, hour) DO UPDATE SET count = failed.count + excluded.count
            """,
            [source_id, cause, hour, count],
        )


def forget() -> None:
    """Forget the senders known, and what was refused and not written yet, as tests need between databases."""
    with _lock:
        _senders.clear()
    refused.forget()


def rotate(key: WriteKey, *, overlap: timedelta) -> tuple[WriteKey, str]:
    """Make a key's successor; the old one works on for `overlap`. Returns it and its secret, shown this once."""
    successor = WriteKey(source=key.source, name=key.name, test=key.test, per_second=key.per_second, created_by=key.created_by)
    secret = successor.set_secret()
    successor.save()
    key.expires_at = timezone.now() + overlap
    key.save(update_fields=["expires_at"])
    return successor, secret
