"""What is stored and what became of it: the entries of a delivery, and what is on disk of an event sent before."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from profiles.models import Event
from taxonomy.standardize import RawEvent, Refusal, Result, Subject
from taxonomy.violations import is_blocking

COUNTED, HELD, TAKEN_BACK, CORRECTED, DISCARDED, MERGED = (
    int(Event.Standing.COUNTED), int(Event.Standing.HELD), int(Event.Standing.TAKEN_BACK), int(Event.Standing.CORRECTED),
    int(Event.Standing.DISCARDED), int(Event.Standing.MERGED),
)  # fmt: skip


class Entry(msgspec.Struct, gc=False):
    """One raw event with its reading, or a refusal; after `record`, what became of it.

    `said` is what of its row is written of itself alone, where that is made ahead. `others` are the identifiers it came with besides its subject. `closes` are the keys of held events that this one
    corrects, and of those that its row told of beside them. `first` is the stored event a duplicate was answered with, `differs` whether that says something else.
    """

    original: bytes
    raw: RawEvent | None = None
    result: Result | None = None
    refusal: Refusal | None = None
    key: bytes = b""
    others: list[Subject] = []
    closes: tuple[bytes, ...] = ()
    row: int = 0
    event_id: int | None = None
    first: "Stored | None" = None
    differs: bool = False
    said: bytes = b""

    @property
    def status(self) -> str:
        if self.refusal is not None:
            return "refused"
        if self.first is not None:
            return "duplicate"
        assert self.result is not None
        return self.result.verdict

    @property
    def public_id(self) -> str | None:
        """What its event is called (`Event.public_id`), of a duplicate the first; None: refused."""
        return None if self.refusal is not None else (self.first or self).key.hex()


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as it came, and what its bytes are read with: the same bytes in a file with other columns say something else."""

    original: bytes
    item: int | None
    door: str
    format: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What is on disk of an event sent before. `sent`: None of one that this very delivery brought."""

    event_id: int
    source_id: UUID | None
    key: bytes
    standing: int
    corrected_by_id: int | None
    tag_id: UUID | None
    refinements: list[str]
    # Of its first reading, whatever replays made of it since.
    report: dict[str, Any]
    sent: Sent | None = None

    @property
    def verdict(self) -> str:
        """The first one: what mended it later does not change it."""
        return "quarantined" if any(map(is_blocking, self.report.get("violations", []))) else "accepted"


@dataclass(slots=True)
class Delivery:
    """The entries of one request or one block of a file."""

    batch_id: UUID
    source_id: str
    source_code: str
    door: str
    received_at: datetime
    release_id: int
    entries: list[Entry]
    reread: Callable[[Sent], RawEvent | None]
    key_id: int | None = None
    format: dict[str, Any] | None = None


Pair = tuple[Delivery, Entry]


def counts(entries: Iterable[Entry]) -> dict[str, int]:
    """First verdicts: accepted, changed (of the accepted), duplicate, quarantined, refused."""
    found = {"accepted": 0, "changed": 0, "duplicate": 0, "quarantined": 0, "refused": 0}
    accepted = changed = 0
    for entry in entries:
        result = entry.result
        if entry.first is None and result is not None and result.verdict == "accepted":  # nearly all
            accepted += 1
            if result.changes:
                changed += 1
        else:
            found[entry.status] += 1
    return found | {"accepted": accepted, "changed": changed}


def as_stored(entry: Entry) -> Stored:
    assert entry.result is not None
    result = entry.result
    return Stored(
        entry.event_id or 0, None, entry.key, HELD if result.verdict == "quarantined" else COUNTED, None,
        UUID(result.tag) if result.tag else None, result.refinements,
        {"changes": _plain(result.changes), "violations": _plain(result.violations)},
    )  # fmt: skip


def _plain(found: list[Any]) -> Any:
    """As a stored report gives it back: decimals exactly."""
    return msgspec.to_builtins(found, builtin_types=(Decimal,))
