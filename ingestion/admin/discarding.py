"""What discarding does, shown before it is done: to a group at its desk, to one event on its page."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

from ingestion.models import QuarantineReason, Replay
from ingestion.quarantine.discarding import weigh
from profiles.original import row_words
from profiles.sight import Sight
from taxonomy.standardize import general, storable
from taxonomy.violations import is_blocking


def reason_in(request: HttpRequest) -> str:
    """Why events are discarded, as somebody wrote it."""
    return str(storable(request.POST.get("why", "").strip()))[:1_000]


def leaving(request: HttpRequest, replay: Replay, sight: Sight, *, sample: int) -> dict[str, Any]:
    """What discarding what a replay is about does, as the reader may see it. `sight`: how they see these events."""
    found, shown = weigh(replay, sample=sample), Sight.of(request.user)
    return {
        "found": found,
        "causes": [(cause, shown(cause.path), shown(cause.name), events) for cause, events in found.causes],
        "examples": lines_of(found.examples, sight),
    }


def lines_of(reasons: Iterable[QuarantineReason], sight: Sight) -> list[dict[str, Any]]:
    """Held events in a list of those with one cause. Reads reason.event.batch."""
    found = list(reasons)
    rows = row_words((one.event for one in found if not one.event.message_id), sight)
    return [_line_of(one, rows.get(one.event_id, ""), sight) for one in found]


def _line_of(reason: QuarantineReason, row: str, sight: Sight) -> dict[str, Any]:
    """What was seen there, and how many reasons hold it besides; `row`: its own in a file."""
    event = reason.event
    violations = (event.report or {}).get("violations", [])
    mine = [one for one in violations if one.get("code") == reason.code and general(one.get("path", "")) == reason.path]
    return {
        "event": event,
        "message_id": sight(event.message_id or "") or row,
        "seen": sight.seen(mine[0], event.source_id) if mine else "",
        "others": sum(one["code"] != reason.code and is_blocking(one) for one in violations),
    }
