"""Which rule of a source wins on the names it sent lately, and which rules never get their turn."""

from dataclasses import dataclass
from datetime import datetime

from taxonomy.definition import draft_items
from taxonomy.models import MappingRule, Source
from taxonomy.problems import plan_problem
from taxonomy.publish import items_of, newest
from taxonomy.recent import names_seen
from taxonomy.sound import sound_items
from taxonomy.standardize import compile_plan
from taxonomy.turns import turns


@dataclass(frozen=True, slots=True)
class NameSeen:
    """A name and what it becomes: the rules that get their turn, in order, then the tag it says by itself ("" if none)."""

    name: str
    count: int
    held: int
    last_at: datetime
    rules: list[MappingRule]
    tag: str


@dataclass(slots=True)
class RuleSeen:
    """A rule on the names seen: on how many it gets its turn; or the earlier rule that takes every name of its."""

    rule: MappingRule
    names: int = 0
    shadowed_by: MappingRule | None = None


@dataclass(frozen=True, slots=True)
class Winning:
    names: list[NameSeen]
    rules: list[RuleSeen]
    problems: list[str]


def winning(source: Source) -> Winning:
    """The draft's rules of a source, in their order, on the names it sent lately."""
    rules = list(source.rules.select_related("source", "tag").order_by("position", "id"))
    keep = {str(source.pk), *(str(rule.pk) for rule in rules)}
    items, problems = sound_items(draft_items(), items_of(newest()), keep=keep)
    if problems:
        return Winning([], [RuleSeen(rule) for rule in rules], [plan_problem(problem, items) for problem in problems])
    plan = compile_plan(items).sources[source.code]
    by_id = {str(rule.pk): RuleSeen(rule) for rule in rules}
    names = []
    for seen in names_seen(source):
        found = turns(plan, seen["name"])
        for rule in found.tried:
            by_id[rule].names += 1
        for rule, taker in found.late.items():
            by_id[rule].shadowed_by = by_id[taker].rule
        names.append(
            NameSeen(seen["name"], seen["count"], seen["held"], seen["last_at"], [by_id[one].rule for one in found.tried], found.tag)
        )
    for one in by_id.values():
        if one.names:
            one.shadowed_by = None
    return Winning(names, list(by_id.values()), [])
