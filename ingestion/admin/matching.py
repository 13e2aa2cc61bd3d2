"""The matching page: what each column of a file is, with reasons, and what its first rows become; and the matchings that are kept."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from ingestion.admin.choosing import MOST_EVENTS, as_matching, doubts, follow_rows, just_named, missing, said
from ingestion.admin.match_columns import FIELD_WORDS, Look, some
from ingestion.admin.reading import reading_words
from ingestion.doors.files import Column, FileFormat, Matching, UnreadableFile, check_columns
from ingestion.doors.files.matching import ATTRIBUTE, IDENTIFIER
from ingestion.imports.again import again_words
from ingestion.imports.columns import ASK
from ingestion.imports.judged import Judged, first_events
from ingestion.imports.matchings import completed, in_force, use_again
from ingestion.imports.repeated import suits_envelope
from ingestion.imports.run import discard_draft, imported_before, leave_out, match, refuse_under_way, release_draft
from ingestion.imports.spec_layouts import only_where
from ingestion.imports.suggest import Suggested, time_column, with_clock
from ingestion.imports.traps import still_open
from ingestion.imports.words import file_problem, looked_words, traps_words
from ingestion.jobs import queue_import
from ingestion.models import FileMatching, ImportRun
from staff.admin.pages import ReadOnly, id_or_404
from staff.models import User
from taxonomy.current import NoRelease, current
from taxonomy.request_rights import of_sources_in


class Matchable:
    """The matching page, for the admin of imports."""

    def matching_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view  # type: ignore[attr-defined]
        return [path("<uuid:run_id>/match/", view(self.match_view), name="ingestion_importrun_match")]

    def match_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """What each column is. A POST by the page's script shows it again; else it is done as it says: tried, imported, let go of."""
        run = self._own_run(request, run_id)  # type: ignore[attr-defined]
        if run.status != ImportRun.Status.DRAFT:
            return HttpResponseRedirect(reverse("admin:ingestion_importrun_change", args=[run.pk]))
        check = HttpResponseRedirect(reverse("admin:ingestion_importrun_check", args=[run.pk]))
        act = request.POST.get("act", "")
        if act == "discard":
            discard_draft(run)
            messages.info(request, _("The file was not imported, and is not kept."))
            return HttpResponseRedirect(reverse("admin:ingestion_importrun_changelist"))
        try:
            check_columns(FileFormat(**run.format))
            found = Look(run, request)
        except UnreadableFile:
            return check
        if not found.file_format.has_names:
            return check
        before = None
        if row := request.POST.get("leave_out"):
            before = found.suggested()
            more = [found.sums[row]] if row in found.sums else []
            leave_out(run, [] if row == "none" else [*found.left_out, *more])
            found = Look(run, request)
        chosen = self._chosen(request, found)
        if before:
            follow_rows(chosen, before, found.suggested())
        by_envelope = self._by_envelope(request, run, found)
        if act in ("start", "try") and (by_envelope or not any(missing(chosen))):
            begun = self._begin(request, run, None if by_envelope else chosen, dry_run=act == "try")
            if begun is not None:
                return begun
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": run.file_name,
            "opts": self.opts,  # type: ignore[attr-defined]
            "said": act in ("start", "try"),
            "reading": reading_words(found.file_format, has_decimal_comma=found.has_decimal_comma),
            **shown(run, found, chosen, by_envelope=by_envelope),
        }
        part = "ingestion/_match.html" if request.headers.get("Accept") == "text/x-part" else "ingestion/match.html"
        return TemplateResponse(request, part, context)

    def _chosen(self, request: HttpRequest, found: Look) -> Suggested:
        suggested = found.suggested()
        if request.method != "POST":
            return suggested
        chosen = said(request.POST, found.seen)
        if request.POST.get("event_before", "") != chosen.event:
            chosen = found.with_attributes(chosen)
        is_looked_at = request.POST.get("act") not in ("start", "try")
        if is_looked_at and request.POST.get("time_before", time_column(chosen)) != time_column(chosen):
            with_clock(chosen, found.seen)
        if is_looked_at:
            new = just_named(request.POST, chosen)
            chosen.others = tuple(found.with_own_attributes(one, chosen) if new[at] else one for at, one in enumerate(chosen.others))
        chosen.offered = suggested.offered
        for heading, guess in suggested.columns.items():
            if guess.target and guess.target == chosen.columns[heading].target:
                chosen.columns[heading] = replace(chosen.columns[heading], why=guess.why)
        return chosen

    def _by_envelope(self, request: HttpRequest, run: ImportRun, found: Look) -> bool:
        """Whether the rows are read as the source's own records are."""
        if request.method == "POST":
            return request.POST.get("by") == "envelope"
        return run.matching_id is None and suits_envelope(found.file_format, run.source)

    def _begin(self, request: HttpRequest, run: ImportRun, chosen: Suggested | None, *, dry_run: bool) -> HttpResponse | None:
        """Where to go then; None where it cannot begin now, as is said."""
        file_format = FileFormat(**run.format)
        former = in_force(run.source, file_format.columns, is_json=file_format.is_json)
        matching = completed(as_matching(chosen), former, file_format.columns) if chosen else None
        is_new = matching is not None and (former is None or former.matching != matching)
        may_keep = not is_new or request.user.has_perm("ingestion.add_filematching")
        if not may_keep and (run.matching is None or run.matching.matching != matching):
            raise PermissionDenied
        try:
            if not dry_run:
                refuse_under_way(run)
            if may_keep:  # else the draft is read by that matching already
                match(run, matching, by=cast(User, request.user))
            if release_draft(run, dry_run=dry_run):
                queue_import(run.pk)
        except UnreadableFile as error:
            messages.error(request, file_problem(error.code, error.values))
            return None
        return HttpResponseRedirect(reverse("admin:ingestion_importrun_change", args=[run.pk]))


