"""The page of near-duplicates: how many of which source and tag, examples beside each other, and what is done about them."""

import json
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from ingestion.accepted.near import decide
from ingestion.admin.takeback import Moment
from ingestion.jobs import decide_near_duplicates
from ingestion.models import NearDuplicate, NearDuplicateSetting
from ingestion.watching.leaks import of_readable
from profiles.models import Event
from profiles.sight import Sight
from staff.admin.pages import ReadOnly
from staff.models import User
from taxonomy.released import Named, by_code, named
from taxonomy.request_rights import item_in, released_in, rights_in, source_in, sources_in, tags_in
from taxonomy.standardize import storable

PAGE = 20
VIEW, CHANGE = "ingestion.view_nearduplicate", "ingestion.change_nearduplicate"
ACTS = ("keep", "merge")
ALL_ACTS = ("set", "keep_all", "merge_all")
State = NearDuplicate.State


class SettingForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = NearDuplicateSetting
        fields = ("window_seconds", "merge")
        widgets = {"window_seconds": UnfoldAdminIntegerFieldWidget}


class AllForm(forms.Form):
    since = Moment(gettext_lazy("Found from"))
    until = Moment(gettext_lazy("Found before"))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("since") and cleaned.get("until") and cleaned["since"] >= cleaned["until"]:
            self.add_error("until", _("This is not after the time above. Choose a later one."))
        return cleaned


