"""Work on all cores, a commit a piece: the parent cuts, workers read, check and store.

Workers are forked from a process that has set Django up and does nothing else: to set it up takes as long as storing twenty
thousand rows, and it stays for the next file. Where forks are not safe (macOS), and where Python 3.13.0 does not find
`ingestion.forked` (outside the project's folder), each worker sets it up, and imports this module before: so nothing here
imports a model.
"""

import gc
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Any

import django
from django.apps import apps
from django.db import connection

# So that who waits for an answer is served first: a tenth of the processor where others want it, all where they do not.
_NICENESS = 10
_METHOD = "spawn" if sys.platform == "darwin" else "forkserver"


def in_processes[Piece: tuple[Any, ...]](do: Callable[..., None], pieces: Iterable[Piece], *, small: bool) -> Iterator[Piece]:
    """Call `do(*piece)` for each, yielding pieces as they are done. `small`: in this process, where starting others takes longer.

    At most two pieces a worker wait.
    """
    if small:
        for piece in pieces:
            do(*piece)
            yield piece
        return
    workers = os.cpu_count() or 1
    context = multiprocessing.get_context(_METHOD)
    if _METHOD == "forkserver":
        context.set_forkserver_preload(["ingestion.forked"])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(_place(),)) as pool:
        left = iter(pieces)
        under_way: dict[Future[None], Piece] = {pool.submit(_call, do, first): first for first in islice(left, 2 * workers)}
        try:
            while under_way:
                finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in finished:
                    piece = under_way.pop(future)
                    future.result()
                    yield piece
                    if following := next(left, None):
                        under_way[pool.submit(_call, do, following)] = following
        finally:
            for future in under_way:
                future.cancel()


def _call(do: Callable[..., None], piece: tuple[Any, ...]) -> None:
    do(*piece)
    gc.collect()


def _place() -> dict[str, Any]:
    """The parent's database: it need not be the one that its settings name."""
    return {name: connection.settings_dict[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}


def _start_worker(database: dict[str, Any]) -> None:
    """Make the process a Django one, on the parent's database, one that gives way to others, and ends with its parent.

    The collector walks a piece's hundred thousand objects again and again while they grow, a sixth of the time it takes to
    store them, and finds nothing: it runs between pieces instead.
    """
    os.nice(_NICENESS)
    if not apps.ready:
        django.setup()
    gc.freeze()
    gc.disable()
    connection.settings_dict.update(database)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
