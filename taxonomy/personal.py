"""The one rule of what is personal in an event: which of its attributes, and which places of what its source sends."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Q

from staff.masking import Places
from taxonomy.current import NoRelease, current
from taxonomy.models import MappingRow
from taxonomy.released import personal_codes
from taxonomy.standardize import Plan
from taxonomy.standardize.identifiers import KINDS
from taxonomy.standardize.paths import PathError, value_places
from taxonomy.standardize.plan import RAW_FIELDS
from taxonomy.standardize.read import custom_paths

_IDENTIFIERS = "identifiers."
# Where our own JSON, tables and Segment's messages have the phone and the identifiers, and CloudEvents what cannot be read. Any source may send through any door.
_COMMON: dict[tuple[str, ...], str] = {
    ("phone",): "phone",
    **{("identifiers", kind): kind for kind in KINDS},
    **{(f"identifier.{kind}",): kind for kind in KINDS},
    ("userid",): "user_id",
    ("anonymousid",): "anonymous_id",
    ("previousid",): "anonymous_id",
    ("traits", "email"): "email",
    ("context", "device", "id"): "device",
    ("externalids", "id"): "",
    ("externalid", "id"): "",
    ("data_base64",): "",
}
_STEP = re.compile(r"\.|\[\d*\]")


class Personal:
    """By the newest release or by the draft, the stricter counts. Made once for a page or a file: at most two queries."""

    def __init__(self) -> None:
        self.codes = personal_codes()
        self.attributes = Places.of_names(self.codes)
        self._sent_by: dict[UUID, Places] = {}

    def sent_by(self, source: UUID) -> Places:
        """What of a source's records and attributes as sent is personal: where its envelope has phone and identifiers, what its rules
        read into personal attributes, and what is called as one."""
        if source not in self._sent_by:
            kinds = dict(_COMMON)
            for target, path in [*self._envelope(source), *self._rows(source), *self._drafted.get(source, ())]:
                if (kind := self._kind_of(target)) is not None:
                    kinds |= dict.fromkeys(_names_of(path), kind)
            self._sent_by[source] = Places({**kinds, **self.attributes.kinds})
        return self._sent_by[source]

    def as_read(self, source: UUID, changes: Iterable[dict[str, Any]]) -> Places:
        """The same, with what the rule read that an event was read by: it may be gone by now."""
        places = self.sent_by(source)
        read = [(one["path"].removeprefix("attributes."), one["from"]) for one in changes if one["code"] == "attribute.renamed"]
        more = {names: "" for target, path in read if target.lower() in self.codes for names in _names_of(path)}
        return Places({**places.kinds, **more}) if more.keys() - places.kinds.keys() else places

    def _kind_of(self, target: str) -> str | None:
        """How what is read into a target is hidden; None for what is not personal."""
        if target.lower() in self.codes:
            return ""
        kind = target.removeprefix("$").removeprefix(_IDENTIFIERS)
        return kind if target.startswith("$") and kind in KINDS else None

    @staticmethod
    def _envelope(source: UUID) -> Iterable[tuple[str, str]]:
        found = _plan().sources_by_uuid.get(str(source))
        return [(f"${field}", path) for field, path in custom_paths(found.envelope).items()] if found else []

    @staticmethod
    def _rows(source: UUID) -> Iterable[tuple[str, str]]:
        found = _plan().sources_by_uuid.get(str(source))
        rules = found.rules if found else []
        return [(row["target"], row.get("path") or "") for rule in rules for row in rule.definition["rows"]]

    @cached_property
    def _drafted(self) -> dict[UUID, list[tuple[str, str]]]:
        rows = MappingRow.objects.filter(Q(target__in=self.codes) | Q(target="$phone") | Q(target__startswith=f"${_IDENTIFIERS}"))
        found: dict[UUID, list[tuple[str, str]]] = {}
        for source, target, path in rows.values_list("rule__source_id", "target", "path"):
            found.setdefault(source, []).append((target, path))
        return found


def kind_at(path: str, places: Places) -> str | None:
    """How the value at a violation's or a change's path, such as "attributes.contacts[0].name", is hidden; None where it is not."""
    whole = path.lower().removeprefix("attributes.")
    names = tuple(name for name in _STEP.split(whole) if name)
    found = [places.kind_at((whole,)), *(places.kind_at(names[:length]) for length in range(1, len(names) + 1))]
    kinds = [kind for kind in found if kind is not None]
    return kinds[0] if kinds else "" if whole.startswith(_IDENTIFIERS) else None


def _names_of(path: str) -> Iterable[tuple[str, ...]]:
    """The names that lead to what a path of a rule or an envelope finds, wherever the envelope has the rest."""
    try:
        places = value_places(path.removeprefix("$."))
    except PathError:  # of the draft, not checked yet
        return
    for names in places:
        found = names[1:] if path.startswith("$.") and names[0] in RAW_FIELDS and len(names) > 1 else names
        yield tuple(name.lower() for name in found)


_NOTHING = Plan({}, "")


def _plan() -> Plan:
    try:
        return current().plan
    except NoRelease:
        return _NOTHING
