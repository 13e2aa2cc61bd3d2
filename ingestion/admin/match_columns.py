"""A draft's columns as the matching page shows them: what each may be, what it is understood as, and why."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast
from uuid import UUID

from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from msgspec import structs

from ingestion.doors.files import RESERVED, Column, FileFormat, RowEvent, all_cells, cells_of, cells_under, decimal_sign
from ingestion.doors.files.matching import ATTRIBUTE, COMMA, IDENTIFIER, POINT, plain_number
from ingestion.imports.columns import ASK, LOOKED_AT, Seen, is_either, look, reads_some, when
from ingestion.imports.judged import first_records
from ingestion.imports.preview import may_be_left_out
from ingestion.imports.suggest import Guess, Suggested, attributes_for, names_of, paths_of, rules_of, suggest, tags_of
from ingestion.imports.traps import Looked, look_through
from ingestion.models import FileMatching, ImportRun
from taxonomy.dictionary.standard import Standard, standard
from taxonomy.released import named
from taxonomy.request_rights import hidden_in
from taxonomy.standardize import KINDS

FIELD_WORDS = {
    "phone": gettext_lazy("the customer's phone"),
    "occurred_at": gettext_lazy("the time, or its date"),
    "time_of_day": gettext_lazy("the time of day"),
    "region": gettext_lazy("the region of the phone"),
    "source_version": gettext_lazy("the version of the source"),
}
_NUMBER_WORDS = {"": gettext_lazy("numbers as they stand"), POINT: "1,234.50", COMMA: "1.234,50"}
Option = tuple[str, str]
Group = tuple[str, list[Option]]


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """One row of the page's table. `ways` are how it may be written; `meaning` what its first value then is."""

    at: int
    heading: str
    examples: list[str]
    is_empty: bool
    target: str
    groups: list[Group]
    ways: list[Option]
    written: str
    meaning: str
    why: str
    is_id: bool


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """A further event of the row. `says` is as it is typed, `attributes` are [(code, label, position of its column or "")]."""

    number: int
    name: str
    only_if: str
    says: str
    at: str
    ways: list[Option]
    written: str
    attributes: list[tuple[str, str, str]]


