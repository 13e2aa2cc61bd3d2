"""One event that is or was held: found by what its page is called, and discarded alone, by a replay of that event."""

from binascii import unhexlify

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from ingestion.admin.desk import start
from ingestion.models import QuarantineReason, Replay
from profiles.models import Event
from taxonomy.request_rights import of_sources_in
from taxonomy.standardize import storable

RIGHT = "ingestion.add_replay"


def held_event(request: HttpRequest, public_id: str) -> Event:
    """With its batch, of a source that the reader may read. Raises Http404."""
    held = Event.objects.filter(Exists(QuarantineReason.objects.filter(event_id=OuterRef("pk"))))
    return get_object_or_404(of_sources_in(held, request).select_related("batch"), key=_key(public_id))


@require_POST
def discard_event(request: HttpRequest, public_id: str) -> HttpResponse:
    """Discard this event and no other with its causes."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    event, why = held_event(request, public_id), str(storable(request.POST.get("why", "").strip()))[:300]
    if not why:
        messages.error(request, _("Say why this event is discarded."))
    elif event.standing != Event.Standing.HELD:
        messages.error(request, _("This event is not held any more."))
    else:
        return start(request, Replay(act=Replay.Act.DISCARD, source_id=event.source_id, event=event, why=why))
    return HttpResponseRedirect(reverse("admin:quarantine_event", args=[public_id]))


def _key(public_id: str) -> bytes:
    try:
        key = unhexlify(public_id)
    except ValueError as error:
        raise Http404 from error
    if len(key) != 16:
        raise Http404
    return key
