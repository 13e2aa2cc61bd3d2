"""The pages of the dictionary, for everyone who may see the standard."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from staff.models import Department, User
from taxonomy.admin.shown import page_of, shown_changes
from taxonomy.definition import Items
from taxonomy.dictionary.history import SHOWN, SHOWN_AT_MOST, former, history, rules_gone
from taxonomy.dictionary.search import search
from taxonomy.dictionary.seen import News, count_news, mark_seen, news
from taxonomy.dictionary.sheets import attribute_sheet, named, rule_sheets, source_sheet, tag_sheet, tree
from taxonomy.dictionary.standard import Standard, standard
from taxonomy.dictionary.words import description, label
from taxonomy.history import with_places
from taxonomy.models import Attribute, Category, Release, Source, Tag
from taxonomy.proposals.tell import follow, is_following
from taxonomy.proposals.verdict import judge
from taxonomy.publish import ItemChange, company_day
from taxonomy.recent import tag_use
from taxonomy.request_rights import hidden_in, names_shown, rights_in
from taxonomy.similar.names import similar

_MODELS: dict[str, Any] = {"tag": Tag, "attribute": Attribute, "source": Source, "category": Category}
_RULES_A_PAGE = 100
_USES_SHOWN = 300
# More tags than these are folded under their categories.
_UNFOLDED = 120
# More tags than these make a book: it is offered by category first. 2,000 take 5 s.
_ON_ONE_PAGE = 400

View = Callable[..., HttpResponse]


def for_readers(view: View) -> View:
    """Whoever is logged in and may see tags; others are asked to log in, or told that they may not."""
    return login_required(permission_required("taxonomy.view_tag", raise_exception=True)(view), login_url="admin:login")


@for_readers
@require_safe
def start(request: HttpRequest) -> HttpResponse:
    known = _readable(request)
    if known is None:
        return _page(request, "start", None, title=_("Dictionary"))
    if "print" in request.GET:
        return _whole(request, known)
    return _page(request, "start", known, **_start(request, known))


@for_readers
@require_POST
def search_view(request: HttpRequest) -> HttpResponse:
    """What is found: a fragment while somebody types, else the start page with it. Posted: what people type stands in no log."""
    known = _standard(request)
    text = request.POST.get("q", "")
    found: dict[str, Any] = {"hits": search(text, known), "asked": text}
    if request.headers.get("X-Fragment"):
        return TemplateResponse(request, "dictionary/_hits.html", found)
    return _page(request, "start", known, **_start(request, known), **found)


@for_readers
@require_safe
def tag(request: HttpRequest, code: str) -> HttpResponse:
    return _item_page(request, "tag", code, lambda item, known: _tag_page(request, item, known))


@for_readers
@require_safe
def attribute(request: HttpRequest, code: str) -> HttpResponse:
    return _item_page(request, "attribute", code, lambda item, known: _attribute_page(request, item, known))


@for_readers
@require_safe
def source(request: HttpRequest, code: str) -> HttpResponse:
    return _item_page(request, "source", code, lambda item, known: _source_page(request, item, known))


@for_readers
def changes(request: HttpRequest) -> HttpResponse:
    """What changed since this person looked; posted, that they have read it."""
    known, person = _standard(request), _person(request)
    if request.method == "POST":
        seen = request.POST.get("release", "")
        if seen.isdecimal() and int(seen) <= known.release.pk:
            mark_seen(person, int(seen))
        messages.success(request, _("Noted. You are shown what changes from now on."))
        return HttpResponseRedirect(reverse("dictionary"))
    found, hidden = _news(request, known)
    names = names_shown(found.before | known.plan.items, hidden) if found else known.plan.items
    told = page_of(found.changes if found else [], names, request.GET.get("page"))
    groups: list[dict[str, Any]] = []
    if found is not None:
        links = {change.item: _link(change, known) for change in told}
        groups = shown_changes(told, names, judge(found.before, known.plan.items, on=company_day()), link=links)
    return _page(request, "changes", known, title=_("What changed"), news=found, groups=groups, page=told)


@for_readers
@require_POST
def follow_view(request: HttpRequest, kind: str, code: str) -> HttpResponse:
    known = _standard(request)
    item = known.find(kind, code)
    if item is None:
        raise Http404
    yes = request.POST.get("follow") == "yes"
    follow(_person(request), item, yes=yes)
    messages.success(request, _("You are told when a release changes it.") if yes else _("You are not told of it any more."))
    return HttpResponseRedirect(reverse(f"dictionary_{kind}", args=[known.items[item]["code"]]))


def _item_page(request: HttpRequest, kind: str, code: str, page: Callable[[str, Standard], HttpResponse]) -> HttpResponse:
    """The page of what has this code now; else what became of what had it; else what is named alike."""
    known = _standard(request)
    item = known.find(kind, code)
    if item is not None:
        standing = known.items[item]["code"]
        return page(item, known) if standing == code else HttpResponseRedirect(reverse(f"dictionary_{kind}", args=[standing]))
    hidden = known.plan.items.keys() - known.items.keys()
    if any(known.plan.items[one].get("code", "").lower() == code.lower() for one in hidden if known.plan.items[one]["kind"] == kind):
        raise Http404  # it is there, and not for this reader
    was = former(kind, code, known.items, hidden)
    if was is not None and was.now is not None:
        messages.info(request, _("“%(old)s” is called “%(new)s” now.") % {"old": code, "new": was.now["code"]})
        return HttpResponseRedirect(reverse(f"dictionary_{kind}", args=[was.now["code"]]))
    if was is not None:
        return _gone_page(request, kind, code, was.item, known)
    alike = [named(match.item, known.items[match.item]) for match in similar(code, known.index, 5, kinds=(kind,), least=0.3)]
    return _page(request, "unknown", known, status=404, title=_("Not in the standard"), code=code[:120], kind=kind, alike=alike)


def _gone_page(request: HttpRequest, kind: str, code: str, item: str, known: Standard) -> HttpResponse:
    entries, _earlier = history(item, _named(request, known), rules=rules_gone(kind, item), limit=SHOWN_AT_MOST)
    removal = next((entry for entry in entries if entry.after is None), None)
    last = (removal and removal.before) or {}
    if last and item in hidden_in(request, known.plan.items | with_places({item: last}, known.plan.items)):
        raise Http404
    successor = last.get("successor")
    return _page(
        request, "gone", known, status=410, title=label(last) if last else code, code=code,
        label=label(last) if last else "", description=description(last) if last else "", removal=removal and removal.release,
        successor=named(successor, known.items[successor]) if successor in known.items else None,
        entries=entries,
    )  # fmt: skip


def _tag_page(request: HttpRequest, item: str, known: Standard) -> HttpResponse:
    sheet = tag_sheet(item, known, _departments())
    return _page(request, "tag", known, title=sheet["label"], sheet=sheet, senders=_senders(item, known), **_about(request, "tag", item, known))  # fmt: skip


def _attribute_page(request: HttpRequest, item: str, known: Standard) -> HttpResponse:
    sheet = attribute_sheet(item, known)
    shown, rest = sheet["tags"][:_USES_SHOWN], max(0, len(sheet["tags"]) - _USES_SHOWN)
    return _page(request, "attribute", known, title=sheet["label"], sheet=sheet, shown=shown, rest=rest, **_about(request, "attribute", item, known))  # fmt: skip


def _source_page(request: HttpRequest, item: str, known: Standard) -> HttpResponse:
    sheet = source_sheet(item, known, _departments())
    page = Paginator(sheet["rules"], _RULES_A_PAGE).get_page(request.GET.get("page"))
    rules = rule_sheets(list(page), known)
    return _page(request, "source", known, title=sheet["label"], sheet=sheet, page=page, rules=rules, **_about(request, "source", item, known))  # fmt: skip


def _start(request: HttpRequest, known: Standard) -> dict[str, Any]:
    return {
        "title": _("Dictionary"),
        "tree": _tree(known),
        "tag_count": len(known.plan.tags),
        "news_count": _count_news(request, known),
    }


def _tree(known: Standard) -> str:
    """Drawn once a release and language: with 2,000 tags it takes ten times as long as the rest of the page."""
    language = get_language() or ""
    if language not in known.drawn:
        named_all = {kind: [named(item, known.items[item]) for item in known.of_kind(kind)] for kind in ("attribute", "source")}
        unfolded = len(known.plan.tags) <= _UNFOLDED
        context = {"categories": tree(known), "attributes": named_all["attribute"], "sources": named_all["source"], "unfolded": unfolded}
        known.drawn[language] = render_to_string("dictionary/_tree.html", context)
    return known.drawn[language]


def _whole(request: HttpRequest, known: Standard) -> HttpResponse:
    """The whole dictionary, or one category of it, on one page to print."""
    only = request.GET.get("category", "")
    if not only and len(known.plan.tags) > _ON_ONE_PAGE and "all" not in request.GET:
        return _page(request, "print_which", known, title=_("Print the dictionary"), categories=tree(known), tag_count=len(known.plan.tags))
    departments = _departments()
    categories = [one for top in tree(known) for one in (top, *top["below"]) if one["tags"] and only in ("", top["code"], one["code"])]
    for category in categories:
        tags = [known.by_code["tag", one["code"].lower()] for one in category["tags"]]
        category["sheets"] = [tag_sheet(item, known, departments, with_examples=False) for item in tags]
    attributes = [] if only else [attribute_sheet(item, known) for item in known.of_kind("attribute")]
    sources = [] if only else [source_sheet(item, known, departments) | {"told": rule_sheets(known.rules_of[item], known)} for item in known.of_kind("source")]  # fmt: skip
    return _page(request, "print", known, title=_("Dictionary"), categories=categories, attributes=attributes, sources=sources)


def _about(request: HttpRequest, kind: str, item: str, known: Standard) -> dict[str, Any]:
    """What every item's page has: its history, whether it is followed, where to edit it."""
    is_long = "history" in request.GET
    rules = {*known.rules_of.get(item, ()), *known.rules_to.get(item, ())} | (
        rules_gone(kind, item) if kind in ("source", "tag") else set()
    )
    entries, earlier = history(item, _named(request, known), rules=rules, limit=SHOWN_AT_MOST if is_long else SHOWN)
    model = _MODELS[kind]
    may_edit = request.user.has_perm(f"taxonomy.change_{kind}") and model.objects.filter(pk=item).exists()
    return {
        "kind": kind,
        "entries": entries,
        "earlier": earlier and not is_long,
        "following": is_following(_person(request), item),
        "edit_link": reverse(f"admin:taxonomy_{kind}_change", args=[item]) if may_edit else "",
    }


