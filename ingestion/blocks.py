"""Store a file's blocks on all cores: the parent cuts, workers read, check and store, one commit per block.

A worker imports this module before Django is set up in it, so nothing here imports a model.
"""

import gc
import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

import django
from django.db import connection

from ingestion.doors.files import Block

if TYPE_CHECKING:
    from ingestion.models import ImportRun

# Below this a file is stored in this process: starting two others takes longer.
SMALL_BYTES = 4 * 1024 * 1024


def store_blocks(run: "ImportRun", left: Iterable[Block]) -> Iterator[int]:
    """Store each block, yielding how far the file has been read as blocks finish. At most two blocks a worker wait."""
    if run.size_bytes < SMALL_BYTES:
        for block in left:
            _store(run.id, block)
            yield block.read_bytes
        return
    workers = os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(connection.settings_dict["NAME"],)) as pool:
        blocks = iter(left)
        under_way = {pool.submit(_store, run.id, first): first for first in islice(blocks, 2 * workers)}
        while under_way:
            finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in finished:
                yield _finish(future, under_way)
                if following := next(blocks, None):
                    under_way[pool.submit(_store, run.id, following)] = following


def _finish(future: "Future[None]", under_way: "dict[Future[None], Block]") -> int:
    block = under_way.pop(future)
    future.result()
    return block.read_bytes


def _start_worker(database: str) -> None:
    """Make the process a Django one, on the parent's database, and one that ends with its parent.

    The collector walks a block's hundred thousand objects again and again while they grow, a sixth of the time it takes to
    store them, and finds nothing: it runs between blocks instead.
    """
    django.setup()
    gc.freeze()
    gc.disable()
    connection.settings_dict["NAME"] = database
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _store(run_id: UUID, block: Block) -> None:
    """Bring one block to the standard and store it with its ImportChunk, in one commit."""
    from ingestion.chunk import store_block  # Django must be set up first in a fresh worker

    store_block(run_id, block)
    if not gc.isenabled():
        gc.collect()
