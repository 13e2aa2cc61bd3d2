"""Personal data of held events, shown for this log-in to whoever says why: of one event, or of all with one cause."""

from binascii import unhexlify

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from ingestion.models import Cause, QuarantineReason
from profiles.models import Event
from profiles.sight import Sight
from staff.access import log_access
from staff.masking import may_see_personal
from staff.models import AccessLog
from taxonomy.request_rights import of_sources_in

_MOST_REVEALED = 20
NEEDS = ("ingestion.view_quarantinereason", "profiles.view_customer")


def of_event(public_id: str) -> str:
    return f"event {public_id}"


def of_cause(cause: Cause) -> str:
    return f"cause {cause.pk}"


def sees(request: HttpRequest, what: str) -> bool:
    """Whether this person may see it, or asked for it and said why. `what`: of_event, of_cause."""
    return may_see_personal(request.user) or what in request.session.get("revealed_held", [])


def sight_in(request: HttpRequest, what: str) -> Sight:
    return Sight(unmasked=sees(request, what))


def may_ask(request: HttpRequest, what: str) -> bool:
    return request.user.has_perms(NEEDS) and not sees(request, what)


def held_event(request: HttpRequest, public_id: str) -> Event:
    """With its batch, of a source that the reader may read. Raises Http404."""
    held = Event.objects.filter(Exists(QuarantineReason.objects.filter(event_id=OuterRef("pk"))))
    return get_object_or_404(of_sources_in(held, request).select_related("batch"), key=_key(public_id))


@require_POST
def reveal_event(request: HttpRequest, public_id: str) -> HttpResponse:
    """Show one event's record and reasons, once it is recorded why."""
    if not request.user.has_perms(NEEDS):
        raise PermissionDenied
    event = held_event(request, public_id)
    _reveal(request, of_event(event.public_id))
    return HttpResponseRedirect(reverse("admin:quarantine_event", args=[event.public_id]))


@require_POST
def reveal_cause(request: HttpRequest, cause_id: int) -> HttpResponse:
    """Show what was sent where a cause says, on its page and at its desk, once it is recorded why."""
    if not request.user.has_perms(NEEDS):
        raise PermissionDenied
    cause = get_object_or_404(of_sources_in(Cause.objects.all(), request), pk=cause_id)
    _reveal(request, of_cause(cause))
    if request.POST.get("back") == "desk":
        return HttpResponseRedirect(f"{reverse('admin:desk')}?cause={cause.pk}")
    return HttpResponseRedirect(reverse("admin:quarantine_cause", args=[cause.pk]))


def _key(public_id: str) -> bytes:
    try:
        key = unhexlify(public_id)
    except ValueError as error:
        raise Http404 from error
    if len(key) != 16:
        raise Http404
    return key


def _reveal(request: HttpRequest, what: str) -> None:
    reason = request.POST.get("reason", "").strip()
    if len(reason) < 3:
        messages.error(request, _("Say why you need it; it is recorded."))
        return
    log_access(request.user, AccessLog.Action.REVEAL, reason=f"held {what}: {reason}")
    request.session["revealed_held"] = [*request.session.get("revealed_held", [])[1 - _MOST_REVEALED :], what]
