"""What a change means for those who send events: breaking, additive, or only wording. Pure.

The levels are those of SchemaVer, by which Snowplow versions schemas: a change is breaking when something that was accepted,
or read in one way, no longer is; additive when all that came before is read as it was. Source: docs.snowplow.io, "SchemaVer".
What is only watched until a day breaks nothing before it: such a change is additive, and says from when it breaks.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Literal

from taxonomy.proposals.already_read import AlreadyRead
from taxonomy.standardize.plan import consumed_names

Definition = dict[str, Any]
Items = dict[str, Definition]
Level = Literal["none", "wording", "additive", "breaking"]
LEVELS: tuple[Level, ...] = ("none", "wording", "additive", "breaking")

# code: its level; the sentences stand in taxonomy/proposals/verdict_words.py
CODES: dict[str, Level] = {
    "wording": "wording",
    "category.added": "wording",
    "category.removed": "wording",
    "category.renamed": "wording",
    "tag.added": "additive",
    "tag.removed": "breaking",
    "tag.renamed": "breaking",
    "tag.drafted": "breaking",
    "tag.deprecated": "additive",
    "tag.moved": "wording",
    "tag.attribute_required": "breaking",
    "tag.attribute_added": "additive",
    "tag.attribute_removed": "breaking",
    "tag.attribute_optional": "additive",
    "tag.one_of_tightened": "breaking",
    "tag.one_of_loosened": "additive",
    "tag.refinement_added": "additive",
    "tag.refinement_removed": "breaking",
    "tag.stricter": "breaking",
    "tag.milder": "additive",
    "attribute.added": "additive",
    "attribute.removed": "breaking",
    "attribute.renamed": "breaking",
    "attribute.type_narrowed": "breaking",
    "attribute.type_widened": "additive",
    "attribute.read_otherwise": "breaking",
    "attribute.tightened": "breaking",
    "attribute.loosened": "additive",
    "attribute.unit": "breaking",
    "attribute.personal": "additive",
    "source.added": "additive",
    "source.removed": "breaking",
    "source.renamed": "breaking",
    "source.read_otherwise": "breaking",
    "source.default_given": "additive",
    "source.holds_more": "breaking",
    "source.holds_less": "additive",
    "rule.added": "additive",
    "rule.overrides": "breaking",
    "rule.removed": "breaking",
    "rule.matches_otherwise": "breaking",
    "rule.means_otherwise": "breaking",
    "rule.order": "breaking",
    "rule.row_added": "additive",
    "rule.row_preferred": "additive",
    "rule.row_takes": "breaking",
    "rule.row_removed": "breaking",
    "rule.row_changed": "breaking",
    "rule.takes_rest": "additive",
    "rule.leaves_rest": "breaking",
}

# What the wider type also takes, and reads as the same value but for spaces around it.
_WIDER = frozenset({("integer", "decimal"), ("choice", "text"), ("url", "text")})
# What the other type takes too, and reads as another value: no E.164 of a phone, no ISO 8601 of a time, no small letters of a domain.
_OTHERWISE = frozenset({("date", "datetime"), *((kind, "text") for kind in ("boolean", "date", "datetime", "email", "phone"))})
_STRICTNESS = {"note": 0, "set_aside": 1, "quarantine": 2}
_LOWER, _UPPER = ("minimum", "min_length", "min_items"), ("maximum", "max_length", "max_items")


@dataclass(frozen=True, slots=True)
class Effect:
    """One consequence of a changed item. `values` are uuids and texts that its sentence needs."""

    item: str
    code: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        return "additive" if self.breaks_from else CODES[self.code]

    @property
    def breaks_from(self) -> str:
        """The day from which it breaks something, such as "2026-12-31"; "" where it does so at once, or never."""
        return str(self.values.get("from") or "") if CODES[self.code] == "breaking" else ""

    @property
    def must_change(self) -> bool:
        """Whether somebody who sends must change something, now or by a day."""
        return CODES[self.code] == "breaking"


@dataclass(frozen=True, slots=True)
class Verdict:
    level: Level
    effects: list[Effect]
    by_item: dict[str, list[Effect]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_item: dict[str, list[Effect]] = {}
        for effect in self.effects:
            by_item.setdefault(effect.item, []).append(effect)
        object.__setattr__(self, "by_item", by_item)

    @property
    def breaks_from(self) -> str:
        return first_day(self.effects)

    def of(self, item: str) -> Level:
        """The level of one item's change."""
        return highest(effect.level for effect in self.by_item.get(item, ()))

    def of_later(self, item: str) -> str:
        """The day from which one item's change breaks something, where it does not at once."""
        return first_day(self.by_item.get(item, ()))

    def breaks(self, item: str) -> bool:
        """Whether one item's change breaks something, now or later: nobody is asked again when the day comes."""
        return self.of(item) == "breaking" or bool(self.of_later(item))


