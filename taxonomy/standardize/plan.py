"""The compiled plan: a release's definitions made ready to read events with, once per process and release."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import re2

from taxonomy.standardize.conditions import compile_test
from taxonomy.standardize.decode import storable
from taxonomy.standardize.envelopes import Envelope, compile_envelope
from taxonomy.standardize.modes import Modes, compile_modes, read_date
from taxonomy.standardize.names import RefinementIndex, parse_refinement
from taxonomy.standardize.paths import compile_path, first_names, plain_names
from taxonomy.standardize.read import shorten
from taxonomy.standardize.sameness import Notation, notation_of
from taxonomy.standardize.structs import Change, RawEvent
from taxonomy.standardize.transforms import Transform, compile_transforms
from taxonomy.standardize.types import Cast, Defaults, compile_cast
from taxonomy.standardize.types.texts import filled
from taxonomy.standardize.versions import is_below

Items = dict[str, dict[str, Any]]
# (attributes as sent, raw event) -> the value there
Finder = Callable[[dict[str, Any], RawEvent], Any]

# Distinct event names remembered per source; names by refinement may be as many as there are products.
_MAX_NAMES = 20_000
_MAX_NAME_CHARACTERS = 200
# Of attributes sent together, that a reading remembers its steps for.
_SETS_OF_NAMES = 64
# A rule is told by what limits it, and a few rules are enough to see why none applies.
_LIMITS, _LIMITS_TOLD = ("condition", "below_version", "until"), 3

RAW_FIELDS = (
    "name", "phone", "region", "identifiers", "occurred_at", "sent_at", "message_id", "source_version", "attributes", "context",
)  # fmt: skip

_canonical = msgspec.json.Encoder(order="sorted", decimal_format="string")


class Slot(NamedTuple):
    """One attribute as one tag uses it."""

    uuid: str
    code: str
    required: bool
    cast: Cast
    notation: Notation
    type: str
    definition: dict[str, Any]


class Step(NamedTuple):
    """How one attribute of a tag is found in what was sent: by `find`, transformed, else (`fallback`) under its own code.

    `small`: its values cannot be long, so that changes show them whole.
    """

    code: str
    find: Finder
    transform: Transform | None
    fallback: bool
    cast: Cast
    renamed: Change | None
    notation: Notation
    small: bool
    path: str
    required: bool
    origin: str


# (the defaults it was read by, the standard value, what is told of it)
Known = tuple[Defaults, Any, list[Change]]


class QuickStep(NamedTuple):
    """What the common case needs of a step: a value under `key`, or found by `find`, that is only cast.

    Of a step with transforms neither finds anything, which sends it the longer way. `optional`: absent, there is no more to do.
    `casts`: what short texts became, of a type that changes them.
    """

    code: str
    key: str
    find: Finder | None
    cast: Cast
    renamed: Change | None
    fallback: bool
    optional: bool
    casts: dict[str, Known] | None
    step: Step


class EnvelopeRow(NamedTuple):
    """A row of a rule that fills the phone, the region, the time or an identifier."""

    target: str
    find: Finder
    transform: Transform | None


class Reading:
    """How events become one tag: natively, or by one mapping rule. Made when first needed."""

    __slots__ = ("_by_names", "envelope_rows", "finds_currency", "known", "needs_defaults", "rule", "steps", "tag")

    def __init__(self, tag: "TagPlan", rule: dict[str, Any] | None = None, rule_uuid: str | None = None) -> None:
        rows = rule["rows"] if rule else []
        keeps_unmapped = rule.get("keep_unmapped", True) if rule else True
        row_of = {row["target"]: row for row in rows}
        consumed = {name for row in rows for name in consumed_names(row)}
        self.tag = tag
        self.rule = rule_uuid
        self.steps = [
            _step(slot, row_of.get(slot.code), native=keeps_unmapped and slot.code not in consumed)
            for slot in tag.slots.values()
            if keeps_unmapped or slot.code in row_of or slot.required
        ]
        self._by_names: dict[tuple[str, ...], list[QuickStep]] = {}
        self.known = frozenset(consumed | (tag.slots.keys() if keeps_unmapped else set()))
        self.needs_defaults = tag.needs_defaults
        self.finds_currency = _compile_row(row_of["currency"]) if "currency" in row_of else None
        self.envelope_rows = [
            EnvelopeRow(row["target"], _row_finder(row), _transform(row)) for row in rows if row["target"].startswith("$")
        ]

    def steps_for(self, sent: dict[str, Any]) -> list[QuickStep]:
        """The steps but those that find nothing in what has these names: a source sends the same few sets of them again and again."""
        names = tuple(sent)
        steps = self._by_names.get(names)
        if steps is None:
            steps = [one for one in self.steps if one.find is not None or not one.optional or one.key in sent]
            if sent.keys() <= self.known:
                if len(self._by_names) >= _SETS_OF_NAMES:
                    self._by_names.clear()
                self._by_names[names] = steps
        return steps

    def given(self, values: Mapping[str, Any]) -> "Reading":
        """The same with some attributes, by code, that are given instead of found."""
        mended = copy(self)
        mended._by_names = {}
        mended.steps = [_given(quick, values[quick.code]) if quick.code in values else quick for quick in self.steps]
        mended.known = self.known | values.keys()
        if "currency" in values:
            mended.finds_currency = None
        return mended


def _given(quick: QuickStep, value: Any) -> QuickStep:
    def find(_sent: dict[str, Any], _raw: RawEvent) -> Any:
        return value

    step = quick.step._replace(find=find, transform=None, fallback=False, renamed=None, origin="")
    return quick._replace(find=find, renamed=None, fallback=False, casts=None, step=step)


class TagPlan:
    __slots__ = (
        "_native", "category", "code", "definition", "modes", "needs_defaults", "one_of", "receives", "refinements", "slots", "status",
        "successor", "uuid",
    )  # fmt: skip

    def __init__(self, uuid: str, definition: dict[str, Any], slots: Iterable[Slot], successor: str | None, modes: Modes | None) -> None:
        self.uuid = uuid
        self.definition = definition
        self.code: str = definition["code"]
        self.category: str | None = definition.get("category")
        self.status: str = definition.get("status", "active")
        # A draft is unknown to sources.
        self.receives = self.status != "draft"
        self.successor = successor
        self.modes = modes
        self.slots = {slot.code: slot for slot in slots}
        self.one_of: list[list[str]] = definition.get("one_of") or []
        self.refinements = [
            refinement
            for pattern in definition.get("refinements") or []
            if (refinement := parse_refinement(self.code, pattern["pattern"])) is not None
        ]
        self.needs_defaults = any(slot.type in ("money", "phone", "list", "object") for slot in self.slots.values())
        self._native: Reading | None = None

    @property
    def native(self) -> Reading:
        if self._native is None:
            self._native = Reading(self)
        return self._native


class RulePlan:
    __slots__ = ("_reading", "condition", "definition", "index", "tag", "uuid")

    def __init__(self, index: int, uuid: str, definition: dict[str, Any], tag: TagPlan, timezone: str) -> None:
        self.index = index
        self.uuid = uuid
        self.definition = definition
        self.tag = tag
        self.condition = _within(definition, timezone, compile_condition(definition.get("condition")))
        self._reading: Reading | None = None

    @property
    def reading(self) -> Reading:
        if self._reading is None:
            self._reading = Reading(self.tag, self.definition, self.uuid)
        return self._reading


class Meaning(NamedTuple):
    """One thing a name can mean, if its condition holds. `refined` is (attribute, value) where a refinement says it."""

    condition: Finder | None
    reading: Reading
    change: Change | None
    refined: tuple[str, str] | None = None


def _tag_change(code: str, name: str, tag: TagPlan) -> Change | None:
    return Change(code, "event", shorten(name), tag.code) if tag.code != name else None


class SourcePlan:
    """A source's defaults, envelope and rules. Holds what is remembered, bounded: of distinct names, and in its readings of short texts."""

    def __init__(self, uuid: str, definition: dict[str, Any], rules: list[RulePlan], plan: "Plan") -> None:
        self.uuid = uuid
        self.definition = definition
        self.code: str = definition["code"]
        self.region: str = definition.get("region") or ""
        self.timezone: str = definition.get("timezone") or "UTC"
        self.currency: str = definition.get("currency") or ""
        self.namespace: str = definition.get("namespace") or ""
        self.hold_unreadable_phone: bool = definition.get("hold_unreadable_phone", True)
        self.separate_rows: bool = definition.get("separate_rows", False)
        self.envelope: dict[str, Any] = definition.get("envelope") or {}
        self.rules = rules
        self.defaults = Defaults(timezone=self.timezone, region=self.region, currency=self.currency)
        self.own_envelope = compile_envelope(self.code, self.envelope, self.timezone)
        self._protocol_envelopes: dict[str, Envelope] = {}
        self._plan = plan
        self._exact: dict[str, list[RulePlan]] = {}
        self._patterns: list[RulePlan] = []
        for rule in rules:
            if rule.definition.get("match") == "pattern":
                self._patterns.append(rule)
            else:
                self._exact.setdefault(rule.definition["name"], []).append(rule)
        self._pattern_set: Any = None
        self.known_meanings: dict[str, list[Meaning]] = {}

    def protocol_envelope(self, preset: str) -> Envelope:
        """An envelope that a door's protocol fixes, its times too, whatever the source's own is: compiled when first needed."""
        found = self._protocol_envelopes.get(preset)
        if found is None:
            fixed = {**self.envelope, "preset": preset, "time_format": ""}
            found = self._protocol_envelopes[preset] = compile_envelope(self.code, fixed, self.timezone)
        return found

    def meanings(self, name: str) -> list[Meaning]:
        """What the name can mean here, in order: its rules, then the tag it says by itself. Remembers it in known_meanings."""
        found = self._find_meanings(name)
        if len(name) <= _MAX_NAME_CHARACTERS:
            if len(self.known_meanings) >= _MAX_NAMES:
                self.known_meanings.clear()
            self.known_meanings[name] = found
        return found

    def limits_of(self, name: str) -> list[dict[str, Any]]:
        """Within what the first few rules with this name apply: {"condition", "below_version", "until"}, those that are set."""
        rules = sorted([*self._exact.get(name, ()), *self._matching(name)], key=lambda rule: rule.index)
        told = ({key: rule.definition[key] for key in _LIMITS if rule.definition.get(key)} for rule in rules)
        return [one for one in told if one][:_LIMITS_TOLD]

    def _find_meanings(self, name: str) -> list[Meaning]:
        rules = sorted([*self._exact.get(name, ()), *self._matching(name)], key=lambda rule: rule.index)
        meanings = [Meaning(rule.condition, rule.reading, _tag_change("tag.mapped", name, rule.tag)) for rule in rules]
        tag = self._plan.receiving.get(name.lower())
        if tag is not None:
            meanings.append(Meaning(None, tag.native, _tag_change("tag.case", name, tag)))
        elif (refined := self._plan.refinement_index.find(name)) is not None:
            tag = self._plan.tags[refined.tag]
            change = _tag_change("tag.refinement", name, tag)
            meanings.append(Meaning(None, tag.native, change, (refined.attribute, refined.value)))
        return meanings

    def _matching(self, name: str) -> list[RulePlan]:
        if not self._patterns:
            return []
        if self._pattern_set is None:
            options = re2.Options()
            options.log_errors = False
            patterns = re2.Set.FullMatchSet(options)
            for rule in self._patterns:
                patterns.Add(rule.definition["name"])
            patterns.Compile()
            self._pattern_set = patterns
        return [self._patterns[index] for index in self._pattern_set.Match(storable(name)) or ()]


