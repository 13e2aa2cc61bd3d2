"""The import pages: upload a file, watch it arrive, take the failed rows home, mend them and send them again."""

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from ingestion.admin.matching import Matchable
from ingestion.admin.reading import ReadingForm, kind_words
from ingestion.admin.resuming import releases_for, take_release
from ingestion.doors.files import BOM, FileFormat, UnreadableFile, check_columns
from ingestion.imports.again import again_words
from ingestion.imports.failed import failed_rows
from ingestion.imports.judged import examples
from ingestion.imports.preview import cells_at, may_be_left_out, preview, warnings
from ingestion.imports.report import repeats_words
from ingestion.imports.run import (
    STANDINGS,
    by_place,
    discard_draft,
    follow,
    leave_out,
    match_again,
    outcome,
    outcomes,
    read_otherwise,
    refused_rows,
    release_draft,
    standing_of,
    still_held,
    take_file,
)  # fmt: skip
from ingestion.imports.sample import sample_of
from ingestion.imports.words import column_in, file_problem, traps_words
from ingestion.jobs import queue_import
from ingestion.models import ImportRun, TakeBack
from ingestion.room import is_no_room
from staff.access import log_access
from staff.admin.pages import Unalterable, id_or_404
from staff.masking import may_see_personal
from staff.models import AccessLog, User
from staff.roles import role_label
from taxonomy.admin.live import LiveChoiceField, LiveFilter, OfSource
from taxonomy.current import plan_of
from taxonomy.dictionary.sheets import rule_sheets, source_sheet
from taxonomy.dictionary.standard import Standard, standard
from taxonomy.models import Source
from taxonomy.places import place_of
from taxonomy.request_rights import hidden_in, rights_in, sources_in, sources_offered_in
from taxonomy.violations import title_for

# More columns than these make a list that nobody reads; the source's page in the dictionary has them all.
_ROWS_SHOWN = 40
# Of the rows that were refused for one reason.
_REFUSED_SHOWN = 5
# Of so many rows and more, this share with one fault in one column is no fault of the rows.
_MANY_ROWS, _NEARLY_ALL = 10, 0.9


OUTCOMES = {
    "created": _("New customers"), "joined": _("Customers known already"), "changed": _("Brought to the standard"),
    "duplicate": _("Duplicates"), "quarantined": _("quarantined"), "refused": _("refused"),
}  # fmt: skip


class UploadForm(forms.Form):
    source = LiveChoiceField(
        Source.objects.all(), label=_("Source"), widget=UnfoldAdminSelectWidget,
        help_text=_("Whose file it is: its envelope and mapping rules read the rows."),
    )  # fmt: skip
    file = forms.FileField(
        label=_("File"), widget=UnfoldAdminFileFieldWidget,
        help_text=_("CSV, columns of fixed width, an Excel workbook (XLSX), Parquet, a JSON list, or one JSON object a line; as it is, or packed with gzip, zstd or zip. Any size. You see its first rows before it is imported."),
    )  # fmt: skip


