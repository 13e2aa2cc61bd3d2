"""One at a time, over all processes: what may begin again while another is still at it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction


@contextmanager
def alone(run_id: UUID) -> Iterator[None]:
    """Wait until nobody else is at this run, and keep others waiting."""
    key = _lock_of(run_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [key])
        try:
            yield
        finally:
            with suppress(DatabaseError, InterfaceError):  # a connection that is gone took its locks along
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])


@contextmanager
def alone_or_not(run_id: UUID) -> Iterator[bool]:
    """Whether nobody else is at this run; if so, others are kept waiting."""
    key = _lock_of(run_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        is_mine = bool(cursor.fetchone()[0])
        try:
            yield is_mine
        finally:
            if is_mine:
                with suppress(DatabaseError, InterfaceError):  # as above
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [key])


def is_idle(run_id: UUID) -> bool:
    """Whether no process is at this run."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_lock_of(run_id)])
        return bool(cursor.fetchone()[0])


def _lock_of(run_id: UUID) -> int:
    return run_id.int % 2**63
