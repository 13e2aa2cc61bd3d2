"""What is wrong with a file, row by row, by the readers and the core that would import it. Nothing is stored and nothing looked up."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from ingestion.doors.files import Choices, FileFormat, Matching, UnreadableFile, blocks, check_columns, records, sniff
from ingestion.imports.chunk import notes_of, reasons, trial_key
from ingestion.imports.matchings import matched
from ingestion.imports.reader import Reader
from ingestion.imports.repeated import check_repeated
from ingestion.imports.traps import Trap, open_traps
from ingestion.imports.unlike import Conditions, Unlike
from ingestion.imports.words import told_traps, traps_words
from ingestion.models import FileMatching
from ingestion.pipeline import evaluate
from ingestion.ranked import most_first
from profiles.entries import Entry, as_stored, counts
from taxonomy.current import Current
from taxonomy.expected import expected_text
from taxonomy.models import Source
from taxonomy.standardize import SourcePlan, Violation
from taxonomy.standardize.paths import plain_names
from taxonomy.violations import explain, message_for

_BLOCK_BYTES = 256 * 1024
# Beyond so many events, a second one of the same is not looked for: memory must not grow with the file.
_MOST_KEYS = 1_000_000
# Fields of an envelope by what violations call them.
_ENVELOPE = {"event": "event", "phone": "phone", "occurred_at": "occurred_at", "id": "message_id", "region": "region", "source_version": "source_version"}  # fmt: skip


class Finding(NamedTuple):
    """One way in which one row departs, in the reader's language. `column` is "" for the row as a whole; `seen` as sent; `message` is all in one."""

    row: int
    column: str
    code: str
    seen: Any
    expected: str
    title: str
    next: str
    message: str


@dataclass(slots=True)
class Checked:
    """`counts` are as an import's. `more`: findings beyond those told. `is_cut`: there are rows beyond those looked at.

    `matching`: what read its columns, as an import would; None where the source's envelope did. `events`: those accepted, by
    the code of their tag. `unlike`, `traps`: no faults, but perhaps meant otherwise.
    """

    file_format: FileFormat
    release: str
    counts: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    is_cut: bool = False
    matching: FileMatching | None = None
    events: Counter[str] = field(default_factory=Counter)
    unlike: list[Unlike] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)

    @property
    def received(self) -> int:
        return self.counts.total() - self.counts["changed"]

    @property
    def trap_words(self) -> list[str]:
        return traps_words(self.traps)

    @property
    def failed(self) -> int:
        return self.counts["quarantined"] + self.counts["refused"]


def check_file(
    path: Path,
    source: SourcePlan,
    *,
    current: Current,
    received_at: datetime,
    most_findings: int = 1_000,
    most_rows: int | None = None,
    matching: int | None = None,
    **said: Unpack[Choices],
) -> Checked:
    """Read the whole file, or its first rows, and tell every departure. `matching`: as for an import. Raises UnreadableFile."""
    file_format = sniff(path, **said)
    check_columns(file_format)
    owner = Source.every.get(pk=source.uuid)
    file_format, used = matched(file_format, owner, number=matching)
    check_repeated(file_format, owner, used)
    checked, keys = Checked(file_format, current.version, matching=used), set[bytes]()
    conditions = Conditions(file_format.matching) if file_format.matching else None
    reader, seen = Reader(file_format, is_first=True), 0
    for block in blocks(path, file_format, block_bytes=_BLOCK_BYTES):
        left = None if most_rows is None else most_rows - seen
        found = list(islice(records(block, file_format), left))
        delivery = evaluate(
            reader.incoming(found), source_code=source.code, door="file", received_at=received_at, current=current, file_format=file_format
        )
        _note(checked, delivery.entries, keys, source, most_findings)
        if conditions:
            conditions.note(found, file_format)
        seen += len(found)
        if most_rows is not None and seen >= most_rows and not block.is_last:
            checked.is_cut = True
            break
    if not checked.received:
        raise UnreadableFile("file.no_rows")
    checked.traps = open_traps([reader.found()], file_format)
    checked.unlike = conditions.unlike() if conditions else []
    return checked


def _note(checked: Checked, entries: list[Entry], keys: set[bytes], source: SourcePlan, most: int) -> None:
    for entry in entries:
        if entry.result is not None and len(keys) < _MOST_KEYS:
            key = trial_key(entry)
            if key in keys:
                entry.first = as_stored(entry)
            keys.add(key)
    checked.counts.update(counts(entries))
    checked.notes.update(notes_of(entries))
    accepted = (entry.result for entry in entries if entry.status == "accepted")
    checked.events.update(result.tag_code for result in accepted if result and result.tag_code)
    for entry in entries:
        if entry.status not in ("quarantined", "refused"):
            continue
        found = reasons(entry, most=1_000)
        checked.causes.update({one.code for one in found})
        room = max(0, most - len(checked.findings))
        checked.findings += [finding(entry.row, one, source, checked.file_format.matching) for one in found[:room]]
        checked.more += len(found[room:])


def finding(row: int, one: Violation, source: SourcePlan, matching: Matching | None = None) -> Finding:
    told = explain(one.code, one.values)
    expected = (expected_text(one.expected) or str(told.expected)).rstrip(".。")
    return Finding(
        row, column_of(one, source, matching), one.code, one.seen, expected, str(told.title), str(told.next), str(message_for(one))
    )


def column_of(one: Violation, source: SourcePlan, matching: Matching | None = None) -> str:
    """Where a source's file has what a violation is about: a column's heading, or a path in its JSON."""
    origin = str(one.values.get("from") or "")
    if matching:
        return matching.heading_of(origin or one.path)
    if origin:
        return origin
    kind, _dot, rest = one.path.partition(".")
    if kind == "attributes":
        return rest
    envelope = source.envelope if (source.envelope.get("preset") or "") == "custom" else {}
    if kind == "identifiers":
        return str((envelope.get("identifiers") or {}).get(rest) or f"identifier.{rest}")
    written = str(envelope.get(_ENVELOPE.get(kind, ""), "") or "")
    return written if plain_names(written) else one.path


def as_json(checked: Checked) -> dict[str, Any]:
    """The whole of it for machines; counts as an import's report has them."""
    return {
        "release": checked.release,
        "matching": checked.matching.number if checked.matching else None,
        "received": checked.received,
        **{name: checked.counts[name] for name in ("accepted", "changed", "duplicate", "quarantined", "refused")},
        "causes": dict(most_first(checked.causes)),
        "notes": dict(most_first(checked.notes)),
        "events": dict(most_first(checked.events)),
        "unlike": [one._asdict() for one in checked.unlike],
        "traps": told_traps(checked.traps),
        "findings": [one._asdict() for one in checked.findings],
        "more_findings": checked.more,
        "is_cut": checked.is_cut,
    }
