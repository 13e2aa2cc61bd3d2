"""What a source's files hold, for whoever writes them: its columns and, for each event, what they mean and must be.

All of it is read from the released plan, and what is offered as an example or a choice was tried on the core. Pure.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from ingestion.doors.files import FileFormat
from ingestion.reread import reader_of
from ingestion.sending.example import Example, example_by
from taxonomy.dictionary.examples import as_cell, values_of
from taxonomy.dictionary.sheets import tag_sheet
from taxonomy.dictionary.standard import Standard
from taxonomy.dictionary.words import ENVELOPE, TIME_FORMATS, row_words, type_words
from taxonomy.rule_words import limits_words
from taxonomy.standardize import Plan, Refusal, SourcePlan, standardize
from taxonomy.standardize.paths import plain_names
from taxonomy.standardize.plan import RulePlan, TagPlan
from taxonomy.standardize.transforms import TransformError, parse_transforms

Row = dict[str, str]

# More events than these make a page that nobody reads.
_MOST_EVENTS = 60
_MOST_CHOICES = 200
_ENVELOPE_FIELDS = ("event", "phone", "occurred_at", "message_id", "region", "source_version")
# What these are called where a source has no envelope of its own making.
_OURS = {"message_id": "id"}
_RECOMMENDED = frozenset({"occurred_at", "message_id"})
_KEEP_LETTERS = frozenset({"trim", "lower", "upper"})
_CHANGE_NUMBER = frozenset({"multiply", "divide", "divide_by"})
# What is taken although nobody offered it: the column takes anything.
_NO_CHOICE = "no such choice 0"
_TABLE = FileFormat("csv")


@dataclass(frozen=True, slots=True)
class Column:
    """`need`: "required", "recommended" or "". `field`: of the envelope, "" for an attribute. `type`: the attribute's, "" for the envelope's.

    `tells`: which events the row tells of by what stands in it.
    """

    name: str
    told: str
    need: str = ""
    what: str = ""
    how: str = ""
    example: str = ""
    choices: list[str] = field(default_factory=list)
    field: str = ""
    type: str = ""
    tells: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that can be said: `name` is what stands for it in the file, `when` which rows say it. `row` is accepted as it stands; None where none is known."""

    name: str
    tag: str
    label: str
    description: str
    columns: list[Column]
    one_of: list[list[str]]
    row: Row | None
    when: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """`common`: the columns every event has. `is_table`: it can be written as rows; else `lines` are its JSON. `more`: events not told here.

    `headings`: of a file that a matching reads, in its order; none for the source's own columns, which stand in any.
    """

    source: SourcePlan
    common: list[Column]
    events: list[Event]
    lines: list[dict[str, Any]]
    more: int
    headings: list[str] = field(default_factory=list)

    @property
    def is_table(self) -> bool:
        return bool(self.headings) or any(event.row for event in self.events)

    @property
    def columns(self) -> list[Column]:
        """Every column once, with all that it may hold in any event."""
        found: dict[str, Column] = {one.name: self._told(one) for one in self.common}
        for one in (column for event in self.events for column in event.columns):
            known = found.setdefault(one.name, one)
            if known.choices != one.choices:
                # where one event takes any value, no list may forbid it
                both = [*known.choices, *one.choices] if known.choices and one.choices else []
                found[one.name] = known = replace(known, choices=list(dict.fromkeys(both)))
            if known.type != one.type or known.how != one.how:
                found[one.name] = replace(known, type="")
        return [found[name] for name in self.headings or found]

    def _told(self, column: Column) -> Column:
        """Which events there are is known of the column that names them, as far as no pattern reads it."""
        names = [event.name for event in self.events] if column.field == "event" and not self.more else []
        return replace(column, choices=names)

    @property
    def rows(self) -> list[Row]:
        return [event.row for event in self.events if event.row]


def spec_of(source: str, known: Standard, *, at: datetime, seen: frozenset[str] = frozenset()) -> Spec:
    """`source`: its uuid. `known`: as far as the reader may read it. `seen`: uuids of tags the source has sent. `at`: the time in the examples."""
    plan, own = known.plan, known.plan.sources_by_uuid[source]
    ways = list(_ways(own, known, seen))
    told = ways[:_MOST_EVENTS]
    found = [event_of(rule, tag, own, known, at, f"example-{number}") for number, (rule, tag) in enumerate(told, 1)]
    tried = [(event.row, tag) for (event, _example), (_rule, tag) in zip(found, told, strict=True) if event.row]
    lines = [example.record for _event, example in found if example]
    return Spec(own, _common(own, plan, tried, at), _apart([event for event, _example in found]), lines, len(ways) - len(told))


