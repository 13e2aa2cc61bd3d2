"""One held event discarded alone, by a replay of that event."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from ingestion.admin.desk import reason_in, start
from ingestion.admin.reveal import held_event
from ingestion.models import Replay
from profiles.models import Event

RIGHT = "ingestion.add_replay"


@require_POST
def discard_event(request: HttpRequest, public_id: str) -> HttpResponse:
    """Discard this event and no other with its causes."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    event, why = held_event(request, public_id), reason_in(request)
    if not why:
        messages.error(request, _("Say why this event is discarded."))
    elif event.standing != Event.Standing.HELD:
        messages.error(request, _("This event is not held any more."))
    else:
        return start(request, Replay(act=Replay.Act.DISCARD, source_id=event.source_id, event=event, why=why))
    return HttpResponseRedirect(reverse("admin:quarantine_event", args=[public_id]))
