"""What releases did to an item and its rules, and what became of a code that is no more."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import zstandard

from taxonomy.definition import Definition, Items
from taxonomy.diff import Line, diff, title
from taxonomy.models import Release, Revision

SHOWN, SHOWN_AT_MOST = 5, 50
_RULES_TOLD = 30
_raw_items = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Entry:
    """One release that changed the item or its rules. `after` is None where it took the item away, `before` where it brought it.

    `rules` are the first few of those that it changed, `more` whether there are others.
    """

    release: Release
    before: Definition | None
    after: Definition | None
    lines: list[Line]
    rules: list["RuleEntry"]
    more: bool = False


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """What a release did to a rule: "new", "gone" or "changed"."""

    title: str
    action: str
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Former:
    """An item that once had a code. `now`: its definition today, None: it was removed."""

    item: str
    now: Definition | None


def history(item: str, shown: Callable[[Items], Items], *, rules: Collection[str] = (), limit: int = SHOWN) -> tuple[list[Entry], bool]:
    """(the releases that changed an item or one of its rules, newest first; whether there are earlier ones). Two queries.

    `shown`: of the items that its definitions refer to, how they may be called, with those that have a name now. `rules`: those
    that are, or were, the item's.

    A release is a few MB of JSON: of it only what it changed of these is read, which takes some milliseconds each.
    """
    found = Release.objects.filter(changed_items__has_any_keys=[item, *rules]).defer("snapshot").select_related("published_by")
    releases = list(found[: limit + 1])
    changed = [[one for one in release.changed_items if one in rules] for release in releases]
    wanted = {release.pk: {item, *here, *newer} for release, here, newer in zip(releases, changed, [[], *changed[:-1]], strict=True)}
    definitions = _definitions_in(wanted)
    entries = []
    for release, older, here in zip(releases, [*releases[1:], None], changed, strict=True):
        now, then = definitions[release.pk], definitions[older.pk] if older else {}
        names = shown({name: one for side in (then, now) for _one, referred in side.values() for name, one in referred.items()})
        (before, _then), (after, _now) = then.get(item, _NOTHING), now[item]
        told = (_told(rule, item, then.get(rule, _NOTHING)[0], now[rule][0], names) for rule in here)
        of_rules = list(islice(filter(None, told), _RULES_TOLD + 1))
        if before != after or of_rules:
            lines = diff(before, after, names) if before else []
            entries.append(Entry(release, before, after, lines, of_rules[:_RULES_TOLD], len(of_rules) > _RULES_TOLD))
    return entries[:limit], len(releases) > limit


def rules_gone(kind: str, item: str) -> set[str]:
    """The rules of a source, or to a tag, that were deleted from the draft."""
    deleted = Revision.objects.filter(kind="rule", action=Revision.Action.DELETED, **{f"definition__{kind}": item})
    return {str(one) for one in deleted.values_list("item", flat=True)}


def _told(rule: str, item: str, before: Definition | None, after: Definition | None, names: Items) -> RuleEntry | None:
    """None for a rule that was not the item's then, or is not shown to the reader."""
    one = after or before
    sides = [{side["source"], side["tag"]} for side in (before, after) if side]
    if one is None or not any(item in side for side in sides) or "source" not in names.get(rule, {}):
        return None
    action = "new" if before is None else "gone" if after is None else "changed"
    return RuleEntry(title(one, names), action, diff(before, after, names) if action == "changed" else [])


def former(kind: str, code: str, items: Items, hidden: Collection[str] = ()) -> Former | None:
    """The item that had this code in a release; None where none had. Only for codes not found: it reads the history.

    `hidden`: items that are there and that the reader may not read.
    """
    saved = Revision.objects.filter(kind=kind, definition__code__iexact=code).order_by("-id").values_list("item", flat=True)
    for item in dict.fromkeys(str(one) for one in saved[:100]):
        if item in hidden:
            continue
        if item in items:
            return Former(item, items[item])
        if Release.objects.filter(changed_items__contains=[item]).exists():
            return Former(item, None)
    return None


# an item's definition in a release, and those of what it refers to, itself with them
_Stood = tuple[Definition | None, Items]
_NOTHING: _Stood = (None, {})
_KEPT = 5_000
_kept: dict[tuple[int, str], _Stood] = {}


def _definitions_in(wanted: dict[int, set[str]]) -> dict[int, dict[str, _Stood]]:
    """{release: {item: how it stood}}, of the items wanted of each. One query for those not known yet."""
    found = {pk: {item: known for item in items if (known := _kept.get((pk, item))) is not None} for pk, items in wanted.items()}
    missing = [pk for pk, items in wanted.items() if items - found[pk].keys()]
    for pk, snapshot in Release.objects.filter(pk__in=missing).values_list("pk", "snapshot") if missing else ():
        raw = _raw_items.decode(zstandard.ZstdDecompressor().decompress(bytes(snapshot)))
        for item in wanted[pk] - found[pk].keys():
            referred = _referred(item, raw)
            found[pk][item] = _kept[pk, item] = (referred.get(item), referred)
        while len(_kept) > _KEPT:
            _kept.pop(next(iter(_kept)), None)
    return found


def _referred(item: str, raw: dict[str, msgspec.Raw]) -> Items:
    """The item, what it refers to, and where that stands: by what is above it one may read it or not."""
    found: Items = {}
    left = [item]
    while left:
        name = left.pop()
        if name in raw and name not in found:
            one = found[name] = msgspec.json.decode(raw[name])
            left += _texts(one) if name == item else filter(None, (one.get("category"), one.get("parent")))
    return found


def _texts(value: Any) -> Iterator[str]:
    """Every text in a definition: some of them are uuids of what it refers to."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