def shown(run: ImportRun, found: Look, chosen: Suggested, *, by_envelope: bool) -> dict[str, Any]:
    """What the page's part that changes needs."""
    asked = [heading for heading, one in chosen.columns.items() if one.written == ASK]
    former = in_force(run.source, found.file_format.columns, is_json=found.file_format.is_json)
    matching = None if by_envelope else completed(as_matching(chosen), former, found.file_format.columns)
    return {
        "run": run,
        "chosen": chosen,
        "time_column": time_column(chosen),
        "by_envelope": by_envelope,
        "may_be_envelope": found.file_format.is_json or suits_envelope(found.file_format, run.source),
        "columns": found.columns(chosen),
        "event_groups": found.event_groups(chosen),
        "values": found.named_values(chosen.event),
        "others": found.others(chosen),
        "may_add": len(chosen.others) < MOST_EVENTS - 1,
        "rows": len(found.rows),
        "traps": traps_words(still_open(found.looked.traps, [*matching.written(), *asked] if matching else ())),
        "looked_at": looked_words(found.looked),
        "sums": list(found.sums),
        "left_out": [" · ".join(filter(None, cells)) for cells in found.left_out],
        "has_decimal_comma": by_envelope and found.has_decimal_comma,
        "problems": [] if by_envelope else list(missing(chosen)),
        "lacking": [heading for heading in matching.headings() if heading not in found.seen] if matching else [],
        "replaces": former.number if former and matching and former.matching != matching else None,
        "doubts": [*doubts(chosen, found.seen, found.rows), *_named_otherwise(former, matching), *_read_before(run, matching)]
        if matching
        else [],
        "events": _first_events(run, found, matching),
    }


def _first_events(run: ImportRun, found: Look, matching: Matching | None) -> list[Judged]:
    try:
        obeyed = current()
    except NoRelease:
        return []
    file_format = replace(found.file_format, matching=matching)
    return first_events(run, file_format, obeyed, received_at=timezone.now(), hidden=found.hidden)


