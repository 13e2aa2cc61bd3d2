"""What the admin of every governed item shares: a "why" on the form, history as diffs, a way back, and saving beside others."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from staff.models import in_both_languages
from taxonomy.admin.lines import DAYS, as_read
from taxonomy.definition import Definition, apply_definition, definition, definitions, draft_items
from taxonomy.diff import diff, side_by_side, title
from taxonomy.draft import ItemLocked, last_saved, locks, remove, writing
from taxonomy.history import record_revision
from taxonomy.models import Proposal, Revision
from taxonomy.problems import plan_problem
from taxonomy.proposals.merge import Merged, merge
from taxonomy.proposals.propose import open_proposals
from taxonomy.proposals.refused import TAKEN
from taxonomy.proposals.review import standing
from taxonomy.proposals.tell import is_following
from taxonomy.publish import items_of, newest
from taxonomy.request_rights import hidden_in, names_shown, rights_in, said_outside
from taxonomy.rights import May, On, OutsideGrant, among
from taxonomy.standardize import check_plan


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


class DoesNotFit(Exception):
    """The standard would not hold together with the item as it was to be saved; `problems` are sentences."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems)
        self.problems = problems


def refuse_broken(item_id: Any) -> None:
    """Raises DoesNotFit when the draft's item cannot be released as it stands."""
    items = draft_items()
    if problems := [plan_problem(problem, items) for problem in check_plan(items) if problem.item == str(item_id)]:
        raise DoesNotFit(problems)


