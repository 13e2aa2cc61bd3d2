"""What happens to an event whose attributes break the plan: it is held, unless the plan says otherwise for now.

- `watch`: a rule that is not enforced yet; until its date what it would hold is only recorded;
- `note`: accepted and noted; a value that is of the type stays, only its bounds are broken; another stands aside;
- `set_aside`: accepted, and the value stands aside, whatever is wrong with it.

Only what is wrong with attributes can be taken this way: an event without a phone, a time or a name is none of anybody's.
"""

from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from taxonomy.standardize.codes import HELD
from taxonomy.standardize.structs import Violation

Mode = Literal["quarantine", "note", "set_aside"]
MODES: tuple[Mode, ...] = ("quarantine", "note", "set_aside")

SOFT_CODES = frozenset(code for code in HELD if code.startswith("attribute.")) | {"refinement.conflict"}
_PREFIX = "attributes."


class Modes:
    """One tag's modes: of its sources (uuid, "" for all others), and until when the whole, or one attribute, is watched."""

    __slots__ = ("_by_source", "_watched", "_watched_whole")

    def __init__(self, by_source: dict[str, Mode], watched: dict[str, date], watched_whole: date | None) -> None:
        self._by_source = by_source
        self._watched = watched
        self._watched_whole = watched_whole

    def soften(self, violations: list[Violation], source: str, timezone: str, received_at: datetime) -> dict[str, str]:
        """Mark those that do not hold the event here and now: {attribute: mode}."""
        today = received_at.astimezone(ZoneInfo(timezone)).date()
        mode = self._mode_of(source)
        softened = {}
        for at, one in enumerate(violations):
            if one.code not in SOFT_CODES or not one.path.startswith("attributes"):
                continue
            code = attribute_of(one.path)
            if self._is_watched(code, today):
                one = msgspec.structs.replace(one, mode="watch")
            elif mode != "quarantine":
                one = msgspec.structs.replace(one, mode=mode)
            violations[at] = one
            if one.mode and code:
                softened[code] = one.mode
        return softened

    def held_from(self, path: str, source: str) -> date | None:
        """The day from which something wrong there, only watched until then, holds the events of a source; None: it never does."""
        if self._mode_of(source) != "quarantine":
            return None
        return max((until for until in (self._watched_whole, self._watched.get(attribute_of(path))) if until is not None), default=None)

    def _mode_of(self, source: str) -> Mode:
        return self._by_source.get(source) or self._by_source.get("") or "quarantine"

    def _is_watched(self, code: str, today: date) -> bool:
        return any(until is not None and today < until for until in (self._watched_whole, self._watched.get(code)))


def compile_modes(tag: dict[str, Any], attributes: dict[str, dict[str, Any]]) -> Modes | None:
    """The modes of a tag's definition, given its attributes by uuid; None where everything is simply held."""
    by_source = {one["source"] or "": one["mode"] for one in tag.get("modes") or []}
    watched = {}
    for use in tag.get("attributes") or []:
        definition = attributes[use["attribute"]]
        dates = [read_date(one["watch_until"]) for one in (use, definition) if one.get("watch_until")]
        if dates:
            watched[definition["code"]] = max(dates)
    whole = read_date(tag["watch_until"]) if tag.get("watch_until") else None
    return Modes(by_source, watched, whole) if by_source or watched or whole else None


def read_date(text: str) -> date:
    """Raises ValueError for anything but 2026-12-31."""
    return date.fromisoformat(text)


def attribute_of(path: str) -> str:
    """The attribute a violation is about: "price" of "attributes.price.amount"; "" where it is about several."""
    name = path.removeprefix(_PREFIX) if path.startswith(_PREFIX) else ""
    for end in ".[":
        name = name.partition(end)[0]
    return name
