"""What publishing must refuse: definitions that contradict each other or cannot be compiled."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from taxonomy.standardize.conditions import compile_pattern
from taxonomy.standardize.envelopes import compile_reader
from taxonomy.standardize.identifiers import KINDS
from taxonomy.standardize.modes import MODES, read_date
from taxonomy.standardize.names import RefinementIndex, parse_refinement
from taxonomy.standardize.paths import compile_path
from taxonomy.standardize.phone import normalize_region
from taxonomy.standardize.plan import Items, compile_condition, compile_finder, rule_order
from taxonomy.standardize.read import custom_paths
from taxonomy.standardize.structs import Problem
from taxonomy.standardize.times import compile_time
from taxonomy.standardize.transforms import compile_transforms
from taxonomy.standardize.types import compile_cast
from taxonomy.standardize.types.currencies import CURRENCIES
from taxonomy.standardize.versions import is_version

# Every way a plan can be wrong; taxonomy/violations.py has a sentence for each.
PROBLEMS = (
    "code.duplicate",
    "reference.missing",
    "category.cycle",
    "attribute.invalid",
    "successor.missing",
    "successor.unusable",
    "one_of.unknown",
    "refinement.invalid",
    "refinement.unknown",
    "refinement.ambiguous",
    "refinement.hides_tag",
    "source.invalid",
    "path.invalid",
    "pattern.invalid",
    "condition.invalid",
    "transforms.invalid",
    "rule.duplicate",
    "row.target_unknown",
    "row.empty",
    "mode.invalid",
    "date.invalid",
    "version.invalid",
)

# Names in the zone database that mean another zone on each machine, or none.
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
# What a row of a rule may fill besides the attributes of its tag.
ENVELOPE_TARGETS = frozenset({"$phone", "$region", "$occurred_at"} | {f"$identifiers.{kind}" for kind in KINDS if kind != "phone"})


def check_plan(items: Items) -> list[Problem]:
    """Every reason why these definitions, as a whole, may not be released. Empty: compile_plan will succeed."""
    return [
        *_duplicate_codes(items),
        *(problem for uuid, item in items.items() for problem in _CHECKS[item["kind"]](uuid, item, items)),
        *_ambiguous_refinements(items),
        *_duplicate_rules(items),
    ]


def _duplicate_codes(items: Items) -> Iterator[Problem]:
    seen: dict[tuple[str, str], str] = {}
    for uuid, item in sorted(items.items()):
        if "code" in item and item["kind"] != "rule":
            first = seen.setdefault((item["kind"], item["code"].lower()), uuid)
            if first != uuid:
                yield Problem("code.duplicate", uuid, "code", {"code": item["code"], "other": first})


def _refers(items: Items, uuid: str, path: str, target: str | None, kind: str) -> Iterator[Problem]:
    if target not in items or items[target]["kind"] != kind:
        yield Problem("reference.missing", uuid, path, {"kind": kind, "target": target})


def _check_category(uuid: str, item: dict[str, Any], items: Items) -> Iterator[Problem]:
    if item.get("parent") is None:
        return
    yield from _refers(items, uuid, "parent", item["parent"], "category")
    above, passed = item["parent"], set()
    while above in items and above not in passed:
        if above == uuid:
            yield Problem("category.cycle", uuid, "parent", {"code": item["code"]})
            return
        passed.add(above)
        above = items[above].get("parent")


def _check_attribute(uuid: str, item: dict[str, Any], items: Items) -> Iterator[Problem]:
    yield from _check_date(uuid, item, "watch_until", "watch_until")
    yield from _compiles("attribute.invalid", uuid, "constraints", partial(compile_cast, item))


def _check_date(uuid: str, item: dict[str, Any], field: str, path: str) -> Iterator[Problem]:
    if item.get(field):
        try:
            read_date(item[field])
        except (TypeError, ValueError):
            yield Problem("date.invalid", uuid, path, {"seen": str(item[field])[:40]})


def _check_modes(uuid: str, item: dict[str, Any], items: Items) -> Iterator[Problem]:
    yield from _check_date(uuid, item, "watch_until", "watch_until")
    sources = [one.get("source") for one in item.get("modes") or []]
    for one in item.get("modes") or []:
        if one.get("mode") not in MODES or sources.count(one.get("source")) > 1:
            yield Problem("mode.invalid", uuid, "modes", {"seen": str(one.get("mode"))[:40]})
        elif one.get("source"):
            yield from _refers(items, uuid, "modes", one["source"], "source")


def _check_tag(uuid: str, item: dict[str, Any], items: Items) -> Iterator[Problem]:
    yield from _check_modes(uuid, item, items)
    yield from _refers(items, uuid, "category", item.get("category"), "category")
    if item.get("successor") is not None:
        yield from _refers(items, uuid, "successor", item["successor"], "tag")
        is_draft = items.get(item["successor"], {}).get("status") == "draft"
        if item["successor"] == uuid or (is_draft and item.get("status") == "deprecated"):
            yield Problem("successor.unusable", uuid, "successor", {"code": item["code"]})
    elif item.get("status") == "deprecated":
        yield Problem("successor.missing", uuid, "successor", {"code": item["code"]})
    for use in item.get("attributes") or []:
        missing = list(_refers(items, uuid, "attributes", use["attribute"], "attribute"))
        yield from missing
        yield from _check_date(uuid, use, "watch_until", "attributes")
        # Without a tightening it is the attribute's own check, made once.
        if not missing and use.get("constraints"):
            attribute = items[use["attribute"]]
            path = f"attributes.{attribute['code']}"
            yield from _compiles("attribute.invalid", uuid, path, partial(compile_cast, attribute, use["constraints"]))
    codes = attribute_codes(item, items)
    for group in item.get("one_of") or []:
        for code in group:
            if code not in codes:
                yield Problem("one_of.unknown", uuid, "one_of", {"attribute": code})
    for pattern in item.get("refinements") or []:
        refinement = parse_refinement(item["code"], pattern["pattern"])
        if refinement is None:
            yield Problem("refinement.invalid", uuid, "refinements", {"pattern": pattern["pattern"]})
        elif refinement.attribute not in codes:
            values = {"pattern": pattern["pattern"], "attribute": refinement.attribute}
            yield Problem("refinement.unknown", uuid, "refinements", values)


def attribute_codes(tag: dict[str, Any], items: Items) -> set[str]:
    return {
        items[use["attribute"]]["code"]
        for use in tag.get("attributes") or []
        if use["attribute"] in items and items[use["attribute"]]["kind"] == "attribute"
    }


def _check_source(uuid: str, item: dict[str, Any], items: Items) -> Iterator[Problem]:
    envelope = item.get("envelope") or {}
    zone = item.get("timezone") or "UTC"
    if zone in _NO_ZONES:
        yield Problem("source.invalid", uuid, "timezone", {"problem": zone})
    yield from _compiles("source.invalid", uuid, "timezone", lambda: ZoneInfo(zone))
    if item.get("region") and not normalize_region(item["region"]):
        yield Problem("source.invalid", uuid, "region", {"problem": item["region"]})
    if item.get("currency") and item["currency"] not in CURRENCIES:
        yield Problem("source.invalid", uuid, "currency", {"problem": item["currency"]})
    problems: list[Problem] = []
    if envelope.get("preset") == "custom":
        for field, path in custom_paths(envelope).items():
            problems += _compiles("path.invalid", uuid, f"envelope.{field}", partial(compile_path, path.removeprefix("$.")))
        for kind in envelope.get("identifiers") or {}:
            if kind not in KINDS:
                values = {"problem": kind, "expected": list(KINDS)}
                yield Problem("source.invalid", uuid, f"envelope.identifiers.{kind}", values)
        if not envelope.get("event") and not envelope.get("event_constant"):
            yield Problem("source.invalid", uuid, "envelope.event", {"problem": ""})
    yield from problems
    if not problems:
        yield from _compiles("source.invalid", uuid, "envelope.preset", lambda: compile_reader(item["code"], envelope))
    time_format = envelope.get("time_format") or ""
    yield from _compiles("source.invalid", uuid, "envelope.time_format", lambda: compile_time(time_format, "UTC"))


def _check_rule(uuid: str, item: dict[str, Any], items: Items) -> Iterator[Problem]:
    yield from _refers(items, uuid, "source", item.get("source"), "source")
    missing = list(_refers(items, uuid, "tag", item.get("tag"), "tag"))
    yield from missing
    if item.get("match") == "pattern":
        yield from _compiles("pattern.invalid", uuid, "name", lambda: compile_pattern(item["name"]))
    yield from _compiles("condition.invalid", uuid, "condition", lambda: compile_condition(item.get("condition")))
    yield from _check_date(uuid, item, "until", "until")
    if item.get("below_version") and not is_version(item["below_version"]):
        yield Problem("version.invalid", uuid, "below_version", {"seen": str(item["below_version"])[:40]})
    codes = set() if missing else attribute_codes(items[item["tag"]], items)
    for row in item.get("rows") or []:
        target, path, transforms = row["target"], row.get("path") or "", row.get("transforms") or ""
        if not missing and target not in codes and target not in ENVELOPE_TARGETS:
            yield Problem("row.target_unknown", uuid, f"rows.{target}", {"target": target})
        if path:
            yield from _compiles("path.invalid", uuid, f"rows.{target}", partial(compile_finder, path))
        elif not transforms.strip():
            yield Problem("row.empty", uuid, f"rows.{target}", {"target": target})
        if transforms.strip():
            yield from _compiles("transforms.invalid", uuid, f"rows.{target}", partial(compile_transforms, transforms))


_CHECKS: dict[str, Callable[[str, dict[str, Any], Items], Iterator[Problem]]] = {
    "category": _check_category,
    "attribute": _check_attribute,
    "tag": _check_tag,
    "source": _check_source,
    "rule": _check_rule,
}


def _compiles(code: str, uuid: str, path: str, compile_it: Callable[[], object]) -> Iterator[Problem]:
    """Whether it compiles; if not, why, in the compiler's words."""
    try:
        compile_it()
    # ZoneInfo raises its own kinds for what is no zone: KeyError, OSError for a folder's name.
    except (ValueError, KeyError, TypeError, OSError) as error:
        yield Problem(code, uuid, path, {"problem": str(error)})