def first_day(effects: Iterable[Effect]) -> str:
    """The first day on which one of them begins to break something; "" where none does later."""
    return min((effect.breaks_from for effect in effects if effect.breaks_from), default="")


def judge(before: Items, after: Items, *, on: date) -> Verdict:
    """Every effect of going from one set of definitions to another on a day, in the order of the items."""
    effects: list[Effect] = []
    used = {use["attribute"] for one in before.values() if one["kind"] == "tag" for use in one.get("attributes") or []}
    day = on.isoformat()
    judges: dict[str, Any] = {
        "category": _category, "attribute": partial(_attribute, used=used, on=day), "tag": partial(_tag, after=after, on=day),
        "source": _source, "rule": partial(_rule, before=before, already_read=AlreadyRead(before)),
    }  # fmt: skip
    for item in before | after:
        old, new = before.get(item), after.get(item)
        if old != new:
            kind = (new or old or {})["kind"]
            found = list(judges[kind](item, old, new))
            effects += found or [Effect(item, "wording")]
    effects += _orders(before, after)
    return Verdict(highest(effect.level for effect in effects), effects)


def highest(levels: Iterable[Level]) -> Level:
    return max(levels, key=LEVELS.index, default="none")


def next_version(version: str | None, level: Level) -> str:
    """major.minor.patch after a change of this level; the first is 1.0.0."""
    if version is None:
        return "1.0.0"
    major, minor, patch = (int(part) for part in version.split("."))
    if level == "breaking":
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if level == "additive" else f"{major}.{minor}.{patch + 1}"


Found = Iterator[Effect]
Maybe = Definition | None


def _category(item: str, old: Maybe, new: Maybe) -> Found:
    if old is None or new is None:
        yield Effect(item, "category.added" if old is None else "category.removed")
    elif old["code"] != new["code"]:
        yield Effect(item, "category.renamed", {"before": old["code"], "after": new["code"]})


def _tag(item: str, old: Maybe, new: Maybe, *, after: Items, on: str) -> Found:
    if old is None or new is None:
        received = (new or old or {}).get("status") != "draft"
        if received:
            yield Effect(item, "tag.added" if old is None else "tag.removed")
        return
    was, stays = old.get("status") != "draft", new.get("status") != "draft"
    if not was or not stays:
        if was != stays:
            yield Effect(item, "tag.added" if stays else "tag.drafted")
        return
    if old["code"] != new["code"]:
        yield Effect(item, "tag.renamed", {"before": old["code"], "after": new["code"]})
    if new.get("status") == "deprecated" and (old.get("status") != "deprecated" or old.get("successor") != new.get("successor")):
        yield Effect(item, "tag.deprecated", {"successor": new.get("successor")})
    if old.get("category") != new.get("category"):
        yield Effect(item, "tag.moved")
    yield from _uses(item, old, new, after, on)
    yield from _one_of(item, old.get("one_of") or [], new.get("one_of") or [], _since(on, new))
    patterns = [{one["pattern"] for one in tag.get("refinements") or []} for tag in (old, new)]
    yield from _modes(item, old, new, on)
    yield from (Effect(item, "tag.refinement_removed", {"pattern": one}) for one in sorted(patterns[0] - patterns[1]))
    yield from (Effect(item, "tag.refinement_added", {"pattern": one}) for one in sorted(patterns[1] - patterns[0]))