@admin.register(ImportRun)
class ImportRunAdmin(Unalterable, Matchable, OfSource):
    when_empty = _(
        "An import brings in a file of events, such as last month's till export. Add one: you see what its columns are understood "
        "as, and what would happen, before anything is stored."
    )
    list_display = [
        "file_name", "shown_status", "received", "accepted", "duplicate", "quarantined", "refused", "live_source", "started_by", "created_at",
    ]  # fmt: skip
    list_filter = ["status", ("source", LiveFilter), "dry_run"]
    list_per_page = 25
    list_select_related = ["started_by"]
    search_fields = ["file_name"]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The page's rows, each told what became of its records. Two queries."""
        changes = super().get_changelist_instance(request)
        found = outcomes(rows := list(changes.result_list))
        away = TakeBack.objects.of_imports(rows)
        for row in rows:
            row.outcome, row.away = found[row.pk], away.get(row.pk)
        return changes

    @display(
        description=_("status"),
        label={
            "draft": "warning",
            "waiting": "info",
            "running": "info",
            "finished": "success",
            "stopped": "warning",
            "failed": "danger",
            "away": "warning",
        },
    )
    def shown_status(self, run: Any) -> tuple[str, str]:
        if run.away is not None:
            return "away", run.away.get_state_display()
        standing = standing_of(run)
        return standing, f"{STANDINGS[standing]} · {_('dry run')}" if run.dry_run else str(STANDINGS[standing])

    @admin.display(description=_("received in all"))
    def received(self, run: Any) -> str:
        return intcomma(run.outcome.received)

    @admin.display(description=_("accepted"))
    def accepted(self, run: Any) -> str:
        return _count(run, "accepted")

    @admin.display(description=_("duplicate"))
    def duplicate(self, run: Any) -> str:
        return _count(run, "duplicate")

    @admin.display(description=_("quarantined"))
    def quarantined(self, run: Any) -> str:
        return _count(run, "quarantined")

    @admin.display(description=_("refused"))
    def refused(self, run: Any) -> str:
        return _count(run, "refused")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:run_id>/check/", view(self.check_view), name="ingestion_importrun_check"),
            *self.matching_urls(),
            path("<uuid:run_id>/progress/", view(self.progress_view), name="ingestion_importrun_progress"),
            path("<uuid:run_id>/failed-rows/", view(self.failed_rows_view), name="ingestion_importrun_failed_rows"),
            path("about/<uuid:source_id>/", view(self.about_view), name="ingestion_importrun_about"),
            path("sample/<uuid:source_id>/", view(self.sample_view), name="ingestion_importrun_sample"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None, initial={"source": request.GET.get("source", "")})
        form.fields["source"].queryset = sources_offered_in(request)  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid():
            try:
                run = _take(form.cleaned_data, request)
            except UnreadableFile as error:
                form.add_error("file", file_problem(error.code, error.values))
            except OSError as error:
                if not is_no_room(error):
                    raise
                form.add_error("file", file_problem("import.no_room", {}))
            else:
                if run.status == ImportRun.Status.WAITING:
                    queue_import(run.pk)  # whose start was lost
                return HttpResponseRedirect(_page(run))
        context = {**self.admin_site.each_context(request), "title": _("Import a file"), "form": form, "opts": self.opts}
        return TemplateResponse(request, "ingestion/upload.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self._run(request, id_or_404(ImportRun, object_id))
        if run.status == ImportRun.Status.DRAFT:
            return HttpResponseRedirect(_page(run))
        if request.method == "POST":
            if not self.has_add_permission(request):
                raise PermissionDenied
            return self._go_on(request, run)
        shown = self._shown(request, run)
        traps = warnings(run) if shown["done"] and shown["may_see_rows"] else []
        context = {
            **self.admin_site.each_context(request),
            "title": run.file_name,
            "opts": self.opts,
            "may_take_back": shown["away"] is None and _may_take_back(request, run),
            "takers": _takers() if shown["away"] is None and _may_be_taken(run) else "",
            "may_put_back": shown["away"] is not None and request.user.has_perms(["ingestion.take_back", "ingestion.view_takeback"]),
            "acts": TakeBack.objects.done().filter(batch_id=run.pk).select_related("decided_by", "put_by"),
            "repeats": repeats_words(run, outcome(run)) if run.dry_run and shown["done"] else "",
            "again": again_words(run) if run.dry_run and shown["done"] and Path(run.path).exists() else [],
            "traps": traps_words(traps),
            "sums": may_be_left_out(FileFormat(**run.format), traps) if run.dry_run and Path(run.path).exists() else [],
            "may_import": run.dry_run and shown["done"] and shown["may_see_rows"],
            "examples": self._examples(request, run) if run.dry_run and shown["done"] else [],
            "may_go_on": self.has_add_permission(request) and shown["standing"] in ("stopped", "failed") and shown["away"] is None,
            "releases": releases_for(run),
            **shown,
        }
        return TemplateResponse(request, "ingestion/import.html", context)

    def _go_on(self, request: HttpRequest, run: ImportRun) -> HttpResponse:
        """An import that stopped goes on; what was tried is imported, or matched otherwise first, also with a row left out."""
        row = request.POST.get("leave_out", "")
        act = "match" if row else request.POST.get("act", "")
        if act not in ("import", "match"):
            if TakeBack.objects.of_imports([run]):
                messages.error(request, _("It was taken back. Put it back first, or import the file again."))
                return HttpResponseRedirect(request.path)
            if standing_of(run) in ("stopped", "failed"):
                take_release(request, run)
            queue_import(run.pk)
            messages.info(request, _("The import goes on where it stopped."))
            return HttpResponseRedirect(request.path)
        tried = self._own_run(request, run.pk)
        if not (tried.dry_run and standing_of(tried) in ("finished", "failed", "stopped") and Path(tried.path).exists()):
            messages.error(request, _("The file of this dry run is not here any more. Upload it again."))
            return HttpResponseRedirect(request.path)
        by = cast(User, request.user)
        if act == "match":
            draft = match_again(tried, by=by)
            if row in map(str, may_be_left_out(FileFormat(**draft.format), warnings(tried))):
                leave_out(draft, [*FileFormat(**draft.format).left_out, cells_at(draft, int(row))])
            return HttpResponseRedirect(_page(draft))
        try:
            made, is_new = follow(tried, by=by)
        except UnreadableFile as error:
            messages.error(request, file_problem(error.code, error.values))
            return HttpResponseRedirect(request.path)
        if made.status == ImportRun.Status.WAITING:
            queue_import(made.pk)
        if not is_new:
            messages.info(request, _("This is the import of that file: it had begun already, and is not begun twice."))
        return HttpResponseRedirect(_page(made))

    def check_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """The first rows as they are understood, and how else the file may be read, before it is imported."""
        run = self._own_run(request, run_id)
        if run.status != ImportRun.Status.DRAFT:
            return HttpResponseRedirect(_page(run))
        found = preview(run)
        form = ReadingForm(found, request.POST or None)
        if request.POST.get("act") == "discard":
            discard_draft(run)
            messages.info(request, _("The file was not imported, and is not kept."))
            return HttpResponseRedirect(reverse("admin:ingestion_importrun_changelist"))
        if request.method == "POST" and form.is_valid():
            try:
                if form.has_changed():
                    read_otherwise(run, **form.said())
                    if request.POST.get("act") in ("start", "try"):
                        messages.info(request, _("You changed how the file is read. Look at its rows again, then import it."))
                elif request.POST.get("act") in ("start", "try") and release_draft(run, dry_run=request.POST.get("act") == "try"):
                    queue_import(run.pk)
            except UnreadableFile as error:
                form.add_error(None, file_problem(error.code, error.values))
            else:
                left = ImportRun.objects.get(pk=run.pk)
                is_seen_here = left.status == ImportRun.Status.DRAFT and request.POST.get("act") != "match"
                return HttpResponseRedirect(request.path if is_seen_here else _page(left))
        context = {
            **self.admin_site.each_context(request),
            "title": run.file_name,
            "opts": self.opts,
            "run": run,
            "found": found,
            "form": form,
            "kind": kind_words(found.file_format),
            "is_matched": _is_matched(run),
            "again": again_words(run),
        }
        return TemplateResponse(request, "ingestion/check.html", context)

    def progress_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """The part of the page that changes while the import runs, as HTML in JSON."""
        shown = self._shown(request, self._run(request, run_id))
        page = TemplateResponse(request, "ingestion/_progress.html", shown).render()
        return JsonResponse({"html": page.content.decode(), "done": shown["done"]})

    def failed_rows_view(self, request: HttpRequest, run_id: UUID) -> StreamingHttpResponse:
        run = self._own_run(request, run_id)
        log_access(request.user, AccessLog.Action.EXPORT, reason=f"failed rows of import {run.pk}")
        ending = {"fixed": "txt"}.get(run.format["kind"], run.format["kind"])
        name = f"{run.file_name.split('.')[0]}-failed.{ending}"
        answer = StreamingHttpResponse(failed_rows(run), content_type="application/octet-stream")
        answer.headers["Content-Disposition"] = f"attachment; filename=\"failed.{ending}\"; filename*=UTF-8''{_quoted(name)}"
        return answer

    def about_view(self, request: HttpRequest, source_id: UUID) -> HttpResponse:
        """What a file of the source looks like, as an HTML fragment for the upload page."""
        item, known = self._released(request, source_id)
        if known is None:
            return TemplateResponse(request, "ingestion/_about_files.html", {})
        rows = [row for rule in rule_sheets(known.rules_of[item], known) for row in rule["rows"] if row["path"]]
        read = {(row["path"], row["code"]): row for row in rows}
        context = {
            "sheet": source_sheet(item, known, {}),
            "preset": (known.items[item].get("envelope") or {}).get("preset") or "tagline",
            "rows": list(read.values())[:_ROWS_SHOWN],
            "more": max(0, len(read) - _ROWS_SHOWN),
            "sample": sample_of(item, known),
            "source_id": source_id,
            "may_read_dictionary": request.user.has_perm("taxonomy.view_tag"),
        }
        return TemplateResponse(request, "ingestion/_about_files.html", context)

    def sample_view(self, request: HttpRequest, source_id: UUID) -> HttpResponse:
        item, known = self._released(request, source_id)
        sample = sample_of(item, known) if known else None
        if known is None or sample is None or not sample.text:
            raise Http404
        text = (BOM if sample.kind == "csv" else b"") + sample.text.encode()
        answer = HttpResponse(text, content_type="application/octet-stream")
        answer.headers["Content-Disposition"] = f'attachment; filename="{known.items[item]["code"]}-sample.{sample.kind}"'
        return answer

    def _released(self, request: HttpRequest, source_id: UUID) -> tuple[str, Standard | None]:
        """The source's uuid, and the released standard as far as the person may read it; None where the source is not in it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        get_object_or_404(sources_in(request), pk=source_id)
        known, item = standard(), str(source_id)
        hidden = hidden_in(request, known.items) if known else set()
        return item, known.without(hidden) if known and item in known.items and item not in hidden else None

    def _own_run(self, request: HttpRequest, run_id: UUID) -> ImportRun:
        """A run whose rows the person may see: one's own, or anybody's for those who see personal data."""
        run = self._run(request, run_id)
        if not self._may_see_rows(request, run):
            raise PermissionDenied
        return run

    def _shown(self, request: HttpRequest, run: ImportRun) -> dict[str, Any]:
        shown, may_see_rows = _shown(run), self._may_see_rows(request, run)
        hidden = hidden_in(request, plan_of(run.release_id).plan.items) if run.release_id and rights_in(request).limited else set()
        places = _places(run, hidden) if may_see_rows and shown["done"] and shown["failed"] else {}
        rows = refused_rows(run, _REFUSED_SHOWN) if shown["done"] and shown["counts"]["refused"] else {}
        causes = [(*cause, _rows_words(rows.get(cause[0], []), cause[2]), places.get(cause[0], [])) for cause in shown["causes"]]
        return shown | {"may_see_rows": may_see_rows, "causes": causes, "all_alike": list(_all_alike(causes, shown["received"]))}

    def _may_see_rows(self, request: HttpRequest, run: ImportRun) -> bool:
        return self.has_add_permission(request) and (run.started_by == request.user or may_see_personal(request.user))

    def _examples(self, request: HttpRequest, run: ImportRun) -> list[tuple[str, Any]]:
        """Rows of each outcome of a try, for those who may see its rows."""
        if run.release_id is None or not self._may_see_rows(request, run):
            return []
        obeyed = plan_of(run.release_id)
        found = examples(run, obeyed, hidden=hidden_in(request, obeyed.plan.items))
        return [(str(OUTCOMES[outcome]), events) for outcome, events in found]

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
            by=cast(User, request.user),
            is_draft=True,
        )


def _page(run: ImportRun) -> str:
    """Where a run is shown: a draft where its columns are matched, or where it has none how it is read."""
    page = "change" if run.status != ImportRun.Status.DRAFT else "match" if _is_matched(run) else "check"
    return reverse(f"admin:ingestion_importrun_{page}", args=[run.pk])


def _is_matched(run: ImportRun) -> bool:
    """Whether its values have names that can be told apart."""
    file_format = FileFormat(**run.format)
    try:
        check_columns(file_format)
    except UnreadableFile:
        return False
    return file_format.has_names


def _count(run: Any, verdict: str) -> str:
    return intcomma(run.outcome.counts[verdict])


def _may_take_back(request: HttpRequest, run: ImportRun) -> bool:
    return _may_be_taken(run) and request.user.has_perms(["ingestion.take_back", "ingestion.view_takeback"])


def _may_be_taken(run: ImportRun) -> bool:
    return not run.dry_run and run.status in (ImportRun.Status.FINISHED, ImportRun.Status.FAILED)


def _takers() -> str:
    """The roles that may take an import back."""
    names = Group.objects.filter(permissions__codename="take_back", permissions__content_type__app_label="ingestion").values_list(
        "name", flat=True
    )
    return str(_(" or ")).join(sorted(map(role_label, names)))


def _shown(run: ImportRun) -> dict[str, Any]:
    found = outcome(run)
    failed = found.counts["quarantined"] + found.counts["refused"]
    standing = standing_of(run)
    is_over = standing in ("finished", "stopped", "failed")
    waits, unmended = still_held(run) if is_over and found.counts["quarantined"] + found.counts["duplicate"] else (0, 0)
    held = waits if is_over and not run.dry_run else found.counts["quarantined"]
    return {
        "run": run,
        "standing": standing,
        "standing_label": STANDINGS[standing],
        "away": TakeBack.objects.of_imports([run]).get(run.pk),
        "done": is_over,
        "percent": 100 if run.status == ImportRun.Status.FINISHED else min(99, 100 * run.read_bytes // max(run.size_bytes, 1)),
        "received": found.received,
        "counts": found.counts,
        "skipped": found.skipped,
        "created": found.created,
        "joined": found.joined,
        "causes": [(code, title_for(code), count, not _is_refusal(code)) for code, count in found.causes],
        "notes": [(code, title_for(code), count) for code, count in found.notes],
        "failed": failed,
        "waiting": held,
        "left": held + found.counts["refused"],
        "closed": found.closed,
        "unmended": unmended,
        "mended": found.counts["quarantined"] - held,
        "failed_words": ngettext("%(n)d row failed", "%(n)d rows failed", failed) % {"n": failed},
        "problem": file_problem(run.error or "import.stopped", {}) if standing in ("stopped", "failed") else "",
    }


def _places(run: ImportRun, hidden: Collection[str]) -> dict[str, list[tuple[str, int]]]:
    """{code: [(the column or path that it is about, rows)]}."""
    matching, found = FileFormat(**run.format).matching, dict[str, list[tuple[str, int]]]()
    for code, one, count in by_place(run):
        found.setdefault(code, []).append((column_in(one, matching) or place_of(one, hidden), count))
    return {code: places[:_ROWS_SHOWN] for code, places in found.items()}


def _rows_words(rows: list[int], count: int) -> str:
    """ "rows 3, 4 …" where there are more."""
    if not rows:
        return ""
    more = " …" if count > len(rows) else ""
    return ngettext("row %(rows)s", "rows %(rows)s", len(rows)) % {"rows": ", ".join(map(str, rows)) + more}


def _all_alike(causes: list[Any], received: int) -> Iterator[tuple[str, str]]:
    """What nearly every row has: (why it fails, its column). The file is read wrongly, rather than its rows being wrong."""
    for _code, title, _count, _is_held, _rows, places in causes if received >= _MANY_ROWS else []:
        yield from ((str(title), place) for place, rows in places if rows >= _NEARLY_ALL * received)


def _is_refusal(code: str) -> bool:
    """Whether rows with it are never held: they could not be read as events."""
    return code.startswith(("record.", "limit.")) and code != "limit.violations"


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name)
