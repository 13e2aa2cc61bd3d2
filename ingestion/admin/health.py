"""The pages of health: all tags and sources with what has stopped, one tag, one source."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin

from ingestion.models import Stream
from ingestion.quarantine.causes import add_up
from ingestion.quarantine.held import held_causes, held_groups
from ingestion.watching.health import DAYS, Health, Shown, overview, releases_to_choose, source_health, tag_health
from ingestion.watching.intake import COUNTS, Counts, Intake, intake
from profiles.charts import StackedBars, stacked_bars
from staff.admin.pages import ReadOnly
from staff.masking import shown_to
from taxonomy.models import Attribute, Release
from taxonomy.released import Named
from taxonomy.request_rights import item_in, released_in, rights_in, source_in, sources_in, tags_in
from taxonomy.rights import among, reads_every_tag
from taxonomy.violations import title_for

PAGE = 100
# Of what a source's page names of its quarantine.
CAUSES = 5
# Days named below a chart; more would run into each other.
_LABELS = 10


@admin.register(Stream)
class StreamAdmin(ReadOnly, ModelAdmin):
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("ingestion.view_quarantinereason")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view
        return [
            path("", page(self.overview_view), name="ingestion_stream_changelist"),
            path("tag/<uuid:item_id>/", page(self.tag_view), name="tag_health"),
            path("source/<uuid:item_id>/", page(self.source_view), name="source_health"),
        ]

    def overview_view(self, request: HttpRequest) -> HttpResponse:
        self._must_view(request)
        kind = "source" if request.GET.get("of") == "source" else "tag"
        tags, sources = released_in(request, "tag"), released_in(request, "source")
        found = overview(kind, *((sources, tags) if kind == "source" else (tags, sources)))
        page = Paginator(found, PAGE).get_page(request.GET.get("page"))
        context = {
            "title": _("Health"),
            "kind": kind,
            "page": page,
            "rows": [{"one": one, "rhythm": one.stream and rhythm_text(one.stream), "url": f"admin:{kind}_health"} for one in page],
            "stopped": sum(one.stream is not None and one.stream.state == Stream.State.STOPPED for one in found),
            "partly": sum(bool(one.stopped) and one.stream is not None and one.stream.state != Stream.State.STOPPED for one in found),
            "judged_at": Stream.objects.values_list("judged_at", flat=True).first(),
        }
        return self._render(request, "ingestion/health_overview.html", context)

    def tag_view(self, request: HttpRequest, item_id: UUID) -> HttpResponse:
        self._must_view(request)
        tag = _item(request, "tag", item_id)
        days, release, releases = _chosen(request, item_id)
        source = source_in(request, request.GET.get("source", ""))
        found = tag_health(tag, _today(), days, release, source, _shown(request))
        return self._page(request, tag, "tag", found, days, releases, source=source)

    def source_view(self, request: HttpRequest, item_id: UUID) -> HttpResponse:
        self._must_view(request)
        source = _item(request, "source", item_id)
        days, release, releases = _chosen(request, item_id)
        shown = _shown(request)
        # Tallies are not parted by tag: they would tell of what a limited reader may not see.
        came = None if shown else intake(source, _today(), days, timezone.now())
        return self._page(request, source, "source", source_health(source, _today(), days, release, shown), days, releases, came=came)

    def _page(
        self,
        request: HttpRequest,
        item: Named,
        kind: str,
        found: Health,
        days: int,
        releases: list[Release],
        source: Named | None = None,
        came: Intake | None = None,
    ) -> HttpResponse:
        sending = set(Stream.objects.filter(tag=item.pk).values_list("source_id", flat=True)) if kind == "tag" else set()
        streams = {getattr(one, "source_id" if kind == "tag" else "tag_id"): one for one in found.streams}
        if kind == "source":
            add_up(timezone.now())
        context = {
            "title": _("Health of %(item)s") % {"item": item.label},
            "item": item,
            "kind": kind,
            "health": found,
            "rhythm": found.whole and rhythm_text(found.whole),
            "chart": _chart(found) if found.total else None,
            "parts": [{"one": one, "stream": streams.get(one.item.pk) if one.item else None} for one in found.parts],
            "silent": [one for one in found.streams if one.item and all(one.item != part.item for part in found.parts)],  # type: ignore[attr-defined]
            "violations": [{"one": one, "title": title_for(one.code)} for one in found.violations],
            **(_of_intake(came) if came else {}),
            "may_see_keys": request.user.has_perm("ingestion.view_writekey"),
            "may_replay": request.user.has_perm("ingestion.add_replay"),
            "causes": held_groups(held_causes(source=item.code), limit=CAUSES, shown=shown_to(request.user)) if kind == "source" else [],
            "days": days,
            "choices": DAYS,
            "releases": releases,
            "source": source,
            "only_shown": rights_in(request).limited,
            "may_open_scorecard": kind == "source" and reads_every_tag(rights_in(request)),
            "sources": [one for one in released_in(request, "source") if one.pk in sending],
        }
        return self._render(request, "ingestion/health.html", context)

    def _must_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **context})


def _shown(request: HttpRequest) -> Shown | None:
    """What may be read; None: everything."""
    rights = rights_in(request)
    return Shown(tags_in(request), sources_in(request), among(Attribute.objects.all(), rights)) if rights.limited else None


def _item(request: HttpRequest, kind: str, item: UUID) -> Named:
    found = item_in(request, kind, item)
    if found is None:
        raise Http404
    return found


def rhythm_text(stream: Stream) -> str:
    """How it usually comes, in the reader's language."""
    if stream.usual == "every_days":
        days = round(stream.usual_days)
        return ngettext("about every %(days)s day", "about every %(days)s days", days) % {"days": days}
    texts = {
        "hourly": _("every hour of its opening hours"), "daily": _("every day"), "weekdays": _("from Monday to Friday"),
        "sporadic": _("now and then"),
    }  # fmt: skip
    return texts.get(stream.usual, "")