def _apart(events: list[Event]) -> list[Event]:
    """Where a name is several events, each says when it is which: rules are tried in order, and one without limits takes the rest."""
    names = Counter(event.name for event in events)
    return [replace(event, when=_("otherwise")) if names[event.name] > 1 and not event.when else event for event in events]


def takes(row: Row, tag: TagPlan, source: SourcePlan, plan: Plan, at: datetime) -> bool:
    """Whether the core accepts a row of a file as this tag."""
    events = reader_of(source, plan, door="file", received_at=at, file_format=_TABLE)(dict(row), b"")
    if len(events) != 1 or isinstance(events[0], Refusal):
        return False
    result = standardize(events[0], plan)
    return result.verdict == "accepted" and result.tag == tag.uuid


def _ways(source: SourcePlan, known: Standard, seen: frozenset[str]) -> Iterator[tuple[RulePlan | None, TagPlan]]:
    """What the source can say: by each rule, and tags of its own accord by their codes; all tags where neither is known."""
    own = [rule for rule in source.rules if rule.uuid in known.items and rule.tag.uuid in known.items and rule.tag.receives]
    yield from ((rule, rule.tag) for rule in own)
    mapped = {rule.tag.uuid for rule in own}
    for tag in sorted(known.plan.tags.values(), key=lambda one: one.code):
        is_said = tag.uuid in seen - mapped or not (own or seen)
        if is_said and tag.uuid in known.items and tag.status == "active":
            yield None, tag


def _as_row(record: dict[str, Any], source: SourcePlan) -> Row | None:
    """A record as a row has it; None where it cannot be one. Of our own JSON the attributes are columns."""
    if (source.envelope.get("preset") or "tagline") == "tagline":
        record = dict(record)
        attributes, identifiers = record.pop("attributes", {}), record.pop("identifiers", {})
        record |= {f"identifier.{kind}": value for kind, value in identifiers.items()} | attributes
    cells = {name: value for name, value in record.items() if not isinstance(value, list | dict)}
    return {name: as_cell(value) for name, value in cells.items()}


def _column_of(name: str, source: SourcePlan) -> str:
    """The heading under which a field of the envelope stands; "" where no heading can."""
    if source.envelope.get("preset") != "custom":
        return _OURS.get(name, name)
    names = plain_names((source.envelope.get(name) or "").removeprefix("$."))
    return names[0] if names and len(names) == 1 else ""


def _common(source: SourcePlan, plan: Plan, tried: list[tuple[Row, TagPlan]], at: datetime) -> list[Column]:
    found = []
    for name in _ENVELOPE_FIELDS:
        heading = _column_of(name, source)
        having = [(row, tag) for row, tag in tried if heading in row]
        if not heading or (tried and not having):
            continue
        example = having[0][0][heading] if having else ""
        is_needed = any(not takes({key: cell for key, cell in row.items() if key != heading}, tag, source, plan, at) for row, tag in having)
        need = "required" if is_needed else "recommended" if name in _RECOMMENDED else ""
        found.append(Column(heading, str(ENVELOPE[name]), need, how=_how(name, source), example=example, field=name))
    kinds = source.envelope.get("identifiers") or {} if source.envelope.get("preset") == "custom" else {"crm_id": "identifier.crm_id"}
    for kind, path in kinds.items():
        if len(plain_names(path) or []) == 1 or path.startswith("identifier."):
            found.append(Column(path, str(ENVELOPE["identifiers"]) % {"kind": kind}, field="identifiers"))
    return found


def _how(name: str, source: SourcePlan) -> str:
    if name == "occurred_at":
        written = source.envelope.get("time_format") or ""
        return str(TIME_FORMATS.get(written, written))
    return ""


def event_of(
    rule: RulePlan | None, tag: TagPlan, source: SourcePlan, known: Standard, at: datetime, message_id: str = "example-1"
) -> tuple[Event, Example | None]:
    """What is said by a rule, else by the tag's own code, and an example of it that is accepted, where there is one."""
    example = example_by(rule, tag, source, known.plan, at, message_id, "file")
    row = _as_row(example.record, source) if example else None
    row = row if row and takes(row, tag, source, known.plan, at) else None
    return _event(rule, tag, row, source, known, at), example


