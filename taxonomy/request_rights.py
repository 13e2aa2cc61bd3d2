"""How far the reader of a page may see and change the standard: taxonomy/rights.py, for one request."""

from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from taxonomy.definition import MODELS, Items
from taxonomy.models import Grant, Proposal, Source, Tag
from taxonomy.released import Named, by_code, named, released
from taxonomy.rights import OutsideGrant, Rights, among, hidden_from, readable_proposals, rights_of
from taxonomy.standardize import storable

_SENTENCES = {
    Grant.May.READ: gettext_lazy("Only %(names)s may read “%(item)s” (%(place)s)."),
    Grant.May.PROPOSE: gettext_lazy("Only %(names)s may change “%(item)s” (%(place)s). Ask them for the change, or an administrator for the right."),
    Grant.May.REVIEW: gettext_lazy("Only %(names)s may sign for “%(item)s” (%(place)s)."),
    Grant.May.RELEASE: gettext_lazy("Only %(names)s may release “%(item)s” (%(place)s). Ask them to release it."),
    Grant.May.EMERGENCY: gettext_lazy("Only %(names)s may release “%(item)s” without sign-off (%(place)s)."),
}  # fmt: skip


def rights_in(request: HttpRequest) -> Rights:
    """The rights of who is logged in, looked up once a request."""
    if not hasattr(request, "standard_rights"):
        request.standard_rights = rights_of(request.user)  # type: ignore[attr-defined, arg-type]
    found: Rights = request.standard_rights  # type: ignore[attr-defined]
    return found


def hidden_in(request: HttpRequest, *plans: Items) -> set[str]:
    """The items that the reader may not read in one of these plans."""
    return hidden_from(rights_in(request), *plans)


def sources_in(request: HttpRequest) -> QuerySet[Source]:
    """The sources that the reader may read, those that have ended too."""
    return among(Source.every.all(), rights_in(request))


def sources_offered_in(request: HttpRequest) -> QuerySet[Source]:
    """Those of them that one may choose for what is to come: of the draft, or live."""
    return sources_in(request).filter(Q(in_draft=True) | Q(pk__in=released("source")))


def released_in(request: HttpRequest, kind: str) -> list[Named]:
    """The released items of a kind that the reader may read, by code. No query for whom no grant limits."""
    found = sorted(released(kind).values(), key=lambda one: one.code)
    if not rights_in(request).limited:
        return found
    readable = _readable(request, kind)
    return [one for one in found if one.pk in readable]


def item_in(request: HttpRequest, kind: str, item: UUID) -> Named | None:
    """What an item is called, if it was ever there and the reader may read it."""
    found = named(kind, [item])[item]
    if not found.definition or (rights_in(request).limited and item not in _readable(request, kind)):
        return None
    return found


def source_in(request: HttpRequest, code: str) -> Named | None:
    """The source of a code, if the reader may read it."""
    found = by_code("source", storable(code)) if code else None
    return item_in(request, "source", found.pk) if found else None


def _readable(request: HttpRequest, kind: str) -> set[UUID]:
    """Ids of the rows that the reader may read, looked up once a request."""
    known: dict[str, set[UUID]] = request.__dict__.setdefault("readable_items", {})
    if kind not in known:
        known[kind] = set(among(MODELS[kind]._base_manager.all(), rights_in(request)).values_list("pk", flat=True))
    return known[kind]


def tags_in(request: HttpRequest) -> QuerySet[Tag]:
    """The tags of the draft that the reader may read."""
    return among(Tag.objects.all(), rights_in(request))


def of_sources_in[Row: Model](rows: QuerySet[Row], request: HttpRequest) -> QuerySet[Row]:
    """Those of rows with a source, or with none, that come from sources which the reader may read."""
    return rows.filter(Q(source__in=sources_in(request)) | Q(source=None)) if rights_in(request).limited else rows


def names_shown(names: Items, hidden: set[str]) -> Items:
    """The items that pages may call by name: those hidden are there, and nameless."""
    return names | {item: {"kind": "rule", "name": _("(not shown to you)")} for item in hidden} if hidden else names


def proposals_shown(proposals: QuerySet[Proposal], request: HttpRequest) -> QuerySet[Proposal]:
    """Those the reader wrote, or of which they may read something."""
    return readable_proposals(proposals, rights_in(request))


def said_outside(error: OutsideGrant) -> str:
    told = {"names": ", ".join(error.names), "item": error.item, "place": error.place}
    if not error.item:
        return _("Some of it is kept for %(names)s. Ask them, or leave that out.") % told
    return str(_SENTENCES[Grant.May(error.act)]) % told
