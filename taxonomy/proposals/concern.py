"""Whom a change of the plan concerns, and why. Computed from the plan before and after it; never chosen. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from taxonomy.personal_types import is_personal
from taxonomy.proposals.affected import Senders
from taxonomy.proposals.verdict import Definition, Items, Verdict

Change = Literal["any", "breaking", "personal"]
Reason = Literal["owns", "owned", "reads", "sends", "uses", "fills", "breaking", "personal", "unowned", "only"]
# Departments by their duty rather than their name.
STEWARD, COMPLIANCE = "duty:steward", "duty:compliance"


@dataclass(slots=True)
class Concern:
    """Why a department is concerned: {kind of change: its items}, and in what way: {reason: its items}."""

    changes: dict[Change, set[str]] = field(default_factory=lambda: defaultdict(set))
    reasons: dict[Reason, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def items(self) -> set[str]:
        return set().union(*self.changes.values())


def concerns(before: Items, after: Items, changed: Iterable[str], verdict: Verdict, senders: Senders) -> dict[str, Concern]:
    """{department's code or duty: its concern} of going from one set of definitions to another.

    What stands in neither concerns nobody.
    """
    found: dict[str, Concern] = defaultdict(Concern)
    sides = (Owners(before, senders), Owners(after, senders))
    personal = _personal(before, after)
    for item in changed:
        if item not in before and item not in after:
            continue
        for owner, reasons in (_owners_of(item, *sides) or {STEWARD: {"unowned"}}).items():
            found[owner].changes["any"].add(item)
            for reason in reasons:
                found[owner].reasons[reason].add(item)
            if verdict.breaks(item):
                found[owner].changes["breaking"].add(item)
            if item in personal:
                found[owner].changes["personal"].add(item)
        if verdict.breaks(item):
            found[STEWARD].changes["breaking"].add(item)
            found[STEWARD].reasons["breaking"].add(item)
        if item in personal:
            found[COMPLIANCE].changes["personal"].add(item)
            found[COMPLIANCE].reasons["personal"].add(item)
    return dict(found)


class Owners:
    """Which departments answer for an item of a plan, or use it."""

    def __init__(self, items: Items, senders: Senders) -> None:
        self.items = items
        self.senders = senders
        self.tags_of: dict[str, list[str]] = defaultdict(list)
        self.sources_of: dict[str, set[str]] = defaultdict(set, {tag: set(sources) for tag, sources in senders.items()})
        self.rules_to: dict[str, list[Definition]] = defaultdict(list)
        for item, one in items.items():
            if one["kind"] == "tag":
                for use in one.get("attributes") or []:
                    self.tags_of[use["attribute"]].append(item)
            elif one["kind"] == "rule":
                self.sources_of[one["tag"]].add(one["source"])
                self.rules_to[one["tag"]].append(one)

    def of(self, item: str) -> dict[str, set[Reason]]:
        """{department: why it answers for the item}."""
        one = self.items.get(item)
        if one is None:
            return {}
        ways: list[tuple[str | None, Reason]] = []
        match one["kind"]:
            case "tag":
                ways = [(one.get("owner"), "owns"), *((self._owner(source), "sends") for source in self.sources_of[item])]
            case "attribute":
                ways = [(self._owner(tag), "uses") for tag in self.tags_of[item]]
                ways += [(self._owner(source), "fills") for source in self._filling(item, one["code"])]
            case "source":
                ways = [(one.get("owner"), "owns")]
            case "rule":
                ways = [(self._owner(one["source"]), "owns"), (self._owner(one["tag"]), "reads")]
        found: dict[str, set[Reason]] = defaultdict(set)
        for owner, reason in ways:
            if owner:
                found[owner].add(reason)
        return dict(found)

    def _filling(self, attribute: str, code: str) -> set[str]:
        """The sources that send a tag with an attribute by its own name, or whose rules may fill it."""
        tags = self.tags_of[attribute]
        mapped = {rule["source"] for tag in tags for rule in self.rules_to[tag] if _may_fill(rule, code)}
        return mapped.union(*(self.senders.get(tag, ()) for tag in tags))

    def _owner(self, item: str) -> str | None:
        return self.items.get(item, {}).get("owner")


def _owners_of(item: str, before: Owners, after: Owners) -> dict[str, set[Reason]]:
    """Those of either side; who owns it no longer is told so."""
    now = after.of(item)
    found = {owner: set(reasons) for owner, reasons in now.items()}
    for owner, reasons in before.of(item).items():
        if owner not in now and item in after.items and "owns" in reasons:
            reasons = reasons - {"owns"} | {"owned"}
        found[owner] = found.get(owner, set()) | reasons
    return found


def _personal(before: Items, after: Items) -> set[str]:
    """Items that change an attribute's class of personal data, or let such data come from elsewhere: a new use, source or field."""
    found: set[str] = set()
    for item in before | after:
        old, new = before.get(item), after.get(item)
        if old == new:
            continue
        match (new or old or {})["kind"]:
            case "attribute":
                concerned = _class_of(old) != _class_of(new)
            case "tag":
                concerned = any(is_personal(after.get(one) or {}) for one in _used(item, after) - _used(item, before))
            case "rule":
                concerned = bool(_rows_of_persons(new) - _rows_of_persons(old))
            case "source":
                # a new one tells of persons in any case
                concerned = old is None or bool(_paths_of_persons(new) - _paths_of_persons(old))
            case _:
                concerned = False
        if concerned:
            found.add(item)
    was, now = _reached(before), _reached(after)
    for pair, ways in now.items():
        if pair not in was:
            found |= {item for item in ways if before.get(item) != after.get(item)}
    return found


def _reached(items: Items) -> dict[tuple[str, str], set[str]]:
    """{(personal attribute, source whose rules may fill it): the rules and tags that let them}."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    personal = {item for item, one in items.items() if one["kind"] == "attribute" and is_personal(one)}
    uses = {item: some for item, one in items.items() if one["kind"] == "tag" and (some := _used(item, items) & personal)}
    for item, rule in items.items():
        if rule["kind"] == "rule":
            for attribute in uses.get(rule["tag"], ()):
                if _may_fill(rule, items[attribute]["code"]):
                    found[attribute, rule["source"]] |= {item, rule["tag"]}
    return found


def _may_fill(rule: Definition, code: str) -> bool:
    """Whether a rule has a row for an attribute of its tag, or lets it through by its own name."""
    return rule.get("keep_unmapped", True) or any(row["target"] == code for row in rule.get("rows") or [])


def _used(tag: str, items: Items) -> set[str]:
    return {use["attribute"] for use in items.get(tag, {}).get("attributes") or []}


def _class_of(attribute: Definition | None) -> tuple[str, bool]:
    return ((attribute or {}).get("personal", "none"), is_personal(attribute or {}))


def _rows_of_persons(rule: Definition | None) -> set[tuple[str, str]]:
    """{(what says whom an event is about, where it is found)}."""
    rows = (rule or {}).get("rows") or []
    return {
        (row["target"], row.get("path") or "") for row in rows if row["target"] == "$phone" or row["target"].startswith("$identifiers.")
    }


def _paths_of_persons(source: Definition | None) -> set[tuple[str, str]]:
    """The same of a source's envelope."""
    envelope = (source or {}).get("envelope") or {}
    given = {"$phone": envelope.get("phone"), **(envelope.get("identifiers") or {})}
    return {(kind, path) for kind, path in given.items() if path}