def _ambiguous_refinements(items: Items) -> Iterator[Problem]:
    """Two tags whose refinements have the same literals, and tags whose code reads as another tag's refinement."""
    tags = {uuid: item for uuid, item in sorted(items.items()) if item["kind"] == "tag"}
    parsed = [
        (uuid, refinement)
        for uuid, tag in tags.items()
        for pattern in tag.get("refinements") or []
        if (refinement := parse_refinement(tag["code"], pattern["pattern"])) is not None
    ]
    first: dict[tuple[str, str], str] = {}
    for uuid, refinement in parsed:
        literal = (refinement.prefix.lower(), refinement.suffix.lower())
        if literal in first:
            values = {"pattern": refinement.name_for("{" + refinement.attribute + "}"), "other": first[literal]}
            yield Problem("refinement.ambiguous", uuid, "refinements", values)
        first.setdefault(literal, uuid)
    index = RefinementIndex(parsed)
    for uuid, tag in tags.items():
        for _, refined in index.candidates(tag["code"]):
            if refined.tag != uuid:
                values = {"code": tag["code"], "attribute": refined.attribute, "value": refined.value, "other": refined.tag}
                yield Problem("refinement.hides_tag", uuid, "code", values)


def is_conditional(rule: dict[str, Any]) -> bool:
    return bool((rule.get("condition") or {}).get("path") or rule.get("below_version") or rule.get("until"))


def _duplicate_rules(items: Items) -> Iterator[Problem]:
    first: dict[tuple[str, str], str] = {}
    rules = ((uuid, item) for uuid, item in items.items() if item["kind"] == "rule")
    for uuid, rule in sorted(rules, key=rule_order):
        if rule.get("match") != "pattern" and not is_conditional(rule):
            other = first.setdefault((rule["source"], rule["name"]), uuid)
            if other != uuid:
                yield Problem("rule.duplicate", uuid, "name", {"name": rule["name"], "other": other})