class GovernedAdmin(ModelAdmin):
    """Saves the draft with its history. What sources obey changes only when a release is published."""

    form = WhyForm
    formfield_overrides = DAYS
    compressed_fields = True
    warn_unsaved_form = True
    change_form_outer_before_template = "taxonomy/_about_item.html"
    list_per_page = 50
    # actions of the list that write nothing
    reading_actions: frozenset[str] = frozenset()

    def get_queryset(self, request: HttpRequest) -> Any:
        """What grants let the person read; every list, form, history and search of the admin begins here."""
        return among(super().get_queryset(request), rights_in(request))

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

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or (not self.lock(obj) and self.is_theirs(request, obj)))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or (not self.lock(obj) and self.is_theirs(request, obj)))

    def is_theirs(self, request: HttpRequest, obj: Any) -> bool:
        """Whether grants let the person change the item. Looked up once a request."""
        rights = rights_in(request)
        if rights.limited and not hasattr(obj, "is_theirs"):
            obj.is_theirs = among(self.model._default_manager.filter(pk=obj.pk), rights, May.PROPOSE).exists()
        return getattr(obj, "is_theirs", True)

    def expect_theirs(self, request: HttpRequest, ids: Collection[Any]) -> None:
        """Raises OutsideGrant unless the person may change all these rows as they stand."""
        rights = rights_in(request)
        if rights.limited:
            rows = self.model._default_manager.filter(pk__in=[one for one in map(str, ids) if _is_uuid(one)])
            for pk in rows.exclude(pk__in=among(rows, rights, May.PROPOSE).values("pk")).values_list("pk", flat=True):
                On(rights, draft_items()).expect(May.PROPOSE, str(pk))

    def lock(self, obj: Any) -> Proposal | None:
        """The proposal under review that holds the item. Looked up once a request."""
        if not hasattr(obj, "held_by"):
            obj.held_by = locks([obj.pk]).get(str(obj.pk))
        found: Proposal | None = obj.held_by
        return found

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **self._about(request, object_id)})
        try:
            with writing([object_id] if object_id else []):
                self.expect_theirs(request, [object_id] if object_id else [])
                seen = request.POST.get("seen", "")
                if object_id and seen.isdigit() and int(seen) < last_saved(object_id):
                    return self._save_beside(request, object_id, int(seen), form_url, extra_context)
                return self._save(request, object_id, form_url, extra_context)
        except ItemLocked as error:
            return self._locked(request, error)
        except OutsideGrant as error:
            return self._outside(request, error, object_id)

    def _save(self, request: HttpRequest, object_id: str | None, form_url: str, extra_context: dict[str, Any] | None) -> HttpResponse:
        """Save, or show the form again with what would be broken: its inlines are checked with it only once they are written."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DoesNotFit as error:
            request.problems = error.problems  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

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

    def message_user(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        if not getattr(request, "only_trying", False):
            super().message_user(request, *args, **kwargs)

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
        for item in queryset:
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

    def _locked(self, request: HttpRequest, error: ItemLocked) -> HttpResponse:
        said = _("It is under review in “%(title)s” and cannot be edited until that ends. Your change was not saved.")
        messages.error(request, said % {"title": error.proposal.title})
        return HttpResponseRedirect(error.proposal.get_absolute_url())

    def _outside(self, request: HttpRequest, error: OutsideGrant, object_id: str | None = None) -> HttpResponse:
        """Say who may do it. The transaction is undone by now."""
        messages.error(request, said_outside(error))
        page, args = ("change", [object_id]) if object_id else ("changelist", [])
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=args))

    def _save_beside(
        self, request: HttpRequest, object_id: str, seen: int, form_url: str, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        """Save over a newer save: what only one of the two changed is kept; where both did, ask."""
        theirs = definition(self.get_object(request, object_id))  # type: ignore[arg-type]
        trial = transaction.savepoint()
        request.only_trying = True  # type: ignore[attr-defined]
        response = self._save(request, object_id, form_url, extra_context)
        request.only_trying = False  # type: ignore[attr-defined]
        if response.status_code != 302:
            return response
        mine = definition(self.get_object(request, object_id))  # type: ignore[arg-type]
        transaction.savepoint_rollback(trial)
        merged = self._merged(object_id, seen, theirs, mine)
        if merged.conflicts:
            return self._ask(request, object_id, seen, theirs, mine, merged)
        try:
            return self._save_merged(request, object_id, merged.definition)
        except DoesNotFit as error:
            request.problems = error.problems  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def _merged(
        self, object_id: str, seen: int, theirs: Definition, mine: Definition, keep_mine: frozenset[tuple[str, str]] = frozenset()
    ) -> Merged:
        base = Revision.objects.filter(pk=seen, item=object_id).values_list("definition", flat=True).first()
        # an item that was loaded rather than saved has no history yet: it was as released
        return merge(base or items_of(newest()).get(str(object_id), {}), theirs, mine, keep_mine=keep_mine)

    def _ask(
        self,
        request: HttpRequest,
        object_id: str,
        seen: int,
        theirs: Definition,
        mine: Definition,
        merged: Merged,
        problems: Sequence[str] = (),
    ) -> HttpResponse:
        """The choice between two saves, thing by thing; `problems` are what the last choice would break."""
        newest_save = _newest_save(object_id)
        names = draft_items()
        names = names_shown(names, hidden_in(request, names))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Somebody else saved %(item)s meanwhile") % {"item": title(theirs, names)},
            "opts": self.opts,
            "item": object_id,
            "saved": newest_save,
            "problems": problems,
            "conflicts": [side_by_side(place, theirs, mine, names) for place in merged.conflicts],
            "kept": [
                {"whose": whose, **side_by_side(place, theirs, mine, names)}
                for whose, places in (("theirs", merged.theirs), ("mine", merged.mine))
                for place in places
            ],
            "mine": signing.dumps(
                {"mine": mine, "seen": seen, "theirs": newest_save.pk if newest_save else 0}, salt=_of_item(object_id), compress=True
            ),
            "why": request.POST.get("why", ""),
        }
        return TemplateResponse(request, "taxonomy/conflict.html", context)

    def _save_merged(self, request: HttpRequest, object_id: str, merged: Definition) -> HttpResponse:
        """Save what two people made of an item. Raises DoesNotFit."""
        who = newest_save.by if (newest_save := _newest_save(object_id)) else None
        saved = self._write_whole(request, object_id, merged)
        record_revision(saved, by=request.user, action=Revision.Action.CHANGED, why=request.POST.get("why", ""))  # type: ignore[arg-type]
        messages.success(request, _("Saved together with what %(who)s saved meanwhile.") % {"who": who or "Tagline"})
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id]))

    def _write_whole(self, request: HttpRequest, object_id: str, wanted: Definition) -> Any:
        """The row, brought to a definition. Raises OutsideGrant, or DoesNotFit where the draft would not hold together with it."""
        try:
            with transaction.atomic():
                saved = apply_definition(object_id, wanted)
                self.expect_theirs(request, [object_id])
                connection.check_constraints()
                refuse_broken(object_id)
                return saved
        except IntegrityError as error:
            raise DoesNotFit([str(TAKEN)]) from error

    def resolve_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Save what was chosen of two saves, thing by thing."""
        if request.method != "POST" or not super().has_change_permission(request):
            raise PermissionDenied
        try:
            with writing([object_id]):
                item = self.get_object(request, object_id)
                if item is None:
                    raise Http404
                self.expect_theirs(request, [object_id])
                kept = signing.loads(request.POST.get("mine", ""), salt=_of_item(object_id))
                # where somebody saved once more meanwhile, it is asked again
                is_settled = last_saved(object_id) == kept["theirs"]
                chosen = frozenset(
                    (field, row)
                    for field, _dot, row in (
                        str(value).partition(".") for name, value in request.POST.items() if name.startswith("choice-") and value
                    )
                )
                sides = kept["seen"], definition(item), kept["mine"]
                merged = self._merged(object_id, *sides)
                if merged.conflicts and not is_settled:
                    return self._ask(request, object_id, *sides, merged)
                try:
                    settled = self._merged(object_id, *sides, keep_mine=chosen if is_settled else frozenset())
                    return self._save_merged(request, object_id, settled.definition)
                except DoesNotFit as error:
                    return self._ask(request, object_id, *sides, merged, error.problems)
        except ItemLocked as error:
            return self._locked(request, error)
        except OutsideGrant as error:
            return self._outside(request, error, object_id)
        except signing.BadSignature as error:
            raise PermissionDenied from error

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        item = self.get_object(request, object_id)
        if not self.has_view_permission(request, item):
            raise PermissionDenied
        last = None if item else self._last_state(request, object_id)
        if item is None and last is None:
            raise Http404
        revisions = list(Revision.objects.filter(item=item.pk if item else object_id).select_related("by")[:200])
        names = items_of(newest())
        names = names_shown(names, hidden_in(request, names))
        older = [one.definition for one in revisions[1:]] + [None] * bool(revisions)
        entries = [
            {"revision": revision, "lines": diff(before, revision.definition, names) if before or len(revisions) < 200 else []}
            for revision, before in zip(revisions, older, strict=True)
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("History of %(item)s") % {"item": item or title(last or {}, names)},
            "opts": self.opts,
            "item": item,
            "item_id": object_id,
            "entries": entries,
            "may_change": self.has_change_permission(request, item) and (item is not None or self.has_add_permission(request)),
        }
        return TemplateResponse(request, "taxonomy/history.html", context)

    def _last_state(self, request: HttpRequest, object_id: str) -> Definition | None:
        """The definition that an item had when it was deleted from the draft; None if it was not, or is not for the reader."""
        if not _is_uuid(object_id) or self.model._default_manager.filter(pk=object_id).exists():
            return None
        last = Revision.objects.filter(item=object_id, kind=self.model.kind).first()  # type: ignore[attr-defined]
        if last is None or not last.definition:
            return None
        plan = items_of(newest()) | draft_items() | {str(last.item): last.definition}
        return last.definition if On(rights_in(request), plan).may(May.READ, str(last.item)) else None

    def restore_view(self, request: HttpRequest, object_id: str, revision_id: int) -> HttpResponse:
        """Bring the draft back to what it was, an item deleted from it too; releases are not touched."""
        item = self.get_object(request, object_id)
        if request.method != "POST" or not self.has_change_permission(request, item):
            raise PermissionDenied
        if item is None and not (self.has_add_permission(request) and self._last_state(request, object_id)):
            raise PermissionDenied
        back = request.path.partition("/restore/")[0] + "/history/"
        revision = get_object_or_404(Revision, pk=revision_id, item=object_id)
        when = date_format(timezone.localtime(revision.at), "SHORT_DATETIME_FORMAT")
        why = in_both_languages(gettext_lazy("as of %(when)s")) % {"when": when}
        try:
            with writing([object_id]):
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


def _newest_save(object_id: str) -> Revision | None:
    return Revision.objects.filter(item=object_id).select_related("by").order_by("-id").first()


def _of_item(object_id: str) -> str:
    """The salt that binds what the page of a choice remembers to its item."""
    return f"taxonomy.conflict.{object_id}"


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
