"""What the files hold that one of a source's matchings reads: their own columns, told as the source's own are. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ingestion.doors.files import Column as Matched
from ingestion.doors.files import Matching, RowEvent
from ingestion.doors.files.matching import ATTRIBUTE, EITHER, IDENTIFIER, SERIAL
from ingestion.imports.spec import Column, Event, Spec, event_of
from taxonomy.dictionary.standard import Standard
from taxonomy.dictionary.words import ENVELOPE, TIME_FORMATS

# No figure of it can stand for another: a time written so says which is the day and which the year.
_SAMPLE = datetime(2026, 3, 31, 14, 5, 9)


def spec_of_layout(spec: Spec, matching: Matching, headings: list[str], known: Standard, *, at: datetime) -> Spec:
    """`spec`: of the source's own columns. `headings`: of the files, in their order. `at`: the time in the examples."""
    events = [
        _in_its_words(one, row_event.columns)
        for row_event in matching.events
        for one in _told_by(row_event, spec, known, at)
    ]  # fmt: skip
    told = {column.name for event in events for column in event.columns}
    shared = [(heading, _shared(heading, matching, spec)) for heading in headings]
    names = {event.name for event in events}
    common = [column or _unread(heading, matching, names) for heading, column in shared if column or heading not in told]
    return Spec(spec.source, common, events, [], spec.more if any(one.column for one in matching.events) else 0, headings)


def _told_by(row_event: RowEvent, spec: Spec, known: Standard, at: datetime) -> list[Event]:
    """The events that a row may tell of: by the one name, or as a column says. None of what the reader may not read."""
    if row_event.column:
        return spec.events
    if found := [one for one in spec.events if one.name == row_event.name]:
        return found[:1]
    item = known.find("tag", row_event.name)
    tag = next((one for one in known.plan.tags.values() if one.uuid == item and item in known.items), None)
    return [replace(event_of(None, tag, spec.source, known, at)[0], name=row_event.name)] if tag else []


def _in_its_words(event: Event, columns: Sequence[Matched]) -> Event:
    """The event with the columns that a matching reads, under their own headings."""
    known = {column.name: column for column in event.columns}
    held: list[Column] = []
    for one in columns:
        if one.target == "occurred_at":
            held.append(_time(one, None))
        elif found := known.get(one.target.removeprefix(ATTRIBUTE)):
            held.append(replace(found, name=one.heading, how=_number(one) or found.how, example="" if one.written else found.example))
    headings = {one.target.removeprefix(ATTRIBUTE): one.heading for one in columns}
    one_of = [[headings[name] for name in group if name in headings] for group in event.one_of]
    return replace(
        event, columns=sorted(held, key=lambda one: one.need != "required"), one_of=[group for group in one_of if group], row=None
    )


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


def _unread(heading: str, matching: Matching, told: set[str]) -> Column:
    """`told`: the names of the events that the reader may read."""
    conditions = [event for event in matching.events if event.only_if == heading and (event.column or event.name in told)]
    if not conditions and heading in matching.headings():
        return Column(heading, "")  # of an event that the reader may not read, or that has no such attribute
    if not conditions:
        return Column(heading, "", what=_("Not read. It may stay empty, but leave the column: a file is known by its headings."))
    said = [
        _("Where it says %(values)s, the row tells of %(event)s.") % {"values": ", ".join(one.says), "event": one.name or one.column}
        if one.says
        else _("Filled in only where the row tells of %(event)s.") % {"event": one.name or one.column}
        for one in conditions
    ]
    return Column(heading, "", what=" ".join(said))


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
