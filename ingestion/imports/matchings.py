"""The matchings of a source's files: kept in versions, found again by the headings, gone back to."""

from collections.abc import Collection
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Max

from ingestion.doors.files import RESERVED, Column, FileFormat, Matching, UnreadableFile, compile_matching
from ingestion.models import FileMatching
from ingestion.models.matching import JSON
from staff.models import User
from taxonomy.current import NoRelease, current
from taxonomy.models import Source
from taxonomy.standardize.paths import first_names

# Asked for instead of a number: the source's envelope, whatever matchings there are.
ENVELOPE = 0
_TOLD = 5
# More layouts than these make a list that nobody chooses from.
_OFFERED = 20


def fingerprint(headings: Collection[str], *, is_json: bool = False) -> str:
    """Of a layout: its headings in any order, without ours, so that a failed-rows file has that of the file it came of.

    JSON has another than a table: only once its own names are matched it is read otherwise than by the source's envelope.
    """
    own = msgspec.json.encode(sorted({*headings} - {*RESERVED}))
    return JSON + blake2b(own, digest_size=13).hexdigest() if is_json else blake2b(own, digest_size=16).hexdigest()


def in_force(source: Source, headings: Collection[str], *, is_json: bool = False) -> FileMatching | None:
    """The matching that reads files of the source with these headings: of JSON also some of them, for objects leave out what they lack."""
    known = FileMatching.objects.filter(source=source).order_by("-number")
    if found := known.filter(fingerprint=fingerprint(headings, is_json=is_json)).first():
        return found
    if is_json:
        envelope = _envelope(source)
        return max(
            (one for one in known.newest_of_each() if one.is_json and _knows(one, headings, envelope)),
            key=lambda one: (_shared(one, headings), one.number),
            default=None,
        )
    return known.filter(fingerprint=fingerprint(headings, is_json=True)).first()


def _shared(one: FileMatching, names: Collection[str]) -> int:
    return len({*one.matching.headings()} & {*names})


def _knows(one: FileMatching, names: Collection[str], envelope: dict[str, Any] | None) -> bool:
    """Whether objects with these names are of its layout; some that failed and came back may have one that was not seen before.

    It is none by which the envelope finds events, for that may have read them; where it finds them in anything, most are to be known.
    """
    shared, new = _shared(one, names), {*names} - {*one.headings, *RESERVED}
    if not shared or not new:
        return shared > 0
    by = _names_of_events(envelope) if envelope is not None else set()
    return "_tagline_id" in names and (not _has_any(new, by) if by else len(new) < shared)


def offered(source: Source) -> list[FileMatching]:
    """Those in force that the source's files may be read by, the newest first."""
    return list(FileMatching.objects.filter(source=source).newest_of_each().order_by("-number")[:_OFFERED])


def numbered(source: Source, number: str) -> FileMatching | None:
    """The one in force that somebody asks for by its number, or by that of an earlier one for the same headings."""
    if not number.isdecimal() or len(number) > 9:
        return None
    found = FileMatching.objects.filter(source=source, number=int(number)).first()
    return in_force(source, found.headings, is_json=found.is_json) if found else None


def fitting(known: Collection[FileMatching], columns: Collection[str]) -> FileMatching | None:
    """Of these the one that reads most of a file's columns, where all that it reads are there."""
    having = [(len(read), one) for one in known if (read := {*one.matching.headings()}) and read <= {*columns}]
    return max(having, key=lambda found: (found[0], found[1].number), default=(0, None))[1]


def keep(
    matching: Matching, *, source: Source, headings: list[str], file_name: str, by: User | None, again: int | None = None,
    is_json: bool = False,
) -> FileMatching:  # fmt: skip
    """Keep what was matched for files with these headings, unless it says what is in force already. Raises ValueError for what cannot be read by."""
    matching = matching.in_order()
    compile_matching(matching)
    with transaction.atomic():
        Source.every.select_for_update().get(pk=source.pk)  # numbers are given in turn
        found = in_force(source, headings, is_json=is_json)
        if again is None:
            matching = completed(matching, found, headings)
        if found is not None and found.matching == matching:
            return found
        headings = [one for one in headings if one not in RESERVED]
        if found is not None and is_json and {*headings} <= {*found.headings} and _events(found.matching) == _events(matching):
            headings = found.headings
        last = source.matchings.aggregate(last=Max("number"))["last"] or 0  # type: ignore[attr-defined]
        return FileMatching.objects.create(
            source=source, number=last + 1, headings=headings, fingerprint=fingerprint(headings, is_json=is_json),
            definition=msgspec.to_builtins(matching), again=again, file_name=file_name[:255], made_by=by,
        )  # fmt: skip


def _events(matching: Matching) -> set[tuple[str, str]]:
    return {(one.name, one.column) for one in matching.events}


def completed(matching: Matching, found: FileMatching | None, headings: Collection[str]) -> Matching:
    """With what the layout in force reads under names that these objects lack: nobody saw it, to say that it is not read any more.

    Nothing of it for another event, or where its place was given to a name that they have. What is complete stays as it is.
    """
    if found is None or not found.is_json or {*headings} - {*RESERVED, *found.headings}:
        return matching
    (main, *more), (first, *others) = found.matching.events, matching.events
    if (main.name, main.column) != (first.name, first.column):
        return matching
    first = msgspec.structs.replace(first, columns=_with_lacking(first.columns, main.columns, headings))
    for at, one in enumerate(more):
        if one not in others and not {*one.headings()} <= {*headings}:
            others.insert(at, one)
    return Matching(_with_lacking(matching.columns, found.matching.columns, headings), (first, *others)).in_order()