class Plan:
    """A compiled release. `sources` by code, `sources_by_uuid`, `tags` by uuid, `tags_by_code` by code in small letters."""

    def __init__(self, items: Items, version: str) -> None:
        self.version = version
        self.items = items
        by_kind: dict[str, Items] = {}
        for uuid, definition in items.items():
            by_kind.setdefault(definition["kind"], {})[uuid] = definition
        self._slots: dict[tuple[str, bytes], Slot] = {}
        tags = by_kind.get("tag", {})
        self.tags = {
            uuid: TagPlan(
                uuid,
                definition,
                [self._slot(use) for use in definition.get("attributes") or []],
                items[definition["successor"]]["code"] if definition.get("successor") in items else None,
                compile_modes(definition, items),
            )
            for uuid, definition in tags.items()
        }
        self.tags_by_code = {tag.code.lower(): tag for tag in self.tags.values()}
        self.receiving = {code: tag for code, tag in self.tags_by_code.items() if tag.receives}
        self.refinement_index = RefinementIndex((tag.uuid, refinement) for tag in self.receiving.values() for refinement in tag.refinements)
        rules_of: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for uuid, definition in by_kind.get("rule", {}).items():
            rules_of.setdefault(definition["source"], []).append((uuid, definition))
        self.sources: dict[str, SourcePlan] = {}
        for uuid, definition in by_kind.get("source", {}).items():
            ordered = sorted(rules_of.get(uuid, ()), key=rule_order)
            timezone = definition.get("timezone") or "UTC"
            rules = [RulePlan(index, rule_uuid, rule, self.tags[rule["tag"]], timezone) for index, (rule_uuid, rule) in enumerate(ordered)]
            self.sources[definition["code"]] = SourcePlan(uuid, definition, rules, self)
        self.sources_by_uuid = {source.uuid: source for source in self.sources.values()}

    def _slot(self, use: dict[str, Any]) -> Slot:
        """The attribute as this tag uses it. Tags mostly share one: compiled once per attribute and tightening."""
        key = (use["attribute"], _canonical.encode([use.get("required", False), use.get("constraints") or {}]))
        slot = self._slots.get(key)
        if slot is None:
            definition = self.items[use["attribute"]]
            cast = compile_cast(definition, use.get("constraints") or {})
            slot = self._slots[key] = Slot(
                use["attribute"],
                definition["code"],
                use.get("required", False),
                filled(cast) if use.get("required") and definition["type"] == "text" else cast,
                notation_of(definition),
                definition["type"],
                definition,
            )
        return slot

    @staticmethod
    def canonical(items: Items) -> bytes:
        """The one JSON text of a set of definitions: keys sorted, no spaces, UTF-8."""
        return _canonical.encode(items)

    @staticmethod
    def content_hash(items: Items) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(Plan.canonical(items)).hexdigest()


