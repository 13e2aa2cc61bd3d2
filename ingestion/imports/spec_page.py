"""What a source's files hold: a page for staff and, by a link, for partners, with templates to download and a check of a file."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from ingestion.alone import alone_or_not
from ingestion.doors.files import UnreadableFile
from ingestion.imports.check_file import Checked, check_file
from ingestion.imports.spec import Spec, spec_of
from ingestion.imports.spec_files import example_csv, example_ndjson, template_csv, template_xlsx
from ingestion.imports.words import file_problem
from ingestion.models import ReadingDay, SpecLink
from ingestion.ranked import most_first
from staff.models import User
from taxonomy.current import current
from taxonomy.dictionary.standard import Standard, standard
from taxonomy.released import Named, named
from taxonomy.request_rights import hidden_in, sources_in
from taxonomy.rights import hidden_from, rights_of
from taxonomy.violations import title_for

# What is read while somebody waits for it.
CHECK_BYTES, CHECK_ROWS, TOLD = 20 * 1024 * 1024, 50_000, 200
_DOWNLOADS: dict[str, Callable[[Spec], bytes]] = {
    "template.xlsx": template_xlsx, "template.csv": template_csv, "example.csv": example_csv, "example.ndjson": example_ndjson,
}  # fmt: skip


@dataclass(slots=True)
class _Check:
    """What the page tells of a file: what was found, or why it cannot be read."""

    name: str
    found: Checked | None = None
    problem: str = ""
    causes: list[tuple[str, str, int]] = field(default_factory=list)
    notes: list[tuple[str, str, int]] = field(default_factory=list)


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
        return HttpResponseRedirect(f"{request.path}#links")
    known = _without(standard(), lambda items: hidden_in(request, items))
    check = _checked(request, str(source_id)) if request.method == "POST" else None
    context = {
        "links": [(link, request.build_absolute_uri(link.get_absolute_url())) for link in links],
        "may_make": request.user.has_perm("ingestion.add_speclink"),
        "may_revoke": request.user.has_perm("ingestion.change_speclink"),
        "may_see_dictionary": request.user.has_perm("taxonomy.view_tag"),
    }
    return _page(request, str(source_id), known, check, context)


@login_required(login_url="admin:login")
@permission_required("taxonomy.view_source", raise_exception=True)
@require_safe
def spec_download(request: HttpRequest, source_id: UUID, file: str) -> HttpResponse:
    get_object_or_404(sources_in(request), pk=source_id)
    return _download(str(source_id), _without(standard(), lambda items: hidden_in(request, items)), file)


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
                check = _checked(request, str(link.source_id)) if is_alone else _Check("", problem=_("Another file is being checked by this link. Try again in a moment."))  # fmt: skip
        context = {"is_partner": True, "is_nav_sidebar_enabled": False, "languages": settings.LANGUAGES}
        answer = _page(request, str(link.source_id), known, check, context)
        answer.headers["X-Robots-Tag"] = "noindex"
        answer.headers["Content-Language"] = translation.get_language()
        return cast(HttpResponse, answer.render())


@require_safe
def spec_partner_download(request: HttpRequest, token: str, file: str) -> HttpResponse:
    link, known = _linked(token)
    language = request.GET.get("language", "")
    with translation.override(language if language in dict(settings.LANGUAGES) else translation.get_language()):
        return _download(str(link.source_id), known, file)


def _linked(token: str) -> tuple[SpecLink, Standard | None]:
    """A link that works, and the standard as far as its maker may read it."""
    link = SpecLink.objects.select_related("created_by").filter(revoked_at=None, token=token.replace("\0", "")).first()
    if link is None:
        raise Http404
    return link, _without(standard(), lambda items: hidden_from(rights_of(link.created_by), items))


def _without(known: Standard | None, hidden_of: Callable[[Any], set[str]]) -> Standard | None:
    hidden = hidden_of(known.items) if known else set()
    return known.without(hidden) if known and hidden else known


def _spec(source: str, known: Standard | None) -> Spec | None:
    if known is None or source not in known.items:
        return None
    seen = ReadingDay.objects.filter(source=UUID(source), tag__isnull=False).values_list("tag", flat=True).distinct()
    return spec_of(source, known, at=timezone.now(), seen=frozenset(map(str, seen)))


def _page(request: HttpRequest, source: str, known: Standard | None, check: _Check | None, more: dict[str, Any]) -> TemplateResponse:
    one: Named = named("source", [UUID(source)])[UUID(source)]
    spec = _spec(source, known)
    context = {
        **admin.site.each_context(request),
        "title": _("Files of %(source)s") % {"source": one.label},
        "source": one,
        "spec": spec,
        "lines": example_ndjson(spec).decode() if spec and not spec.is_table else "",
        "release": known.release if known else None,
        "check": check,
        "limits": {"megabytes": CHECK_BYTES // 1024**2, "rows": CHECK_ROWS},
        "language": translation.get_language(),
        **more,
    }
    return TemplateResponse(request, "ingestion/spec.html", context)


def _download(source: str, known: Standard | None, file: str) -> HttpResponse:
    spec = _spec(source, known)
    if spec is None or file not in _DOWNLOADS or not (spec.is_table or file == "example.ndjson"):
        raise Http404
    answer = HttpResponse(_DOWNLOADS[file](spec), content_type="application/octet-stream")
    answer.headers["Content-Disposition"] = f'attachment; filename="{spec.source.code}-{file}"'
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def _checked(request: HttpRequest, source: str) -> _Check:
    """Read the file that was posted. What is too large is not even received."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > CHECK_BYTES + 64 * 1024:
        return _Check("", problem=_("The file is larger than %(size)s MB. Check a part of it, or the whole on the command line.") % {"size": CHECK_BYTES // 1024**2})  # fmt: skip
    upload = request.FILES.get("file")
    if upload is None:
        return _Check("", problem=_("Choose a file first."))
    check = _Check(upload.name or "")
    obeyed = current()
    with tempfile.NamedTemporaryFile() as stored:
        for piece in upload.chunks():
            stored.write(piece)
        stored.flush()
        try:
            check.found = check_file(
                Path(stored.name), obeyed.plan.sources_by_uuid[source], current=obeyed, received_at=timezone.now(),
                most_findings=TOLD, most_rows=CHECK_ROWS,
            )  # fmt: skip
        except KeyError:
            check.problem = file_problem("source.unreleased", {})
        except UnreadableFile as error:
            check.problem = file_problem(error.code, error.values)
        else:
            check.causes = [(code, title_for(code), count) for code, count in most_first(check.found.causes)]
            check.notes = [(code, title_for(code), count) for code, count in most_first(check.found.notes)]
    return check
