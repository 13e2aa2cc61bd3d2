"""The matchings of a source's files: kept in versions, found again by the headings, gone back to."""

from collections.abc import Collection
from dataclasses import replace
from hashlib import blake2b

import msgspec
from django.db import transaction
from django.db.models import Max

from ingestion.doors.files import RESERVED, FileFormat, Matching, UnreadableFile, compile_matching
from ingestion.models import FileMatching
from staff.models import User
from taxonomy.current import NoRelease, current
from taxonomy.models import Source
from taxonomy.standardize.paths import first_names

# Asked for instead of a number: the source's envelope, whatever matchings there are.
ENVELOPE = 0
_TOLD = 5
# More layouts than these make a list that nobody chooses from.
_OFFERED = 20


def fingerprint(headings: Collection[str]) -> str:
    """Of a layout: its headings in any order, without ours, so that a failed-rows file has that of the file it came of."""
    own = sorted({*headings} - {*RESERVED})
    return blake2b(msgspec.json.encode(own), digest_size=16).hexdigest()


def in_force(source: Source, headings: Collection[str]) -> FileMatching | None:
    """The matching that reads files of the source with these headings."""
    return FileMatching.objects.filter(source=source, fingerprint=fingerprint(headings)).order_by("-number").first()


def offered(source: Source) -> list[FileMatching]:
    """Those in force that the source's files may be read by, the newest first."""
    return list(FileMatching.objects.filter(source=source).newest_of_each().order_by("-number")[:_OFFERED])


def numbered(source: Source, number: str) -> FileMatching | None:
    """The one in force that somebody asks for by its number, or by that of an earlier one for the same headings."""
    if not number.isdecimal() or len(number) > 9:
        return None
    found = FileMatching.objects.filter(source=source, number=int(number)).first()
    return in_force(source, found.headings) if found else None


def fitting(known: Collection[FileMatching], columns: Collection[str]) -> FileMatching | None:
    """Of these the one that reads most of a file's columns, where all that it reads are there."""
    having = [(len(read), one) for one in known if (read := {*one.matching.headings()}) and read <= {*columns}]
    return max(having, key=lambda found: (found[0], found[1].number), default=(0, None))[1]


def keep(
    matching: Matching, *, source: Source, headings: list[str], file_name: str, by: User | None, again: int | None = None
) -> FileMatching:
    """Keep what was matched for files with these headings, unless it says what is in force already. Raises ValueError for what cannot be read by."""
    matching = matching.in_order()
    compile_matching(matching)
    definition = msgspec.to_builtins(matching)
    with transaction.atomic():
        Source.every.select_for_update().get(pk=source.pk)  # numbers are given in turn
        found = in_force(source, headings)
        if found is not None and found.matching == matching:
            return found
        last = source.matchings.aggregate(last=Max("number"))["last"] or 0  # type: ignore[attr-defined]
        return FileMatching.objects.create(
            source=source, number=last + 1, headings=[one for one in headings if one not in RESERVED], fingerprint=fingerprint(headings),
            definition=definition, again=again, file_name=file_name[:255], made_by=by,
        )  # fmt: skip


def use_again(former: FileMatching, *, by: User | None) -> FileMatching:
    """Bring an earlier matching back into force, as a new one."""
    return keep(former.matching, source=former.source, headings=former.headings, file_name=former.file_name, by=by, again=former.number)


def matched(file_format: FileFormat, source: Source, *, number: int | None = None) -> tuple[FileFormat, FileMatching | None]:
    """The format with the matching that reads its rows: of this number, else the one in force for its headings, else none.

    Raises UnreadableFile where the source's files are matched, and this one has other columns, which its envelope cannot read.
    """
    if number == ENVELOPE or not file_format.has_columns:
        return replace(file_format, matching=None), None
    found = _named(source, number, file_format.columns) if number else in_force(source, file_format.columns)
    if found is None and not fits_envelope(source, file_format.columns):
        _refuse_other_columns(source, file_format.columns)
    return replace(file_format, matching=found.matching if found else None), found


def _named(source: Source, number: int, columns: list[str]) -> FileMatching:
    found = FileMatching.objects.filter(source=source, number=number).first()
    if found is None:
        known = FileMatching.objects.filter(source=source).order_by("-number").values_list("number", flat=True)[:_TOLD]
        raise UnreadableFile("matching.unknown", number=number, known=", ".join(map(str, known)) or "–")
    missing = [heading for heading in found.matching.headings() if heading not in columns]
    if missing:
        raise UnreadableFile("matching.missing", columns=", ".join(missing[:_TOLD]))
    return found


def fits_envelope(source: Source, columns: list[str]) -> bool:
    """Whether the source's own envelope finds an event in rows with these columns."""
    try:
        known = current().plan.sources_by_uuid.get(str(source.pk))
    except NoRelease:
        return True
    if known is None or known.envelope.get("event_constant"):
        return True
    path = (known.envelope.get("event") or "event") if known.envelope.get("preset") == "custom" else "event"
    return bool(set(first_names(path.removeprefix("$."))) & {*columns})


def _refuse_other_columns(source: Source, columns: list[str]) -> None:
    nearest = max(
        FileMatching.objects.filter(source=source).newest_of_each(), key=lambda one: len({*one.headings} & {*columns}), default=None
    )
    if nearest is None:
        return
    new = [column for column in columns if column not in {*nearest.headings, *RESERVED}]
    missing = [column for column in nearest.headings if column not in columns]
    told = {"new": ", ".join(new[:_TOLD]), "missing": ", ".join(missing[:_TOLD])}
    raise UnreadableFile("file.unmatched", **{name: value for name, value in told.items() if value})