def compile_plan(items: Items, *, version: str = "") -> Plan:
    """Compile definitions that check_plan finds nothing wrong with. 2,000 tags and 2,000 rules: about 0.2 s."""
    return Plan(items, version)


def rule_order(rule: tuple[str, dict[str, Any]]) -> tuple[int, str]:
    uuid, definition = rule
    return definition.get("position", 0), uuid


def consumed_names(row: dict[str, Any]) -> set[str]:
    """The attributes as sent that a row takes, so that they are not set aside."""
    path = row.get("path") or ""
    path = path.removeprefix("$.attributes.")
    return set() if not path or path.startswith("$.") else first_names(path)


def compile_condition(condition: dict[str, Any] | None) -> Finder | None:
    """Compile to a question about an event; None asks nothing."""
    if not condition or not condition.get("path"):
        return None
    test = compile_test(condition["operator"], condition.get("value") or "")
    names = plain_names(condition["path"])
    if names is not None and len(names) == 1:
        name = names[0]
        return lambda attributes, raw: test(attributes.get(name))
    find = compile_finder(condition["path"])
    return lambda attributes, raw: test(find(attributes, raw))


def _within(definition: dict[str, Any], timezone: str, condition: Finder | None) -> Finder | None:
    """A rule's condition with its bounds: only what an older version of the source sends, only until a day, the day included."""
    below, until = definition.get("below_version") or "", definition.get("until") or ""
    if not below and not until:
        return condition
    zone, last = ZoneInfo(timezone), read_date(until) if until else None

    def applies(attributes: dict[str, Any], raw: RawEvent) -> bool:
        if below and not is_below(raw.source_version, below):
            return False
        if last is not None and raw.received_at.astimezone(zone).date() > last:
            return False
        return condition is None or bool(condition(attributes, raw))

    return applies


