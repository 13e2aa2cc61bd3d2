"""The quarantine pages: causes, the events of one cause, and one event beside its reasons."""

from binascii import unhexlify
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from ingestion.admin.reveal import may_ask, of_cause, of_event, reveal_cause, reveal_event, sees, shown_in
from ingestion.doors.files import BOM, FileFormat, write_row
from ingestion.held import held_events, held_groups, open_reasons, reasons_like
from ingestion.models import QuarantineReason, ReplayOffer
from profiles.models import Customer, Event, Original
from profiles.original import shown_original
from profiles.summary import held_of
from staff.access import log_access
from staff.admin.pages import number_or_none
from staff.masking import is_time, may_see_personal, shown_to
from staff.models import AccessLog
from taxonomy.admin.limits import of_sources_in, released_in, rights_in, sources_in
from taxonomy.exchange.book import escaped
from taxonomy.models import Release
from taxonomy.released import named
from taxonomy.standardize import encode_json
from taxonomy.violations import expected_text, explain, is_blocking, title_for

PAGE = 50
_CSV = FileFormat("csv")


@admin.register(QuarantineReason)
class QuarantineAdmin(ModelAdmin):
    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

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
            path("export/", page(self.export_view), name="quarantine_export"),
            path("cause/<int:reason_id>/reveal/", page(reveal_cause), name="quarantine_cause_reveal"),
            path("event/<str:public_id>/reveal/", page(reveal_event), name="quarantine_event_reveal"),
            path("customer/<uuid:public_id>/", page(self.customer_view), name="quarantine_customer"),
            path("cause/<int:reason_id>/", page(self.cause_view), name="quarantine_cause"),
            path("event/<str:public_id>/", page(self.event_view), name="quarantine_event"),
        ]

    def causes_view(self, request: HttpRequest) -> HttpResponse:
        """Causes with most events first, of one source or code when asked."""
        source, code = request.GET.get("source", ""), request.GET.get("code", "")
        number = max(1, number_or_none(request.GET.get("page", "")) or 1)
        sources = sources_in(request) if rights_in(request).limited else None
        groups = held_groups(
            source=source, code=code, sources=sources, offset=(number - 1) * PAGE, limit=PAGE + 1, shown=shown_to(request.user)
        )
        holding = set(open_reasons().values_list("source_id", flat=True).distinct())
        context = {
            "title": _("Quarantine"),
            "groups": groups[:PAGE],
            "held": open_reasons(source=source, code=code, sources=sources).aggregate(events=Count("event_id", distinct=True))["events"],
            "source": source,
            "code": code,
            "sources": [one for one in released_in(request, "source") if one.pk in holding],
            "codes": [
                (one, title_for(one)) for one in open_reasons(sources=sources).values_list("code", flat=True).distinct().order_by("code")
            ],
            "offers": of_sources_in(ReplayOffer.objects.select_related("release").defer("release__snapshot"), request),
            "may_replay": request.user.has_perm("ingestion.add_replay"),
            "limited": rights_in(request).limited,
            "previous_page": number - 1,
            "next_page": number + 1 if len(groups) > PAGE else 0,
        }
        return self._render(request, "ingestion/quarantine_causes.html", context)

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """All that is held, or of one source or code, each event with all its reasons and its record; masked as on the page."""
        as_csv = request.GET.get("format") == "csv"
        sources = sources_in(request) if rights_in(request).limited else None
        events = held_events(source=request.GET.get("source", ""), code=request.GET.get("code", ""), sources=sources)
        log_access(request.user, AccessLog.Action.EXPORT, reason="held events")
        unmasked, shown = may_see_personal(request.user), shown_to(request.user)
        rows = (_exported(event, shown, unmasked=unmasked) for event in events)
        answer = StreamingHttpResponse(_as_csv(rows) if as_csv else (encode_json(row) + b"\n" for row in rows))
        answer["Content-Type"] = "text/csv; charset=utf-8" if as_csv else "application/x-ndjson"
        answer["Content-Disposition"] = f'attachment; filename="held.{"csv" if as_csv else "ndjson"}"'
        return answer

    def cause_view(self, request: HttpRequest, reason_id: int) -> HttpResponse:
        """The newest events of one cause; `before` is the reason to go on from."""
        cause = get_object_or_404(of_sources_in(QuarantineReason.objects.all(), request), pk=reason_id)
        reasons = reasons_like(cause)
        newest = reasons.select_related("event").order_by("-received_at", "-id")
        if (before := number_or_none(request.GET.get("before", ""))) is not None:
            newest = _after(newest, before)
        page = list(newest[: PAGE + 1])
        context = {
            "title": title_for(cause.code),
            "cause": cause,
            "name": shown_in(request, of_cause(cause))(cause.name),
            "count": reasons.count(),
            "next": explain(cause.code).next,
            "events": [_line(reason, shown_in(request, of_cause(cause))) for reason in page[:PAGE]],
            "unmasked": sees(request, of_cause(cause)),
            "may_ask": may_ask(request, of_cause(cause)),
            "next_before": page[PAGE - 1].pk if len(page) > PAGE else None,
        }
        return self._render(request, "ingestion/quarantine_cause.html", context)

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
        event = get_object_or_404(
            of_sources_in(Event.objects.filter(Exists(QuarantineReason.objects.filter(event_id=OuterRef("pk")))), request).select_related(
                "batch"
            ),
            key=_key(public_id),
        )
        what = of_event(event.public_id)
        unmasked, shown = sees(request, what), shown_in(request, what)
        if unmasked:
            log_access(request.user, AccessLog.Action.ORIGINAL, reason=f"quarantine {public_id}")
        original = Original.objects.select_related("holder").filter(pk=event.pk).first()
        context = {
            "title": _("A held event"),
            "event": event,
            "unmasked": unmasked,
            "may_ask": may_ask(request, what),
            "release": Release.objects.defer("snapshot").filter(pk=event.release_id).first() if event.release_id else None,
            "message_id": shown(event.message_id or ""),
            "name": shown(event.name or ""),
            "reasons": _reasons(event, shown),
            "original": shown_original(original, event, unmasked=unmasked) if original else None,
            "back": QuarantineReason.objects.filter(event_id=event.pk).order_by("id").values_list("pk", flat=True).first(),
        }
        return self._render(request, "ingestion/quarantine_event.html", context)

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **context})


