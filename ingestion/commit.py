"""One commit shared by the requests waiting in a process.

A thread takes whatever waits, and what is about to, and stores it in one transaction; requests that arrive meanwhile form
the next one. So an idle process commits at once, and a busy one commits many requests together. A request is answered after
its commit; the links that its identifiers ask for are drawn right after that, for many commits at once.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, close_old_connections

from ingestion.pipeline import in_commit
from profiles.link import settle_soon
from profiles.models import Tally
from profiles.record import Delivery, record

# Above this a delivery is stored by its own thread: it would make the others wait.
SHARED_EVENTS = 200
_MOST_TOGETHER = 64
# How long a commit waits for requests that are being read; alone, a request waits for none.
_GATHER_SECONDS = 0.003


@dataclass(slots=True)
class _Waiting:
    delivery: Delivery
    done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


_queue: "queue.SimpleQueue[_Waiting]" = queue.SimpleQueue()
_start_lock = threading.Lock()
_threads: dict[str, threading.Thread] = {}
_unsettled = threading.Event()
# Requests that are being read and may soon wait for a commit.
_coming = 0
_coming_lock = threading.Lock()


@contextmanager
def coming() -> Iterator[None]:
    """Around reading a small request: a commit about to begin waits a moment for it."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(one: int) -> None:
    global _coming
    with _coming_lock:
        _coming += one


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
    _count(-1)
    _queue.put(waiting)
    waiting.done.wait()
    _count(1)
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


def _drain() -> None:
    while True:
        together = [_queue.get()]
        until = time.monotonic() + _GATHER_SECONDS
        while len(together) < _MOST_TOGETHER:
            try:
                together.append(_queue.get_nowait())
                continue
            except queue.Empty:
                left = until - time.monotonic()
            if _coming <= 0 or left <= 0:
                break
            with suppress(queue.Empty):
                together.append(_queue.get(timeout=left))
        _store(together)


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
        waiting.done.set()


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
