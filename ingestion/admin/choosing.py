"""What a person chooses on the matching page: read from its form, made a matching, told what is missing."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from ingestion.doors.files import Column, Matching, RowEvent
from ingestion.doors.files.matching import ATTRIBUTE, FIELDS, IDENTIFIER, NUMBERS
from ingestion.imports.columns import ASK, Seen, reads_some, reads_some_clocks, repeats
from ingestion.imports.suggest import Guess, Suggested
from staff.admin.pages import number_or_none
from taxonomy.standardize import KINDS

Post = Mapping[str, Any]
MOST_EVENTS = 6


def said(post: Any, seen: Mapping[str, Seen]) -> Suggested:
    """What the form says, in the place of suggestions. A QueryDict; columns are known by their position."""
    headings = list(seen)
    columns = {heading: Guess(_target(post.get(f"c{at}-is", "")), post.get(f"c{at}-written", "")) for at, heading in enumerate(headings)}
    return Suggested(
        {heading: _settled(guess, seen[heading]) for heading, guess in columns.items()},
        ids=[heading for at, heading in enumerate(headings) if str(at) in post.getlist("id")],
        event=_event(post.get("event", ""), seen),
        others=tuple(_other(post, number, headings, seen) for number in _numbers(post)),
    )


def _numbers(post: Post) -> list[int]:
    return [number for number in range(1, MOST_EVENTS) if f"e{number}-name" in post and post.get("drop") != str(number)]


def just_named(post: Post, chosen: Suggested) -> list[bool]:
    """Of each further event, whether another was chosen than the page showed."""
    return [
        bool(one.name) and post.get(f"e{number}-before", f"name:{one.name}") != f"name:{one.name}"
        for number, one in zip(_numbers(post), chosen.others, strict=True)
    ]


def follow_rows(chosen: Suggested, before: Suggested, after: Suggested) -> None:
    """Columns that nobody chose otherwise become what the rows suggest since some are left out. `before`: what all of them suggested."""
    own = {heading for heading, one in chosen.columns.items() if one.target != before.columns[heading].target}
    taken = {chosen.columns[heading].target for heading in own}
    for heading, one in after.columns.items():
        if heading not in own and one.target != chosen.columns[heading].target and one.target not in taken:
            chosen.columns[heading] = one
    if sorted(chosen.ids) == sorted(before.ids):
        chosen.ids = after.ids


def _target(value: str) -> str:
    """What a column can be; "" for what nobody offered."""
    is_field = value in FIELDS and value != "id"
    is_identifier = value.removeprefix(IDENTIFIER) in KINDS and value.startswith(IDENTIFIER)
    return value if is_field or is_identifier or (value.startswith(ATTRIBUTE) and value != ATTRIBUTE) else ""


def _event(value: str, seen: Mapping[str, Seen]) -> str:
    kind, _sign, name = value.partition(":")
    return value if name and (kind == "name" or (kind == "column" and name in seen)) else ""


def _settled(guess: Guess, one: Seen) -> Guess:
    """Of a column that has just become a time, how it is written, where that is no question.

    A way that reads its values stays, though this file alone would say another: it is that of the matching which is used again.
    """
    if guess.target == "occurred_at" and guess.written not in one.times and not (guess.written and reads_some(one.examples, guess.written)):
        return Guess(guess.target, ASK if one.is_asked else one.times[0] if one.times else "")
    if guess.target == "time_of_day" and not reads_some_clocks(one.examples, guess.written):
        return Guess(guess.target, one.clock)
    if guess.target.startswith(ATTRIBUTE):
        return guess if guess.written in ("", *NUMBERS) else Guess(guess.target, one.numbers)
    return guess if guess.target in ("occurred_at", "time_of_day") else Guess(guess.target)


def _other(post: Post, number: int, headings: list[str], seen: Mapping[str, Seen]) -> RowEvent:
    """A further event of the row: when it is told, its time, and which column each of its attributes stands in."""
    start = f"e{number}-"
    columns = []
    at = _heading(post.get(f"{start}at", ""), headings)
    if at:
        columns.append(Column(at, "occurred_at", _settled(Guess("occurred_at", post.get(f"{start}written", "")), seen[at]).written))
    for name, position in post.items():
        if name.startswith(f"{start}a-") and (heading := _heading(position, headings)):
            target = ATTRIBUTE + name.removeprefix(f"{start}a-")
            # How a column is written is chosen once, for all events.
            columns.append(Column(heading, target, _settled(Guess(target, post.get(f"c{position}-written", ASK)), seen[heading]).written))
    name = _event(post.get(f"{start}name", ""), {}).partition(":")[2]
    only_if = _heading(post.get(f"{start}if", ""), headings)
    says = tuple(one.strip() for one in re.split("[,，]", post.get(f"{start}says", "")) if one.strip()) if only_if else ()
    return RowEvent(name=name, only_if=only_if, columns=tuple(columns), says=says)


def _heading(position: Any, headings: list[str]) -> str:
    at = number_or_none(str(position))
    return headings[at] if at is not None and at < len(headings) else ""


def as_matching(chosen: Suggested) -> Matching:
    """What was chosen, whole or not: a time whose writing is not said is read as the standard has it."""
    columns = [Column(heading, one.target, one.written.replace(ASK, "")) for heading, one in chosen.columns.items() if one.target]
    kind, _sign, name = chosen.event.partition(":")
    attributes = tuple(one for one in columns if one.target.startswith(ATTRIBUTE))
    shared = [one for one in columns if not one.target.startswith(ATTRIBUTE)] + [Column(heading, "id") for heading in chosen.ids]
    first = RowEvent(name=name if kind == "name" else "", column=name if kind == "column" else "", columns=attributes)
    others = [
        RowEvent(
            name=one.name,
            only_if=one.only_if,
            columns=tuple(Column(column.heading, column.target, column.written.replace(ASK, "")) for column in one.columns),
            says=one.says,
        )
        for one in chosen.others
        if one.name
    ]
    return Matching(tuple(shared), (first, *others)).in_order()


def missing(chosen: Suggested) -> Iterator[str]:
    """What must be chosen before anything can be imported."""
    targets = Counter(guess.target for guess in chosen.columns.values() if guess.target)
    if not chosen.event:
        yield _("Choose what gives the event: a column, or an event that is always the same.")
    if not any(target == "phone" or target.startswith(IDENTIFIER) for target in targets):
        yield _("Choose the column of the phone, or of another identifier of the customer.")
    columns = [Column(heading, guess.target, guess.written) for heading, guess in chosen.columns.items()]
    columns += [column for one in chosen.others for column in one.columns]
    for heading, is_time in dict.fromkeys((one.heading, one.target == "occurred_at") for one in columns if one.written == ASK):
        asked = (
            _("Choose how the days in “%(column)s” are written.") if is_time else _("Choose how the numbers in “%(column)s” are written.")
        )
        yield asked % {"column": heading}
    if not all(one.name for one in chosen.others):
        yield _("Choose which further event the row tells of, or remove it.")
    for target, count in targets.items():
        if count > 1:
            same = ", ".join(heading for heading, guess in chosen.columns.items() if guess.target == target)
            yield _("Several columns are matched to the same: %(columns)s. Keep one.") % {"columns": same}
    if targets["time_of_day"] and not targets["occurred_at"]:
        yield _("A time of day needs the column of its date.")


def doubts(chosen: Suggested, seen: Mapping[str, Seen], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """What may be meant, but costs something."""
    if not any(guess.target == "occurred_at" for guess in chosen.columns.values()):
        yield _("No column is the time: every row takes the time of the import, and rows sent again count again.")
    for heading, guess in chosen.columns.items():
        if guess.target == "occurred_at" and not seen[heading].times and seen[heading].filled:
            yield _("No time can be read from “%(column)s”.") % {"column": heading}
    if chosen.ids and (again := repeats(rows, list(seen), chosen.ids)):
        told = {"again": again, "rows": len(rows), "columns": ", ".join(chosen.ids)}
        yield (
            _("In %(columns)s, %(again)s of the first %(rows)s rows say the same as one before, and would count as its duplicates.") % told
        )
