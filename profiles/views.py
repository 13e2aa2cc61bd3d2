"""The customer pages. A phone number is never in a URL: it is searched by POST, and a customer is named by a public id."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from profiles import page
from profiles.lookup import find_customer
from profiles.models import Customer, Event, FormerReading, Original
from profiles.money import money
from profiles.original import shown_original
from profiles.readable import Readable, readable_to
from profiles.sight import Sight
from profiles.summary import summary
from profiles.timeline import Cursor, event_of, holder_of, timeline
from profiles.told import attributes_told, value_told
from staff.access import log_access
from staff.masking import may_see_personal
from staff.models import AccessLog
from taxonomy.models import Release
from taxonomy.publish import items_of
from taxonomy.released import by_code, named
from taxonomy.standardize import storable
from taxonomy.standardize.faults import Fault
from taxonomy.violations import title_for

_EVENT_ID = re.compile("[0-9a-f]{32}")
# Former readings shown of one event, the newest first.
_FORMER = 5


def staff_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For whoever may look customers up; others are asked to log in, or told that they may not."""
    return login_required(permission_required("profiles.view_customer", raise_exception=True)(view), login_url="admin:login")


def _render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context}, headers={"Cache-Control": "no-store"})


@never_cache
@staff_page
def search(request: HttpRequest) -> HttpResponse:
    """Find a customer by phone, in any format. A number without + is looked up in the chosen region."""
    phone = request.POST.get("phone", "").strip()
    regions = page.regions()
    region = request.POST.get("region") or regions[0]
    problem = ""
    if request.method == "POST" and phone:
        found = find_customer(phone, region)
        log_access(request.user, AccessLog.Action.LOOKUP, customer=found.public_id if isinstance(found, Customer) else None)
        if isinstance(found, Customer):
            return HttpResponseRedirect(reverse("customer", args=[found.public_id]))
        problem = _phone_problem(found)
    context = {"title": _("Customers"), "phone": phone, "region": region, "regions": regions, "problem": problem}
    return _render(request, "profiles/search.html", context)


def _phone_problem(found: Fault | None) -> str:
    if found is None:
        return _("Nobody with this number has been seen yet. Check the number and its region.")
    return _("This is no phone number. Write it such as 138 0013 8000, or with the country code, +86 138 0013 8000.")


@never_cache
@staff_page
def customer(request: HttpRequest, public_id: UUID) -> HttpResponse:
    one = get_object_or_404(Customer, public_id=public_id)
    sight = Sight(unmasked=may_see_personal(request.user) or _revealed(request, one))
    unmasked = sight.unmasked
    readable = readable_to(request.user)  # type: ignore[arg-type]
    events, following = timeline(one, after=_after(request), readable=readable, **_filter(request))
    context: dict[str, Any] = {
        "customer": one,
        "days": page.by_day(events, sight),
        "following": following,
        "query": request.GET.copy(),
    }
    log_access(request.user, AccessLog.Action.VIEW, customer=one.public_id)
    if request.headers.get("X-Fragment"):
        return _render(request, "profiles/_timeline.html", context)
    phones, identifiers = page.identities(one, unmasked=unmasked)
    found = summary(one)
    context |= {
        "title": phones[0].masked if phones else _("Customer"),  # titles stay in a browser's history
        "phones": phones,
        "identifiers": identifiers,
        "traits": page.traits_shown(found, one, unmasked=unmasked, readable=readable),
        "summary": found,
        "sums": [money(total, currency) for currency, total in found.sums.items()],
        "charts": page.charts(found, readable),
        "unmasked": unmasked,
        "category": request.GET.get("category", ""),
        "source": request.GET.get("source", ""),
        **page.filters(readable),
    }
    return _render(request, "profiles/customer.html", context)


def _after(request: HttpRequest) -> Cursor | None:
    return Cursor.parse(request.GET.get("after", ""))


def _filter(request: HttpRequest) -> dict[str, Any]:
    """The timeline's filters of the address: category (and all below it) and source, by code. Of an unknown one there is nothing."""
    wanted: dict[str, Any] = {}
    if category := request.GET.get("category"):
        wanted["tag_ids"] = page.tags_under(category) or []
    if code := request.GET.get("source"):
        source = by_code("source", storable(code))
        wanted["source_id"] = source.pk if source else UUID(int=0)
    return wanted