class Look:
    """A draft's columns as they look, for one person's page."""

    def __init__(self, run: ImportRun, request: HttpRequest) -> None:
        self.run = run
        self.file_format = FileFormat(**run.format)
        headings, self.rows, self.seen, self.looked, self.sums = _looked_at(
            str(run.pk), run.path, repr(replace(self.file_format, matching=None))
        )
        self.headings = list(headings)
        self.left_out = self.file_format.left_out
        self.has_decimal_comma = decimal_sign(self.rows) == ","
        found = standard()
        self.hidden = hidden_in(request, found.items) if found else set()
        self.known: Standard | None = found.without(self.hidden) if found and self.hidden else found
        self.source = str(run.source_id)
        if self.known and self.source not in self.known.items:
            self.known = None

    def suggested(self) -> Suggested:
        earlier = list(FileMatching.objects.filter(source=self.run.source).order_by("-number")[:5])
        if self.run.matching_id:
            earlier = [one for one in earlier if one.pk == self.run.matching_id] or [cast(FileMatching, self.run.matching)]
        is_mended = "_tagline_id" in self.file_format.columns
        return suggest(self.seen, self.rows, source=self.source, known=self.known, earlier=earlier, is_mended=is_mended)

    def with_attributes(self, chosen: Suggested) -> Suggested:
        """After another event was chosen: what its attributes may stand in, in place of those of the former."""
        kept = {heading: Guess() if one.target.startswith(ATTRIBUTE) else one for heading, one in chosen.columns.items()}
        if self.known:
            kept |= attributes_for(chosen.event, kept, self.seen, source=self.source, known=self.known)
        chosen.columns = kept
        return chosen

    def with_own_attributes(self, one: RowEvent, chosen: Suggested) -> RowEvent:
        """After a further event was chosen: its time, and what its attributes may stand in, those of the first too."""
        kept = {heading: Guess() if guess.target.startswith(ATTRIBUTE) else guess for heading, guess in chosen.columns.items()}
        found = attributes_for(f"name:{one.name}", kept, self.seen, source=self.source, known=self.known) if self.known else {}
        own = [Column(heading, guess.target, guess.written) for heading, guess in found.items()]
        return structs.replace(one, columns=(*(column for column in one.columns if not column.target.startswith(ATTRIBUTE)), *own))

    def tags(self, event: str) -> list[str]:
        if not self.known:
            return []
        return tags_of(names_of(event, self.seen), rules_of(self.source, self.known), self.known)

    def label(self, item: str) -> str:
        one = named("tag" if self.known and self.known.items[item]["kind"] == "tag" else "attribute", [UUID(item)])[UUID(item)]
        return f"{one.label} ({one.code})" if one.label != one.code else one.code

    def attribute_options(self, event: str) -> list[Option]:
        """What the rules for the event read, with what that fills; and the attributes of its tags."""
        if not self.known:
            return []
        paths = paths_of(rules_of(self.source, self.known), names_of(event, self.seen))
        options = {ATTRIBUTE + name: f"{name} → {target}" if target else name for name, target in paths.items()}
        for tag in self.tags(event):
            required = {use["attribute"] for use in self.known.items[tag].get("attributes") or [] if use.get("required")}
            for use in self.known.items[tag].get("attributes") or []:
                code = self.known.items[use["attribute"]]["code"]
                mark = " *" if use["attribute"] in required else ""
                options.setdefault(ATTRIBUTE + code, self.label(use["attribute"]) + mark)
        return list(options.items())

    def event_groups(self, chosen: Suggested) -> list[Group]:
        """What may give the event: columns with few values, the names of the source's rules, every active tag."""
        columns = [(f"column:{name}", f"{name}: {some(list(one.names))}") for name, one in self.seen.items() if one.names]
        if not self.known:
            return [(_("A column says it"), columns)]
        labels = {f"name:{self.known.items[tag]['code']}": self.label(tag) for tag in self.known.of_kind("tag")}
        offered = [(value, f"{labels.get(value, value)} · {why}") for value, why in chosen.offered]
        rules: dict[str, list[str]] = {}
        for rule in rules_of(self.source, self.known):
            if rule.get("match") != "pattern":
                rules.setdefault(rule["name"], []).append(self.known.items[rule["tag"]]["code"])
        by_rule = [(f"name:{name}", f"{name} → {' / '.join(dict.fromkeys(codes))}") for name, codes in rules.items()]
        active = [
            (value, label)
            for value, label in labels.items()
            if value not in dict(offered) and value not in dict(by_rule) and self._is_active(value)
        ]
        groups = [
            (_("Suggested"), offered), (_("A column says it"), columns), (_("The source's rules decide"), by_rule), (_("Always this event"), active),
        ]  # fmt: skip
        return [(label, options) for label, options in groups if options]

    def _is_active(self, value: str) -> bool:
        assert self.known is not None
        tag = self.known.find("tag", value.removeprefix("name:"))
        return tag is not None and self.known.items[tag].get("status") == "active"

    def named_values(self, event: str) -> list[tuple[str, int, str]]:
        """What each value of the column that gives the event becomes: [(value, rows looked at, tags or "")]."""
        kind, _sign, heading = event.partition(":")
        if kind != "column" or heading not in self.seen or not self.known:
            return []
        rules = rules_of(self.source, self.known)
        return [
            (value, count, " / ".join(self.label(tag) for tag in tags_of([value], rules, self.known)))
            for value, count in self.seen[heading].names.items()
        ]

    def columns(self, chosen: Suggested) -> list[ShownColumn]:
        attributes = self.attribute_options(chosen.event)
        return [self._column(at, heading, chosen, attributes) for at, heading in enumerate(self.headings)]

    def _column(self, at: int, heading: str, chosen: Suggested, attributes: list[Option]) -> ShownColumn:
        guess, one = chosen.columns[heading], self.seen[heading]
        own = ATTRIBUTE + heading
        shown = [*attributes] if own in dict(attributes) else [*attributes, (own, _("as it is: “%(name)s”") % {"name": heading})]
        if guess.target.startswith(ATTRIBUTE) and guess.target not in dict(shown):
            shown.append((guess.target, guess.target.removeprefix(ATTRIBUTE)))
        groups: list[Group] = [
            (_("Customer and time"), [(field, str(words)) for field, words in FIELD_WORDS.items()]),
            (_("Other identifiers"), [(IDENTIFIER + kind, kind) for kind in KINDS if kind != "phone"]),
            (_("Attributes"), shown),
        ]
        written = guess
        if not guess.target.startswith(ATTRIBUTE) and guess.target not in ("occurred_at", "time_of_day"):
            written = _of_further_events(heading, chosen) or Guess(written=one.numbers)
        ways, meaning = self._ways(written, one)
        return ShownColumn(
            at,
            heading,
            one.examples,
            not one.filled,
            guess.target,
            groups,
            ways,
            written.written,
            meaning,
            guess.why,
            heading in chosen.ids,
        )

    def _ways(self, guess: Guess, one: Seen) -> tuple[list[Option], str]:
        if guess.target == "occurred_at":
            return _ways_of_time(one, guess.written), _meaning(one, guess.written) if guess.written != ASK else ""
        if guess.target.startswith(ATTRIBUTE) and (one.numbers or guess.written):
            return _ways_of_number(one), ""
        return [], ""

    def others(self, chosen: Suggested) -> list[ShownEvent]:
        shown = []
        for number, one in enumerate(chosen.others, 1):
            held = {column.target: str(self.headings.index(column.heading)) for column in one.columns}
            time = next((column for column in one.columns if column.target == "occurred_at"), None)
            name = one.name and f"name:{one.name}"
            attributes = [(target.removeprefix(ATTRIBUTE), label, held.get(target, "")) for target, label in self.attribute_options(name)]
            shown.append(
                ShownEvent(
                    number, name, str(self.headings.index(one.only_if)) if one.only_if else "", ", ".join(one.says), held.get("occurred_at", ""),
                    _ways_of_time(self.seen[time.heading], time.written) if time else [], time.written if time else "", attributes,
                )
            )  # fmt: skip
        return shown


