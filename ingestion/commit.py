"""One commit shared by the requests waiting in a process.

A thread takes whatever waits and stores it in one transaction; requests that arrive meanwhile form the next one. So an
idle process commits at once, and a busy one commits many requests together. A request is answered after its commit.
"""

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, close_old_connections

from ingestion.pipeline import in_commit
from profiles.models import Tally
from profiles.record import Delivery, record

# Above this a delivery is stored by its own thread: it would make the others wait.
SHARED_EVENTS = 200
_MOST_TOGETHER = 64


@dataclass(slots=True)
class _Waiting:
    delivery: Delivery
    done: threading.Event = field(default_factory=threading.Event)
    wrote_ties: bool = False
    error: BaseException | None = None


_queue: "queue.SimpleQueue[_Waiting]" = queue.SimpleQueue()
_start_lock = threading.Lock()
_thread: threading.Thread | None = None


def store_together(delivery: Delivery) -> bool:
    """Store a delivery, small ones with others. Returns after the commit; raises what the commit raised."""
    if len(delivery.entries) > SHARED_EVENTS:
        return record([delivery], in_commit())
    _ensure_thread()
    waiting = _Waiting(delivery)
    _queue.put(waiting)
    waiting.done.wait()
    if waiting.error is not None:
        raise waiting.error
    return waiting.wrote_ties


def _ensure_thread() -> None:
    global _thread
    if _thread is None or not _thread.is_alive():
        with _start_lock:
            if _thread is None or not _thread.is_alive():
                _thread = threading.Thread(target=_drain, name="group-commit", daemon=True)
                _thread.start()


def _drain() -> None:
    while True:
        together = [_queue.get()]
        while len(together) < _MOST_TOGETHER:
            try:
                together.append(_queue.get_nowait())
            except queue.Empty:
                break
        _store(together)


def _store(together: list[_Waiting]) -> None:
    """Store these in one commit. If that fails, each alone, so that one cannot fail the others.

    A connection lost at the commit leaves open whether it was done: what it stored must not be counted again.
    """
    try:
        wrote_ties = record([waiting.delivery for waiting in together], in_commit())
        for waiting in together:
            waiting.wrote_ties = wrote_ties
    except (DatabaseError, InterfaceError) as error:
        close_old_connections()
        if _is_stored(together[0].delivery):
            for waiting in together:
                waiting.wrote_ties = True
        elif len(together) == 1:
            together[0].error = error
        else:
            for waiting in together:
                _store([waiting])
            return
    except BaseException as error:
        for waiting in together:
            waiting.error = error
    for waiting in together:
        waiting.done.set()


def _is_stored(delivery: Delivery) -> bool:
    with suppress(DatabaseError, InterfaceError):
        return Tally.objects.filter(batch_id=delivery.batch_id).exists()
    return False
