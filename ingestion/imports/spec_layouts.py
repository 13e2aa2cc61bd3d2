"""What the files hold that one of a source's matchings reads: their own columns, told as the source's own are. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ingestion.doors.files import Column as Matched
from ingestion.doors.files import Matching, RowEvent
from ingestion.doors.files.matching import ATTRIBUTE, EITHER, IDENTIFIER, SERIAL
from ingestion.imports.spec import Column, Event, Spec, event_of
from taxonomy.dictionary.standard import Standard
from taxonomy.dictionary.words import ENVELOPE, TIME_FORMATS, joined

# No figure of it can stand for another: a time written so says which is the day and which the year.
_SAMPLE = datetime(2026, 3, 31, 14, 5, 9)


def spec_of_layout(spec: Spec, matching: Matching, headings: list[str], known: Standard, *, at: datetime) -> Spec:
    """`spec`: of the source's own columns. `headings`: of the files, in their order. `at`: the time in the examples."""
    told = [(row_event, [_in_its_words(one, row_event) for one in _told_by(row_event, spec, known, at)]) for row_event in matching.events]
    events = [event for _row_event, some in told for event in some]
    held = {column.name for event in events for column in event.columns}
    shared = [(heading, _shared(heading, matching, spec)) for heading in headings]
    common = [column or _unread(heading, matching) for heading, column in shared if column or heading not in held]
    tells = {heading: _tells(heading, told) for heading in headings}
    needed = {column.name for column in common if column.need == "required"}
    for row_event, some in told:
        if some and not row_event.only_if:
            needed |= set.intersection(*({column.name for column in event.columns if column.need == "required"} for event in some))

    def whole(column: Column) -> Column:
        """With what the other places of the column ask for, and with the events it tells of."""
        need = "required" if column.name in needed else column.need
        one = replace(column, need=need, tells=tells.get(column.name, ""))
        return replace(one, told=_("which events the row tells of")) if one.tells and not one.told else one

    more = spec.more if any(one.column for one in matching.events) else 0
    events = [replace(event, columns=_first_needed(map(whole, event.columns))) for event in events]
    return Spec(spec.source, [whole(one) for one in common], events, [], more, headings)


def _told_by(row_event: RowEvent, spec: Spec, known: Standard, at: datetime) -> list[Event]:
    """The events that a row may tell of: by the one name, or as a column says. None of what the reader may not read."""
    if row_event.column:
        return spec.events
    if found := [one for one in spec.events if one.name == row_event.name]:
        return found
    item = known.find("tag", row_event.name)
    tag = next((one for one in known.plan.tags.values() if one.uuid == item and item in known.items), None)
    return [replace(event_of(None, tag, spec.source, known, at)[0], name=row_event.name)] if tag else []


def _in_its_words(event: Event, row_event: RowEvent) -> Event:
    """The event with the columns that a matching reads, under their own headings."""
    columns = row_event.columns
    known = {column.name: column for column in event.columns}
    held: list[Column] = []
    for one in columns:
        if one.target == "occurred_at":
            held.append(_time(one, None))
        elif found := known.get(one.target.removeprefix(ATTRIBUTE)):
            held.append(replace(found, name=one.heading, how=_number(one) or found.how, example="" if one.written else found.example))
    headings = {one.target.removeprefix(ATTRIBUTE): one.heading for one in columns}
    one_of = [[headings[name] for name in group if name in headings] for group in event.one_of]
    by_name = _("only where “%(column)s” says %(values)s") % {"column": row_event.column, "values": event.name} if row_event.column else ""
    when = joined([by_name, only_where(row_event), event.when]) or _("of every row")
    return replace(event, columns=held, one_of=[group for group in one_of if group], row=None, when=when)


def _first_needed(columns: Iterable[Column]) -> list[Column]:
    return sorted(columns, key=lambda one: one.need != "required")


def only_where(event: RowEvent) -> str:
    """Which rows tell of the event; "" for every row."""
    if event.says:
        return _("only where “%(column)s” says %(values)s") % {"column": event.only_if, "values": ", ".join(event.says)}
    return _("only where “%(column)s” is filled") % {"column": event.only_if} if event.only_if else ""


