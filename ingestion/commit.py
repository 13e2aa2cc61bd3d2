"""One commit shared by the requests waiting in a process.

A thread takes whatever waits, and what is about to, and stores it in one transaction; requests that arrive meanwhile form
the next one. So an idle process commits at once, and a busy one commits many requests together. A request is answered after
its commit; the links that its identifiers ask for are drawn within a moment of that, for many commits at once.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, close_old_connections

from ingestion.pipeline import in_commit
from profiles.entries import Delivery
from profiles.link import settle_soon
from profiles.models import Tally
from profiles.record import record

# Above this a delivery is stored by its own thread: it would make the others wait.
SHARED_EVENTS = 200
_MOST_TOGETHER = 64
# So many that shared a commit are likely to come back as many; fewer are not waited for, and answered sooner.
_MANY_TOGETHER = 16
# More than so many events gain nothing from being stored with still more.
_EVENTS_TOGETHER = 500
# How long a commit waits for requests that are being read; alone, a request waits for none.
_GATHER_SECONDS = 0.003
# Drawing links costs as much as several commits, whatever they ask for: so it is done this often, for all of them.
_SETTLE_SECONDS = 0.2


def _shut() -> threading.Lock:
    made = threading.Lock()
    made.acquire()
    return made


@dataclass(slots=True)
class _Waiting:
    """`done` is a lock that its commit opens: of what can wake one thread the cheapest."""

    delivery: Delivery
    done: threading.Lock = field(default_factory=_shut)
    error: BaseException | None = None


_start_lock = threading.Lock()
_threads: dict[str, threading.Thread] = {}
_unsettled = threading.Event()


class _Gathering:
    """The requests that wait for the next commit.

    One for thirty costs little more than one for a single request, and busy senders send again once they are answered.
    So where many shared the last commit the next waits for as many, though no longer than that one took.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[_Waiting] = deque()
        self._events = 0
        self._reading = 0
        self._wanted = 1

    def count_reading(self, one: int) -> None:
        with self._changed:
            self._reading += one
            if self._is_whole():
                self._changed.notify()

    def add(self, waiting: _Waiting, *, was_reading: bool) -> None:
        with self._changed:
            self._reading -= was_reading
            self._events += len(waiting.delivery.entries)
            self._waiting.append(waiting)
            if len(self._waiting) == 1 or self._are_enough():
                self._changed.notify()

    def take(self, seconds: float) -> list[_Waiting]:
        """The next ones, as soon as there are any and enough; for enough it waits at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            self._changed.wait_for(self._is_whole, _GATHER_SECONDS)
            self._changed.wait_for(self._are_enough, seconds)
            together: list[_Waiting] = []
            events = 0
            while self._waiting and len(together) < _MOST_TOGETHER and events < _EVENTS_TOGETHER:
                together.append(self._waiting.popleft())
                events += len(together[-1].delivery.entries)
            self._events -= events
            self._wanted = len(together) if len(together) >= _MANY_TOGETHER else 1
            return together

    def _are_enough(self) -> bool:
        return len(self._waiting) >= self._wanted or self._events >= _EVENTS_TOGETHER

    def _is_whole(self) -> bool:
        return self._are_enough() and (self._reading <= 0 or self._events >= _EVENTS_TOGETHER or len(self._waiting) >= _MOST_TOGETHER)


_gathering = _Gathering()
_mine = threading.local()


@contextmanager
def coming() -> Iterator[None]:
    """Around reading a small request: a commit about to begin waits a moment for it."""
    _gathering.count_reading(1)
    _mine.reading = True
    try:
        yield
    finally:
        if _mine.reading:
            _gathering.count_reading(-1)


def store_together(delivery: Delivery) -> bool:
    """Store a delivery, small ones with others. Returns after the commit; raises what the commit raised.

    Always False: the links that it asks for are seen to here.
    """
    if len(delivery.entries) > SHARED_EVENTS:
        if record([delivery], in_commit()):
            _settle_later()
        return False
    _ensure_thread("group-commit", _drain)
    waiting = _Waiting(delivery)
    was_reading, _mine.reading = getattr(_mine, "reading", False), False
    _gathering.add(waiting, was_reading=was_reading)
    waiting.done.acquire()
    if waiting.error is not None:
        raise waiting.error
    return False


def _ensure_thread(name: str, runs: Callable[[], None]) -> None:
    if name not in _threads or not _threads[name].is_alive():
        with _start_lock:
            if name not in _threads or not _threads[name].is_alive():
                _threads[name] = threading.Thread(target=runs, name=name, daemon=True)
                _threads[name].start()


def _settle_later() -> None:
    _ensure_thread("settle", _settle)
    _unsettled.set()


def _settle() -> None:
    while True:
        _unsettled.wait()
        _unsettled.clear()
        settle_soon()
        close_old_connections()
        time.sleep(_SETTLE_SECONDS)


def _drain() -> None:
    took = 0.0
    while True:
        together = _gathering.take(took)
        began = time.monotonic()
        _store(together)
        took = time.monotonic() - began


def store_in_one(deliveries: list[Delivery], *, again: bool = False) -> None:
    """Store these in one commit; the links that they ask for are drawn soon after it. Raises what the commit raised.

    A connection lost at the commit leaves open whether it was done: what it stored must not be counted again. `again`:
    the same deliveries were tried before.
    """
    if again and _is_stored(deliveries[0]):
        _settle_later()
        return
    try:
        if record(deliveries, in_commit()):
            _settle_later()
    except (DatabaseError, InterfaceError):
        close_old_connections()
        if not _is_stored(deliveries[0]):
            raise
        _settle_later()


def _store(together: list[_Waiting]) -> None:
    """Store these in one commit. If that fails, each alone, so that one cannot fail the others."""
    try:
        store_in_one([waiting.delivery for waiting in together])
    except (DatabaseError, InterfaceError):
        for waiting in together:
            _store_again(waiting)
    except BaseException as error:
        for waiting in together:
            waiting.error = error
    for waiting in together:
        waiting.done.release()


def _store_again(waiting: _Waiting) -> None:
    """On a connection made anew, where the one before was lost, maybe while nobody sent anything."""
    try:
        store_in_one([waiting.delivery], again=True)
    except BaseException as error:
        waiting.error = error


def _is_stored(delivery: Delivery) -> bool:
    with suppress(DatabaseError, InterfaceError):
        return Tally.objects.filter(batch_id=delivery.batch_id).exists()
    return False
