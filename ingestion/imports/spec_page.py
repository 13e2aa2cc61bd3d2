"""What a source's files hold: a page for staff and, by a link, for partners, with templates to download and a check of a file."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from ingestion.alone import alone_or_not
from ingestion.doors.files import UnreadableFile, sniff
from ingestion.imports.check_file import Checked, check_file
from ingestion.imports.matchings import ENVELOPE, fitting, matched, numbered, offered
from ingestion.imports.spec import Spec, spec_of
from ingestion.imports.spec_files import example_csv, example_ndjson, template_csv, template_xlsx
from ingestion.imports.spec_layouts import spec_of_layout
from ingestion.imports.unlike import Unlike
from ingestion.imports.words import file_problem, with_values
from ingestion.models import FileMatching, SpecLink
from ingestion.ranked import most_first
from ingestion.watching.use import tags_of
from staff.models import User
from taxonomy.current import current
from taxonomy.dictionary.standard import Standard, standard
from taxonomy.dictionary.words import label
from taxonomy.models import Source
from taxonomy.released import Named, named
from taxonomy.request_rights import hidden_in, sources_in
from taxonomy.rights import hidden_from, rights_of
from taxonomy.violations import title_for

# What is read while somebody waits for it.
CHECK_BYTES, CHECK_ROWS, TOLD = 20 * 1024 * 1024, 50_000, 200
_DOWNLOADS: dict[str, Callable[[Spec], bytes]] = {
    "template.xlsx": template_xlsx, "template.csv": template_csv, "example.csv": example_csv, "example.ndjson": example_ndjson,
}  # fmt: skip


# In the admin somebody matches such a file; here is nobody who may.
_PROBLEMS: dict[str, Promise] = {
    "file.unmatched": gettext_lazy("The file has other columns than the files of this source that are known. Compare its header with a template, or choose how its columns are read."),
    "matching.missing": gettext_lazy("Columns that this layout has are not in the file. Name them as in its template, or choose how its columns are read."),
}  # fmt: skip


@dataclass(slots=True)
class _Check:
    """What the page tells of a file: what was found, or why it cannot be read.

    `chosen`: the matching as it was asked for, "" where nobody chose. `by_itself`: an import reads the file so too, with nothing
    said. `fits`: another matching, all of whose columns are in the file. `events`: (label, code, number) of what was accepted,
    the code "" of all that the reader may not read. `unlike`: with what the column tells of.
    """

    name: str
    found: Checked | None = None
    problem: str = ""
    chosen: str = ""
    by_itself: bool = True
    fits: FileMatching | None = None
    causes: list[tuple[str, str, int]] = field(default_factory=list)
    notes: list[tuple[str, str, int]] = field(default_factory=list)
    events: list[tuple[str, str, int]] = field(default_factory=list)
    unlike: list[tuple[Unlike, str]] = field(default_factory=list)


@never_cache
@login_required(login_url="admin:login")
@permission_required("taxonomy.view_source", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def spec_of_source(request: HttpRequest, source_id: UUID) -> HttpResponse:
    """For staff. Posted: a link is made or revoked, or a file is checked."""
    source = get_object_or_404(sources_in(request), pk=source_id)
    links = SpecLink.objects.filter(source=source, revoked_at=None).select_related("created_by")
    act = request.POST.get("act", "")
    if act in ("make", "revoke"):
        if not request.user.has_perm("ingestion.add_speclink" if act == "make" else "ingestion.change_speclink"):
            raise PermissionDenied
        if act == "make":
            name = request.POST.get("name", "").replace("\0", "").strip()[:80]
            SpecLink.objects.create(source=source, name=name, created_by=cast(User, request.user))
            messages.success(request, _("The link is made. Copy it from the list below."))
        else:
            links.filter(token=request.POST.get("link", "").replace("\0", "")).update(revoked_at=timezone.now())
            messages.success(request, _("The link opens nothing any more."))
        return HttpResponseRedirect(f"{request.get_full_path()}#links")
    known = _without(standard(), lambda items: hidden_in(request, items))
    check = _checked(request, source) if request.method == "POST" else None
    context = {
        "links": [(link, request.build_absolute_uri(link.get_absolute_url())) for link in links],
        "may_make": request.user.has_perm("ingestion.add_speclink"),
        "may_revoke": request.user.has_perm("ingestion.change_speclink"),
        "may_see_dictionary": request.user.has_perm("taxonomy.view_tag"),
    }
    return _page(request, source, known, check, context)


@login_required(login_url="admin:login")
@permission_required("taxonomy.view_source", raise_exception=True)
@require_safe
def spec_download(request: HttpRequest, source_id: UUID, file: str) -> HttpResponse:
    source = get_object_or_404(sources_in(request), pk=source_id)
    return _download(request, source, _without(standard(), lambda items: hidden_in(request, items)), file)


# Nothing here is done for who is logged in: there is nobody whose right another page could use.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def spec_of_partner(request: HttpRequest, token: str) -> HttpResponse:
    """For whoever has the link, in the language of their browser or of ?language=. Posted: a file is checked."""
    link, known = _linked(token)
    language = request.GET.get("language", "")
    with translation.override(language if language in dict(settings.LANGUAGES) else translation.get_language()):
        check = None
        if request.method == "POST":
            with alone_or_not(link.pk) as is_alone:
                check = _checked(request, link.source) if is_alone else _Check("", problem=_("Another file is being checked by this link. Try again in a moment."))  # fmt: skip
        context = {"is_partner": True, "is_nav_sidebar_enabled": False, "languages": settings.LANGUAGES}
        answer = _page(request, link.source, known, check, context)
        answer.headers["X-Robots-Tag"] = "noindex"
        answer.headers["Content-Language"] = translation.get_language()
        return cast(HttpResponse, answer.render())


@require_safe
def spec_partner_download(request: HttpRequest, token: str, file: str) -> HttpResponse:
    link, known = _linked(token)
    language = request.GET.get("language", "")
    with translation.override(language if language in dict(settings.LANGUAGES) else translation.get_language()):
        return _download(request, link.source, known, file)


def _linked(token: str) -> tuple[SpecLink, Standard | None]:
    """A link that works, and the standard as far as its maker may read it."""
    link = SpecLink.objects.select_related("created_by", "source").filter(revoked_at=None, token=token.replace("\0", "")).first()
    if link is None:
        raise Http404
    return link, _without(standard(), lambda items: hidden_from(rights_of(link.created_by), items))


def _without(known: Standard | None, hidden_of: Callable[[Any], set[str]]) -> Standard | None:
    hidden = hidden_of(known.items) if known else set()
    return known.without(hidden) if known and hidden else known


def _spec(source: str, known: Standard | None, layout: FileMatching | None) -> Spec | None:
    """Of the files that a matching reads, else of the source's own columns."""
    if known is None or source not in known.items:
        return None
    spec = spec_of(source, known, at=timezone.now(), seen=frozenset(map(str, tags_of(UUID(source)))))
    return spec_of_layout(spec, layout.matching, layout.headings, known, at=timezone.now()) if layout else spec


