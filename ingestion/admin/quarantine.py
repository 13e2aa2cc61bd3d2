"""The quarantine pages: causes, the events of one cause, and one event beside its reasons."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Min, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin

from ingestion.admin.digests import digest_page, scorecard_page
from ingestion.admin.discarding import lines_of
from ingestion.admin.held_event import RIGHT, discard_event, discarded_alone, held_event
from ingestion.admin.reveal import may_ask, of_cause, of_event, reveal_cause, reveal_event, sight_in
from ingestion.models import Cause, Discovered, QuarantineReason, Replayed, ReplayOffer
from ingestion.quarantine.causes import TREND_DAYS, add_up, assign, cause_of, open_causes_of, trends, waiting, who_see_to_causes
from ingestion.quarantine.export import FORMS, told
from ingestion.quarantine.headings import headings_of, lacked_in
from ingestion.quarantine.held import ORDERS, Group, held_causes, held_events, held_groups, reasons_like, told_with
from profiles.charts import Trend, trend
from profiles.models import Customer, Event, Original
from profiles.original import shown_original
from profiles.sight import Sight
from profiles.summary import held_of
from staff.access import log_access
from staff.admin.pages import ReadOnly, number_or_none
from staff.masking import mask_in_text, shown_to
from staff.models import AccessLog, Department, User
from taxonomy.current import current
from taxonomy.models import Release
from taxonomy.places import ATTRIBUTES, place_words
from taxonomy.request_rights import hidden_in, of_sources_in, released_in, rights_in, sources_in
from taxonomy.standardize import storable
from taxonomy.violations import expected_text, explain, is_blocking, title_for

PAGE = 50
_ASSIGNMENTS = 10
_ATTEMPTS = 20


@admin.register(QuarantineReason)
class QuarantineAdmin(ReadOnly, ModelAdmin):
    def get_urls(self):
        def page(view):
            @wraps(view)
            def permitted(request, *args, **kwargs):
                if not self.has_view_permission(request):
                    raise PermissionDenied
                return view(request, *args, **kwargs)

            return self.admin_site.admin_view(permitted)

        return [
            path("", page(self.causes_view), name="ingestion_quarantinereason_changelist"),
            path("digest/", page(digest_page), name="quarantine_digest"),
            path("source/<uuid:source_id>/scorecard/", page(scorecard_page), name="quarantine_scorecard"),
            path("export/", page(self.export_view), name="quarantine_export"),
            path("cause/<int:cause_id>/reveal/", page(reveal_cause), name="quarantine_cause_reveal"),
            path("cause/<int:cause_id>/assign/", page(self.assign_view), name="quarantine_cause_assign"),
            path("event/<str:public_id>/reveal/", page(reveal_event), name="quarantine_event_reveal"),
            path("event/<str:public_id>/discard/", page(discard_event), name="quarantine_event_discard"),
            path("customer/<uuid:public_id>/", page(self.customer_view), name="quarantine_customer"),
            path("cause/<int:cause_id>/", page(self.cause_view), name="quarantine_cause"),
            path("event/<str:public_id>/", page(self.event_view), name="quarantine_event"),
        ]

    def causes_view(self, request: HttpRequest) -> HttpResponse:
        """Causes, of one source, code or department and by what their name and place hold when asked."""
        add_up(timezone.now())
        source, code, of, order, q = (request.GET.get(name, "").strip() for name in ("source", "code", "of", "order", "q"))
        number = max(1, number_or_none(request.GET.get("page", "")) or 1)
        if mask_in_text(q) != q:
            messages.info(request, _("A number or an address stands in no link. Look customers up under Customers."))
            return HttpResponseRedirect(request.path)
        sources = sources_in(request) if rights_in(request).limited else None
        causes = held_causes(source=source, code=code, sources=sources)
        if of:
            causes = causes.filter(pk__in=open_causes_of(request.user)) if of == "mine" else causes.filter(department=of)
        if q:
            causes = told_with(causes, q, masked=not Sight.of(request.user).unmasked)
        order = order if order in ORDERS else next(iter(ORDERS))
        groups = held_groups(causes, order=order, offset=(number - 1) * PAGE, limit=PAGE + 1, shown=shown_to(request.user))
        every = held_causes(sources=sources)
        holding = set(every.values_list("source_id", flat=True).distinct())
        held = causes.aggregate(events=Sum("events"), oldest=Min("first_at"), causes=Count("id"))
        context = {
            "title": _("Quarantine"),
            "trend_days": TREND_DAYS,
            "lines": _lines(request, groups[:PAGE], shown_to(request.user)),
            # with several reasons an event is in several groups, and leads in one that another filter may leave out
            "held": (held["events"] or 0) if not code and not of and not q else None,
            "causes": held["causes"],
            "oldest": held["oldest"],
            "source": source,
            "code": code,
            "of": of,
            "q": q,
            "order": order,
            "orders": [("held", _("most events first")), ("last", _("last seen first")), ("first", _("newest cause first"))],
            "sources": [one for one in released_in(request, "source") if one.pk in holding],
            "codes": [(one, title_for(one)) for one in every.values_list("code", flat=True).distinct().order_by("code")],
            "departments": Department.objects.filter(pk__in=every.values("department")),
            "waiting": waiting(request),
            "offers": of_sources_in(ReplayOffer.objects.select_related("release").defer("release__snapshot"), request),
            "may_replay": request.user.has_perm("ingestion.add_replay"),
            "limited": rights_in(request).limited,
            "previous_page": number - 1,
            "next_page": number + 1 if len(groups) > PAGE else 0,
            "query": urlencode({name: value for name, value in request.GET.items() if value and name != "page"}),
        }
        return self._render(request, "ingestion/quarantine_causes.html", context)

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """All that is held, or of one source or code, each event with all its reasons and its record; masked as on the page."""
        form = FORMS.get(request.GET.get("format", ""), FORMS["ndjson"])
        sources = sources_in(request) if rights_in(request).limited else None
        events = held_events(source=request.GET.get("source", ""), code=request.GET.get("code", ""), sources=sources)
        log_access(request.user, AccessLog.Action.EXPORT, reason="held events")
        sight = Sight.of(request.user)
        answer = StreamingHttpResponse(form.write(told(event, attempts, sight) for event, attempts in events))
        answer["Content-Type"] = form.content_type
        answer["Content-Disposition"] = f'attachment; filename="{form.file_name}"'
        return answer

    def cause_view(self, request: HttpRequest, cause_id: int) -> HttpResponse:
        """One cause and its events, those stored last first; `before` is the event to go on from."""
        add_up(timezone.now())
        cause = get_object_or_404(of_sources_in(Cause.objects.select_related("department", "person"), request), pk=cause_id)
        newest = reasons_like(cause).select_related("event__batch").order_by("-event_id")
        if (before := number_or_none(request.GET.get("before", ""))) is not None:
            newest = newest.filter(event_id__lt=before)
        page = list(newest[: PAGE + 1])
        sight = sight_in(request, of_cause(cause))
        may = request.user.has_perm("ingestion.add_replay")
        context = {
            "title": title_for(cause.code),
            "cause": cause,
            "name": sight(cause.name),
            "place": _lacked(request, [cause], sight).get(cause.pk) or sight(cause.path),
            "heading": sight(headings_of([cause]).get(cause.pk, "")),
            "trend": trend(trends([cause.pk], timezone.localdate(timezone=timezone.get_default_timezone()))[cause.pk]),
            "trend_days": TREND_DAYS,
            "next": explain(cause.code).next,
            "discovered": Discovered.objects.filter(source=cause.source_id, kind=Discovered.Kind.NAME, name=cause.name).first()
            if cause.code == "event.unknown"
            else None,
            "events": lines_of(page[:PAGE], sight),
            "unmasked": sight.unmasked,
            "may_ask": may_ask(request, of_cause(cause)),
            "is_first": before is None,
            "next_before": page[PAGE - 1].event_id if len(page) > PAGE else None,
            "assignments": cause.assignments.select_related("department", "person", "by")[:_ASSIGNMENTS],
            "departments": Department.objects.all() if may else [],
            "people": who_see_to_causes() if may else [],
            "may_assign": may,
        }
        return self._render(request, "ingestion/quarantine_cause.html", context)

    @method_decorator(require_POST)
    def assign_view(self, request: HttpRequest, cause_id: int) -> HttpResponse:
        """Give a cause to a department or a person."""
        if not request.user.has_perm("ingestion.add_replay"):
            raise PermissionDenied
        cause = get_object_or_404(of_sources_in(Cause.objects.all(), request), pk=cause_id)
        chosen = number_or_none(request.POST.get("person", ""))
        person = None if chosen is None else who_see_to_causes().filter(pk=chosen).first()
        # somebody takes it to their own department
        department = person.department if person else Department.objects.filter(pk=request.POST.get("department", "")).first()
        if department is None:
            messages.error(request, _("Choose a department, or a person who is of one."))
        else:
            note = str(storable(request.POST.get("note", "").strip()))[:300]
            assign(cause, department=department, person=person, note=note, by=cast(User, request.user))
            messages.success(request, _("It waits for %(who)s now. They are told.") % {"who": person or department})
        return HttpResponseRedirect(cause.get_absolute_url())

    def customer_view(self, request: HttpRequest, public_id: UUID) -> HttpResponse:
        """The newest events of one customer that are held, each with what holds it."""
        if not request.user.has_perm("profiles.view_customer"):
            raise PermissionDenied
        customer = get_object_or_404(Customer, public_id=public_id)
        log_access(request.user, AccessLog.Action.VIEW, customer=customer.public_id)
        held = of_sources_in(held_of(customer), request)
        shown = shown_to(request.user)
        events = held.prefetch_related("reasons").order_by("-received_at", "-id")[:PAGE]
        context = {
            "title": _("Held events of one customer"),
            "customer": customer,
            "count": held.count(),
            "events": [
                (one, shown(one.name or ""), sorted({str(title_for(reason.code)) for reason in one.reasons.all() if reason.open}))
                for one in events
            ],
        }
        return self._render(request, "ingestion/quarantine_customer.html", context)

    def event_view(self, request: HttpRequest, public_id: str) -> HttpResponse:
        """One event whole: its reasons beside the record as it came. Opening it unmasked is recorded."""
        event = held_event(request, public_id)
        what = of_event(event.public_id)
        sight = sight_in(request, what)
        if sight.unmasked:
            log_access(request.user, AccessLog.Action.ORIGINAL, reason=f"quarantine {public_id}")
        original = Original.objects.select_related("holder").filter(pk=event.pk).first()
        context = {
            "title": _("A held event"),
            "event": event,
            "unmasked": sight.unmasked,
            "may_ask": may_ask(request, what),
            "release": Release.objects.defer("snapshot").filter(pk=event.release_id).first() if event.release_id else None,
            "message_id": sight(event.message_id or ""),
            "name": sight(event.name or ""),
            "reasons": _reasons(event, sight),
            "original": shown_original(original, event, sight) if original else None,
            "back": _cause_of(event),
            "attempts": _attempts(event),
            "is_held": event.standing == Event.Standing.HELD,
            "may_discard": request.user.has_perm(RIGHT),
            **discarded_alone(request, event, sight),
        }
        return self._render(request, "ingestion/quarantine_event.html", context)

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **context})


def _lines(request: HttpRequest, groups: list[Group], shown: Callable[[str], str]) -> list[tuple[Group, Trend, str]]:
    """Each with its trend, and the file's own column where it came from one."""
    causes = [group.cause for group in groups]
    found = trends((cause.pk for cause in causes), timezone.localdate(timezone=timezone.get_default_timezone()))
    headings, lacked = headings_of(causes), _lacked(request, causes, shown)
    named = [replace(group, path=lacked.get(group.cause.pk, group.path)) for group in groups]
    return [(group, trend(found[group.cause.pk]), shown(headings.get(group.cause.pk, ""))) for group in named]