@require_POST
@staff_page
def reveal(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show this customer's numbers for this log-in, once the reason is recorded; back to the page that asked."""
    one = get_object_or_404(Customer, public_id=public_id)
    reason = request.POST.get("reason", "").strip()
    if len(reason) < 3:
        messages.error(request, _("Say why you need the number; it is recorded."))
    else:
        log_access(request.user, AccessLog.Action.REVEAL, customer=one.public_id, reason=reason)
        request.session["revealed"] = [*request.session.get("revealed", [])[-19:], str(one.public_id)]
    if _EVENT_ID.fullmatch(event_id := request.POST.get("event", "")):
        return HttpResponseRedirect(reverse("customer_event", args=[one.public_id, event_id]) + "#original")
    return HttpResponseRedirect(reverse("customer", args=[one.public_id]))


def _revealed(request: HttpRequest, one: Customer) -> bool:
    return str(one.public_id) in request.session.get("revealed", [])


@never_cache
@staff_page
def event(request: HttpRequest, public_id: UUID, event_id: str) -> HttpResponse:
    """How an event got there: the original beside the standard form, the changes, the rule and the release."""
    one = get_object_or_404(Customer, public_id=public_id)
    try:
        found = event_of(one, bytes.fromhex(event_id))
    except ValueError:
        found = None
    readable = readable_to(request.user)  # type: ignore[arg-type]
    if found is None or (readable and not readable.shows(found.tag_id, found.source_id)):
        raise Http404
    sight = Sight(unmasked=may_see_personal(request.user) or _revealed(request, one))
    log_access(request.user, AccessLog.Action.ORIGINAL, customer=one.public_id)
    original = Original.objects.select_related("holder").filter(pk=found.pk).first()
    report = found.report or {}
    tag = named("tag", [found.tag_id]).get(found.tag_id)
    context = {
        "title": tag.label if tag else sight(found.name or ""),
        "customer": one,
        "event": found,
        "tag": tag,
        "source": named("source", [found.source_id])[found.source_id],
        "name": sight(found.name or ""),
        "original": shown_original(original, found, sight) if original else None,
        "attributes": list(attributes_told(found.attributes or {}, sight).values()),
        "extra": list(attributes_told(sight.record(found.extra or {}, found), sight, readable=readable).values()),
        "refinements": sight.refinements(found),
        "changes": [_change(sight.change(change, found.source_id)) for change in report.get("changes", [])],
        "notes": [sight.sentence(one, found.source_id) for one in report.get("violations", [])],
        "rule": _rule(found),
        "former": [_former(one, sight, readable=readable) for one in found.former_readings.order_by("-id")[:_FORMER]],
        "unmasked": sight.unmasked,
    }
    return _render(request, "profiles/event.html", context)


@staff_page
def event_by_id(request: HttpRequest, event_id: str) -> HttpResponse:
    """From an event's public id to its page at its customer."""
    try:
        holder = holder_of(bytes.fromhex(event_id))
    except ValueError:
        holder = None
    if holder is None:
        raise Http404
    return HttpResponseRedirect(reverse("customer_event", args=[holder.public_id, event_id]))


def _former(one: FormerReading, sight: Sight, *, readable: Readable | None) -> dict[str, Any]:
    """A reading that another replaced: when, and what it said."""
    may = readable is None or not one.tag_id or readable.shows(one.tag_id, one.event.source_id)
    tag = named("tag", [one.tag_id]).get(one.tag_id) if may else None
    return {
        "replaced_at": one.replaced_at,
        "standing": one.get_standing_display(),
        "tag": tag,
        "attributes": list(attributes_told(one.attributes or {}, sight, readable=readable).values()) if may else [],
        "release": Release.objects.filter(pk=one.release_id or 0).values_list("version", flat=True).first(),
    }


def _rule(event: Event) -> str:
    """The name of the rule that read it, as its release says: it may have been changed or deleted since."""
    if event.rule_id is None or event.release is None:
        return ""
    items = items_of(event.release)
    rule = items[str(event.rule_id)]
    return f"{rule['name']} → {items[rule['tag']]['code']}"


def _change(change: dict[str, Any]) -> dict[str, str]:
    return {
        "title": title_for(change["code"]),
        "path": change["path"],
        "before": value_told(change["from"]),
        "after": value_told(change["to"]),
    }
