"""Who may read and change a governed item, and what is said where they may not."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from taxonomy.definition import Definition, draft_items
from taxonomy.draft import ItemLocked, locks
from taxonomy.history import with_places
from taxonomy.models import Proposal, Revision
from taxonomy.publish import items_of, newest
from taxonomy.request_rights import rights_in, said_outside
from taxonomy.rights import May, On, OutsideGrant, among


class GuardedAdmin(ModelAdmin):
    """Grants and reviews keep items from those who may not have them."""

    def get_queryset(self, request: HttpRequest) -> Any:
        """What grants let the person read; every list, form, history and search of the admin begins here."""
        return among(super().get_queryset(request), rights_in(request))

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

    def _locked(self, request: HttpRequest, error: ItemLocked) -> HttpResponse:
        said = _("It is under review in “%(title)s” and cannot be edited until that ends. Your change was not saved.")
        messages.error(request, said % {"title": error.proposal.title})
        return HttpResponseRedirect(error.proposal.get_absolute_url())

    def _outside(self, request: HttpRequest, error: OutsideGrant, object_id: str | None = None) -> HttpResponse:
        """Say who may do it. The transaction is undone by now."""
        messages.error(request, said_outside(error))
        page, args = ("change", [object_id]) if object_id else ("changelist", [])
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=args))

    def _deleted(self, request: HttpRequest, object_id: str) -> HttpResponse | None:
        """What a form of an item answers that was deleted meanwhile; None where it was not, or is not for the person."""
        if not self.has_change_permission(request) or self._last_state(request, object_id) is None:
            return None
        last = Revision.objects.filter(item=object_id, action=Revision.Action.DELETED).select_related("by").first()
        said = [_("%(who)s deleted it meanwhile, so your change was not saved.") % {"who": (last and last.by) or "Tagline"}]
        if self.has_add_permission(request):
            said.append(_("Bring the draft back here, then go back to your form in the browser and save it once more."))
        messages.error(request, " ".join(said))
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_history", args=[object_id]))

    def _last_state(self, request: HttpRequest, object_id: str) -> Definition | None:
        """The definition that an item had when it was deleted from the draft; None if it was not, or is not for the reader."""
        if not _is_uuid(object_id) or self.model._default_manager.filter(pk=object_id).exists():
            return None
        last = Revision.objects.filter(item=object_id, kind=self.model.kind).first()  # type: ignore[attr-defined]
        if last is None or not last.definition:
            return None
        there = items_of(newest()) | draft_items()
        plan = there | with_places({str(last.item): last.definition}, there)
        return last.definition if On(rights_in(request), plan).may(May.READ, str(last.item)) else None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