@admin.register(NearDuplicate)
class NearDuplicateAdmin(ReadOnly, ModelAdmin):
    when_empty = gettext_lazy(
        "What arrives is looked through within seconds. Choose a source to say how near is near, and what becomes of them."
    )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(VIEW)

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view
        return [
            path("", page(self.list_view), name="ingestion_nearduplicate_changelist"),
            path("event/<str:event_id>/", page(self.act_view), name="near_act"),
            path("source/<uuid:source_id>/", page(self.all_view), name="near_all"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Counts by source and tag, the newest pairs of what is chosen, and the setting of a chosen source."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = _rows(request)
        source = source_in(request, request.GET.get("source", ""))
        tag = by_code("tag", storable(request.GET.get("tag", "")))
        chosen = rows.filter(**{f"{name}": one.pk for name, one in (("source", source), ("tag", tag)) if one})
        state = request.GET.get("state", "")
        some = chosen.filter(state=state) if state in State.values else chosen
        page = Paginator(some.select_related("event", "of", "decided_by").order_by("-found_at", "-event_id"), PAGE).get_page(
            request.GET.get("page")
        )
        setting = NearDuplicateSetting.objects.filter(source=source.pk).first() if source else None
        sight = Sight.of(request.user)
        context = {
            "title": _("Near-duplicates"),
            "sources": released_in(request, "source"),
            "source": source,
            "tag": tag,
            "state": state,
            "states": [("", _("all"), chosen.count()), *((one.value, one.label, chosen.filter(state=one).count()) for one in State)],
            "by_tag": _by_tag(rows.filter(source=source.pk) if source else rows),
            "page": page,
            "pairs": [_pair(one, sight) for one in page],
            "setting": SettingForm(instance=setting) if source else None,
            "default": setting is None,
            "separate": bool(source and source.definition.get("separate_rows")),
            "all": AllForm(),
            "may_change": request.user.has_perm(CHANGE),
        }
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        return TemplateResponse(request, "ingestion/near.html", {**self.admin_site.each_context(request), **context})

    @method_decorator(require_POST)
    def act_view(self, request: HttpRequest, event_id: str) -> HttpResponse:
        """Let both of a pair count, or only one."""
        act = self._act(request, ACTS)
        try:
            one = get_object_or_404(_rows(request), event__key=bytes.fromhex(event_id))
        except ValueError:
            raise Http404 from None
        done = decide(Q(pk=one.pk), act, by=request.user.pk, now=timezone.now())
        if not done:
            messages.error(
                request, _("Nothing changed: what it repeats does not count now, or somebody else decided. Look at the page again.")
            )
        elif act == "keep":
            messages.success(request, _("Both count, and they are not merged again."))
        else:
            messages.success(request, _("Only the one it repeats counts now."))
        return HttpResponseRedirect(_back(one.source_id))

    @method_decorator(require_POST)
    def all_view(self, request: HttpRequest, source_id: UUID) -> HttpResponse:
        """Say what becomes of a source's near-duplicates, or decide on all that were found in a time."""
        act = self._act(request, ALL_ACTS)
        source = item_in(request, "source", source_id)
        if source is None:
            raise Http404
        if act == "set":
            setting = NearDuplicateSetting.objects.filter(source=source_id).first() or NearDuplicateSetting(source_id=source_id)
            form: SettingForm | AllForm = SettingForm(request.POST, instance=setting)
        else:
            form = AllForm(request.POST)
        if not form.is_valid():
            for name, problems in form.errors.items():
                messages.error(request, f"{form.fields[name].label}: {' '.join(str(one) for one in problems)}")
        elif isinstance(form, AllForm):
            since, until = form.cleaned_data["since"], min(form.cleaned_data["until"] or timezone.now(), timezone.now())
            decide_near_duplicates.defer(
                source_id=str(source_id), tag_id="", since=since.isoformat() if since else "", until=until.isoformat(),
                act=act.removesuffix("_all"), by=cast(User, request.user).pk,
            )  # fmt: skip
            messages.success(request, _("It is being done; look again in a moment."))
        else:
            form.save()
            messages.success(request, _("It holds for what arrives from now on."))
        return HttpResponseRedirect(_back(source_id))

    def _act(self, request: HttpRequest, known: tuple[str, ...]) -> str:
        act = request.POST.get("act", "")
        if act not in known or not request.user.has_perms([VIEW, CHANGE]):
            raise PermissionDenied
        return act


def _back(source_id: UUID) -> str:
    return f"{reverse('admin:ingestion_nearduplicate_changelist')}?source={named('source', [source_id])[source_id].code}"


def _rows(request: HttpRequest) -> QuerySet[NearDuplicate]:
    """Those of the sources and tags that the reader may read."""
    rows = NearDuplicate.objects.all()
    return of_readable(rows, sources_in(request), tags_in(request)) if rights_in(request).limited else rows  # type: ignore[arg-type, return-value]


def _by_tag(rows: QuerySet[NearDuplicate]) -> list[tuple[Named, Named, Any]]:
    """[(source, tag, counts by state and in "all")], most first."""
    counts = {f"of_{one.value}": Count("pk", filter=Q(state=one)) for one in State}
    found = list(rows.order_by().values("source_id", "tag_id").annotate(all=Count("pk"), **counts).order_by("-all", "source_id", "tag_id"))
    sources, tags = named("source", {one["source_id"] for one in found}), named("tag", {one["tag_id"] for one in found})
    return [(sources[one["source_id"]], tags[one["tag_id"]], one) for one in found]


def _pair(one: NearDuplicate, sight: Sight) -> dict[str, Any]:
    apart = abs((one.event.occurred_at - one.of.occurred_at).total_seconds()) if one.event.occurred_at and one.of.occurred_at else 0
    seconds = int(apart) if apart == int(apart) else round(apart, 1)
    return {
        "row": one,
        "source": named("source", [one.source_id])[one.source_id],
        "tag": named("tag", [one.tag_id])[one.tag_id],
        "apart": ngettext("%(seconds)s second apart", "%(seconds)s seconds apart", int(apart)) % {"seconds": seconds},
        "attributes": _attributes(one.of, sight),
        "sides": [(one.of, _("what it repeats")), (one.event, _("near-duplicate"))],
    }


def _attributes(event: Event, sight: Sight) -> list[tuple[str, str]]:
    """What both say, as the reader may see it."""
    said = {**sight.attributes(event.attributes or {}), **sight.record(event.extra or {}, event)}
    texts = (
        (code, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)) for code, value in said.items()
    )
    return [(code, sight(text)) for code, text in texts]