def _with_lacking(columns: tuple[Column, ...], before: tuple[Column, ...], headings: Collection[str]) -> tuple[Column, ...]:
    ids, days = ([one for one in before if one.target == target] for target in ("id", "occurred_at"))
    if any(one.heading not in headings for one in ids) and {one for one in columns if one.target == "id"} <= {*ids}:
        # A part of an id would make one event of many.
        columns = (*(one for one in columns if one.target != "id"), *ids)
    taken = {one.target for one in columns}
    if {one.heading for one in columns if one.target == "occurred_at"} - {one.heading for one in days}:
        taken.add("time_of_day")
    return (*columns, *(one for one in before if one.heading not in headings and one.target not in taken))


def use_again(former: FileMatching, *, by: User | None) -> FileMatching:
    """Bring an earlier matching back into force, as a new one."""
    return keep(
        former.matching, source=former.source, headings=former.headings, file_name=former.file_name, by=by, again=former.number,
        is_json=former.is_json,
    )  # fmt: skip


def matched(file_format: FileFormat, source: Source, *, number: int | None = None) -> tuple[FileFormat, FileMatching | None]:
    """The format with the matching that reads its rows: of this number, else the one in force for its headings, else none.

    Of JSON that the source's envelope cannot read also one all of whose columns are there, a table's too. Raises UnreadableFile where the source's files are matched, and this one has other columns, which its envelope cannot read.
    """
    if number == ENVELOPE or not file_format.has_names:
        return replace(file_format, matching=None), None
    columns, is_json = file_format.columns, file_format.is_json
    found = _named(source, number, file_format) if number else in_force(source, columns, is_json=is_json)
    if found is None and not fits_envelope(source, file_format):
        found = fitting(FileMatching.objects.filter(source=source).newest_of_each(), columns) if is_json else None
        if found is None:
            _refuse_other_columns(source, file_format)
    return replace(file_format, matching=found.matching if found else None), found


def _named(source: Source, number: int, file_format: FileFormat) -> FileMatching:
    found = FileMatching.objects.filter(source=source, number=number).first()
    if found is None:
        known = FileMatching.objects.filter(source=source).order_by("-number").values_list("number", flat=True)[:_TOLD]
        raise UnreadableFile("matching.unknown", number=number, known=", ".join(map(str, known)) or "–")
    missing = [heading for heading in found.matching.headings() if heading not in file_format.columns]
    if missing and not (file_format.is_json and _shared(found, file_format.columns)):
        raise UnreadableFile("matching.missing", columns=", ".join(missing[:_TOLD]))
    return found


def fits_envelope(source: Source, file_format: FileFormat) -> bool:
    """Whether the source's own envelope finds an event in rows with its columns."""
    envelope = _envelope(source)
    if envelope is None:
        return True
    if file_format.is_json:
        names = _names_of_events(envelope)
        return not names or _has_any(file_format.columns, names)
    path = (envelope.get("event") or "event") if envelope.get("preset") == "custom" else "event"
    return bool(set(first_names(path.removeprefix("$."))) & {*file_format.columns})


def _envelope(source: Source) -> dict[str, Any] | None:
    """None where it takes any row for an event, or nothing is known of it."""
    try:
        known = current().plan.sources_by_uuid.get(str(source.pk))
    except NoRelease:
        return None
    return None if known is None or known.envelope.get("event_constant") else known.envelope


def _has_any(columns: Collection[str], names: Collection[str]) -> bool:
    """Whether a column is one of these places of objects, or within one."""
    return any(column == name or column.startswith(f"{name}.") for column in columns for name in names)


def _names_of_events(envelope: dict[str, Any]) -> set[str]:
    """Where objects have what makes them an event, or several; none where any may."""
    preset = envelope.get("preset") or "tagline"
    if preset != "custom":
        return {"segment": {"type", "event", "batch"}, "cloudevents": {"type"}}.get(preset, {"event"})
    paths = [envelope.get("event") or "event", envelope.get("events") or ""]
    return {name for path in paths if path for name in first_names(path.removeprefix("$."))}


def _refuse_other_columns(source: Source, file_format: FileFormat) -> None:
    """Of tables where one was matched, of JSON where such was."""
    columns = file_format.columns
    every = FileMatching.objects.filter(source=source).newest_of_each()
    known = [one for one in every if one.is_json == file_format.is_json]
    nearest = max(known, key=lambda one: len({*one.headings} & {*columns}), default=None)
    if nearest is None:
        return
    new = [column for column in columns if column not in {*nearest.headings, *RESERVED}]
    missing = [column for column in nearest.headings if column not in columns]
    told = {"new": ", ".join(new[:_TOLD]), "missing": ", ".join(missing[:_TOLD])}
    raise UnreadableFile("file.unmatched", **{name: value for name, value in told.items() if value})
