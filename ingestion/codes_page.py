from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from ingestion.imports.words import FILE_PROBLEMS
from ingestion.request_codes import explain_request
from taxonomy.standardize import CODES
from taxonomy.violations import Explanation, explain


def codes(request: HttpRequest) -> HttpResponse:
    """Every code an answer, a held event or a timeline may show. Public: engineers of sources follow links to it."""
    groups = [
        ("held", _("Held"), _("The event waits in quarantine, whole, until someone mends it or the standard."), _by_effect("held")),
        ("refused", _("Refused"), _("The record never became an event; the sender is told."), _by_effect("refused")),
        ("noted", _("Noted"), _("The event is accepted; the note says what was unusual."), _by_effect("noted")),
        ("changed", _("Changed"), _("What was done to bring an accepted event to the standard."), _by_effect("change")),
        ("requests", _("Requests"), _("The request failed as a whole; nothing of it was stored."), explain_request()),
        ("files", _("Files"), _("The file could not be read to its end; what was read before that is stored."), _files()),
    ]
    context = {
        **admin.site.each_context(request),
        "title": _("Codes"),
        "groups": [{"anchor": anchor, "heading": heading, "lead": lead, "codes": found} for anchor, heading, lead, found in groups],
    }
    if not request.user.is_authenticated:
        context["is_nav_sidebar_enabled"] = False
    return render(request, "ingestion/codes.html", context)


def _by_effect(effect: str) -> list[Explanation]:
    return [explain(code) for code, one in CODES.items() if one.effect == effect]


def _files() -> list[Explanation]:
    return [Explanation(code, code, sentence, "", "") for code, sentence in FILE_PROBLEMS.items()]