def _named(request: HttpRequest, known: Standard) -> Callable[[Items], Items]:
    """How a page may call items that are gone, or were called otherwise, and those that are there."""
    return lambda referred: names_shown(referred | known.items, hidden_in(request, referred, known.plan.items))


def _news(request: HttpRequest, known: Standard) -> tuple[News | None, set[str]]:
    """(what changed since the reader looked, as far as they may read it; the items that they may not)."""
    found = news(_person(request), known.release, known.plan.items)
    if found is None:
        return None, set()
    hidden = hidden_in(request, found.before, known.plan.items)
    return replace(found, changes=[change for change in found.changes if change.item not in hidden]), hidden


def _count_news(request: HttpRequest, known: Standard) -> int:
    if not rights_in(request).limited:
        return count_news(_person(request), known.release)
    found, _hidden = _news(request, known)
    return len(found.changes) if found else 0


def _senders(item: str, known: Standard) -> list[dict[str, Any]]:
    """Sources that ever sent the tag, the most events first: [{"source": named, "count", "last_day"}]."""
    uses = tag_use([UUID(item)]).get(UUID(item), {})
    found = sorted(((str(source), use) for source, use in uses.items()), key=lambda pair: (-pair[1].events, pair[0]))
    return [
        {"source": named(source, known.items[source]), "count": use.events, "last_day": use.last_day}
        for source, use in found
        if source in known.items
    ]


