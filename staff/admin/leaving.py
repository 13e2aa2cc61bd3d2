"""The page that closes somebody's account once what is theirs has gone to colleagues."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from staff.leaving import Hindered, NotHandedOver, belongings, close_account, hindrances, open_account
from staff.models import ReadToken, User

# Entries named of each kind; their number is told in full.
_NAMED = 12


def close_page(request: HttpRequest, person: User) -> HttpResponse:
    missing: list[str] = []
    if request.method == "POST":
        try:
            return _act(request, person)
        except Hindered:
            pass
        except NotHandedOver as error:
            missing = error.labels
    theirs = belongings(person) if person.is_active else []
    context = {
        **admin.site.each_context(request),
        "title": _("Close the account of %(name)s") % {"name": person} if person.is_active else _("The account of %(name)s") % {"name": person},
        "person": person,
        "hindrances": hindrances(person, by=_by(request)) if person.is_active else [],
        "theirs": [_shown(one, request, person) for one in theirs],
        "missing": missing,
        "tokens": ReadToken.objects.filter(user=person, revoked_at=None).count(),
        "handovers": person.handed_over.select_related("to", "by"),
        "back_url": reverse("admin:staff_user_change", args=[person.pk]),
    }  # fmt: skip
    return TemplateResponse(request, "staff/close_account.html", context)


def _act(request: HttpRequest, person: User) -> HttpResponse:
    """Raises Hindered or NotHandedOver."""
    if person.is_active:
        close_account(person, by=_by(request), to=_chosen(request))
        messages.success(request, _("The account of %(name)s is closed, and everything handed over.") % {"name": person})
    elif request.POST.get("open"):
        open_account(person)
        messages.success(request, _("%(name)s can log in again.") % {"name": person})
    return HttpResponseRedirect(reverse("admin:staff_user_changelist"))


def _chosen(request: HttpRequest) -> dict[str, User]:
    wanted = {name.removeprefix("to-"): value for name, value in request.POST.items() if name.startswith("to-") and str(value).isdecimal()}
    people = User.objects.in_bulk([int(str(value)) for value in wanted.values() if len(str(value)) < 19])
    return {key: people[int(str(value))] for key, value in wanted.items() if int(str(value)) in people}


def _shown(one: Any, request: HttpRequest, person: User) -> dict[str, Any]:
    """Chosen by itself: the first who could take it, if of the same department."""
    likely = one.takers[0].pk if one.takers and one.takers[0].department_id == person.department_id else None
    posted = request.POST.get(f"to-{one.key}", "")
    chosen = int(posted) if posted.isdecimal() else likely
    return {"belonging": one, "shown": one.entries[:_NAMED], "more": max(0, len(one.entries) - _NAMED), "chosen": chosen}


def _by(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