def _since(on: str, *watched: Definition) -> dict[str, str]:
    """{"from": the day on which what watches something ends}, where that is still to come."""
    last = max(one.get("watch_until") or "" for one in watched)
    return {"from": last} if last > on else {}


def _modes(item: str, old: Definition, new: Definition, on: str) -> Found:
    """What stands of a source that is not named is the mode of all others, else that events are held."""
    was, now = ({one["source"]: one["mode"] for one in tag.get("modes") or []} for tag in (old, new))
    for source in was | now:
        first, second = (one.get(source) or one.get("") or "quarantine" for one in (was, now))
        if first != second:
            code = "tag.stricter" if _STRICTNESS[second] > _STRICTNESS[first] else "tag.milder"
            yield Effect(item, code, {"source": source, "before": first, "after": second, **_since(on, new)})
    yield from _watching(item, old, new, ("tag.milder", "tag.stricter"), {}, on)


def _watching(item: str, old: Definition, new: Definition, codes: tuple[str, str], values: dict[str, Any], on: str) -> Found:
    """A later day asks less, an earlier one or none more; a day that is over is none. `codes`: of less and of more."""
    was, now = (_since(on, one).get("from", "") for one in (old, new))
    if was != now:
        since = {"from": now} if now else {}
        yield Effect(item, codes[now < was], {**values, "constraint": "watch_until", "before": was, "after": now, **since})


def _uses(item: str, old: Definition, new: Definition, after: Items, on: str) -> Found:
    was, now = ({use["attribute"]: use for use in tag.get("attributes") or []} for tag in (old, new))
    for attribute in was | now:
        if was.get(attribute) == now.get(attribute):
            continue
        values: dict[str, Any] = {"attribute": attribute}
        if attribute not in now:
            yield Effect(item, "tag.attribute_removed", values)
            continue
        values |= _since(on, now[attribute], new, after.get(attribute, {}))
        required = bool(now[attribute].get("required"))
        if attribute not in was:
            yield Effect(item, "tag.attribute_required" if required else "tag.attribute_added", values)
            continue
        if required != bool(was[attribute].get("required")):
            yield Effect(item, "tag.attribute_required" if required else "tag.attribute_optional", values)
        yield from _constraints(item, was[attribute].get("constraints") or {}, now[attribute].get("constraints") or {}, values)
        yield from _watching(
            item, was[attribute], now[attribute], ("attribute.loosened", "attribute.tightened"), {"attribute": attribute}, on
        )


def _one_of(item: str, old: list[list[str]], new: list[list[str]], since: dict[str, str]) -> Found:
    """A group asks more the fewer it names: one that stands, or holds one that stood, asks nothing new."""
    for group in new:
        if not any(set(other) <= set(group) for other in old):
            yield Effect(item, "tag.one_of_tightened", {"codes": group, **since})
    for group in old:
        if not any(set(other) <= set(group) for other in new):
            yield Effect(item, "tag.one_of_loosened", {"codes": group})


def _attribute(item: str, old: Maybe, new: Maybe, *, used: set[str], on: str) -> Found:
    if old is None or new is None:
        if old is None:
            yield Effect(item, "attribute.added")
        elif item in used:
            yield Effect(item, "attribute.removed")
        return
    if old.get("personal") != new.get("personal"):
        yield Effect(item, "attribute.personal")
    if item not in used:
        return
    if old["code"] != new["code"]:
        yield Effect(item, "attribute.renamed", {"before": old["code"], "after": new["code"]})
    yield from _shape(item, old, new, _since(on, new))
    yield from _watching(item, old, new, ("attribute.loosened", "attribute.tightened"), {}, on)
    if old.get("unit") and old.get("unit") != new.get("unit"):
        yield Effect(item, "attribute.unit", {"before": old["unit"], "after": new.get("unit") or ""})


