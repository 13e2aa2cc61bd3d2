"""A look that found nothing: what there is with one condition fewer, so that somebody sees which one is wrong."""

from copy import copy
from datetime import datetime
from typing import Any

from django.db import connection

from ingestion.accepted.touched import selection
from ingestion.models import TakeBack

# What another look would find: what counts, is held, or was let go of.
_FOUND = "(1, 2, 5)"
_CONDITIONS = {"key": ("key_id",), "tag": ("tag_id",), "received": ("received_since",), "occurred": ("occurred_since", "occurred_until")}
_TIMES = {"received": "received_at", "occurred": "occurred_at"}


def asked(take_back: TakeBack) -> list[str]:
    """Which of _CONDITIONS were set: a look always ends at the moment it is taken."""
    return [
        name
        for name, fields in _CONDITIONS.items()
        if any(getattr(take_back, field) is not None for field in fields) or (name == "received" and has_end(take_back))
    ]


def has_end(take_back: TakeBack) -> bool:
    """Whether somebody said until when it was received."""
    return take_back.received_until < take_back.looked_at


def without(take_back: TakeBack) -> dict[str, Any]:
    """{"away": events meant that are taken back already; "without": [[condition, events without it, last before, first after its window]]}.

    The last, with the condition "", is of the source whatever else was said: its events, the first and the last received.
    """
    found: dict[str, Any] = {"away": _count(take_back, "(3)")[0], "without": []}
    if not take_back.batch_id:
        for name in asked(take_back):
            found["without"].append([name, *_count(_loosened(take_back, [name]), _FOUND, name, take_back)])
        every = _loosened(take_back, [*_CONDITIONS])
        meant, values = selection(every)
        found["without"].append(["", *_ask(f"count(*), min(received_at), max(received_at) FROM profiles_event AS event WHERE {meant} AND standing IN {_FOUND}", values)])  # fmt: skip
    return found


def _loosened(take_back: TakeBack, names: list[str]) -> TakeBack:
    other = copy(take_back)
    for name in names:
        for field in _CONDITIONS[name]:
            setattr(other, field, None)
        if name == "received":
            other.received_until = take_back.looked_at
    return other


def _count(meant_by: TakeBack, standings: str, name: str = "", window: TakeBack | None = None) -> list[Any]:
    """[events, and of a window the last before it and the first after it]."""
    meant, values = selection(meant_by)
    column = _TIMES.get(name, "")
    since, until = (getattr(window, f"{name}_since"), getattr(window, f"{name}_until")) if window and column else (None, None)
    ends = (
        f"max({column}) FILTER (WHERE {column} < %(since)s), min({column}) FILTER (WHERE {column} >= %(until)s)" if column else "NULL, NULL"
    )
    return _ask(
        f"count(*), {ends} FROM profiles_event AS event WHERE {meant} AND standing IN {standings}",
        {**values, "since": since, "until": until},
    )


def _ask(question: str, values: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {question}", values)
        return [one.isoformat() if isinstance(one, datetime) else one for one in cursor.fetchone()]
