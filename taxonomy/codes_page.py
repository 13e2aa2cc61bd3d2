from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from taxonomy.standardize import CODES
from taxonomy.violations import explain

EFFECTS = ("held", "refused", "noted", "change")


def codes(request: HttpRequest) -> HttpResponse:
    """Every code an answer, a held event or a timeline may show. Public: sources' engineers follow links to it."""
    headings = {
        "held": (_("Held"), _("The event waits in quarantine, whole, until someone mends it or the standard.")),
        "refused": (_("Refused"), _("The record never became an event; the sender is told.")),
        "noted": (_("Noted"), _("The event is accepted; the note says what was unusual.")),
        "change": (_("Changed"), _("What was done to bring an accepted event to the standard.")),
    }
    groups = [
        {
            "heading": headings[effect][0],
            "lead": headings[effect][1],
            "codes": [explain(code) for code, one in CODES.items() if one.effect == effect],
        }
        for effect in EFFECTS
    ]
    context = {**admin.site.each_context(request), "title": _("Codes"), "groups": groups}
    if not request.user.is_authenticated:
        context["is_nav_sidebar_enabled"] = False
    return render(request, "taxonomy/codes.html", context)