def _line(reason: QuarantineReason, shown: Callable[[str], str]) -> dict[str, Any]:
    event = reason.event
    violations = (event.report or {}).get("violations", [])
    mine = [one for one in violations if one.get("code") == reason.code and one.get("path", "") == reason.path]
    return {
        "event": event,
        "message_id": shown(event.message_id or ""),
        "seen": _seen(mine[0], shown) if mine else "",
        "others": sum(one["code"] != reason.code and is_blocking(one) for one in violations),
    }


def _reasons(event: Event, shown: Any) -> list[dict[str, Any]]:
    """What the page says of each violation, those that hold the event first, then the notes."""
    found = (event.report or {}).get("violations", [])
    return [
        {
            "explained": explain(one["code"], one.get("values")),
            "holds": is_blocking(one),
            "path": one.get("path", ""),
            "seen": _seen(one, shown),
            "expected": expected_text(one.get("expected")),
        }
        for one in sorted(found, key=lambda one: not is_blocking(one))
    ]


def _exported(event: Event, shown: Callable[[str], str], *, unmasked: bool) -> dict[str, Any]:
    original = shown_original(event.original, event, unmasked=unmasked)
    held = [one for one in (event.report or {}).get("violations", []) if is_blocking(one)]
    return {
        "_tagline_id": event.public_id,
        "source": named("source", [event.source_id])[event.source_id].code,
        "received_at": event.received_at.isoformat(),
        "message_id": shown(event.message_id or ""),
        "event": shown(event.name or ""),
        "reasons": [
            {"code": one["code"], "path": one.get("path", ""), "seen": _seen(one, shown), "expected": expected_text(one.get("expected"))}
            for one in held
        ],
        "record": dict(original.cells) if original.cells else original.text,
    }


def _as_csv(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """For a spreadsheet: with a byte order mark, and nothing that it would take for a formula."""
    yield BOM
    yield write_row(["_tagline_id", "source", "received_at", "message_id", "event", "_reason", "record"], _CSV)
    for row in rows:
        reasons = " ".join(f"{title_for(one['code'])}: {one['path']} {one['seen']}".strip() for one in row["reasons"])
        record = row["record"] if isinstance(row["record"], str) else encode_json(row["record"]).decode()
        cells = [row["_tagline_id"], row["source"], row["received_at"], row["message_id"], row["event"], reasons, record]
        yield write_row([escaped(cell) for cell in cells], _CSV)


def _seen(violation: dict[str, Any], shown: Callable[[str], str]) -> str:
    seen, path = violation.get("seen"), str(violation.get("path", ""))
    if seen is None:
        return ""
    return str(seen) if is_time(path, seen) else shown(str(seen))


def _after(newest: Any, reason_id: int) -> Any:
    last = get_object_or_404(QuarantineReason, pk=reason_id)
    return newest.filter(Q(received_at__lt=last.received_at) | Q(received_at=last.received_at, pk__lt=last.pk))


def _key(public_id: str) -> bytes:
    try:
        key = unhexlify(public_id)
    except ValueError as error:
        raise Http404 from error
    if len(key) != 16:
        raise Http404
    return key
