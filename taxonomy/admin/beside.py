"""Saving an item that somebody else saved meanwhile: what only one of the two changed is kept; where both did, it is asked."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from taxonomy.admin.guarded import GuardedAdmin
from taxonomy.definition import INLINES, Definition, apply_definition, definition, draft_items
from taxonomy.diff import side_by_side, title
from taxonomy.draft import ItemLocked, last_saved, writing
from taxonomy.history import record_revision
from taxonomy.models import Revision, TagMode
from taxonomy.problems import plan_problem
from taxonomy.proposals.merge import ROW_KEYS, Merged, merge
from taxonomy.proposals.refused import TAKEN
from taxonomy.publish import items_of, newest
from taxonomy.request_rights import hidden_in, names_shown, of_sources_in
from taxonomy.rights import OutsideGrant
from taxonomy.standardize import check_plan


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


class SavesBeside(GuardedAdmin):
    """A form, and two saves of one item brought together."""

    def _save(self, request: HttpRequest, object_id: str | None, form_url: str, extra_context: dict[str, Any] | None) -> HttpResponse:
        """Save, or show the form again with what would be broken: its inlines are checked with it only once they are written."""
        try:
            with transaction.atomic():
                return super().changeform_view(request, object_id, form_url, extra_context)
        except (DoesNotFit, IntegrityError) as error:
            request.problems = error.problems if isinstance(error, DoesNotFit) else [str(TAKEN)]  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def message_user(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        if not getattr(request, "only_trying", False):
            super().message_user(request, *args, **kwargs)

    def _save_beside(
        self, request: HttpRequest, object_id: str, seen: int, form_url: str, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        """Save over a newer save: what only one of the two changed is kept; where both did, ask."""
        theirs = definition(self.get_object(request, object_id))  # type: ignore[arg-type]
        request.POST = as_rows_stand(request, theirs["kind"], object_id)  # type: ignore[assignment]
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
                    if deleted := self._deleted(request, object_id):
                        return deleted
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


def as_rows_stand(request: HttpRequest, kind: str, item_id: str) -> QueryDict:
    """A form whose rows of inlines may be gone by now: each is the row that stands under its key, else a new one."""
    posted = request.POST
    made = posted.copy()
    for field, model in INLINES.get(kind, {}).items():
        key, prefix = ROW_KEYS[field], str(model._meta.get_field(kind).remote_field.get_accessor_name())  # type: ignore[union-attr]
        if not re.fullmatch("[0-9]{1,6}", total := posted.get(f"{prefix}-TOTAL_FORMS", "")):
            continue
        there = model._default_manager.filter(**{kind: item_id})
        if model is TagMode:
            there = of_sources_in(there, request)
        stand = {str(name or ""): str(pk) for name, pk in there.values_list(key, "pk")}
        rows = _with_ids(_take_rows(made, prefix, int(total)), key, stand)
        for number, row in enumerate(rows):
            for name, values in row.items():
                made.setlist(f"{prefix}-{number}-{name}", values)
        made[f"{prefix}-TOTAL_FORMS"] = str(len(rows))
        made[f"{prefix}-INITIAL_FORMS"] = str(sum(1 for row in rows if row["id"][-1]))
    return made


def _take_rows(posted: QueryDict, prefix: str, total: int) -> list[dict[str, list[str]]]:
    """The rows of one inline, taken out of a form, in their order: [{field: what was posted}]."""
    rows: dict[int, dict[str, list[str]]] = defaultdict(dict)
    for place in list(posted):
        found = re.fullmatch(rf"{prefix}-([0-9]{{1,6}})-(\w+)", place)
        if found and int(found[1]) < total:
            rows[int(found[1])][found[2]] = posted.pop(place)  # type: ignore[assignment]
    return [rows[number] for number in sorted(rows)]


def _with_ids(rows: list[dict[str, list[str]]], key: str, stand: dict[str, str]) -> list[dict[str, list[str]]]:
    """Rows of a form with the ids of `stand`, {key: id}: that of their key, which an id may have left for another since, else their own.

    Those that are new come last, and what was to be removed and is gone is left out.
    """
    free = set(stand.values())
    own: dict[int, str] = {}
    # of two rows with one key the one that stays, then the one that had it before
    order = sorted(range(len(rows)), key=lambda at: ("DELETE" in rows[at], not rows[at].get("id", [""])[-1]))
    for is_by_key in (True, False):
        for at in order:
            row, by_key = rows[at], stand.get(rows[at].get(key, [""])[-1].strip(), "")
            pk = by_key if is_by_key else "" if by_key else row.get("id", [""])[-1]
            if at not in own and pk in free:
                free.remove(pk)
                own[at] = pk
    known = [row | {"id": [own[at]]} for at, row in enumerate(rows) if at in own]
    return known + [row | {"id": [""]} for at, row in enumerate(rows) if at not in own and "DELETE" not in row]


def _newest_save(object_id: str) -> Revision | None:
    return Revision.objects.filter(item=object_id).select_related("by").order_by("-id").first()


def _of_item(object_id: str) -> str:
    """The salt that binds what the page of a choice remembers to its item."""
    return f"taxonomy.conflict.{object_id}"
