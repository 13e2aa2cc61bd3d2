"""Changes of items as pages show them."""

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest
from django.urls import reverse

from taxonomy.definition import MODELS, Items
from taxonomy.diff import diff, title
from taxonomy.history import with_places
from taxonomy.models import ProposalItem, Revision
from taxonomy.proposals.affected import Senders, effects_by_source
from taxonomy.proposals.verdict import Effect, Verdict
from taxonomy.proposals.verdict_words import effect_text, level_shown
from taxonomy.publish import ItemChange
from taxonomy.request_rights import names_shown, rights_in
from taxonomy.rights import May, On

PAGE = 50
DELETED_SHOWN = 30


def page_of(changes: Iterable[ItemChange], names: Items, number: Any, holding: str = "") -> Page:
    """Changes by kind and name, rules by source and name as sent, a page of them: few enough to draw at once, however large the release.

    Without a number it is the page that holds an item, else the first.
    """
    order = list(MODELS)

    def place(change: ItemChange) -> tuple[int, str, str]:
        one = change.after or change.before or {}
        if change.kind == "rule":
            return order.index("rule"), names.get(one.get("source", ""), {}).get("code", ""), one.get("name", "")
        return order.index(change.kind), title(one, names), ""

    ordered = sorted(changes, key=place)
    if not number:
        number = next((at for at, change in enumerate(ordered) if change.item == holding), 0) // PAGE + 1
    return Paginator(ordered, PAGE).get_page(number)


def shown_changes(changes: Iterable[ItemChange], names: Items, verdict: Verdict, **about: dict[str, Any]) -> list[dict[str, Any]]:
    """By kind: [{"kind", "label", "changes": [{"item", "title", "action", "lines", "level", "level_label", "effects", ...}]}].

    `about` gives each change more, by item: last={item: revision} becomes change["last"].
    """
    by_kind: dict[str, list[dict[str, Any]]] = {kind: [] for kind in MODELS}
    for change in changes:
        row = {
            "item": change.item,
            "kind": change.kind,
            "title": title(change.after or change.before or {}, names),
            "action": "new" if change.before is None else "gone" if change.after is None else "changed",
            "lines": diff(change.before, change.after, names),
            **level_shown(verdict.of(change.item), verdict.of_later(change.item)),
            "effects": [effect_text(effect, names) for effect in verdict.by_item.get(change.item, []) if effect.level != "wording"],
        }
        by_kind[change.kind].append(row | {name: values.get(change.item) for name, values in about.items()})
    return [{"kind": kind, "label": MODELS[kind]._meta.verbose_name_plural, "changes": rows} for kind, rows in by_kind.items() if rows]


def shown_effects(
    verdict: Verdict, before: Items, after: Items, senders: Senders, *, hidden: Collection[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """By what it asks of sources, {"must", "rest"}: [{"source", "title", "anchor", "count", "effects": [{"level", "where", "text"}]}].

    What breaks at once comes before what breaks later. `anchor` is the source, at the first place where it stands.
    """
    names = names_shown(before | after, set(hidden))
    told = cache(lambda at: _effect_shown(verdict.effects[at], names))
    places = {id(effect): at for at, effect in enumerate(verdict.effects)}
    found: dict[str, list[dict[str, Any]]] = {"must": [], "rest": []}
    for source, effects in effects_by_source(verdict, before, after, senders).items():
        if source not in names:  # a rule of a source that does not come along: the checks say so
            continue
        readable = [one for one in effects if one.item not in hidden] if source not in hidden else []
        must = sorted((one for one in readable if one.must_change), key=lambda one: one.level != "breaking")
        rest = [one for one in readable if not one.must_change]
        for name, some in (("must", must), ("rest", rest)):
            if some:
                row = {"source": source, "title": title(names[source], names), "anchor": "" if name == "rest" and must else source}
                found[name].append(row | {"count": len(some), "effects": [told(places[id(one)]) for one in some[:PAGE]]})
    return found


def _effect_shown(effect: Effect, names: Items) -> dict[str, str]:
    return {**level_shown(effect.level, effect.breaks_from), "where": title(names[effect.item], names), "text": effect_text(effect, names)}


def histories(request: HttpRequest, changes: Iterable[ItemChange]) -> dict[str, str]:
    """{item: the address of its history}, of those the reader may open."""
    return {one.item: address for one in changes if (address := _history(request, one.kind, one.item))}


def edit_forms(request: HttpRequest, changes: Iterable[ItemChange]) -> dict[str, str]:
    """{item: the address of its form}, of those in the draft whose form the reader's role opens for a change."""
    names = {one.item: MODELS[one.kind]._meta.model_name for one in changes if one.after is not None}
    return {
        item: reverse(f"admin:taxonomy_{name}_change", args=[item])
        for item, name in names.items()
        if request.user.has_perm(f"taxonomy.change_{name}")
    }


def deleted_lately(request: HttpRequest, released: Items, draft: Items, names: Items) -> list[dict[str, Any]]:
    """What was deleted and stands neither in the draft nor in the release, newest first: [{"title", "label", "last", "history"}].

    `names`: what the reader may know of both.
    """
    there = released.keys() | draft.keys()
    deleted = Revision.objects.filter(action=Revision.Action.DELETED).exclude(definition=None).order_by("-id").values_list("id", "item")
    newest: dict[str, int] = {}
    for revision, item in deleted.iterator(chunk_size=500):
        if str(item) not in there:
            newest.setdefault(str(item), revision)
        if len(newest) == DELETED_SHOWN:
            break
    last = {str(one.item): one for one in Revision.objects.filter(pk__in=newest.values()).order_by("-id").select_related("by")}
    gone = with_places({item: one.definition or {} for item, one in last.items()}, released, draft)
    readable = On(rights_in(request), released | draft | gone)
    return [
        {
            "title": title(one.definition or {}, names),
            "label": MODELS[one.kind]._meta.verbose_name,
            "last": one,
            "history": address,
        }
        for item, one in last.items()
        if readable.may(May.READ, item) and (address := _history(request, one.kind, item))
    ]


def deleted_of(
    request: HttpRequest, rows: Iterable[ProposalItem], last: Items, names: Items, comments: dict[str, list[Any]]
) -> list[dict[str, Any]]:
    """What a proposal holds that stands on neither side of it: [{"item", "label", "title", "history", "comments"}]. `last`: its states in the history."""
    return [
        {
            "item": item,
            "label": MODELS[row.kind]._meta.verbose_name,
            "title": title(last[item], names) if item in last else "–",
            "history": _history(request, row.kind, item) if item in last else None,
            "comments": comments.get(item, []),
        }
        for row in rows
        for item in [str(row.item)]
    ]


def _history(request: HttpRequest, kind: str, item: str) -> str | None:
    name = MODELS[kind]._meta.model_name
    return reverse(f"admin:taxonomy_{name}_history", args=[item]) if request.user.has_perm(f"taxonomy.view_{name}") else None