def _named_otherwise(former: FileMatching | None, matching: Matching) -> list[str]:
    """Where the former matching of these headings had another id: the same row would be another event."""
    if former is None or {*(before := former.matching.ids())} == {*matching.ids()}:
        return []
    said = (
        _(
            "Matching %(number)s names these rows by %(columns)s. Named otherwise, rows that were imported before count again, as other events."
        )
        if before
        else _(
            "Matching %(number)s names these rows by no column. Named by one, rows that were imported before count again, as other events."
        )
    )
    return [said % {"number": former.number, "columns": ", ".join(before)}]


def _read_before(run: ImportRun, matching: Matching | None) -> list[str]:
    """Where the same file was imported before: by another matching its rows may have other identities."""
    former = imported_before(run)
    if former is None or FileFormat(**former.format).matching == matching:
        return again_words(run, replace(FileFormat(**run.format), matching=matching))
    return [
        _("This file was imported on %(day)s and read otherwise. Take that import back first, or rows without an id may count twice.")
        % {"day": date_format(timezone.localtime(former.created_at), "SHORT_DATETIME_FORMAT")}
    ]


@admin.register(FileMatching)
class FileMatchingAdmin(ReadOnly, ModelAdmin):
    when_empty = gettext_lazy(
        "A matching says what the columns of a source's files are. It is kept when you import a file and match its columns."
    )
    list_display = ["__str__", "source", "shown_columns", "state", "file_name", "made_by", "made_at"]
    list_filter = [("source", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["source", "made_by"]
    list_per_page = 25
    search_fields = ["file_name"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return of_sources_in(super().get_queryset(request), request)

    @admin.display(description=gettext_lazy("columns"))
    def shown_columns(self, one: FileMatching) -> str:
        return some(one.headings)

    @admin.display(description=gettext_lazy("state"))
    def state(self, one: FileMatching) -> str:
        newest = FileMatching.objects.newest_of_each().filter(source=one.source_id, fingerprint=one.fingerprint).first()
        return _("in force") if newest == one else _("replaced by %(number)s") % {"number": newest.number if newest else ""}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        one = id_or_404(FileMatching, object_id)
        found = self.get_queryset(request).filter(pk=one).first()
        if found is None:
            raise PermissionDenied
        may_use = request.user.has_perm("ingestion.add_filematching")
        if request.method == "POST":
            if not may_use:
                raise PermissionDenied
            made = use_again(found, by=cast(User, request.user))
            messages.success(
                request, _("Matching %(number)s is in force again, as number %(new)s.") % {"number": found.number, "new": made.number}
            )
            return HttpResponseRedirect(made_at(made))
        versions = (
            self.get_queryset(request)
            .filter(source=found.source, fingerprint=found.fingerprint)
            .select_related("made_by")
            .order_by("-number")
        )
        context = {
            **self.admin_site.each_context(request),
            "title": f"{found.source.label} · {found}",
            "opts": self.opts,
            "one": found,
            "events": [(event, only_where(event), _in_words(event.columns)) for event in found.matching.events],
            "shared": _in_words(found.matching.columns),
            "unused": [heading for heading in found.headings if heading not in found.matching.headings()],
            "versions": versions,
            "is_in_force": versions[0] == found,
            "may_use": may_use,
            "imports": of_sources_in(found.imports.order_by("-created_at", "-id"), request)[:10],
        }
        return TemplateResponse(request, "ingestion/matching.html", context)


def made_at(one: FileMatching) -> str:
    return reverse("admin:ingestion_filematching_change", args=[one.pk])


def _in_words(columns: Iterable[Column]) -> list[tuple[Column, str]]:
    return [(column, target_words(column.target)) for column in columns]


def target_words(target: str) -> str:
    """What a column is, in words."""
    if target == "id":
        return _("the message id, or a part of it")
    if target.startswith(IDENTIFIER):
        return target.removeprefix(IDENTIFIER)
    return str(FIELD_WORDS.get(target, target.removeprefix(ATTRIBUTE)))