def _today() -> Any:
    return timezone.localdate(timezone=timezone.get_default_timezone())


def _chosen(request: HttpRequest, item: UUID) -> tuple[int, Release | None, list[Release]]:
    days = next((one for one in DAYS if str(one) == request.GET.get("days")), DAYS[1])
    releases = releases_to_choose(item)
    release = next((one for one in releases if one.version == request.GET.get("release")), releases[0] if releases else None)
    return days, release, releases


def _of_intake(came: Intake) -> dict[str, Any]:
    """What the page shows of what came."""
    late = came.lateness
    return {
        "intake": came,
        "by_day": _chart_of([f"{one.at:%m-%d}" for one in came.days], _by_verdict(came.days), as_given=True)
        if came.total.received
        else None,
        "by_hour": _chart_of([f"{one.at:%H:00}" for one in came.hours], _by_verdict(came.hours), as_given=True)
        if any(one.received for one in came.hours)
        else None,
        "late": late and {"events": late.events, "median": duration_text(late.median), "p95": duration_text(late.p95)},
    }


def _by_verdict(counts: list[Counts]) -> dict[str, list[int]]:
    labels = {"accepted": _("accepted"), "duplicate": _("duplicate"), "quarantined": _("quarantined"), "refused": _("refused")}
    return {labels[name]: [getattr(one, name) for one in counts] for name in COUNTS}


def duration_text(length: timedelta) -> str:
    """In the largest unit of which there are two or more, rounded."""
    seconds = length.total_seconds()
    if seconds < 120:
        return ngettext("%(number)s second", "%(number)s seconds", round(seconds)) % {"number": round(seconds)}
    if seconds < 2 * 3600:
        return ngettext("%(number)s minute", "%(number)s minutes", round(seconds / 60)) % {"number": round(seconds / 60)}
    if seconds < 2 * 86_400:
        return ngettext("%(number)s hour", "%(number)s hours", round(seconds / 3600)) % {"number": round(seconds / 3600)}
    return ngettext("%(number)s day", "%(number)s days", round(seconds / 86_400)) % {"number": round(seconds / 86_400)}


def _chart(found: Health) -> StackedBars:
    return _chart_of([f"{day:%m-%d}" for day in found.days], found.by_day)


def _chart_of(labels: list[str], values: dict[str, list[int]], *, as_given: bool = False) -> StackedBars:
    chart = stacked_bars(labels, values, other=_("others"), as_given=as_given)
    step = -(-len(labels) // _LABELS)
    return replace(chart, labels=[label for at, label in enumerate(chart.labels) if at % step == 0])
