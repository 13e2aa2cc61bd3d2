"""The rows of a new rule: where what a source sends under an unknown name has the attributes of a tag, each with the reason.

What other rules of the draft say goes first, then what is sent under the standard's own name, then what is named alike; all of it
is tried on the events that are held, and what they would be held for is taken back.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from ingestion.ranked import most_first
from staff.masking import mask_in_text
from taxonomy.definition import Items
from taxonomy.diff import title
from taxonomy.places import groups_in
from taxonomy.similar.names import ALIKE, Index
from taxonomy.similar.words import reason_text
from taxonomy.standardize import RawEvent, Result, compile_plan, standardize
from taxonomy.standardize.faults import Fault
from taxonomy.standardize.paths import plain_names
from taxonomy.standardize.plan import compile_finder
from taxonomy.standardize.read import is_given
from taxonomy.standardize.transforms import compile_transforms

# What a tag can do without is filled only by what is named nearly the same: set aside is better than wrong.
_SURELY = 0.7
# Objects within objects that are looked into.
_DEEPEST = 3
_RULE = "00000000-0000-4000-8000-000000000000"


class Row(NamedTuple):
    """A row to be made. `reason` is for people; without path and transforms the attribute is sent under its own name."""

    target: str
    path: str
    transforms: str
    reason: str

    @property
    def is_needed(self) -> bool:
        return bool(self.path or self.transforms)


@dataclass(frozen=True, slots=True)
class Filling:
    """`kept`: sent under the standard's names; `missing`: required, and nothing seen has it; all by code.

    With these rows `accepted` of the `tried` events would be; `reasons`: what holds the others, [((code, path), events)],
    `one_of`: attributes of which they lack one.
    """

    rows: list[Row]
    kept: list[str]
    missing: list[str]
    accepted: int
    tried: int
    reasons: list[tuple[tuple[str, str], int]]
    one_of: list[tuple[str, ...]]


def filling(name: str, tag: str, *, source: str, items: Items, events: list[RawEvent]) -> Filling:
    """What a rule that makes the tag of this name would need. `items`: the draft; `events`: some of this name, as they were sent."""
    plan = _around(tag, source, items, events)
    offered = _Offers(tag, source, items, events).by_target()
    while True:
        chosen = [some[0] for some in offered.values() if some]
        results = _try(name, tag, source, [row for row in chosen if row.is_needed], plan, events)
        wrong = {row.target for row in chosen if _is_wrong(row.target, results)}
        if not wrong:
            break
        for target in wrong:
            offered[target].pop(0)
    filled = {row.target for row in chosen}
    reasons = Counter(cause for one in results for cause in {(found.code, found.path) for found in one.violations if found.blocking})
    return Filling(
        [row for row in chosen if row.is_needed],
        [row.target for row in chosen if not row.is_needed],
        [code for code, use in _uses(tag, items).items() if use.get("required") and code not in filled],
        sum(one.verdict == "accepted" for one in results),
        len(events),
        most_first(reasons),
        list(dict.fromkeys(group for one in results for group in groups_in(one.violations))),
    )


def _uses(tag: str, items: Items) -> dict[str, dict[str, Any]]:
    """{code: use}, those that are required first."""
    uses = sorted(items[tag].get("attributes") or [], key=lambda use: not use.get("required"))
    return {items[use["attribute"]]["code"]: use for use in uses if use["attribute"] in items}


def _around(tag: str, source: str, items: Items, events: list[RawEvent]) -> Items:
    """As much of the plan as reading one name as one tag takes."""
    one = items[tag]
    found = {use["attribute"]: items[use["attribute"]] for use in one.get("attributes") or [] if use["attribute"] in items}
    uses = [use for use in one.get("attributes") or [] if use["attribute"] in found]
    sender = items[source] | ({"code": events[0].source} if events else {})
    return found | {tag: {**one, "attributes": uses, "category": None, "successor": None, "modes": [], "status": "active"}, source: sender}


def _try(name: str, tag: str, source: str, rows: list[Row], plan: Items, events: list[RawEvent]) -> list[Result]:
    lines = [{"target": row.target, "path": row.path, "transforms": row.transforms} for row in rows]
    rule = {"kind": "rule", "source": source, "position": 0, "match": "exact", "name": name, "condition": None, "tag": tag, "rows": lines}
    compiled = compile_plan(plan | {_RULE: rule})
    return [standardize(event, compiled) for event in events]


def _is_wrong(target: str, results: list[Result]) -> bool:
    """Whether at least half of the events that have something there would be held for it, or none has."""
    is_envelope = target.startswith("$")
    path = target.removeprefix("$") if is_envelope else f"attributes.{target}"
    held = [
        any(found.blocking and found.path.partition("[")[0] == path and not found.code.endswith(".missing") for found in one.violations)
        for one in results
    ]
    carrying = [bad for bad, one in zip(held, results, strict=True) if bad or is_envelope or target in one.attributes]
    return bool(results) and 2 * sum(carrying) >= len(carrying)


class _Offers:
    """Candidates for each attribute of a tag, the best first."""

    def __init__(self, tag: str, source: str, items: Items, events: list[RawEvent]) -> None:
        self.tag, self.source, self.items, self.events = tag, source, items, events
        self.uses = _uses(tag, items)
        self.needed = {code for code, use in self.uses.items() if use.get("required")} | {
            code for group in items[tag].get("one_of") or [] for code in group
        }

    def by_target(self) -> dict[str, list[Row]]:
        """{target: rows}, in the order of the tag's attributes, those that it requires first."""
        found: dict[str, list[Row]] = {code: [] for code in self.uses}
        same, other, foreign = self._of_rules()
        native = [Row(code, "", "", "") for code in self.uses if self._is_found(f'"{code}"')]
        for row in (*same, *native, *other, *foreign):
            found.setdefault(row.target, []).append(row)
        taken = {row.path for some in found.values() for row in some[:1]} | {row.target for row in native}
        for row in self._alike({code for code, some in found.items() if not some}, taken):
            found[row.target].append(row)
        return found

    def _of_rules(self) -> tuple[list[Row], list[Row], list[Row]]:
        """Rows of the source's rules to this tag, of its other rules, and of other sources' rules: those used most first."""
        said: tuple[Counter[tuple[str, str, str]], ...] = (Counter(), Counter(), Counter())
        first: dict[tuple[str, str, str], dict[str, Any]] = {}
        for rule in self.items.values():
            if rule["kind"] != "rule":
                continue
            is_own = rule["source"] == self.source
            at = 0 if is_own and rule["tag"] == self.tag else 1 if is_own else 2
            for row in rule.get("rows") or []:
                key = (row["target"], row.get("path") or "", row.get("transforms") or "")
                if self._may_say(at, *key):
                    said[at][key] += 1
                    first.setdefault(key, rule)
        same, other, foreign = ([Row(*key, self._whose(first[key])) for key, _count in one.most_common()] for one in said)
        return same, other, foreign

    def _may_say(self, at: int, target: str, path: str, transforms: str) -> bool:
        """Whether a row would find something here. Where none can tell, rules to the same tag alone are believed."""
        if target not in self.uses and (not target.startswith("$") or at == 2):
            return False
        if not path or not self.events:
            return at == 0
        return self._is_found(path, transforms, everywhere=at > 0) and (at < 2 or not path.startswith("$."))

    def _whose(self, rule: dict[str, Any]) -> str:
        if rule["source"] == self.source:
            return _("as the rule “%(rule)s” of this source has it") % {"rule": mask_in_text(rule["name"])}
        return _("as a rule of %(source)s has it") % {"source": title(self.items[rule["source"]], self.items)}

    def _is_found(self, path: str, transforms: str = "", *, everywhere: bool = True) -> bool:
        """Whether a row would find something, `everywhere`: in at least half of the events. A draft's row may not be readable."""
        try:
            find = compile_finder(path)
            change = compile_transforms(transforms) if transforms.strip() else None
        except ValueError:
            return False
        found = ((event, find(event.attributes, event)) for event in self.events)
        given = [value for event, value in found if is_given(value) and (change is None or _is_made(change(value, event.attributes)))]
        return bool(given) and (not everywhere or 2 * len(given) >= len(self.events))

    def _alike(self, wanted: set[str], taken: set[str]) -> Iterator[Row]:
        """Rows for what is named alike, first for what is `wanted` most, then the most similar; each path serves one attribute."""
        attributes = {use["attribute"]: code for code, use in self.uses.items()}
        index = Index({item: self.items[item] for item in attributes})
        found = []
        for names in self._paths_sent():
            path = ".".join(_quoted(name) for name in names)
            if path in taken or not self._is_found(path):
                continue
            for text in dict.fromkeys((names[-1], " ".join(names))):
                found += [(match, path) for match in index.matches(text, kinds=("attribute",), least=ALIKE, without=())]
        used: set[str] = set()
        for match, path in sorted(found, key=lambda pair: (attributes[pair[0].item] not in wanted, -pair[0].score, pair[1])):
            code = attributes[match.item]
            if path not in used and (code in self.needed or match.score >= _SURELY) and self._fits(match.item, path):
                used.add(path)
                yield Row(code, path, "", reason_text(match.reason, self.items))

    def _fits(self, attribute: str, path: str) -> bool:
        """Lists and objects are for attributes that are such: of any other they would make a text."""
        find = compile_finder(path)
        is_many = any(isinstance(find(event.attributes, event), list | dict) for event in self.events)
        return not is_many or self.items[attribute]["type"] in ("list", "object")

    def _paths_sent(self) -> list[tuple[str, ...]]:
        """Names and names within objects, that a row can look up; none that looks like personal data."""
        found: dict[tuple[str, ...], None] = {}
        for event in self.events:
            found |= dict.fromkeys(_paths(event.attributes))
        return [names for names in found if all(plain_names(_quoted(name)) == [name] and mask_in_text(name) == name for name in names)]


def _is_made(value: Any) -> bool:
    return is_given(value) and not isinstance(value, Fault)


def _paths(value: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, one in value.items():
        yield (*above, name)
        if isinstance(one, dict) and len(above) + 1 < _DEEPEST:
            yield from _paths(one, (*above, name))


def _quoted(name: str) -> str:
    return name if plain_names(name) == [name] else f'"{name}"'