def _shape(item: str, old: Definition, new: Definition, since: dict[str, str], path: str = "") -> Found:
    """Type, entries, fields and constraints of an attribute, or of a field at `path` within it."""
    types = ((old.get("type"), new.get("type")), (old.get("of") or None, new.get("of") or None))
    values = since | ({"path": path} if path else {})
    for was, now in types:
        if was == now:
            continue
        told = {"before": was, "after": now}
        if (was, now) in _OTHERWISE:  # no watching brings back a value's meaning
            yield Effect(item, "attribute.read_otherwise", ({"path": path} if path else {}) | told)
        elif (was, now) in _WIDER:
            yield Effect(item, "attribute.type_widened", values | told)
        else:
            yield Effect(item, "attribute.type_narrowed", values | told)
            return
    yield from _constraints(item, old.get("constraints") or {}, new.get("constraints") or {}, values)
    was, now = _fields(old), _fields(new)
    for name in was | now:
        at = f"{path}.{name}".lstrip(".")
        if name not in now:
            yield Effect(item, "attribute.tightened", {**since, "path": at, "constraint": "fields"})
        elif name not in was:
            code = "attribute.tightened" if now[name].get("required") else "attribute.loosened"
            yield Effect(item, code, {**since, "path": at, "constraint": "fields"})
        else:
            if bool(was[name].get("required")) != bool(now[name].get("required")):
                code = "attribute.tightened" if now[name].get("required") else "attribute.loosened"
                yield Effect(item, code, {**since, "path": at, "constraint": "required"})
            yield from _shape(item, was[name], now[name], since, at)


def _fields(one: Definition) -> dict[str, Definition]:
    """Those of an object, or of a list of them. What another type holds there says nothing, and nobody checked it."""
    fields = one.get("fields") if "object" in (one.get("type"), one.get("of")) else None
    return {name: part if _is_field(part) else {} for name, part in fields.items()} if isinstance(fields, dict) else {}


def _is_field(part: Any) -> bool:
    if not isinstance(part, dict) or not isinstance(part.get("constraints") or {}, dict):
        return False
    return all(isinstance(part.get(name) or "", str) for name in ("type", "of"))


def _constraints(item: str, old: Definition, new: Definition, values: dict[str, Any]) -> Found:
    for name in old | new:
        was, now = old.get(name), new.get(name)
        if was != now and (tighter := _tighter(name, was, now)) is not None:
            shown = {"constraint": name, "before": was, "after": now}
            yield Effect(item, "attribute.tightened" if tighter else "attribute.loosened", {**values, **shown})


def _tighter(name: str, was: Any, now: Any) -> bool | None:
    """Whether a constraint takes less than before; None when it takes the same."""
    if was is None or now is None:
        return was is None
    if name in _LOWER or name in _UPPER:
        first, second = _number(was), _number(now)
        if first is not None and second is not None:
            return None if first == second else (second > first) == (name in _LOWER)
        return (str(now) > str(was)) == (name in _LOWER)  # dates and times, which sort as text
    if name == "choices":
        return None if set(was) == set(now) else not set(was) <= set(now)
    return True  # another pattern: what it takes cannot be compared


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _source(item: str, old: Maybe, new: Maybe) -> Found:
    if old is None or new is None:
        yield Effect(item, "source.added" if old is None else "source.removed")
        return
    if old["code"] != new["code"]:
        yield Effect(item, "source.renamed", {"before": old["code"], "after": new["code"]})
    for name in ("envelope", "region", "timezone", "currency", "namespace", "separate_rows"):
        was, now = old.get(name), new.get(name)
        if was != now:
            given = name in ("region", "currency") and not was
            yield Effect(item, "source.default_given" if given else "source.read_otherwise", {"field": name})
    if old.get("hold_unreadable_phone", True) != new.get("hold_unreadable_phone", True):
        yield Effect(item, "source.holds_more" if new.get("hold_unreadable_phone", True) else "source.holds_less")


