"""What the admin of every governed item shares: a "why" on the form, history as diffs, and a way back."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from staff.admin.pages import number_or_none
from staff.models import in_both_languages
from taxonomy.admin.beside import DoesNotFit, SavesBeside, refuse_broken
from taxonomy.admin.lines import DAYS, as_read
from taxonomy.definition import definitions
from taxonomy.diff import diff, title
from taxonomy.draft import ItemLocked, last_saved, remove, writing
from taxonomy.history import record_revision
from taxonomy.models import Revision
from taxonomy.proposals.authors import names_of
from taxonomy.proposals.propose import open_proposals
from taxonomy.proposals.review import standing
from taxonomy.proposals.tell import is_following
from taxonomy.publish import items_of, newest
from taxonomy.request_rights import hidden_in, names_shown, said_outside
from taxonomy.rights import OutsideGrant

# of an item's history, on a page
SAVES_SHOWN = 50


class WhyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form that asks why, for the history."""

    why = forms.CharField(
        label=gettext_lazy("Why this change"), required=False, max_length=300, widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("One sentence for whoever reads the history later."),
    )  # fmt: skip
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)
    # what saving it found, sentences
    problems: Sequence[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields["seen"].initial = last_saved(self.instance.pk)

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        for problem in self.problems:
            self.add_error(None, problem)


class GovernedAdmin(SavesBeside):
    """Saves the draft with its history. What sources obey changes only when a release is published."""

    form = WhyForm
    formfield_overrides = DAYS
    compressed_fields = True
    warn_unsaved_form = True
    change_form_outer_before_template = "taxonomy/_about_item.html"
    list_per_page = 50
    # actions of the list that write nothing
    reading_actions: frozenset[str] = frozenset()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is not None and not self.has_change_permission(request, obj):
            fieldsets = as_read(fieldsets)
        return [*fieldsets, (None, {"fields": ["why", "seen"]})]

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> Any:
        inlines = super().get_inline_instances(request, obj)
        if obj is not None and not self.has_change_permission(request, obj):
            for inline in inlines:
                inline.fields = as_read(inline.fields)
        return inlines

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **self._about(request, object_id)})
        try:
            with writing([object_id] if object_id else []):
                self.expect_theirs(request, [object_id] if object_id else [])
                if object_id and self.get_object(request, object_id) is None:
                    return self._deleted(request, object_id) or super().changeform_view(request, object_id, form_url, extra_context)
                seen = request.POST.get("seen", "")
                if object_id and seen.isdigit() and int(seen) < last_saved(object_id):
                    return self._save_beside(request, object_id, int(seen), form_url, extra_context)
                return self._save(request, object_id, form_url, extra_context)
        except ItemLocked as error:
            return self._locked(request, error)
        except OutsideGrant as error:
            return self._outside(request, error, object_id)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.problems = getattr(request, "problems", ())
        return form

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method != "POST" or request.POST.get("action") in self.reading_actions:
            return super().changelist_view(request, extra_context)
        touched = request.POST.getlist("_selected_action")
        try:
            with writing(touched):
                self.expect_theirs(request, touched)
                response = super().changelist_view(request, extra_context)
                self.expect_theirs(request, touched)
                return response
        except ItemLocked as error:
            return self._locked(request, error)
        except OutsideGrant as error:
            return self._outside(request, error)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            with writing([object_id] if request.method == "POST" else []):
                self.expect_theirs(request, [object_id])
                return super().delete_view(request, object_id, extra_context)
        except ItemLocked as error:
            return self._locked(request, error)
        except OutsideGrant as error:
            return self._outside(request, error, object_id)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        self.expect_theirs(request, [form.instance.pk])
        refuse_broken(form.instance.pk)
        action = Revision.Action.CHANGED if change else Revision.Action.CREATED
        record_revision(form.instance, by=request.user, action=action, why=form.cleaned_data.get("why", ""))  # type: ignore[arg-type]
        if request.user.has_perm("taxonomy.view_proposal"):
            place = "{}?item={pk}#item-{pk}".format(reverse("admin:taxonomy_proposal_unreleased"), pk=form.instance.pk)
            said = _("Saved as a draft: sources obey it once it is released. <a href='%(place)s'>Propose it</a>.")
            self.message_user(request, mark_safe(said % {"place": place}), messages.INFO)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        remove(obj, by=request.user)  # type: ignore[arg-type]

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Take rows from the draft: of a whole list, the form names none. Raises ItemLocked or OutsideGrant."""
        items = list(queryset)
        ids = [item.pk for item in items]
        with writing(ids):
            self.expect_theirs(request, ids)
            for item in items:
                remove(item, by=request.user)  # type: ignore[arg-type]

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
        restore = path(
            "<path:object_id>/restore/<int:revision_id>/", self.admin_site.admin_view(self.restore_view), name="{}_{}_restore".format(*info)
        )
        resolve = path("<path:object_id>/resolve/", self.admin_site.admin_view(self.resolve_view), name="{}_{}_resolve".format(*info))
        return [restore, resolve, *super().get_urls()]

    def _about(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        """What the page says of the item beside its form: its open proposal, and who must sign it."""
        item = self.get_object(request, object_id) if object_id else None
        if item is None:
            return {}
        proposal = open_proposals([item.pk]).get(str(item.pk))
        signing = standing(proposal).missing if proposal and proposal.is_locked else []
        owner = getattr(item, "owner", None)
        is_others = owner is not None and owner.pk != request.user.department_id  # type: ignore[union-attr]
        about: dict[str, Any] = {
            "of_others": owner if is_others and self.has_change_permission(request, item) else None,
            "proposal": proposal,
            "signing": signing,
            "following": is_following(request.user, item.pk),  # type: ignore[arg-type]
        }
        try:
            self.expect_theirs(request, [item.pk])
        except OutsideGrant as error:
            about["outside"] = said_outside(error)
        return about | self.use_of(request, item)

    def use_of(self, request: HttpRequest, item: Any) -> dict[str, Any]:
        """What the page says of how the item is used by what arrives."""
        return {}

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        item = self.get_object(request, object_id)
        if not self.has_view_permission(request, item):
            raise PermissionDenied
        last = None if item else self._last_state(request, object_id)
        if item is None and last is None:
            raise Http404
        pk = item.pk if item else object_id
        seen, saves = last_saved(pk), Revision.objects.filter(item=pk).select_related("by")
        page = Paginator(saves, SAVES_SHOWN).get_page(request.GET.get("page"))
        names = items_of(newest())
        names = names_shown(names, hidden_in(request, names))
        before_all = saves[page.end_index()].definition if page.has_next() else None
        older = [*(one.definition for one in page[1:]), before_all][: len(page)]
        entries = [
            {"revision": one, "lines": diff(before, one.definition, names), "is_last": page.start_index() + at == 1}
            for at, (one, before) in enumerate(zip(page, older, strict=True))
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("History of %(item)s") % {"item": item or title(last or {}, names)},
            "opts": self.opts,
            "item": item,
            "item_id": object_id,
            "entries": entries,
            "page": page,
            "seen": seen,
            "may_change": self.has_change_permission(request, item) and (item is not None or self.has_add_permission(request)),
        }
        return TemplateResponse(request, "taxonomy/history.html", context)

    def restore_view(self, request: HttpRequest, object_id: str, revision_id: int) -> HttpResponse:
        """Bring the draft back to what it was, an item deleted from it too; releases are not touched.

        Not over a save that the history did not show yet.
        """
        item = self.get_object(request, object_id)
        if request.method != "POST" or not self.has_change_permission(request, item):
            raise PermissionDenied
        if item is None and not (self.has_add_permission(request) and self._last_state(request, object_id)):
            raise PermissionDenied
        back = request.path.partition("/restore/")[0] + "/history/"
        revision = get_object_or_404(Revision, pk=revision_id, item=object_id)
        when = date_format(timezone.localtime(revision.at), "SHORT_DATETIME_FORMAT")
        why = in_both_languages(gettext_lazy("as of %(when)s")) % {"when": when}
        seen = number_or_none(request.POST.get("seen", "")) or 0
        try:
            with writing([object_id]):
                if unseen := list(Revision.objects.filter(item=object_id, pk__gt=seen).select_related("by")):
                    said = _("%(who)s saved it meanwhile, so nothing was brought back. Look at the history as it stands now.")
                    messages.error(request, said % {"who": names_of(unseen)})
                    return HttpResponseRedirect(back)
                restored = self._write_whole(request, object_id, revision.definition or {})
                record_revision(restored, by=request.user, action=Revision.Action.RESTORED, why=why, restores=revision)  # type: ignore[arg-type]
        except ItemLocked as error:
            return self._locked(request, error)
        except OutsideGrant as error:
            messages.error(request, said_outside(error))
            return HttpResponseRedirect(back)
        except DoesNotFit as error:
            for problem in error.problems:
                messages.error(request, problem)
            return HttpResponseRedirect(back)
        messages.success(request, _("The draft is as it was then. Propose it, so that sources obey it once it is released."))
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id]))

    @display(description=gettext_lazy("release"), label={"new": "info", "changed": "warning", "released": "success"})
    def released_state(self, item: Any) -> tuple[str, str]:
        if item.released is None:
            return "new", _("not released")
        return ("released", _("released")) if item.released == item.stands else ("changed", _("changed since"))
