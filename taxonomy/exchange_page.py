"""In and out: the plan as a workbook or CSV, an upload with its report, and the proposal made of it."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.utils.translation import get_language, gettext_lazy, override
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget, UnfoldBooleanSwitchWidget

from staff.admin.pages import number_or_none
from taxonomy.admin.proposals import ProposalForm
from taxonomy.definition import MODELS, draft_items
from taxonomy.diff import diff, title
from taxonomy.exchange.answer import answer, names_of
from taxonomy.exchange.book import FILE_BYTES, UnreadableBook, open_book
from taxonomy.exchange.pending import Pending, forget, keep, pending
from taxonomy.exchange.take import NotTogether, base_of, compare, mark_of_draft, propose_entries, takes
from taxonomy.exchange.words import STATUSES, book_text, title_of, trouble_text
from taxonomy.exchange.workbook import Reading, about, around, place_rules, read_sheets, sheets_of, words
from taxonomy.exchange.written import Entry, Items, line_ends
from taxonomy.exchange.xlsx import ENCODINGS, save_csv, save_xlsx
from taxonomy.models import Proposal
from taxonomy.problems import plan_problem
from taxonomy.proposals.propose import describe
from taxonomy.proposals.refused import said_of
from taxonomy.publish import company_day, items_of, newest
from taxonomy.request_rights import hidden_in, names_shown, rights_in

# Changes shown on the page; all of them are in the workbook that answers.
_SHOWN = 200
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class OutForm(forms.Form):
    of = forms.ChoiceField(
        label=gettext_lazy("Which"), widget=UnfoldAdminSelectWidget,
        choices=[("draft", gettext_lazy("the draft, with changes that are not released")), ("release", gettext_lazy("what is released"))],
    )  # fmt: skip
    language = forms.ChoiceField(
        label=gettext_lazy("Language"), widget=UnfoldAdminSelectWidget, choices=[("en", "English"), ("zh-hans", "简体中文")]
    )
    file = forms.ChoiceField(
        label=gettext_lazy("File"), widget=UnfoldAdminSelectWidget,
        choices=[
            ("xlsx", gettext_lazy("Excel workbook")), ("utf-8", gettext_lazy("CSV files, UTF-8")),
            ("gb18030", gettext_lazy("CSV files, GB18030")), ("utf-16", gettext_lazy("CSV files, UTF-16 with tabs")),
        ],
    )  # fmt: skip


class InForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("File"), widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".xlsx,.csv,.tsv,.zip"}),
        help_text=gettext_lazy("A workbook as downloaded here, or one of your own with the same headers; a CSV, or a zip of several. 20 MB at the most."),
    )  # fmt: skip
    everything = forms.BooleanField(
        label=gettext_lazy("It is the whole plan"), required=False, widget=UnfoldBooleanSwitchWidget,
        help_text=gettext_lazy("What is missing in its sheets may then go too. A workbook downloaded whole says so by itself."),
    )  # fmt: skip


@dataclass(slots=True)
class Report:
    """What an upload would change of the draft as it is now, as far as its uploader may read it; `hidden` is the rest."""

    reading: Reading
    entries: list[Entry]
    draft: Items
    hidden: set[str]

    @property
    def names(self) -> Items:
        return names_shown(names_of(self.entries, self.draft), self.hidden)

    @property
    def counts(self) -> Counter[str]:
        return Counter(entry.status for entry in self.entries)

    @property
    def loose(self) -> int:
        """Rows that are wrong and belong to no item."""
        return sum(1 for place, troubles in self.reading.troubles.items() if troubles and place not in self.reading.places)


@login_required
@require_http_methods(["GET", "POST"])
@permission_required("taxonomy.view_tag", raise_exception=True)
def exchange(request: HttpRequest) -> HttpResponse:
    """Download the plan, or upload one."""
    form = InForm(request.POST or None, request.FILES or None)
    may_propose = request.user.has_perm("taxonomy.add_proposal")
    if request.method == "POST":
        if not may_propose:
            raise PermissionDenied
        if form.is_valid() and (upload := _take(request, form)):
            return redirect("plan_upload", upload)
    context = {
        **admin.site.each_context(request),
        "title": _("In and out"),
        "out": OutForm(initial={"language": get_language()}),
        "form": form,
        "may_propose": may_propose,
        "release": newest(),
    }
    return render(request, "taxonomy/exchange.html", context)


@login_required
@require_GET
@permission_required("taxonomy.view_tag", raise_exception=True)
def export(request: HttpRequest) -> HttpResponse:
    """The plan as a file, in the language chosen."""
    form = OutForm(request.GET)
    if not form.is_valid():
        raise Http404
    with override(form.cleaned_data["language"]):
        return plan_file(request, of_release=form.cleaned_data["of"] == "release", file=form.cleaned_data["file"])


def plan_file(request: HttpRequest, *, of_release: bool = False, file: str = "xlsx", tags: list[str] | None = None) -> HttpResponse:
    """The plan in the reader's language as an attachment. `tags`: only these, with what they stand on."""
    release = newest() if of_release else None
    base = f"release {release.version}" if release else f"draft {mark_of_draft()}"
    whole = items_of(release) if of_release else draft_items()
    hidden = hidden_in(request, whole)
    items = {item: one for item, one in whole.items() if item not in hidden}
    chosen = items if tags is None else around(items, tags)
    said = words()
    told = _("Release %(version)s") % {"version": release.version} if release else _("The draft, with changes that are not released")
    explained = about(base=base, is_selection=tags is not None or bool(hidden), told=f"{told}, {date.today().isoformat()}")
    sheets = sheets_of(items, chosen, said)
    name = f"plan-{release.version if release else 'draft'}"
    if file in ENCODINGS:
        return _attached(save_csv(sheets, explained, encoding=file), f"{name}.zip", "application/zip")
    return _attached(save_xlsx(sheets, explained, said), f"{name}.xlsx", _XLSX)


