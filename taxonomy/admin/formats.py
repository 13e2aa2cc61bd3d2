"""The plan out and in, in the formats of others: what would be lost is shown first, and what comes in becomes a proposal."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from staff.models import Department, User
from taxonomy.definition import draft_items
from taxonomy.diff import title
from taxonomy.exchange.command import WAS_OPEN
from taxonomy.exchange.formats import FORMATS, Choices
from taxonomy.exchange.formats.documents import MAX_BYTES
from taxonomy.exchange.formats.propose import Looked, export_plan, look_at, propose_written
from taxonomy.exchange.formats.words import told
from taxonomy.exchange.words import STATUSES, title_of, trouble_text
from taxonomy.models import Category, Source
from taxonomy.proposals.refused import said_of
from taxonomy.publish import company_day, newest
from taxonomy.request_rights import hidden_in, names_shown, rights_in, sources_in
from taxonomy.rights import among

# Between looking and proposing, what was read waits in the page itself, signed for this person.
_SALT = "taxonomy.formats.read"
_KEPT_SECONDS = 24 * 3600
# Entries shown of each status; their number is told in full.
_SHOWN = 50
_STATES = {"added": "tl-good", "changed": "tl-warn", "wrong": "tl-bad"}


class _Files(forms.ClearableFileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        given = data if isinstance(data, list | tuple) and data else [data or None]
        return [super(_FilesField, self).clean(one, initial) for one in given]


class DownloadForm(forms.Form):
    format = forms.ChoiceField(
        label=gettext_lazy("Format"),
        choices=[(one.name, one.label) for one in FORMATS.values() if one.write],
        widget=UnfoldAdminSelectWidget,
    )
    category = forms.ModelChoiceField(
        Category.objects.all(), label=gettext_lazy("Category"), required=False, to_field_name="code", empty_label=gettext_lazy("the whole plan"),
        widget=UnfoldAdminSelectWidget, help_text=gettext_lazy("Only its tags and those of the categories below it."),
    )  # fmt: skip
    draft = forms.ChoiceField(
        label=gettext_lazy("State"), required=False, widget=UnfoldAdminSelectWidget,
        choices=[("", gettext_lazy("the current release")), ("draft", gettext_lazy("the draft"))],
    )  # fmt: skip


class UploadForm(forms.Form):
    format = forms.ChoiceField(
        label=gettext_lazy("Format"), choices=[(one.name, one.label) for one in FORMATS.values()], widget=UnfoldAdminSelectWidget
    )
    uploads = _FilesField(
        label=gettext_lazy("Files"), widget=_Files(attrs={"class": "tl-input"}),
        help_text=gettext_lazy("One or several files, or a zip of a folder. References between them are followed; nothing is fetched from elsewhere."),
    )  # fmt: skip
    category = forms.ModelChoiceField(
        Category.objects.all(), label=gettext_lazy("Category"), to_field_name="code", widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy("Of new tags that the files put into none."),
    )  # fmt: skip
    owner = forms.ModelChoiceField(
        Department.objects.all(), label=gettext_lazy("Owner"), widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy("The department that answers for new tags."),
    )  # fmt: skip
    source = forms.ModelChoiceField(
        Source.objects.all(), label=gettext_lazy("Source"), required=False, to_field_name="code", empty_label=gettext_lazy("none"),
        widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy("If one source sends its events under these names: they become its mapping rules. Without one, they are kept as synonyms."),
    )  # fmt: skip

    def clean_uploads(self) -> list[Any]:
        files: list[Any] = self.cleaned_data["uploads"]
        if sum(one.size for one in files) > MAX_BYTES:
            raise forms.ValidationError(
                _("Together the files are larger than %(limit)s MB. Send them in parts.") % {"limit": MAX_BYTES >> 20}
            )
        return files


class ProposeForm(forms.Form):
    title = forms.CharField(label=gettext_lazy("Title"), max_length=160, widget=UnfoldAdminTextInputWidget)
    why = forms.CharField(label=gettext_lazy("Why"), widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))
    kept = forms.CharField(widget=forms.HiddenInput)


def formats_urls(admin: ModelAdmin) -> list[URLPattern]:
    """The pages, below those of the proposals."""
    view, pages = admin.admin_site.admin_view, _Pages(admin)
    return [
        path("formats/", view(pages.formats_view), name="taxonomy_proposal_formats"),
        path("formats/download/", view(pages.download_view), name="taxonomy_proposal_formats_download"),
        path("formats/propose/", view(pages.propose_view), name="taxonomy_proposal_formats_propose"),
    ]


class _Pages:
    def __init__(self, admin: ModelAdmin) -> None:
        self.admin = admin

    def formats_view(self, request: HttpRequest) -> HttpResponse:
        """Choose what to write, and see what it loses; or choose files, and see what they would change."""
        self._check(request)
        out = DownloadForm(request.GET if "format" in request.GET else None)
        department = getattr(request.user, "department_id", None)
        into = UploadForm(request.POST or None, request.FILES or None, initial={"owner": department})
        for form in (out, into):
            form.fields["category"].queryset = among(Category.objects.all(), rights_in(request))  # type: ignore[attr-defined]
        into.fields["source"].queryset = sources_in(request).filter(in_draft=True)  # type: ignore[attr-defined]
        if request.method == "POST":
            self._check(request, propose=True)
            if into.is_valid():
                return self._show(
                    request, _look(into.cleaned_data, _person(request)), ProposeForm(initial={"title": _suggested(into.cleaned_data)})
                )
        exported = None
        if out.is_bound and out.is_valid():
            exported = _export(request, out.cleaned_data)
        return self._page(
            request,
            "taxonomy/formats.html",
            out=out,
            into=into,
            may_propose=self.admin.has_add_permission(request),
            release=newest(),
            shown=exported,
            left_out=told(exported.left_out) if exported else [],
            query=request.GET.urlencode(),
        )

    def download_view(self, request: HttpRequest) -> HttpResponse:
        self._check(request)
        form = DownloadForm(request.GET)
        if not form.is_valid():
            return HttpResponseRedirect(reverse("admin:taxonomy_proposal_formats"))
        exported = _export(request, form.cleaned_data)
        answer = HttpResponse(exported.body, content_type="application/octet-stream")
        answer.headers["Content-Disposition"] = f'attachment; filename="{exported.name}"'
        return answer

    @method_decorator(require_POST)
    def propose_view(self, request: HttpRequest) -> HttpResponse:
        """Propose what was looked at, read again on top of the draft as it is now."""
        self._check(request, propose=True)
        try:
            kept, mark = signing.loads(request.POST.get("kept", ""), salt=_salt(request), max_age=_KEPT_SECONDS)
        except signing.BadSignature:
            messages.error(request, _("What was read has been kept for a day only, for you only. Choose the files again."))
            return HttpResponseRedirect(reverse("admin:taxonomy_proposal_formats"))
        form = ProposeForm(request.POST)
        if form.is_valid():
            try:
                proposal, was_open = propose_written(
                    kept, title=form.cleaned_data["title"], why=form.cleaned_data["why"], by=_person(request), mark=mark
                )
            except Exception as error:
                if (said := said_of(error, partial(hidden_in, request))) is None:
                    raise
                messages.error(request, said)
                return HttpResponseRedirect(reverse("admin:taxonomy_proposal_formats"))
            if was_open:
                messages.success(request, str(WAS_OPEN))
            return HttpResponseRedirect(proposal.get_absolute_url())
        return self._page(request, "taxonomy/formats_propose.html", form=form)

    def _show(self, request: HttpRequest, looked: Looked, form: ProposeForm) -> HttpResponse:
        form.initial["kept"] = signing.dumps((looked.written, looked.mark), salt=_salt(request), compress=True)
        groups = _by_status(looked, hidden_in(request, draft_items()))
        return self._page(
            request,
            "taxonomy/formats_read.html",
            form=form,
            groups=groups,
            taker=looked.taker,
            left_out=told(looked.left_out),
            count_left_out=len(looked.left_out),
            may_propose=any(group["status"] in ("added", "changed") for group in groups),
        )

    def _check(self, request: HttpRequest, *, propose: bool = False) -> None:
        if not self.admin.has_view_permission(request) or (propose and not self.admin.has_add_permission(request)):
            raise PermissionDenied

    def _page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        shell = self.admin.admin_site.each_context(request)
        return TemplateResponse(request, template, {**shell, "title": _("Formats of others"), "opts": self.admin.opts, **context})


def _look(cleaned: dict[str, Any], person: User) -> Looked:
    choices = Choices(cleaned["category"].code, cleaned["owner"].pk, cleaned["source"].code if cleaned["source"] else "")
    return look_at(cleaned["format"], [(one.name or "file", one.read()) for one in cleaned["uploads"]], choices, by=person)


def _export(request: HttpRequest, cleaned: dict[str, Any]) -> Any:
    category = cleaned["category"].code if cleaned["category"] else ""
    return export_plan(cleaned["format"], category=category, draft=cleaned["draft"] == "draft", hidden=partial(hidden_in, request))


def _by_status(looked: Looked, hidden: set[str]) -> list[dict[str, Any]]:
    """What was found, by what becomes of it: wrong first, what stays the same last."""
    names = names_shown(looked.base | {entry.item: entry.after for entry in looked.entries if entry.after}, hidden)
    groups = []
    for status in ("wrong", "changed", "added", "unchanged"):
        entries = [entry for entry in looked.entries if entry.status == status]
        rows = [
            {
                "kind": entry.kind,
                "title": title(entry.after, names) if entry.after else entry.key,
                "troubles": [trouble_text(one, names) for one in (*entry.troubles, *entry.notes)],
            }
            for entry in entries[:_SHOWN]
        ]
        if entries:
            more = max(len(entries) - _SHOWN, 0)
            groups.append({"status": status, "label": STATUSES[status], "class": _STATES.get(status, ""), "count": len(entries), "rows": rows, "more": more})  # fmt: skip
    return groups


def _suggested(cleaned: dict[str, Any]) -> str:
    """The file's name, of several the format's; and the day."""
    names = [one.name for one in cleaned["uploads"] if one.name]
    of_format = _("From %(format)s") % {"format": FORMATS[cleaned["format"]].label}
    return title_of(names[0] if len(names) == 1 else of_format, company_day())


def _salt(request: HttpRequest) -> str:
    return f"{_SALT}.{request.user.pk}"


def _person(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
