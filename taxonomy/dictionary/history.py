"""What releases did to an item, and what became of a code that is no more."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import zstandard

from taxonomy.definition import Definition, Items
from taxonomy.diff import Line, diff
from taxonomy.models import Release, Revision

SHOWN, SHOWN_AT_MOST = 5, 50
_raw_items = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Entry:
    """One release that changed the item. `after` is None where it took the item away, `before` where it brought it."""

    release: Release
    before: Definition | None
    after: Definition | None
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Former:
    """An item that once had a code. `now`: its definition today, None: it was removed."""

    item: str
    now: Definition | None


def history(item: str, shown: Callable[[Items], Items], *, limit: int = SHOWN) -> tuple[list[Entry], bool]:
    """(the releases that changed an item, newest first; whether there are earlier ones). Two queries.

    `shown`: of the items that its definitions refer to, how they may be called, with those that have a name now.

    A release is a few MB of JSON: of it only this item is read, which takes some milliseconds each.
    """
    found = Release.objects.filter(changed_items__contains=[item]).defer("snapshot").select_related("published_by")
    releases = list(found[: limit + 1])
    definitions = _definitions_in([release.pk for release in releases], item)
    entries = []
    for release, older in zip(releases, [*releases[1:], None], strict=True):
        after, referred = definitions[release.pk]
        before, referred_before = definitions[older.pk] if older else (None, {})
        entries.append(Entry(release, before, after, diff(before, after, shown(referred_before | referred)) if before else []))
    return entries[:limit], len(releases) > limit


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


def _definitions_in(release_ids: list[int], item: str) -> dict[int, tuple[Definition | None, Items]]:
    """{release: (the item's definition in it, the definitions it refers to)}. One query for those not known yet."""
    found = {pk: known for pk in release_ids if (known := _kept.get((pk, item))) is not None}
    missing = [pk for pk in release_ids if pk not in found]
    for pk, snapshot in Release.objects.filter(pk__in=missing).values_list("pk", "snapshot") if missing else ():
        raw = _raw_items.decode(zstandard.ZstdDecompressor().decompress(bytes(snapshot)))
        one = msgspec.json.decode(raw[item]) if item in raw else None
        found[pk] = _kept[pk, item] = (one, {name: msgspec.json.decode(raw[name]) for name in _texts(one) if name in raw})
        while len(_kept) > _KEPT:
            _kept.pop(next(iter(_kept)), None)
    return found


_KEPT = 5_000
_kept: dict[tuple[int, str], tuple[Definition | None, Items]] = {}


def _texts(value: Any) -> Iterator[str]:
    """Every text in a definition: some of them are uuids of what it refers to."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
