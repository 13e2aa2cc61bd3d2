"""The page of personal data that arrives in attributes not declared personal."""

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin

from ingestion.admin.discovered import IGNORE_DAYS, IgnoreForm
from ingestion.models import Discovered, Leak
from ingestion.watching.leaks import EVENTS_LOOKED_AT, VIEW, found_leaks, of_readable
from staff.admin.pages import ReadOnly
from staff.masking import mask_in_text
from staff.personal import KINDS
from taxonomy.models import Attribute
from taxonomy.released import named, personal_codes
from taxonomy.request_rights import rights_in, sources_in, tags_in
from taxonomy.rights import among

PAGE = 50
CHANGE = "ingestion.change_leak"
ACTS = ("ignore", "look_again")
STATES = {
    "open": gettext_lazy("open"),
    "declared": gettext_lazy("declared personal since"),
    "ignored": gettext_lazy("ignored"),
    "taken_back": gettext_lazy("taken back"),
}


@admin.register(Leak)
class LeakAdmin(ReadOnly, ModelAdmin):
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(VIEW)

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view
        return [
            path("", page(self.list_view), name="ingestion_leak_changelist"),
            path("<int:leak_id>/act/", page(self.act_view), name="leak_act"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Leaks in one state, the newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        source, state = request.GET.get("source", ""), request.GET.get("state", "")
        state = state if state in STATES else "open"
        personal, today = personal_codes(), _today()
        by_state: dict[str, list[Leak]] = {one: [] for one in STATES}
        rows = _rows(request)
        sources = sorted(named("source", set(rows.values_list("source_id", flat=True))).values(), key=lambda one: one.code)
        if source:
            rows = rows.filter(source__in=[one.pk for one in sources if one.code == source])
        for row in rows.select_related("ignored_by"):
            by_state[state_of(row, personal, today)].append(row)
        page = Paginator(by_state[state], PAGE).get_page(request.GET.get("page"))
        links = _links(request, page)
        context = {
            "title": _("Leaks"),
            "page": page,
            "rows": [{"row": row, "attribute": mask_in_text(row.attribute), "declare": links.get(row.pk, "")} for row in page],
            "states": [(one, label, len(by_state[one])) for one, label in STATES.items()],
            "state": state,
            "source": source,
            "sources": sources,
            "query": urlencode({"state": state, "source": source}),
            "looked_at": EVENTS_LOOKED_AT,
            "may_change": request.user.has_perm(CHANGE),
            "today": today,
            "until": today + timedelta(days=IGNORE_DAYS),
        }
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        return TemplateResponse(request, "ingestion/leaks.html", {**self.admin_site.each_context(request), **context})

    @method_decorator(require_POST)
    def act_view(self, request: HttpRequest, leak_id: int) -> HttpResponse:
        """Ignore a leak until a day, with a reason, or look at it again."""
        act = request.POST.get("act", "")
        if act not in ACTS or not self.has_view_permission(request) or not request.user.has_perm(CHANGE):
            raise PermissionDenied
        row = get_object_or_404(_rows(request), pk=leak_id)
        form = IgnoreForm(request.POST)
        if act == "look_again":
            row.ignored_until, row.ignored_reason, row.ignored_by = None, "", None
        elif form.is_valid():
            row.ignored_until, row.ignored_reason = form.cleaned_data["until"], form.cleaned_data["reason"]
            row.ignored_by = request.user  # type: ignore[assignment]
        else:
            for name, problems in form.errors.items():
                messages.error(request, f"{_('reason') if name == 'reason' else _('until')}: {' '.join(str(one) for one in problems)}")
            return HttpResponseRedirect(reverse("admin:ingestion_leak_changelist"))
        # not the counts, to which the rollup may have added meanwhile
        row.save(update_fields=["ignored_until", "ignored_reason", "ignored_by"])
        return HttpResponseRedirect(reverse("admin:ingestion_leak_changelist"))


def state_of(row: Leak, personal: Collection[str], today: date) -> str:
    """A key of STATES."""
    if row.taken_back:
        return "taken_back"
    if row.attribute.lower() in personal:
        return "declared"
    return "ignored" if row.ignored_until is not None and row.ignored_until >= today else "open"


def _rows(request: HttpRequest) -> QuerySet[Leak]:
    """What was found of the sources and tags that the reader may read."""
    found = found_leaks()
    return of_readable(found, sources_in(request), tags_in(request)) if rights_in(request).limited else found


def _links(request: HttpRequest, rows: Any) -> dict[int, str]:
    """{leak: where its attribute is declared personal}: the draft's attribute, else the page of the name that was discovered."""
    if not request.user.has_perm("taxonomy.change_attribute"):
        return {}
    codes = {row.attribute for row in rows}
    attributes = {one.code: one.pk for one in among(Attribute.objects.filter(code__in=codes), rights_in(request))}
    beside = Discovered.objects.filter(kind=Discovered.Kind.ATTRIBUTE, name__in=codes, source__in={row.source_id for row in rows})
    discovered = {(one.source_id, one.tag_id, one.name): one.pk for one in beside}
    found: dict[int, str] = {}
    for row in rows:
        if pk := attributes.get(row.attribute):
            found[row.pk] = reverse("admin:taxonomy_attribute_change", args=[pk]) + "#id_personal"
        elif one := discovered.get((row.source_id, row.tag_id, row.attribute)):
            found[row.pk] = reverse("admin:ingestion_discovered_change", args=[one])
        elif mask_in_text(row.attribute) == row.attribute != Leak.OTHERS and request.user.has_perm("taxonomy.add_attribute"):
            given = urlencode({"code": row.attribute, "personal": KINDS[row.kind].attribute})
            found[row.pk] = f"{reverse('admin:taxonomy_attribute_add')}?{given}"
    return found


def _today() -> date:
    return timezone.localdate(timezone=timezone.get_default_timezone())
