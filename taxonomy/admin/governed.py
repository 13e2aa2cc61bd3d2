"""What the admin of every governed item shares: a "why" on the form, history as diffs, and a way back."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from taxonomy.definition import apply_definition, definitions
from taxonomy.diff import diff
from taxonomy.history import record_revision
from taxonomy.models import Revision
from taxonomy.publish import items_of, newest


class WhyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form that asks why, for the history."""

    why = forms.CharField(
        label=gettext_lazy("Why this change"), required=False, max_length=300, widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("One sentence for whoever reads the history later."),
    )  # fmt: skip


class GovernedAdmin(ModelAdmin):
    """Saves the draft with its history. What sources obey changes only when a release is published."""

    form = WhyForm
    compressed_fields = True
    warn_unsaved_form = True
    change_form_outer_before_template = "taxonomy/_history_link.html"
    list_per_page = 50

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_fieldsets(request, obj), (None, {"fields": ["why"]})] if self.fieldsets else super().get_fieldsets(request, obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        action = Revision.Action.CHANGED if change else Revision.Action.CREATED
        record_revision(form.instance, by=request.user, action=action, why=form.cleaned_data.get("why", ""))  # type: ignore[arg-type]

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        record_revision(obj, by=request.user, action=Revision.Action.DELETED)  # type: ignore[arg-type]
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for item in queryset:
            record_revision(item, by=request.user, action=Revision.Action.DELETED)  # type: ignore[arg-type]
        super().delete_queryset(request, queryset)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The page's rows, each told whether it stands in the current release as it is. A fixed number of queries."""
        changes = super().get_changelist_instance(request)
        rows = list(changes.result_list)  # fills the query set's own rows: an editable list needs it to stay one
        released, draft = items_of(newest()), definitions(rows)
        for row in rows:
            row.released, row.stands = released.get(str(row.pk)), draft[str(row.pk)]
        return changes

    def get_urls(self) -> list[URLPattern]:
        info = self.opts.app_label, self.opts.model_name
        restore = path("<path:object_id>/restore/<int:revision_id>/", self.admin_site.admin_view(self.restore_view), name="{}_{}_restore".format(*info))
        return [restore, *super().get_urls()]

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        item = self.get_object(request, object_id)
        if item is None:
            raise Http404
        if not self.has_view_permission(request, item):
            raise PermissionDenied
        revisions = list(Revision.objects.filter(item=item.pk).select_related("by")[:200])
        names = items_of(newest())
        older = [one.definition for one in revisions[1:]] + [None] * bool(revisions)
        entries = [
            {"revision": revision, "lines": diff(before, revision.definition, names) if before or len(revisions) < 200 else []}
            for revision, before in zip(revisions, older, strict=True)
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("History of %(item)s") % {"item": item},
            "opts": self.opts,
            "item": item,
            "entries": entries,
            "may_change": self.has_change_permission(request, item),
        }
        return TemplateResponse(request, "taxonomy/history.html", context)

    def restore_view(self, request: HttpRequest, object_id: str, revision_id: int) -> HttpResponse:
        """Bring the draft back to what it was; releases are not touched."""
        item = self.get_object(request, object_id)
        if item is None or not self.has_change_permission(request, item) or request.method != "POST":
            raise PermissionDenied
        revision = get_object_or_404(Revision, pk=revision_id, item=item.pk)
        restored = apply_definition(str(item.pk), revision.definition or {})
        why = _("as of %(when)s") % {"when": revision.at.strftime("%Y-%m-%d %H:%M")}
        record_revision(restored, by=request.user, action=Revision.Action.RESTORED, why=why)  # type: ignore[arg-type]
        messages.success(request, _("The draft is as it was then. Publish it to let sources obey it."))
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[item.pk]))

    @display(
        description=gettext_lazy("release"), label={"new": "info", "changed": "warning", "released": "success"}
    )
    def released_state(self, item: Any) -> tuple[str, str]:
        if item.released is None:
            return "new", _("not released")
        return ("released", _("released")) if item.released == item.stands else ("changed", _("changed since"))