def _lacked(request: HttpRequest, causes: Sequence[Cause], shown: Callable[[str], str]) -> dict[int, str]:
    """Where a cause is that tells of an event as a whole: the attributes of which one is missing, as the desk calls them."""
    found = lacked_in(causes)
    hidden = hidden_in(request, current().plan.items) if found else ()
    return {pk: shown(place_words(ATTRIBUTES, groups, hidden)) for pk, groups in found.items()}


def _cause_of(event: Event) -> Cause | None:
    """The first cause of an event."""
    reason = QuarantineReason.objects.filter(event_id=event.pk).order_by("-leads", "id").first()
    return cause_of(reason) if reason else None


def _attempts(event: Event) -> QuerySet[Replayed]:
    """The newest replays that told of an event."""
    told = Replayed.objects.filter(event_id=event.pk).select_related("replay__started_by", "replay__release")
    return told.defer("replay__mends", "replay__release__snapshot").order_by("-replay__created_at", "-id")[:_ATTEMPTS]


def _reasons(event: Event, sight: Sight) -> list[dict[str, Any]]:
    """What the page says of each violation, those that hold the event first, then the notes."""
    found = [sight.violation(one, event.source_id) for one in (event.report or {}).get("violations", [])]
    return [
        {
            "explained": explain(one["code"], one.get("values")),
            "holds": is_blocking(one),
            "path": one.get("path", ""),
            "from": sight((one.get("values") or {}).get("from", "")),
            "seen": "" if one.get("seen") is None else str(one["seen"]),
            "expected": expected_text(one.get("expected")),
        }
        for one in sorted(found, key=lambda one: not is_blocking(one))
    ]
