"""Checks of a plan before it is published: whether it reads well, and fits what arrives. Each has a stable id. Pure.

What would not compile is refused before, by check_plan; these are matters of taste and care, which the steward weighs.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Literal

from staff.personal import looks_personal
from taxonomy.personal_types import personal_type
from taxonomy.standardize import Plan, RawEvent
from taxonomy.standardize.plan import SourcePlan, consumed_names
from taxonomy.standardize.read import is_given
from taxonomy.turns import turns

Definition = dict[str, Any]
Items = dict[str, Definition]
Severity = Literal["error", "warning", "off"]

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_WITH_CODE = ("category", "attribute", "tag", "source")


@dataclass(frozen=True, slots=True)
class Seen:
    """What arrived: lately {source: its names}, {tag}, {rule}, {attribute's code: values}; ever {rule or tag: its last day}.

    `sent` gives recent events of sources, a few of each name, as they were sent: [(source, event)].
    """

    names: dict[str, list[str]]
    tags: Collection[str]
    rules: Collection[str]
    values: dict[str, list[str]]
    last_days: dict[str, date] = field(default_factory=dict)
    sent: Callable[[Collection[str]], Iterable[tuple[str, RawEvent]]] = lambda _sources: ()


@dataclass(frozen=True, slots=True)
class Setting:
    """How one check is weighed. `words`: those that a check of names allows or blocks, or a number as text."""

    severity: Severity
    only_new: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    item: str
    severity: Severity = "warning"
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Given:
    """What a check looks at."""

    items: Items
    released: Items
    compile: Callable[[], Plan]
    seen: Seen | None
    words: tuple[str, ...]
    today: date

    @property
    def days(self) -> int:
        """The number of days that a check of times is set to."""
        return next((int(word) for word in self.words if word.isdigit()), 30)

    def is_silent(self, item: str) -> bool:
        """Whether a rule or tag had no event for so many days."""
        last = self.seen.last_days.get(item) if self.seen else None
        return last is None or (self.today - last).days > self.days

    def of(self, *kinds: str) -> Iterator[tuple[str, Definition]]:
        return ((item, one) for item, one in self.items.items() if one["kind"] in kinds)


Found = Iterator[tuple[str, dict[str, Any]]]


def check(
    items: Items, compile: Callable[[], Plan], *, before: Items, settings: dict[str, Setting], seen: Seen | None, today: date
) -> list[Finding]:
    """What the checks of `settings` find, errors first. One that is weighed only for new items leaves those of `before` alone."""
    findings, compile = [], cache(compile)
    for name, setting in settings.items():
        run, default = CHECKS[name]
        if setting.severity == "off":
            continue
        for item, values in run(Given(items, before or items, compile, seen, setting.words or default.words, today)):
            if not (setting.only_new and item in before):
                findings.append(Finding(name, item, setting.severity, values))
    return sorted(findings, key=lambda one: one.severity != "error")


def _not_snake_case(given: Given) -> Found:
    for item, one in given.of(*_WITH_CODE):
        if not _SNAKE_CASE.fullmatch(one["code"]):
            yield item, {"code": one["code"]}


def _blocked_word(given: Given) -> Found:
    blocked = set(given.words)
    for item, one in given.of(*_WITH_CODE):
        if words := blocked & set(one["code"].split("_")):
            yield item, {"words": sorted(words)}


def _not_allowed_word(given: Given) -> Found:
    allowed = set(given.words)
    for item, one in given.of("tag"):
        if allowed and (words := set(one["code"].split("_")) - allowed):
            yield item, {"words": sorted(words)}


def _not_verb_first(given: Given) -> Found:
    verbs = set(given.words)
    for item, one in given.of("tag"):
        first = one["code"].split("_")[0]
        if not one.get("system") and first not in verbs:
            yield item, {"word": first}


def _long_code(given: Given) -> Found:
    limit = next((int(word) for word in given.words if word.isdigit()), 40)
    for item, one in given.of(*_WITH_CODE):
        if len(one["code"]) > limit:
            yield item, {"length": len(one["code"]), "limit": limit}


def _no_description(given: Given) -> Found:
    for item, one in given.of("tag", "attribute"):
        missing = [field for field in ("description_en", "description_zh_hans") if not one.get(field, "").strip()]
        if missing:
            yield item, {"fields": missing}


def _no_owner(given: Given) -> Found:
    yield from ((item, {}) for item, one in given.of("tag", "source") if not one.get("owner"))


def _no_example(given: Given) -> Found:
    yield from (
        (item, {}) for item, one in given.of("attribute") if not one.get("example") and one["type"] not in ("boolean", "choice", "object")
    )


def _same_attribute(given: Given) -> Found:
    """Attributes that say the same by code or name, and are of different types."""
    alike: dict[str, list[str]] = defaultdict(list)
    for item, one in given.of("attribute"):
        names = {one["code"].replace("_", "").lower(), one["label_en"].strip().lower(), one["label_zh_hans"].strip()}
        for name in names - {""}:
            alike[name].append(item)
    told = set()
    for group in alike.values():
        for item in group[1:]:
            if given.items[item]["type"] != given.items[group[0]]["type"] and (group[0], item) not in told:
                told.add((group[0], item))
                yield item, {"other": group[0]}


def _required_unfilled(given: Given) -> Found:
    """A rule that takes only what its rows say, and has none for an attribute that its tag requires."""
    for item, rule in given.of("rule"):
        if not rule.get("keep_unmapped", True):
            yield from ((item, {"attribute": attribute}) for attribute, _code in _without_row(given, rule))


def _required_not_sent(given: Given) -> Found:
    """A rule that also takes what is sent under the standard's names, for a required attribute that nothing it reads carries so."""
    asked = {item: some for item, rule in given.of("rule") if rule.get("keep_unmapped", True) and (some := _without_row(given, rule))}
    if not asked or given.seen is None:
        return
    sources, read = given.compile().sources_by_uuid, defaultdict(list)
    for source, event in given.seen.sent({given.items[item]["source"] for item in asked}):
        if source in sources and (rule := _taker(sources[source], event)) in asked:
            read[rule].append(event.attributes)
    for item, missing in asked.items():
        taken = {name for row in given.items[item].get("rows") or [] for name in consumed_names(row)}
        for attribute, code in missing:
            if code in taken or not any(is_given(sent.get(code)) for sent in read[item]):
                yield item, {"attribute": attribute, "events": len(read[item])}


def _without_row(given: Given, rule: Definition) -> list[tuple[str, str]]:
    """The attributes that the rule's tag requires and no row fills: [(uuid, code)]."""
    filled = {row["target"] for row in rule.get("rows") or []}
    required = [use["attribute"] for use in given.items[rule["tag"]].get("attributes") or [] if use.get("required")]
    return [(one, code) for one in required if (code := given.items[one]["code"]) not in filled]


def _taker(source: SourcePlan, event: RawEvent) -> str | None:
    """The rule that takes an event."""
    for meaning in source.meanings(event.name or ""):
        if meaning.condition is None or meaning.condition(event.attributes, event):
            return meaning.reading.rule
    return None


def _rule_matched_nothing(given: Given) -> Found:
    if given.seen is not None:
        quiet = {item for item, one in given.of("source") if not given.seen.names.get(item)}
        due = ((item, one) for item, one in given.of("rule") if item in given.released and item not in given.seen.rules)
        yield from ((item, {"days": given.days}) for item, one in due if one["source"] not in quiet and given.is_silent(item))


def _rule_shadowed(given: Given) -> Found:
    """A rule that, on every name seen that it matches, comes after one without a condition."""
    for source, names in (given.seen.names if given.seen else {}).items():
        if source not in given.items:
            continue
        compiled = given.compile().sources_by_uuid[source]
        found = [turns(compiled, name) for name in names]
        tried = {rule for one in found for rule in one.tried}
        late = {rule: taker for one in found for rule, taker in one.late.items()}
        yield from ((rule, {"other": taker}) for rule, taker in late.items() if rule not in tried)


def _tag_unsent(given: Given) -> Found:
    if given.seen is not None and given.seen.tags:
        active = (item for item, one in given.of("tag") if one.get("status") == "active" and not one.get("system"))
        silent = (item for item in active if item in given.released and item not in given.seen.tags and given.is_silent(item))
        yield from ((item, {"days": given.days}) for item in silent)


def _looks_personal(given: Given) -> Found:
    for item, one in given.of("attribute"):
        if one.get("personal", "none") != "none":
            continue
        values = [one.get("example") or "", *(given.seen.values.get(one["code"], []) if given.seen else [])]
        if found := personal_type(one) or next((kind for value in values if (kind := looks_personal(value))), None):
            yield item, {"looks_like": found}


def _ending(given: Given) -> Found:
    for item, day in endings(given.items):
        if (day - given.today).days <= given.days:
            yield item, {"day": day.isoformat()}


def endings(items: Items) -> Iterator[tuple[str, date]]:
    """(item, day) of rules for a while, and of what is only watched for now: an attribute, a tag or one use in it."""
    for item, one in items.items():
        days = [
            one.get("until"),
            one.get("watch_until"),
            *(use["watch_until"] for use in one.get("attributes") or [] if "watch_until" in use),
        ]
        yield from ((item, date.fromisoformat(day)) for day in dict.fromkeys(days) if day)


Run = Callable[[Given], Found]
_VERBS = (
    "add", "ask", "buy", "call", "cancel", "click", "close", "complete", "favorite", "join", "leave", "login", "open", "pay", "receive",
    "redeem", "register", "remove", "return", "search", "send", "share", "start", "submit", "subscribe", "view",
)  # fmt: skip
# id: what finds it, and how it is weighed until the steward says otherwise
CHECKS: dict[str, tuple[Run, Setting]] = {
    "naming.snake_case": (_not_snake_case, Setting("error")),
    "naming.blocked_word": (
        _blocked_word,
        Setting("warning", only_new=True, words=("test", "tmp", "temp", "foo", "bar", "misc", "new", "old", "data")),
    ),
    "naming.allowed_word": (_not_allowed_word, Setting("off", only_new=True)),
    "naming.verb_first": (_not_verb_first, Setting("off", only_new=True, words=_VERBS)),
    "naming.length": (_long_code, Setting("warning", words=("40",))),
    "description.missing": (_no_description, Setting("warning")),
    "owner.missing": (_no_owner, Setting("error")),
    "example.missing": (_no_example, Setting("warning", only_new=True)),
    "attribute.same_meaning": (_same_attribute, Setting("warning")),
    "attribute.unfilled": (_required_unfilled, Setting("error")),
    "attribute.not_sent": (_required_not_sent, Setting("warning")),
    "attribute.looks_personal": (_looks_personal, Setting("error", only_new=True)),
    "rule.matched_nothing": (_rule_matched_nothing, Setting("warning", words=("30",))),
    "rule.shadowed": (_rule_shadowed, Setting("warning")),
    "tag.unsent": (_tag_unsent, Setting("warning", words=("30",))),
    "item.ending": (_ending, Setting("warning", words=("14",))),
}