def _rule(item: str, old: Maybe, new: Maybe, *, before: Items, already_read: AlreadyRead) -> Found:
    if old is None or new is None:
        if old is not None:
            yield Effect(item, "rule.removed", {"name": old["name"]})
        elif new is not None:
            yield Effect(item, "rule.overrides" if already_read.has(new) else "rule.added", {"name": new["name"]})
        return
    values = {"name": new["name"]}
    if any(old.get(name) != new.get(name) for name in ("source", "match", "name", "condition", "below_version", "until")):
        yield Effect(item, "rule.matches_otherwise", values)
    if old["tag"] != new["tag"]:
        yield Effect(item, "rule.means_otherwise", {**values, "before": old["tag"], "after": new["tag"]})
    yield from _rows(item, old, new, values, before)
    if old.get("keep_unmapped", True) != new.get("keep_unmapped", True):
        yield Effect(item, "rule.takes_rest" if new.get("keep_unmapped", True) else "rule.leaves_rest", values)


def _rows(item: str, old: Definition, new: Definition, values: dict[str, Any], before: Items) -> Found:
    was, now = ({row["target"]: row for row in rule.get("rows") or []} for rule in (old, new))
    own = _read_by_own_name(old, before)
    for target in was | now:
        if was.get(target) == now.get(target):
            continue
        shown = {**values, "target": target}
        if target in was:
            yield Effect(item, "rule.row_changed" if target in now else "rule.row_removed", shown)
            continue
        taken = _taken_by(now[target])
        if target.startswith("$") or target in taken:
            is_same = now[target].get("path", "") == target and not now[target].get("transforms")
            yield Effect(item, "rule.row_added" if is_same else "rule.row_changed", shown)
        elif other := sorted(taken & own):
            yield Effect(item, "rule.row_takes", {**shown, "other": other[0]})
        elif target in own:
            yield Effect(item, "rule.row_preferred", {**shown, "other": now[target].get("path", "")})
        else:
            yield Effect(item, "rule.row_added", shown)


def _read_by_own_name(rule: Definition, items: Items) -> set[str]:
    """The attributes of its tag that a rule takes as they are sent."""
    if not rule.get("keep_unmapped", True):
        return set()
    codes = {items[use["attribute"]]["code"] for use in items.get(rule["tag"], {}).get("attributes") or [] if use["attribute"] in items}
    rows = rule.get("rows") or []
    return codes.difference((row["target"] for row in rows), *(_taken_by(row) for row in rows))


def _taken_by(row: Definition) -> set[str]:
    try:
        return consumed_names(row)
    except ValueError:  # said by the checks of the plan
        return set()


def _orders(before: Items, after: Items) -> Found:
    """Rules of a source that may match the same name and have changed places."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for item, rule in after.items():
        if rule["kind"] == "rule" and item in before and before[item]["source"] == rule["source"]:
            by_source[rule["source"]].append(item)
    for rules in by_source.values():
        was, now = (sorted(rules, key=lambda one: (plan[one]["position"], one)) for plan in (before, after))
        if was == now:
            continue
        place = {item: at for at, item in enumerate(was)}
        for at, item in enumerate(now):
            earlier = [other for other in now[:at] if place[other] > place[item] and _may_meet(after[item], after[other])]
            if earlier:
                yield Effect(item, "rule.order", {"name": after[item]["name"], "other": after[earlier[0]]["name"]})


def _may_meet(one: Definition, other: Definition) -> bool:
    return "pattern" in (one.get("match"), other.get("match")) or one["name"] == other["name"]
