"""The latest events: of all sources on a page of their own, of one on its page of how to send. Asked for again while looked at."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ingestion.watching.latest import FEW, LOOKED_THROUGH, SHOWN, VERDICTS, Of, Reader, failed_lately, latest, with_id
from profiles.sight import Sight
from taxonomy.models import Tag
from taxonomy.released import released
from taxonomy.request_rights import released_in, rights_in, source_in, sources_in, tags_in
from taxonomy.standardize import storable

PERMISSION = "ingestion.view_quarantinereason"
VERDICT_WORDS = {
    "accepted": gettext_lazy("accepted"), "quarantined": gettext_lazy("quarantined"), "duplicate": gettext_lazy("duplicate"),
    "refused": gettext_lazy("refused"),
}  # fmt: skip


@never_cache
@login_required(login_url="admin:login")
@permission_required(PERMISSION, raise_exception=True)
@require_safe
def latest_view(request: HttpRequest) -> HttpResponse:
    """The page, or with X-Fragment its lines alone."""
    source, verdict = storable(request.GET.get("source", "")), request.GET.get("verdict", "")
    verdict = verdict if verdict in VERDICTS else ""
    sought = storable(request.GET.get("id", "").strip())
    context = live(request, source, verdict, sought, few="few" in request.GET)
    if request.headers.get("X-Fragment"):
        return TemplateResponse(request, "ingestion/_latest.html", context)
    context |= {
        "title": _("Latest events"), "sources": released_in(request, "source"), "chosen": source, "verdict": verdict,
        "verdicts": VERDICT_WORDS.items(), "looked_through": LOOKED_THROUGH, "most": SHOWN,
    }  # fmt: skip
    return TemplateResponse(request, "ingestion/latest.html", {**admin.site.each_context(request), **context})


def live(request: HttpRequest, source: str = "", verdict: str = "", sought: str = "", *, few: bool = False) -> dict[str, Any]:
    """What the lines need, of one source by its code or of all that may be read; {} for those who may not see what arrives.

    `sought`: the message id or event_id of the event that is wanted, and nothing else.
    """
    person = request.user
    if not person.has_perm(PERMISSION):
        return {}
    rights = rights_in(request)
    sources: Of = sources_in(request) if rights.limited else None
    if source:
        one = source_in(request, source)
        sources = [one.pk] if one else []
    hidden: set[UUID] = set()
    if rights.limited:
        # what the draft deleted is nobody's to read until it is back
        known = {*Tag.objects.values_list("pk", flat=True), *released("tag")}
        hidden = known - set(tags_in(request).values_list("pk", flat=True))
    reader = Reader(Sight.of(person), frozenset(hidden), person.has_perm("profiles.view_customer"))
    said = (("source", source), ("verdict", verdict), ("id", sought), ("few", "1" if few else ""))
    asked = urlencode({name: value for name, value in said if value})
    return {
        "lines": with_id(sources, sought, verdict, reader) if sought else latest(sources, verdict, reader, FEW if few else SHOWN),
        "failed": failed_lately(sources, timezone.now()) if not (verdict or sought) else [],
        "sought": sought,
        "of_one": bool(source),
        "live_url": f"{reverse('latest')}?{asked}",
        "verdict_words": VERDICT_WORDS,
    }
