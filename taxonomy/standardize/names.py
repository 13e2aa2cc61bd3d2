"""Refinements, both ways: `product_view_SKU123` is `product_view` with product_id = SKU123."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Refinement(NamedTuple):
    """A pattern of one tag, its {tag} filled in: what stands before and after the one attribute's value."""

    prefix: str
    attribute: str
    suffix: str

    def name_for(self, value: str) -> str:
        return f"{self.prefix}{value}{self.suffix}"


class RefinedName(NamedTuple):
    tag: str
    attribute: str
    value: str


def parse_refinement(tag_code: str, pattern: str) -> Refinement | None:
    """None unless the pattern names exactly one attribute and says something besides."""
    filled = pattern.replace("{tag}", tag_code)
    found = _PLACEHOLDER.findall(filled)
    if len(found) != 1 or not found[0] or filled.count("{") != 1 or filled.count("}") != 1:
        return None
    prefix, suffix = filled.split("{" + found[0] + "}")
    return Refinement(prefix, found[0], suffix) if prefix or suffix else None


class RefinementIndex:
    """Finds the refinement with the longest literal that a name is made by. A few dictionary look-ups per name."""

    def __init__(self, refinements: Iterable[tuple[str, Refinement]]) -> None:
        """Take (tag uuid, refinement) pairs."""
        self._by_prefix: dict[str, list[tuple[Refinement, str]]] = {}
        for tag, refinement in refinements:
            self._by_prefix.setdefault(refinement.prefix.lower(), []).append((refinement, tag))
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)

    def find(self, name: str) -> RefinedName | None:
        """Compare literals whatever the case, as tags' codes are; the value keeps its case."""
        candidates = self.candidates(name)
        return max(candidates)[1] if candidates else None

    def candidates(self, name: str) -> list[tuple[int, RefinedName]]:
        """Every refinement the name could be made by: [(length of its literal, what it reads)]."""
        lowered = name.lower()
        if len(lowered) != len(name):
            lowered = name
        return [
            (
                len(refinement.prefix) + len(refinement.suffix),
                RefinedName(tag, refinement.attribute, name[length : len(name) - len(refinement.suffix)]),
            )
            for length in self._lengths
            if length < len(name)
            for refinement, tag in self._by_prefix.get(lowered[:length], ())
            if len(name) > length + len(refinement.suffix) and lowered.endswith(refinement.suffix.lower())
        ]
