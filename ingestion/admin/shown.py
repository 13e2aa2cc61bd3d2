"""What a page showed last, known again when it is posted to be done: nothing is done that nobody looked at."""

import json
from typing import Any

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, salted_hmac

from ingestion.models import Replay
from ingestion.quarantine.replay import Extent
from staff.admin.pages import number_or_none

_WHICH = ("act", "source_id", "event_id", "code", "path", "name", "tag_id", "since", "until", "last_event_id")


def seal(replay: Replay, *more: Any) -> str:
    """Stands for an unsaved replay, what it gives, and what `more` its effect depends on; it tells of none of them."""
    which = [getattr(replay, name) for name in _WHICH]
    # of what is given for one value the order counts; the values come in the order of what is held just now
    mends = sorted(replay.mends, key=lambda one: json.dumps([one.get("key"), one["path"], one.get("any"), one.get("seen")]))
    said = json.dumps([which, mends, more], default=str, sort_keys=True)
    return salted_hmac("ingestion.admin.shown", said, algorithm="sha256").hexdigest()


def seal_set(replay: Replay, extent: Extent) -> str:
    """The same of the very events that an unsaved replay is about. It says which the last is."""
    replay.last_event_id = extent.newest
    return f"{extent.newest}.{seal(replay, extent)}"


def last_shown(request: HttpRequest) -> int:
    """The last event of the set that the page showed; 0 for none."""
    return number_or_none(request.POST.get("shown", "").partition(".")[0]) or 0


def was_shown(request: HttpRequest, sealed: str) -> bool:
    """Whether the page that this comes from showed just that."""
    return constant_time_compare(request.POST.get("shown", ""), sealed)
