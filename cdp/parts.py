"""What runs at once under `manage.py run`: web, worker and the demo's loading, each a process that ends with its parent.

On Linux they are forks of the parent, which has loaded the whole product by then: it is loaded once, not five times.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

# What ends it all: Ctrl-C, a process manager, a terminal that is closed.
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOP_SECONDS = 10
_METHOD = "fork" if sys.platform == "linux" else "spawn"
_CONTEXT: Any = multiprocessing.get_context(_METHOD)


def load_product() -> None:
    """Import what serving takes, before the forks."""
    import cdp.wsgi  # noqa: F401


def start(running: list[BaseProcess], part: Callable[..., None], *arguments: Any) -> None:
    """Run a part in a process of its own, added to those that run before it does."""
    from django.db import connections

    connections.close_all()
    sys.stdout.flush()
    running.append(_CONTEXT.Process(target=_begin, args=(part, os.getpid(), *arguments), name=part.__name__))
    # Python drops an exception that a signal raises while it forks: the Ctrl-C waits until that is over.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        running[-1].start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def stop(running: list[BaseProcess]) -> None:
    """Ask all to end, wait, and kill what does not, with its whole group."""
    started = [process for process in running if process.pid]
    for process in started:
        process.terminate()
    until = time.monotonic() + STOP_SECONDS
    for process in started:
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None and process.pid:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.join()


def web(port: int, workers: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    multiprocessing.set_start_method(_METHOD, force=True)
    Granian(
        "cdp.wsgi:application", address="127.0.0.1", port=port, interface=Interfaces.WSGI, workers=workers, blocking_threads=32,
        websockets=False, log_level=LogLevels.error, respawn_failed_workers=True,
    ).serve()  # fmt: skip


def worker() -> None:
    from cdp.jobs import run_worker

    run_worker()


def mqtt() -> None:
    from django.core.management import call_command

    call_command("mqtt", skip_checks=True)


def load_demo(home: Path) -> None:
    from cdp import demo

    demo.load(home)


def _begin(part: Callable[..., None], parent: int, *arguments: Any) -> None:
    """In a group of its own, so that the terminal's Ctrl-C reaches the parent only, which ends all in order."""
    os.setsid()
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        return
    import django

    django.setup()
    part(*arguments)