def _shared(heading: str, matching: Matching, spec: Spec) -> Column | None:
    """A column that says something of the whole row; None where it does not."""
    if any(event.column == heading for event in matching.events):
        return Column(heading, str(ENVELOPE["event"]), "required", example=next((one.name for one in spec.events), ""), field="event")
    held = {column.target: column for column in matching.columns if column.heading == heading}
    if not held:
        return None
    # A column may hold the time and name the row: it is told by what must be written in it.
    target = next((one for one in held if one != "id"), "id")
    if target == "occurred_at":
        clock = next((column for column in matching.columns if column.target == "time_of_day"), None)
        return _time(held[target], clock)
    if target == "time_of_day":
        return Column(heading, _("the time of day"), "recommended", _clock(held[target]))
    if target == "id":
        return _id(heading, matching)
    if target.startswith(IDENTIFIER):
        return Column(heading, str(ENVELOPE["identifiers"]) % {"kind": target.removeprefix(IDENTIFIER)}, field="identifiers")
    need = ""
    if target == "phone":
        need = "recommended" if any(column.target.startswith(IDENTIFIER) for column in matching.columns) else "required"
    return Column(heading, str(ENVELOPE.get(target, target)), need, field=target)


def _id(heading: str, matching: Matching) -> Column:
    others = [one for one in matching.ids() if one != heading]
    if not others:
        return Column(heading, str(ENVELOPE["message_id"]), "recommended", field="message_id")
    what = _("Together with %(columns)s it is different in every row, and the same when the row is sent again.")
    return Column(heading, str(ENVELOPE["message_id"]), "recommended", what % {"columns": ", ".join(others)})


def _unread(heading: str, matching: Matching) -> Column:
    if heading in matching.headings():
        return Column(heading, "")  # of an event that the reader may not read, or that has no such attribute, or a condition
    return Column(heading, "", what=_("Not read. It may stay empty, but leave the column: a file is known by its headings."))


def _tells(heading: str, told: list[tuple[RowEvent, list[Event]]]) -> str:
    """The events that the row tells of by what stands under the heading, of those that the reader may read."""
    sentences = []
    for one, events in told:
        if one.only_if != heading or not events:
            continue
        name = _("the event in “%(column)s”") % {"column": one.column} if one.column else f"{events[0].label} ({one.name})"
        values = {"values": ", ".join(one.says), "event": name}
        is_beside = any(other is not one and _may_both(one, other) for other, _events in told)
        if one.says and is_beside:
            sentences.append(_("Where it says %(values)s, the row tells of %(event)s too, beside its other events.") % values)
        elif one.says:
            sentences.append(_("Where it says %(values)s, the row tells of %(event)s.") % values)
        elif is_beside:
            sentences.append(_("Where it is filled, the row tells of %(event)s too, beside its other events.") % values)
        else:
            sentences.append(_("Where it is filled, the row tells of %(event)s.") % values)
    return " ".join(sentences)


def _may_both(one: RowEvent, other: RowEvent) -> bool:
    """Whether a row may tell of both."""
    if one.only_if != other.only_if or not (one.says and other.says):
        return True
    return not {said.casefold() for said in one.says}.isdisjoint(said.casefold() for said in other.says)


def _time(column: Matched, clock: Matched | None) -> Column:
    how = str(TIME_FORMATS["excel"]) if column.written == SERIAL else _written(column.written)
    if clock is not None:
        how = "; ".join(filter(None, (how, _("the time of day stands in %(column)s") % {"column": clock.heading})))
    return Column(column.heading, str(ENVELOPE["occurred_at"]), "recommended", how=how, field="occurred_at")


def _clock(column: Matched) -> str:
    return _("such as %(examples)s") % {"examples": ", ".join(_samples(column.written.split(EITHER)))} if column.written else ""


def _samples(ways: Sequence[str]) -> Iterator[str]:
    return (_SAMPLE.strftime(way) for way in ways if way)


def _written(way: str) -> str:
    if not way:
        return ""
    shown = "DATETIME_FORMAT" if any(sign in way for sign in ("%H", "%I")) else "DATE_FORMAT"
    return _("%(value)s is %(moment)s") % {"value": _SAMPLE.strftime(way), "moment": date_format(_SAMPLE, shown)}


def _number(column: Matched) -> str:
    return _("such as %(examples)s") % {"examples": column.written} if column.written else ""
