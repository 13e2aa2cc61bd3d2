"""What the core takes and gives. Plain values: no clock, no database, nothing hidden."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from taxonomy.standardize.codes import HELD


class Violation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How an event departs from the plan. Blocking, or only a note, as CODES[code] and the plan's `mode` say.

    `path` is where, such as "attributes.price"; `seen` is a scalar or a text of at most 200 characters;
    `values` is what else a sentence about it needs. `mode` is why what would hold the event did not: "watch", "note"
    or "set_aside".
    """

    code: str
    path: str = ""
    seen: Any = None
    expected: Any = None
    values: dict[str, Any] = {}
    mode: str = ""

    @property
    def blocking(self) -> bool:
        """Whether it holds the event."""
        return self.code in HELD and not self.mode


class Change(msgspec.Struct, frozen=True, gc=False):
    """One thing that differs between what was sent and the standard event."""

    code: str
    path: str
    before: Any = msgspec.field(name="from", default=None)
    after: Any = msgspec.field(name="to", default=None)


class Refusal(msgspec.Struct, gc=False):
    """A record that is no event at all, or past the limits."""

    code: str
    path: str = ""
    values: dict[str, Any] = {}


class RawEvent(msgspec.Struct, gc=False):
    """One event as its source wrote it, every field where we know to look for it.

    Texts are as written (a number's digits as text); `occurred_at` and `sent_at` are not yet read.
    `item` is its position when one record holds many events. `notes` are what reading the envelope found.
    `preset` is the envelope that read it, where a door's protocol fixed one.
    """

    source: str
    name: str | None
    phone: str | None
    region: str | None
    identifiers: dict[str, str]
    occurred_at: Any
    sent_at: Any
    received_at: datetime
    message_id: str | None
    source_version: str | None
    attributes: dict[str, Any]
    context: dict[str, Any]
    original: bytes
    notes: list[Violation]
    item: int | None = None
    preset: str = ""


class Subject(NamedTuple):
    """What an event itself says it is about: the phone, else its strongest identifier."""

    kind: str
    namespace: str
    value: str


class Result(msgspec.Struct, gc=False):
    """What the plan makes of one raw event: the standard event, or every reason why not (and what could be read)."""

    verdict: Literal["accepted", "quarantined"]
    tag: str | None
    tag_code: str | None
    phone: str | None
    phone_region: str | None
    identifiers: dict[str, str]
    subject: Subject | None
    occurred_at: datetime | None
    attributes: dict[str, Any]
    extra: dict[str, Any]
    refinements: list[str]
    rule: str | None
    changes: list[Change]
    violations: list[Violation]

    @property
    def changed(self) -> bool:
        return bool(self.changes)


class Problem(msgspec.Struct, frozen=True):
    """Why a set of definitions may not be published. `item` is the uuid it is about."""

    code: str
    item: str
    path: str = ""
    values: dict[str, Any] = {}
