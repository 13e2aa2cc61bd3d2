"""Publishing, and what was published."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from taxonomy.definition import MODELS, draft_items
from taxonomy.diff import diff, title
from taxonomy.models import Release
from taxonomy.problems import plan_problem
from taxonomy.publish import ItemChange, NothingToPublish, NotPublishable, changes_between, items_of, newest, publish

KINDS = ("category", "attribute", "tag", "source", "rule")


@admin.register(Release)
class ReleaseAdmin(ModelAdmin):
    list_display = ["version", "published_at", "published_by", "item_count", "short_notes"]
    list_select_related = ["published_by"]
    search_fields = ["version", "notes"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("snapshot")

    def get_urls(self) -> list[URLPattern]:
        return [path("publish/", self.admin_site.admin_view(self.publish_view), name="taxonomy_release_publish"), *super().get_urls()]

    @admin.display(description=gettext_lazy("items"))
    def item_count(self, release: Release) -> int:
        return len(release.changed_items)

    @admin.display(description=gettext_lazy("notes"))
    def short_notes(self, release: Release) -> str:
        return release.notes[:120]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        release = get_object_or_404(Release.objects.select_related("published_by"), pk=object_id)
        before = items_of(Release.objects.filter(pk__lt=release.pk).order_by("-id").first())
        after = items_of(release)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Release %(version)s") % {"version": release.version},
            "opts": self.opts,
            "release": release,
            "groups": _shown(changes_between(before, after), before | after),
        }
        return TemplateResponse(request, "taxonomy/release.html", context)

    def publish_view(self, request: HttpRequest) -> HttpResponse:
        """What the draft changes, chosen item by item; publishing makes sources obey it within a second."""
        if not request.user.has_perm("taxonomy.publish_release"):
            raise PermissionDenied
        problems: list[str] = []
        draft = draft_items()
        current = newest()
        released = items_of(current)
        if request.method == "POST":
            try:
                made = publish(request.POST.getlist("items"), notes=request.POST.get("notes", ""), by=request.user)  # type: ignore[arg-type]
            except NothingToPublish:
                messages.warning(request, _("Nothing was chosen. Tick what should be released."))
            except NotPublishable as error:
                problems = [plan_problem(problem, released | draft) for problem in error.problems]
            else:
                messages.success(request, _("Release %(version)s is out; sources obey it now.") % {"version": made.version})
                return HttpResponseRedirect(reverse("admin:taxonomy_release_change", args=[made.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Publish"),
            "opts": self.opts,
            "current": current,
            "groups": _shown(changes_between(released, draft), released | draft),
            "problems": problems,
            "notes": request.POST.get("notes", ""),
            "chosen": set(request.POST.getlist("items")) if request.method == "POST" else None,
        }
        return TemplateResponse(request, "taxonomy/publish.html", context)


def _shown(changes: list[ItemChange], names: dict[str, Any]) -> list[dict[str, Any]]:
    """The changes by kind of item: [{"kind", "changes": [{"item", "title", "action", "lines"}]}]."""
    groups = []
    for kind in KINDS:
        rows = [
            {
                "item": change.item,
                "title": title(change.after or change.before or {}),
                "action": "new" if change.before is None else "gone" if change.after is None else "changed",
                "lines": diff(change.before, change.after, names) if change.before and change.after else [],
            }
            for change in changes
            if change.kind == kind
        ]
        if rows:
            label = MODELS[kind]._meta.verbose_name_plural
            groups.append({"kind": kind, "label": label, "changes": sorted(rows, key=lambda row: str(row["title"]))})
    return groups