@login_required
@require_http_methods(["GET", "POST"])
@permission_required("taxonomy.add_proposal", raise_exception=True)
def upload(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    """What an upload would change; what of it is to be proposed."""
    found = _pending(request, upload_id)
    if found is None:
        messages.warning(request, _("This upload is not here any more. Upload the file again."))
        return redirect("plan_exchange")
    mark = mark_of_draft()
    report = report_of(found, request)
    taker = takes(report.entries, by=request.user)  # type: ignore[arg-type]
    named = {"title": title_of(found.name, company_day()), "why": ""}
    stands = {"title": taker.title, "why": taker.why} if taker else named
    written: dict[str, str] = {}
    is_sent = request.method == "POST"
    if is_sent and request.POST.get("taker", "") != _pk_of(taker):
        messages.warning(request, _("Another proposal would take it now. Look at it again."))
        is_sent = False
        written = _written(request, named)
    offered = {name: request.POST.get(f"offered_{name}", said) if is_sent else said for name, said in stands.items()} if taker else {}
    form = ProposalForm(request.POST if is_sent else None, initial=stands | written)
    if is_sent and form.is_valid():
        made = _propose(request, report, form, taker, offered)
        if made is not None:
            forget(upload_id, by=request.user.pk)  # type: ignore[arg-type]
            added = _("It is added to your proposal. Look at it, and submit it for review.")
            messages.success(request, added if made == taker else _("The proposal is made. Look at it, and submit it for review."))
            return redirect(made)
    context = {
        **admin.site.each_context(request),
        "title": found.name,
        "upload": found,
        "figures": [(status, STATUSES[status], report.counts[status]) for status in STATUSES],
        "loose": report.loose,
        "notes": [book_text(code, values) for code, values in report.reading.notes],
        "is_selection": report.reading.is_selection,
        "groups": _groups(report, report.names),
        "shown": _SHOWN,
        "form": form,
        "choices": _choices(report, request),
        "taker": taker,
        "offered": offered,
        "mark": mark,
    }
    return render(request, "taxonomy/exchange_report.html", context)


@login_required
@require_GET
@permission_required("taxonomy.add_proposal", raise_exception=True)
def upload_answer(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    """The uploaded sheets as a workbook, each row marked."""
    found = _pending(request, upload_id)
    if found is None:
        raise Http404
    report = report_of(found, request)
    said = words()
    told = _("What came of each row of %(name)s") % {"name": found.name}
    explained = about(base=report.reading.base, is_selection=report.reading.is_selection, told=told)
    checked = _("checked")
    name = f"{found.name.rpartition('.')[0] or 'plan'}-{checked}.xlsx"
    return _attached(save_xlsx(answer(report.reading, report.entries, report.draft, said, report.names), explained, said), name, _XLSX)


def report_of(found: Pending, request: HttpRequest) -> Report:
    """Nothing is read from what the person may not read, and it is as if it were not in the sheets."""
    whole = draft_items()
    hidden = hidden_in(request, whole)
    beyond = {item: whole[item] for item in hidden}
    draft = {item: one for item, one in whole.items() if item not in hidden}
    reading = read_sheets(found.sheets, draft, words(), everything=found.everything)
    entries = compare(
        reading.written,
        draft=draft,
        base=base_of(reading.base, draft),
        whole=reading.whole,
        settle=lambda entries: place_rules(entries, reading.written, whole),
        beyond=beyond,
        rights=rights_in(request),
        by=request.user,  # type: ignore[arg-type]
    )
    return Report(reading, entries, draft, hidden)


def _take(request: HttpRequest, form: InForm) -> UUID | None:
    """Keep an upload that can be read; None with the reason on the form."""
    file = form.cleaned_data["file"]
    try:
        if file.size > FILE_BYTES:
            raise UnreadableBook("book.too_large", limit=FILE_BYTES // 1024 // 1024)
        sheets = open_book(file.read(), file.name)
        read_sheets(sheets, {}, words())
    except UnreadableBook as error:
        form.add_error("file", book_text(error.code, error.values))
        return None
    return keep(sheets, name=file.name, by=request.user.pk, everything=form.cleaned_data["everything"])  # type: ignore[arg-type]


def _pending(request: HttpRequest, upload_id: UUID) -> Pending | None:
    return pending(upload_id, by=request.user.pk)  # type: ignore[arg-type]


def _pk_of(taker: Proposal | None) -> str:
    return str(taker.pk) if taker else ""


def _propose(request: HttpRequest, report: Report, form: ProposalForm, taker: Proposal | None, offered: dict[str, str]) -> Any:
    """`taker`: the proposal that it is added to. Its words change where they are said otherwise than they were `offered`."""
    chosen: dict[str, Any] = {name: name in request.POST for name in ("add", "update", "remove")}
    told: dict[str, Any] = {"title": form.cleaned_data["title"], "why": form.cleaned_data["why"], "by": request.user}
    try:
        with transaction.atomic():
            made = propose_entries(report.entries, **told, **chosen, into=taker, mark=number_or_none(request.POST.get("mark", "")))
            if otherwise := {name: told[name] for name, text in offered.items() if _plain(told[name]) != _plain(text)}:
                stand = {name: getattr(made, name) for name in ("title", "why", "links", "retire_reason")}
                describe(made, by=told["by"], **stand | otherwise)
        return made
    except NotTogether as error:
        problems = " ".join(plan_problem(problem, names_shown(error.names, report.hidden)) for problem in error.problems[:5])
        messages.error(request, _("What was chosen does not hold together. %(problems)s") % {"problems": problems})
    except Exception as error:
        if (said := said_of(error, partial(hidden_in, request))) is None:
            raise
        messages.error(request, said)
    return None


def _written(request: HttpRequest, first: dict[str, str]) -> dict[str, str]:
    """What somebody wrote into the form themselves: other than what stood in it, which without a taker is `first`."""
    stood = {name: request.POST.get(f"offered_{name}", said) for name, said in first.items()}
    return {name: text for name, said in stood.items() if _plain(text := request.POST.get(name, "")) not in ("", _plain(said))}


def _plain(text: str) -> str:
    """As a form gives it back: it takes spaces off the ends, and a browser sends other line ends."""
    return line_ends(text).strip()


def _choices(report: Report, request: HttpRequest) -> list[dict[str, Any]]:
    """What may be proposed apart: [{"name", "label", "count", "checked"}], without what there is none of."""
    told = {
        "add": ("added", _("Add what is new"), True),
        "update": ("changed", _("Update what differs"), True),
        "remove": ("removed", _("Remove what is missing"), False),
    }
    return [
        {"name": name, "label": label, "count": report.counts[status], "checked": name in request.POST if request.POST else checked}
        for name, (status, label, checked) in told.items()
        if report.counts[status]
    ]


def _groups(report: Report, names: Items) -> list[dict[str, Any]]:
    """What is not as it was, by kind, the wrong ones first."""
    order = ("wrong", "changed", "added", "removed")
    found = []
    for kind, model in MODELS.items():
        entries = [entry for entry in report.entries if entry.kind == kind and entry.status != "unchanged"]
        entries.sort(key=lambda entry: order.index(entry.status))
        rows = [
            {
                "status": entry.status,
                "label": STATUSES[entry.status],
                "title": title(one, names) if (one := entry.after or entry.before) and (one.get("code") or one.get("name")) else entry.key,
                "reasons": [trouble_text(one, names) for one in (*entry.troubles, *entry.notes)],
                "lines": [] if entry.status == "wrong" else diff(entry.before, entry.after, names),
            }
            for entry in entries[:_SHOWN]
        ]
        if rows:
            found.append({"label": model._meta.verbose_name_plural, "count": len(entries), "rows": rows})
    return found


def _attached(content: bytes, name: str, kind: str) -> HttpResponse:
    response = HttpResponse(content, content_type=kind)
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name)
    response.headers["Cache-Control"] = "no-store"
    return response
