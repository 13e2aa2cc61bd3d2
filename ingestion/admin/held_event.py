"""One held event discarded alone, by a replay of that event, once it was shown what that does."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from ingestion.admin.desk import start
from ingestion.admin.discarding import leaving, reason_in
from ingestion.admin.reveal import held_event
from ingestion.admin.shown import seal, was_shown
from ingestion.models import Replay
from profiles.models import Event
from profiles.sight import Sight

RIGHT = "ingestion.add_replay"


@require_POST
def discard_event(request: HttpRequest, public_id: str) -> HttpResponse:
    """Discard this event and no other with its causes."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    event, why = held_event(request, public_id), reason_in(request)
    page = reverse("admin:quarantine_event", args=[public_id])
    if event.standing != Event.Standing.HELD:
        messages.error(request, _("This event is not held any more."))
        return HttpResponseRedirect(page)
    replay = _alone(event)
    if not was_shown(request, seal(replay)):
        messages.warning(request, _("Nothing is done yet: this is not what was shown last. See what it does now."))
    elif not why:
        messages.error(request, _("Say why this event is discarded."))
    else:
        replay.why = why
        return start(request, replay)
    return HttpResponseRedirect(f"{page}?discard=1")


def discarded_alone(request: HttpRequest, event: Event, sight: Sight) -> dict[str, Any]:
    """What its page shows of discarding it; nothing until that is asked for."""
    replay, is_asked = _alone(event), "discard" in request.GET and event.standing == Event.Standing.HELD
    if not is_asked or not request.user.has_perm(RIGHT):
        return {}
    return {"leaving": leaving(request, replay, sight, sample=1), "shown": seal(replay)}


def _alone(event: Event) -> Replay:
    return Replay(act=Replay.Act.DISCARD, source_id=event.source_id, event=event)
