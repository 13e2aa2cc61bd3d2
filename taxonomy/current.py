"""The release this process obeys: compiled once, swapped whole when a newer one is published.

A thread listens on a connection of its own and looks for itself every half second behind that, so that a request
costs no query and a release is obeyed within a second.
"""

import logging
import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

import psycopg
from django.db import connection, connections

from taxonomy.definition import Items
from taxonomy.models import Release
from taxonomy.publish import CHANNEL, items_of
from taxonomy.standardize import Plan, compile_plan

_POLL_SECONDS = 0.5
# A database that restarts is back within seconds; what lasts longer is worth a line, one in so many failures.
_FAILURES_TOLD = 20
_KEPT_PLANS = 4
_log = logging.getLogger(__name__)


class NoRelease(Exception):
    """Nothing has been published yet: there is no standard to read events with."""


@dataclass(frozen=True, slots=True)
class Current:
    release_id: int
    version: str
    plan: Plan


class _Watch:
    def __init__(self) -> None:
        self.current: Current | None = None
        self.pid = 0
        self.failures = 0
        self.lock = threading.Lock()
        self.refreshing = threading.Lock()


_watch = _Watch()
_plans: OrderedDict[int, Current] = OrderedDict()
_plans_lock = threading.Lock()


def current() -> Current:
    """The newest release, compiled. No query once the process is warm. Raises NoRelease."""
    if _watch.current is None or _watch.pid != os.getpid():
        _start()
    if _watch.current is None:
        refresh()
    if _watch.current is None:
        raise NoRelease
    return _watch.current


def refresh() -> None:
    """Obey the newest release now. Releases are never taken away: where none is seen, what is known stands."""
    with _watch.refreshing:  # else who began earlier and compiles longer would go back to an older one
        newest_id = Release.objects.order_by("-id").values_list("id", flat=True).first()
        if newest_id is not None and (_watch.current is None or _watch.current.release_id != newest_id):
            _watch.current = plan_of(newest_id)


def plan_of(release_id: int) -> Current:
    """A release compiled; the last few are kept."""
    with _plans_lock:
        if found := _plans.get(release_id):
            _plans.move_to_end(release_id)
            return found
    release = Release.objects.get(pk=release_id)
    made = Current(release.pk, release.version, compile_plan(items_of(release), version=release.version))
    with _plans_lock:
        _plans[release_id] = made
        while len(_plans) > _KEPT_PLANS:
            _plans.popitem(last=False)
    return made


def known_items(release: Release | None) -> Items:
    """The definitions of a release, not to be changed: at once where this process has compiled it."""
    with _plans_lock:
        found = _plans.get(release.pk) if release else None
    return found.plan.items if found else items_of(release)


def forget() -> None:
    """Forget every release compiled, as tests need between databases."""
    with _watch.refreshing:
        _watch.current = None
    with _plans_lock:
        _plans.clear()


def _start() -> None:
    with _watch.lock:
        if _watch.pid == os.getpid():
            return
        _watch.pid = os.getpid()
        refresh()
        threading.Thread(target=_follow, name="release-watch", daemon=True).start()


def _follow() -> None:
    while True:
        try:
            _listen()
        except Exception as error:
            _failed(error)
        finally:
            connections.close_all()
        time.sleep(_POLL_SECONDS)


def _failed(error: Exception) -> None:
    """Count a failure of the watch, and say so where they go on."""
    _watch.failures += 1
    if _watch.failures % _FAILURES_TOLD == 0:
        _log.warning("release watch: %s, %s times in a row; trying again", type(error).__name__, _watch.failures)


def _listen() -> None:
    parameters = connection.get_connection_params()
    for ours in ("cursor_factory", "context", "prepare_threshold"):  # Django's, for cursors of its own kind
        parameters.pop(ours, None)
    with psycopg.connect(**parameters, autocommit=True) as listening:
        listening.execute(f"LISTEN {CHANNEL}")
        while True:
            refresh()
            _watch.failures = 0
            next(iter(listening.notifies(timeout=_POLL_SECONDS, stop_after=1)), None)