def _link(change: ItemChange, known: Standard) -> str:
    """Where the dictionary tells of a changed item: a rule's place is its source's page."""
    one = change.after or change.before or {}
    if one["kind"] == "rule":
        return reverse("dictionary_source", args=[known.items[one["source"]]["code"]]) if one["source"] in known.items else ""
    if one["kind"] == "category":
        return f"{reverse('dictionary')}#category-{one['code']}"
    return reverse(f"dictionary_{one['kind']}", args=[one["code"]])


def _readable(request: HttpRequest) -> Standard | None:
    """The standard as far as the reader may read it; None before the first release."""
    found = standard()
    hidden = hidden_in(request, found.items) if found else set()
    return found.without(hidden) if found and hidden else found


def _standard(request: HttpRequest) -> Standard:
    found = _readable(request)
    if found is None:
        raise Http404
    return found


def _departments() -> dict[str, str]:
    return {one.pk: one.label for one in Department.objects.all()}


def _person(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]


def _page(request: HttpRequest, name: str, known: Standard | None, *, status: int = 200, **context: Any) -> HttpResponse:
    release: Release | None = known.release if known else None
    shell = admin.site.each_context(request)
    # they may tell of what somebody may not read
    may_read_notes = not rights_in(request).limited
    return TemplateResponse(
        request, f"dictionary/{name}.html", {**shell, "release": release, "may_read_notes": may_read_notes, **context}, status=status
    )
