"""Whom a change of the plan concerns, and why. Computed from the plan before and after it; never chosen. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from taxonomy.verdict import Items, Verdict

Change = Literal["any", "breaking", "personal"]
# Departments by their duty rather than their name.
STEWARD, COMPLIANCE = "duty:steward", "duty:compliance"


@dataclass(slots=True)
class Concern:
    """Why a department is concerned: {kind of change: its items}."""

    changes: dict[Change, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def items(self) -> set[str]:
        return set().union(*self.changes.values())


def concerns(before: Items, after: Items, changed: Iterable[str], verdict: Verdict) -> dict[str, Concern]:
    """{department's code or duty: its concern} of going from one set of definitions to another."""
    found: dict[str, Concern] = defaultdict(Concern)
    sides = (Owners(before), Owners(after))
    personal = _personal(before, after)
    for item in changed:
        owners = set().union(*(side.of(item) for side in sides))
        for owner in owners or {STEWARD}:
            found[owner].changes["any"].add(item)
            if verdict.breaks(item):
                found[owner].changes["breaking"].add(item)
            if item in personal:
                found[owner].changes["personal"].add(item)
        if verdict.breaks(item):
            found[STEWARD].changes["breaking"].add(item)
        if item in personal:
            found[COMPLIANCE].changes["personal"].add(item)
    return dict(found)


class Owners:
    """Which departments answer for an item of a plan, or use it."""

    def __init__(self, items: Items) -> None:
        self.items = items
        self.tags_of: dict[str, list[str]] = defaultdict(list)
        self.sources_of: dict[str, set[str]] = defaultdict(set)
        for item, one in items.items():
            if one["kind"] == "tag":
                for use in one.get("attributes") or []:
                    self.tags_of[use["attribute"]].append(item)
            elif one["kind"] == "rule":
                self.sources_of[one["tag"]].add(one["source"])

    def of(self, item: str) -> set[str]:
        one = self.items.get(item)
        if one is None:
            return set()
        match one["kind"]:
            case "tag":
                owners = {one.get("owner"), *(self._owner(source) for source in self.sources_of[item])}
            case "attribute":
                owners = {self._owner(tag) for tag in self.tags_of[item]}
            case "source":
                owners = {one.get("owner")}
            case "rule":
                owners = {self._owner(one["source"]), self._owner(one["tag"])}
            case _:
                owners = set()
        return {owner for owner in owners if owner}

    def _owner(self, item: str) -> str | None:
        return self.items.get(item, {}).get("owner")


def _personal(before: Items, after: Items) -> set[str]:
    """Items that change an attribute's class of personal data, or let a personal attribute come from a new source."""
    found = set()
    for item in before | after:
        if (after.get(item) or before[item])["kind"] == "attribute":
            classes = [plan.get(item, {}).get("personal", "none") for plan in (before, after)]
            if classes[0] != classes[1]:
                found.add(item)
    was, now = _reached(before), _reached(after)
    for pair, ways in now.items():
        if pair not in was:
            found |= {item for item in ways if before.get(item) != after.get(item)}
    return found


def _reached(items: Items) -> dict[tuple[str, str], set[str]]:
    """{(personal attribute, source that may send it): the rules and tags that let it}."""
    personal = {item for item, one in items.items() if one["kind"] == "attribute" and one.get("personal", "none") != "none"}
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item, rule in items.items():
        if rule["kind"] != "rule" or rule["tag"] not in items:
            continue
        filled = {row["target"] for row in rule.get("rows") or []}
        for use in items[rule["tag"]].get("attributes") or []:
            attribute = use["attribute"]
            if attribute in personal and (rule.get("keep_unmapped", True) or items[attribute]["code"] in filled):
                found[attribute, rule["source"]] |= {item, rule["tag"]}
    return found
