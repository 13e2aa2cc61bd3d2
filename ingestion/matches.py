"""What in the standard an unknown name may mean: the nearest tags or attributes, each with the reason."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from taxonomy.definition import Items, definitions
from taxonomy.models import Attribute, Tag

_LEAST_ALIKE = 0.62


@dataclass(frozen=True, slots=True)
class Match:
    """`reason` says what is alike: "code", "synonym", "label" or "spelling". `score`: 1 is the same."""

    item: Any
    score: float
    reason: str


def matching_tags(text: str, limit: int = 3) -> list[Match]:
    """Tags of the draft that the name may mean, best first."""
    return _matching(text, Tag.objects.exclude(status=Tag.Status.DEPRECATED), limit)


def matching_attributes(text: str, limit: int = 3) -> list[Match]:
    """Attributes of the library that the name may mean, best first."""
    return _matching(text, Attribute.objects.all(), limit)


def _matching(text: str, rows: Iterable[Any], limit: int) -> list[Match]:
    by_id = {str(row.pk): row for row in rows}
    return [
        Match(by_id[item], score, reason)
        for item, score, reason in similar(text, definitions(list(by_id.values())), limit)
        if item in by_id
    ]


def similar(text: str, items: Items, limit: int) -> list[tuple[str, float, str]]:
    """[(item, score, reason)] of the definitions most like a name, best first."""
    wanted = _plain(text)
    found = []
    for item, one in items.items():
        best = max(((_alike(wanted, _plain(name)), reason) for name, reason in _names(one)), key=lambda pair: pair[0])
        if best[0] == 1 or best[0] >= _LEAST_ALIKE:
            found.append((item, round(best[0], 2), best[1] if best[0] == 1 else "spelling"))
    return sorted(found, key=lambda one: (-one[1], items[one[0]]["code"]))[:limit]


def _names(one: dict[str, Any]) -> list[tuple[str, str]]:
    synonyms = [(name, "synonym") for name in one.get("synonyms") or []]
    return [(one["code"], "code"), *synonyms, (one["label_en"], "label"), (one["label_zh_hans"], "label")]


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def _alike(one: str, other: str) -> float:
    if not one or not other:
        return 0.0
    if one == other:
        return 1.0
    ratio = SequenceMatcher(None, one, other).ratio()
    within = (
        0.8 * min(len(one), len(other)) / max(len(one), len(other)) + 0.2
        if min(len(one), len(other)) >= 4 and (one in other or other in one)
        else 0
    )
    return min(0.99, max(ratio, within))