@lru_cache(maxsize=4)
def _looked_at(run_id: str, path: str, how: str) -> tuple[tuple[str, ...], list[list[str]], dict[str, Seen], Looked, dict[str, list[str]]]:
    """The columns that are not ours, the first rows under them, what they look like and may hide, {row: cells} of what may be left out. The same while the file is read the same way."""
    run = ImportRun.objects.get(pk=run_id)
    file_format = replace(FileFormat(**run.format), matching=None)
    headings = tuple(column for column in file_format.columns if column not in RESERVED)
    found = first_records(run, file_format, LOOKED_AT, with_headers=True)
    rows = [cells_under(record.original, file_format)[0] for record in found if cells_of(record, file_format) is not None]
    looked = look_through(found, file_format)
    sums = may_be_left_out(file_format, looked.traps)
    cells = {str(one.row): all_cells(one.original, run.format) for one in found if one.row in sums}
    return headings, rows, look(headings, rows), looked, cells


def _ways_of_time(one: Seen, written: str) -> list[Option]:
    """What is asked; `written`, where it is none of the ways that differ, is among them."""
    ways = [*one.times, *([] if written in (ASK, *one.times) or not reads_some(one.examples, written) else [written])]
    return [(way, _meaning(one, way) or way) for way in ways] if one.is_asked else []


def _ways_of_number(one: Seen) -> list[Option]:
    """The notations; where it is asked, by what they make of a value."""
    value = next(filter(is_either, one.examples), "") if one.numbers == ASK else ""
    ways = [(way, str(words)) for way, words in _NUMBER_WORDS.items()]
    if not value:
        return ways
    return [
        (way, _("%(value)s is %(moment)s") % {"value": value, "moment": plain_number(value, way)} if way else words) for way, words in ways
    ]


def _of_further_events(heading: str, chosen: Suggested) -> Guess | None:
    """How a column is written that is an attribute of further events of the row."""
    columns = (column for one in chosen.others for column in one.columns)
    return next((Guess(one.target, one.written) for one in columns if one.heading == heading and one.target.startswith(ATTRIBUTE)), None)


def _meaning(one: Seen, way: str) -> str:
    """ "03/04/2026 is 3 April 2026": the first value that a way of writing reads."""
    for value in one.examples:
        for moment in when([value], way):
            shown = date_format(moment, "DATETIME_FORMAT" if moment.hour or moment.minute else "DATE_FORMAT")
            return _("%(value)s is %(moment)s") % {"value": value, "moment": shown}
    return ""


def some(values: list[str]) -> str:
    return ", ".join(values[:4]) + (" …" if len(values) > 4 else "")