def _is_by_itself(found: Checked, source: Source) -> bool:
    """Whether an import reads the file so where nobody chooses."""
    try:
        return matched(found.file_format, source)[1] == found.matching
    except UnreadableFile:
        return False


def _page(request: HttpRequest, source: Source, known: Standard | None, check: _Check | None, more: dict[str, Any]) -> TemplateResponse:
    one: Named = named("source", [source.pk])[source.pk]
    layouts = offered(source)
    layout = (
        check.found.matching if check and check.found else numbered(source, (check and check.chosen) or request.GET.get("matching", ""))
    )
    if layout and layout not in layouts:
        layouts.append(layout)
    spec = _spec(str(source.pk), known, layout)
    if check and check.found:
        check.events = _by_event(check.found, known)
        tells = (
            {column.name: column.tells for column in [*spec.common, *(one for event in spec.events for one in event.columns)]}
            if spec
            else {}
        )
        check.unlike = [(one, tells[one.column]) for one in check.found.unlike if tells.get(one.column)]
    context = {
        **admin.site.each_context(request),
        "title": _("Files of %(source)s") % {"source": one.label},
        "source": one,
        "spec": spec,
        "layouts": layouts,
        "layout": layout,
        "asked": urlencode({**({"language": translation.get_language()} if more.get("is_partner") else {}), **({"matching": layout.number} if layout else {})}),
        "lines": example_ndjson(spec).decode() if spec and not spec.is_table else "",
        "release": known.release if known else None,
        "check": check,
        "limits": {"megabytes": CHECK_BYTES // 1024**2, "rows": CHECK_ROWS},
        "language": translation.get_language(),
        **more,
    }  # fmt: skip
    return TemplateResponse(request, "ingestion/spec.html", context)


def _by_event(found: Checked, known: Standard | None) -> list[tuple[str, str, int]]:
    told, others = [], 0
    for code, count in most_first(found.events):
        tag = known.plan.tags_by_code.get(code.lower()) if known else None
        if known and tag and tag.uuid in known.items:
            told.append((label(known.items[tag.uuid]), code, count))
        else:
            others += count
    return [*told, (_("other events"), "", others)] if others else told


def _download(request: HttpRequest, source: Source, known: Standard | None, file: str) -> HttpResponse:
    number = request.GET.get("matching", "")
    layout = numbered(source, number)
    spec = _spec(str(source.pk), known, layout)
    if spec is None or file not in _DOWNLOADS or not (spec.is_table or file == "example.ndjson") or (number and layout is None):
        raise Http404
    answer = HttpResponse(_DOWNLOADS[file](spec), content_type="application/octet-stream")
    name = f"{spec.source.code}-{layout.number}-{file}" if layout else f"{spec.source.code}-{file}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def _checked(request: HttpRequest, source: Source) -> _Check:
    """Read the file that was posted. What is too large is not even received."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > CHECK_BYTES + 64 * 1024:
        return _Check("", problem=_("The file is larger than %(size)s MB. Check a part of it: a fault that is in many rows is in the first ones too.") % {"size": CHECK_BYTES // 1024**2})  # fmt: skip
    upload = request.FILES.get("file")
    if upload is None:
        return _Check("", problem=_("Choose a file first."))
    known, chosen = offered(source), request.POST.get("matching", "")
    layout = numbered(source, chosen)
    check = _Check(upload.name or "", chosen=str(layout.number) if layout else chosen if chosen == str(ENVELOPE) else "")
    with tempfile.NamedTemporaryFile() as stored:
        for piece in upload.chunks():
            stored.write(piece)
        stored.flush()
        try:
            _read(Path(stored.name), source, check, known)
        except KeyError:
            check.problem = file_problem("source.unreleased", {})
        except UnreadableFile as error:
            sentence = _PROBLEMS.get(error.code)
            check.problem = with_values(str(sentence), error.values) if sentence else file_problem(error.code, error.values)
    return check


def _read(path: Path, source: Source, check: _Check, known: list[FileMatching]) -> None:
    """Check the file as somebody chose; else as an import reads it by itself; else by the matching all of whose columns it has."""
    obeyed = current()

    def read(matching: int | None) -> Checked:
        return check_file(
            path, obeyed.plan.sources_by_uuid[str(source.pk)], current=obeyed, received_at=timezone.now(), most_findings=TOLD,
            most_rows=CHECK_ROWS, matching=matching,
        )  # fmt: skip

    try:
        found = read(int(check.chosen) if check.chosen else None)
    except UnreadableFile as error:
        fits = fitting(known, sniff(path).columns) if error.code == "file.unmatched" else None
        if fits is None:
            raise
        found = read(fits.number)
    check.found = found
    check.by_itself = _is_by_itself(found, source)
    check.fits = fitting(known, found.file_format.columns) if found.matching is None and found.file_format.has_columns else None
    check.causes = [(code, title_for(code), count) for code, count in most_first(found.causes)]
    check.notes = [(code, title_for(code), count) for code, count in most_first(found.notes)]
