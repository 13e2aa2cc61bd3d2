"""What in the standard an unknown name may mean: the nearest tags or attributes, each with the reason."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from taxonomy.definition import Definition, Items, definitions
from taxonomy.models import Attribute, MappingRule, Tag

_LEAST_ALIKE = 0.62


@dataclass(frozen=True, slots=True)
class Match:
    """`reason` says what is alike: "code", "synonym", "label", "spelling" or "rule". `score`: 1 is the same."""

    item: Any
    score: float
    reason: str


def matching_tags(text: str, limit: int = 3) -> list[Match]:
    """Tags of the draft that the name may mean, best first; by their own names, or by what rules of any source map to them."""
    tags = {str(tag.pk): tag for tag in Tag.objects.exclude(status=Tag.Status.DEPRECATED)}
    rules = definitions(list(MappingRule.objects.filter(match=MappingRule.Match.EXACT, tag__in=list(tags.values()))))
    found: dict[str, Match] = {}
    for item, score, reason in similar(text, definitions(list(tags.values())) | rules, limit * 5):
        tag = rules[item]["tag"] if item in rules else item
        found.setdefault(tag, Match(tags[tag], score, reason))
    return list(found.values())[:limit]


def matching_attributes(text: str, limit: int = 3) -> list[Match]:
    """Attributes of the library that the name may mean, best first."""
    rows = {str(row.pk): row for row in Attribute.objects.all()}
    return [Match(rows[item], score, reason) for item, score, reason in similar(text, definitions(list(rows.values())), limit)]


def similar(text: str, items: Items, limit: int) -> list[tuple[str, float, str]]:
    """[(item, score, reason)] of the definitions most like a name, best first."""
    wanted = _plain(text)
    found = []
    for item, one in items.items():
        score, reason = max(((_alike(wanted, _plain(name)), reason) for name, reason in _names(one)), key=lambda pair: pair[0])
        if score >= _LEAST_ALIKE:
            found.append((item, round(score, 2), reason if score == 1 or reason == "rule" else "spelling"))
    return sorted(found, key=lambda one: (-one[1], one[0]))[:limit]


def _names(one: Definition) -> list[tuple[str, str]]:
    if one["kind"] == "rule":
        return [(one["name"], "rule")]
    synonyms = [(name, "synonym") for name in one.get("synonyms") or []]
    return [(one["code"], "code"), *synonyms, (one["label_en"], "label"), (one["label_zh_hans"], "label")]


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def _alike(one: str, other: str) -> float:
    """1 for the same; what is nowhere near is left out by the cheap bounds of the ratio first."""
    if not one or not other:
        return 0.0
    if one == other:
        return 1.0
    shorter, longer = sorted((one, other), key=len)
    within = 0.2 + 0.8 * len(shorter) / len(longer) if len(shorter) >= 4 and shorter in longer else 0.0
    matcher = SequenceMatcher(None, other, one)
    if matcher.real_quick_ratio() < _LEAST_ALIKE or matcher.quick_ratio() < _LEAST_ALIKE:
        return min(0.99, within)
    return min(0.99, max(matcher.ratio(), within))