def _event(rule: RulePlan | None, tag: TagPlan, row: Row | None, source: SourcePlan, known: Standard, at: datetime) -> Event:
    sheet = tag_sheet(tag.uuid, known, {}, with_examples=False)
    uses = {use["code"]: use for use in sheet["attributes"]}
    values = values_of(tag, known.items, source.currency)
    envelope = {column for name in _ENVELOPE_FIELDS if (column := _column_of(name, source))}
    columns: dict[str, Column] = {}
    mapped: dict[str, str] = {}
    lines: list[dict[str, Any]] = rule.definition["rows"] if rule else []
    for line in lines:
        names, target = plain_names(line.get("path") or "") or [], line["target"]
        if len(names) != 1 or target not in uses or names[0] in envelope:
            continue
        mapped[target] = names[0]
        cell = (row or {}).get(names[0], "")
        sent = _attribute(names[0], uses[target], cell, tag, how=row_words(line)["how"])
        transforms = line.get("transforms") or ""
        if _changes_number(transforms):  # the bounds are of what comes out, not of what is written
            sent = replace(sent, what=type_words(known.items[tag.slots[target].uuid]))
        columns.setdefault(names[0], _with_choices(sent, target, transforms, tag, row, source, known, at))
    if rule is None or rule.definition.get("keep_unmapped", True):
        for code, use in uses.items():
            if code not in mapped and code not in columns and code not in envelope:
                value = values.get(code)
                cell = (row or {}).get(code) or ("" if value is None or isinstance(value, list | dict) else as_cell(value))
                native = _attribute(code, use, cell, tag)
                columns[code] = _with_choices(native, code, "", tag, row, source, known, at)
                mapped[code] = code
    one_of = [[mapped.get(code, code) for code in group] for group in sheet["one_of"]]
    name = rule.definition["name"] if rule else tag.code
    ordered = sorted(columns.values(), key=lambda one: one.need != "required")
    when = limits_words(rule.definition) if rule else ""
    return Event(name, tag.code, sheet["label"], sheet["description"], ordered, one_of, row, when)


def _changes_number(transforms: str) -> bool:
    steps = parse_transforms(transforms)
    return not isinstance(steps, TransformError) and any(step.name in _CHANGE_NUMBER for step in steps)


def _attribute(name: str, use: dict[str, Any], cell: str, tag: TagPlan, how: str = "") -> Column:
    need = "required" if use["required"] else ""
    return Column(
        name, use["label"], need, use["whole"], how, cell or (use["example"] if not how else ""), type=tag.slots[use["code"]].type
    )


def _with_choices(
    column: Column, code: str, transforms: str, tag: TagPlan, row: Row | None, source: SourcePlan, known: Standard, at: datetime
) -> Column:
    """The values that may stand in the column where they are few: each tried on the core in the place of the example's."""
    offered = _offered(code, transforms, tag, known)
    if not offered or row is None:
        return column

    def fits(value: str) -> bool:
        return takes({**row, column.name: value}, tag, source, known.plan, at)

    if fits(_NO_CHOICE):
        return column
    # the type alone: the choices are told by themselves
    return replace(
        column, what=type_words(known.items[tag.slots[code].uuid]), choices=[one for one in offered[:_MOST_CHOICES] if fits(one)]
    )


def _offered(code: str, transforms: str, tag: TagPlan, known: Standard) -> list[str]:
    steps = parse_transforms(transforms)
    if isinstance(steps, TransformError):
        return []
    said: list[str] = []
    for step in steps:
        if step.name == "value_map":
            said += [str(one) for one in list(step.arguments)[::2] if one != "*"]
        elif step.name not in _KEEP_LETTERS:
            return []
    slot = tag.slots[code]
    if slot.type == "boolean":
        return said or ["true", "false"]
    use = next(one for one in tag.definition["attributes"] if one["attribute"] == slot.uuid)
    constraints = (known.items[slot.uuid].get("constraints") or {}) | (use.get("constraints") or {})
    return list(dict.fromkeys([*said, *(as_cell(one) for one in constraints.get("choices") or [])]))
