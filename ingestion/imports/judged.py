"""Rows of a file as the events they would be, each with its verdict, for a person to look at before anything is stored."""

from base64 import b64decode
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from ingestion.doors.files import FileFormat, Matching, Record, UnreadableFile, blocks, decode_row, records
from ingestion.imports.chunk import item_of, one_of_each, reasons
from ingestion.imports.reader import incoming_of
from ingestion.imports.words import column_in, with_column
from ingestion.models import ImportChunk, ImportRun
from ingestion.pipeline import Incoming, evaluate
from profiles.entries import Delivery, Entry, as_stored
from profiles.record import find_duplicates
from taxonomy.current import Current
from taxonomy.places import attribute_words, place_of, place_words
from taxonomy.released import named
from taxonomy.standardize import Violation, encode_json
from taxonomy.violations import message_for, title_for

ATTRIBUTES = "attributes."
_ROWS = 6
_BLOCK_BYTES = 64 * 1024
_EXAMPLES = 3
# In the order in which a try tells of them.
OUTCOMES = ("created", "joined", "changed", "duplicate", "quarantined", "refused")


@dataclass(frozen=True, slots=True)
class Judged:
    """One event of a row. `attributes` are [(what it is called with its code, text)]; `why` says what holds it: [(in short, in sentences)]; `changes` are what was made otherwise, in short."""

    row: int
    verdict: str
    name: str
    tag: str
    phone: str
    identifiers: list[tuple[str, str]]
    occurred_at: datetime | None
    attributes: list[tuple[str, str]]
    changes: list[str]
    why: list[tuple[str, str]]


def first_records(
    run: ImportRun, file_format: FileFormat, number: int, *, at_once: int = _BLOCK_BYTES, with_headers: bool = False
) -> list[Record]:
    """The first records of a file; those that are its header once more only where asked for. Raises UnreadableFile."""
    whole = (record for block in blocks(Path(run.path), file_format, block_bytes=at_once) for record in records(block, file_format))
    return list(islice((record for record in whole if with_headers or not record.is_heading), number))


def first_events(
    run: ImportRun, file_format: FileFormat, obeyed: Current, *, received_at: datetime, hidden: Collection[str]
) -> list[Judged]:
    """What the first rows would become. Nothing where the file cannot be read at all."""
    try:
        found = [incoming_of(record, file_format) for record in first_records(run, file_format, _ROWS)]
    except UnreadableFile:
        return []
    return judged(found, run, file_format, obeyed, received_at=received_at, hidden=hidden, among=find_duplicates)


def examples(run: ImportRun, obeyed: Current, *, hidden: Collection[str]) -> list[tuple[str, list[Judged]]]:
    """Of a try, events of each outcome as its release has them: [(outcome, events)]."""
    file_format = FileFormat(**run.format)
    assert run.started_at is not None
    told = []
    for outcome, some in _samples(run).items():
        rows = {row: b64decode(written) for row, written, *_ in some}
        found = [Incoming(original, decode_row(original, file_format), row=row) for row, original in rows.items()]
        # one that was taken by an earlier version tells only its row
        chosen = {(row, *which[:1]) for row, _written, *which in some}
        among = partial(_only, chosen, outcome)
        told.append((outcome, judged(found, run, file_format, obeyed, received_at=run.started_at, hidden=hidden, among=among)))
    return [(outcome, events) for outcome, events in told if events]


def _samples(run: ImportRun) -> dict[str, list[Any]]:
    """Of each outcome those of different reasons first, in the file's order."""
    alike: dict[str, dict[str, list[Any]]] = {outcome: {} for outcome in OUTCOMES}
    for found in ImportChunk.objects.filter(run=run).order_by("index").values_list("examples", flat=True).iterator(chunk_size=50):
        for outcome, some in found.items():
            for one in some:
                kept = alike[outcome].setdefault(one[3] if len(one) > 3 else "", [])
                kept += [one] if len(kept) < _EXAMPLES else []
        if all(sum(map(len, groups.values())) >= _EXAMPLES for groups in alike.values()):
            break
    chosen = {outcome: one_of_each(groups.values(), _EXAMPLES) for outcome, groups in alike.items()}
    return {outcome: sorted(some, key=itemgetter(0)) for outcome, some in chosen.items() if some}


def _only(chosen: Collection[tuple[Any, ...]], outcome: str, deliveries: list[Delivery]) -> None:
    """Keep these events of the rows, as what the try found them to be."""
    for delivery in deliveries:
        delivery.entries = [entry for entry in delivery.entries if (entry.row,) in chosen or (entry.row, item_of(entry)) in chosen]
        for entry in delivery.entries if outcome == "duplicate" else []:
            entry.first = as_stored(entry) if entry.result else None


def judged(
    found: Iterable[Incoming], run: ImportRun, file_format: FileFormat, obeyed: Current, *, received_at: datetime,
    hidden: Collection[str], among: Callable[[list[Delivery]], None] | None = None,
) -> list[Judged]:  # fmt: skip
    """`hidden`: items of the release that the reader may not read. `among` may look at them together, as `find_duplicates` does."""
    source = obeyed.plan.sources_by_uuid.get(str(run.source_id))
    if source is None:
        return []
    delivery = evaluate(
        found, source_code=source.code, door="file", received_at=received_at, current=obeyed, batch_id=run.pk, file_format=file_format
    )
    if among:
        among([delivery])
    return [_judged(entry, hidden, file_format.matching) for entry in delivery.entries]


def _judged(entry: Entry, hidden: Collection[str], matching: Matching | None) -> Judged:
    why = [(_in_short(one, matching, hidden), message_for(with_column(one, matching))) for one in reasons(entry)]
    raw, result = entry.raw, entry.result
    if raw is None or result is None:
        return Judged(entry.row, "refused", "", "", "", [], None, [], [], why)
    tag = _label(result.tag)
    is_hidden = result.tag in hidden
    held = result.verdict != "accepted"
    sent = {**raw.attributes} if held else {**result.attributes, **result.extra}
    return Judged(
        entry.row,
        entry.status,
        raw.name or "",
        "" if is_hidden else tag,
        result.phone or raw.phone or "",
        list((raw.identifiers if held else result.identifiers).items()),
        result.occurred_at if not held or result.occurred_at != raw.received_at else None,
        [] if is_hidden else [(attribute_words(code, hidden), _text(value)) for code, value in sent.items()],
        []
        if is_hidden
        else [f"{place_words(one.path, hidden=hidden)}: {_text(one.before)} → {_text(one.after)}" for one in result.changes],
        [] if is_hidden or entry.status == "duplicate" else why,
    )


def _in_short(one: Violation, matching: Matching | None, hidden: Collection[str]) -> str:
    heading, path = column_in(one, matching), one.path.removeprefix(ATTRIBUTES)
    place = place_of(one, hidden)
    where = place if heading in ("", path) or place.startswith(f"{heading} (") else f"{heading} → {place}"
    seen = "" if one.seen is None else f" “{one.seen}”"
    return (
        _("%(fault)s: %(where)s") % {"fault": title_for(one.code), "where": f"{where}{seen}"} if where else f"{title_for(one.code)}{seen}"
    )


def _label(tag: str | None) -> str:
    if not tag:
        return ""
    found = named("tag", [UUID(tag)])[UUID(tag)]
    return f"{found.label} ({found.code})"


def _text(value: Any) -> str:
    """Money as it is said."""
    if value is None:
        return "–"
    if isinstance(value, dict) and value.keys() == {"amount", "currency"}:
        return f"{value['amount']} {value['currency']}"
    return value if isinstance(value, str) else encode_json(value).decode()
