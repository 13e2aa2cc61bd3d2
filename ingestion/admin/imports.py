"""The import pages: upload a file, watch it arrive, take the failed rows home, mend them and send them again."""

import tempfile
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget, UnfoldBooleanSwitchWidget

from ingestion.doors.files import UnreadableFile
from ingestion.imports import failed_rows, is_idle, outcome, take_file
from ingestion.jobs import import_file
from ingestion.models import ImportRun, TakeBack
from ingestion.words import file_problem
from staff.access import log_access
from staff.masking import may_see_personal
from staff.models import AccessLog, User
from taxonomy.admin.limits import of_sources_in, sources_in
from taxonomy.models import Source
from taxonomy.violations import title_for


class UploadForm(forms.Form):
    source = forms.ModelChoiceField(
        Source.objects.all(), label=_("Source"), widget=UnfoldAdminSelectWidget,
        help_text=_("Whose file it is: its envelope and mapping rules read the rows."),
    )  # fmt: skip
    file = forms.FileField(
        label=_("File"), widget=UnfoldAdminFileFieldWidget,
        help_text=_("CSV with a header line, or one JSON object a line; as it is, or packed with gzip or zstd. Any size."),
    )  # fmt: skip
    dry_run = forms.BooleanField(
        label=_("Try only"), required=False, widget=UnfoldBooleanSwitchWidget,
        help_text=_("Report what would happen and store nothing."),
    )  # fmt: skip


@admin.register(ImportRun)
class ImportRunAdmin(ModelAdmin):
    list_display = ["file_name", "source", "shown_status", "dry_run", "started_by", "created_at"]
    list_filter = ["status", ("source", admin.RelatedOnlyFieldListFilter), "dry_run"]
    list_select_related = ["source", "started_by"]
    search_fields = ["file_name"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return of_sources_in(super().get_queryset(request), request)

    @display(description=_("status"), label={"waiting": "info", "running": "info", "finished": "success", "failed": "danger"})
    def shown_status(self, run: ImportRun) -> tuple[str, str]:
        return run.status, run.get_status_display()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:run_id>/progress/", view(self.progress_view), name="ingestion_importrun_progress"),
            path("<uuid:run_id>/failed-rows/", view(self.failed_rows_view), name="ingestion_importrun_failed_rows"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None)
        form.fields["source"].queryset = sources_in(request)  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid():
            try:
                run = _take(form.cleaned_data, request)
            except UnreadableFile as error:
                form.add_error("file", file_problem(error.code, error.values))
            else:
                import_file.defer(run_id=str(run.pk))
                return HttpResponseRedirect(reverse("admin:ingestion_importrun_change", args=[run.pk]))
        context = {**self.admin_site.each_context(request), "title": _("Import a file"), "form": form, "opts": self.opts}
        return TemplateResponse(request, "ingestion/upload.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self._run(request, UUID(object_id))
        if request.method == "POST":
            if not self.has_add_permission(request):
                raise PermissionDenied
            import_file.defer(run_id=str(run.pk))
            messages.info(request, _("The import goes on where it stopped."))
            return HttpResponseRedirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "title": run.file_name,
            "opts": self.opts,
            "may_take_back": _may_take_back(request, run),
            "acts": TakeBack.objects.done().filter(batch_id=run.pk).select_related("decided_by"),
            "may_go_on": self.has_add_permission(request) and _may_go_on(run),
            **_shown(run),
        }
        return TemplateResponse(request, "ingestion/import.html", context)

    def progress_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """The part of the page that changes while the import runs, as HTML in JSON."""
        shown = _shown(self._run(request, run_id))
        page = TemplateResponse(request, "ingestion/_progress.html", shown).render()
        return JsonResponse({"html": page.content.decode(), "done": shown["done"]})

    def failed_rows_view(self, request: HttpRequest, run_id: UUID) -> StreamingHttpResponse:
        run = self._run(request, run_id)
        if not self.has_add_permission(request) or not (run.started_by == request.user or may_see_personal(request.user)):
            raise PermissionDenied
        log_access(request.user, AccessLog.Action.EXPORT, reason=f"failed rows of import {run.pk}")
        ending = "csv" if run.format["kind"] == "csv" else "ndjson"
        name = f"{run.file_name.split('.')[0]}-failed.{ending}"
        answer = StreamingHttpResponse(failed_rows(run), content_type="application/octet-stream")
        answer.headers["Content-Disposition"] = f"attachment; filename=\"failed.{ending}\"; filename*=UTF-8''{_quoted(name)}"
        return answer

    def _run(self, request: HttpRequest, run_id: UUID) -> ImportRun:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(self.get_queryset(request).select_related("source", "release", "started_by"), pk=run_id)


def _take(cleaned: dict[str, Any], request: HttpRequest) -> ImportRun:
    upload: UploadedFile = cleaned["file"]
    with tempfile.NamedTemporaryFile() as stored:
        for piece in upload.chunks():
            stored.write(piece)
        stored.flush()
        return take_file(
            Path(stored.name),
            source=cleaned["source"],
            file_name=upload.name or "file",
            dry_run=cleaned["dry_run"],
            by=cast(User, request.user),
        )


def _may_go_on(run: ImportRun) -> bool:
    """A run that failed, or that began and nobody is at work on: its worker was killed for good, or its job ended."""
    return run.status == ImportRun.Status.FAILED or (run.status == ImportRun.Status.RUNNING and is_idle(run))


def _may_take_back(request: HttpRequest, run: ImportRun) -> bool:
    may = request.user.has_perms(["ingestion.take_back", "ingestion.view_takeback"])
    return may and not run.dry_run and run.status in (ImportRun.Status.FINISHED, ImportRun.Status.FAILED)


def _shown(run: ImportRun) -> dict[str, Any]:
    found = outcome(run)
    failed = found.counts["quarantined"] + found.counts["refused"]
    return {
        "run": run,
        "done": run.status in (ImportRun.Status.FINISHED, ImportRun.Status.FAILED),
        "percent": 100 if run.status == ImportRun.Status.FINISHED else min(99, 100 * run.read_bytes // max(run.size_bytes, 1)),
        "received": found.received,
        "counts": found.counts,
        "causes": [(code, title_for(code), count) for code, count in found.causes],
        "failed": failed,
        "failed_words": ngettext("%(n)d row failed", "%(n)d rows failed", failed) % {"n": failed},
        "problem": file_problem(run.error, {}) if run.error else "",
    }


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name)