def compile_finder(path: str) -> Finder:
    """Compile a path of a rule: looked up in the attributes as sent, or after "$." in the raw event itself."""
    if not path.startswith("$."):
        get = compile_path(path)
        return lambda attributes, raw: get(attributes)
    names = plain_names(path[2:])
    if names is not None:
        field, rest = names[0], names[1:]
        if field not in RAW_FIELDS:
            raise ValueError(f"{path!r}: after $. expected one of {', '.join(RAW_FIELDS)}")
        if not rest:
            return lambda attributes, raw: getattr(raw, field)
        get_rest = compile_path(".".join(f'"{name}"' for name in rest))
        return lambda attributes, raw: get_rest(getattr(raw, field))
    search = compile_path(path[2:])
    return lambda attributes, raw: search({field: getattr(raw, field) for field in RAW_FIELDS})


def _step(slot: Slot, row: dict[str, Any] | None, *, native: bool) -> QuickStep:
    """`native`: whether the attribute may also be taken under its own name."""
    origin = (row.get("path") or "") if row is not None else slot.code if native else ""
    names = plain_names(origin) if origin else None
    key = names[0] if names is not None and len(names) == 1 else ""
    transform = _transform(row) if row is not None else None
    step = Step(
        slot.code,
        compile_finder(origin if row is not None else f'"{origin}"') if origin else _find_nothing,
        transform,
        native and row is not None and key != slot.code,
        slot.cast,
        Change("attribute.renamed", f"attributes.{slot.code}", origin, slot.code) if origin and key != slot.code else None,
        slot.notation,
        slot.type not in _LONG_TYPES,
        f"attributes.{slot.code}",
        slot.required,
        origin if row is not None else "",
    )
    if transform is not None or not origin:
        find: Finder | None = _find_nothing
    else:
        find = None if key else step.find
    optional = transform is None and not step.fallback and not slot.required
    return QuickStep(
        slot.code,
        key,
        find,
        slot.cast,
        step.renamed,
        step.fallback,
        optional,
        {} if step.small and slot.type not in _SELDOM_AGAIN else None,
        step,
    )


_LONG_TYPES = frozenset({"text", "url", "list", "object"})
# Hardly a value of these comes twice.
_SELDOM_AGAIN = frozenset({"datetime", "phone", "email"})


def _row_finder(row: dict[str, Any]) -> Finder:
    return compile_finder(row["path"]) if row.get("path") else _find_nothing


def _compile_row(row: dict[str, Any]) -> Finder:
    """Path and transforms of a row in one."""
    find, transform = _row_finder(row), _transform(row)
    if transform is None:
        return find
    return lambda attributes, raw: transform(find(attributes, raw), attributes)


def _find_nothing(attributes: dict[str, Any], raw: RawEvent) -> None:
    return None


def _transform(row: dict[str, Any]) -> Transform | None:
    text = row.get("transforms") or ""
    return compile_transforms(text) if text.strip() else None
