"""How far the reader of a page may see and change the standard: taxonomy/rights.py, for one request."""

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from taxonomy.definition import Items
from taxonomy.models import Grant, Proposal, Source, Tag
from taxonomy.rights import OutsideGrant, Rights, among, hidden_from, readable_proposals, rights_of

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
    """The sources that the reader may read."""
    return among(Source.objects.all(), rights_in(request))


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
