"""How one reader sees events: whole, or with what is personal by taxonomy.personal masked. Every page, file and answer asks here."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any
from uuid import UUID

from profiles.models import Event
from staff.masking import Places, is_time, mask_as, mask_in_record, mask_in_text, may_see_personal
from taxonomy.personal import Personal, kind_at
from taxonomy.violations import message_for

_OF_THE_PLAN = ("limits", "draft")


class Sight:
    """Made once for a page or a file. Called with a text that may hold a phone by mistake, such as an event's name, it masks that."""

    def __init__(self, *, unmasked: bool) -> None:
        self.unmasked = unmasked

    @classmethod
    def of(cls, user: Any) -> "Sight":
        return cls(unmasked=may_see_personal(user))

    def __call__(self, text: str) -> str:
        return text if self.unmasked else mask_in_text(text)

    @cached_property
    def personal(self) -> Personal:
        return Personal()

    def is_hidden(self, code: str) -> bool:
        """Whether an attribute of the standard is hidden whole."""
        return not self.unmasked and code.lower() in self.personal.codes

    def attributes(self, values: dict[str, Any]) -> dict[str, Any]:
        """Attributes of the standard by code."""
        return values if self.unmasked else mask_in_record(values, hidden=self.personal.attributes)

    def record(self, value: Any, event: Event, *, columns: dict[str, str] | None = None) -> Any:
        """What a source sent, or a part of it. `columns`: how more of a file's are hidden; a dot leads into an object of JSON."""
        if self.unmasked:
            return value
        places = self.personal.as_read(event.source_id, (event.report or {}).get("changes", []))
        if columns:
            places = Places(places.kinds, columns)
        return mask_in_record(value, hidden=places, hidden_values=frozenset((event.identifiers or {}).values()))

    def refinements(self, event: Event) -> list[str]:
        """Without those that say something personal."""
        names = event.refinements or []
        if self.unmasked or not names:
            return names
        said = {str(value) for code, value in (event.attributes or {}).items() if self.is_hidden(code) and value not in (None, "")}
        return [mask_in_text(name) for name in names if not any(one in name for one in said)]

    def value(self, path: str, value: Any, source: UUID) -> Any:
        """What stood at the path of a violation or of a change."""
        if self.unmasked or value is None:
            return value
        kind = kind_at(path, self.personal.sent_by(source))
        if kind is not None:
            return mask_as(kind, value)
        return value if is_time(path, value) else mask_in_record(value)

    def violation(self, one: dict[str, Any], source: UUID) -> dict[str, Any]:
        if self.unmasked:
            return one
        path, seen, expected = str(one.get("path", "")), one.get("seen"), one.get("expected")
        shown = {**one, "path": mask_in_text(path), "seen": self.value(path, seen, source)}
        if isinstance(expected, str):  # a value of the event itself
            shown["expected"] = self.value(path, expected, source)
        elif isinstance(expected, dict) and "days" in expected and shown["seen"] != seen:  # they say what was sent
            shown["expected"] = {name: value for name, value in expected.items() if name != "days"}
        if one.get("values"):
            shown["values"] = _masked_values(one["values"])
        return shown

    def sentence(self, one: dict[str, Any], source: UUID) -> str:
        return self(message_for(self.violation(one, source)))

    def seen(self, one: dict[str, Any], source: UUID) -> str:
        """The value that a violation saw; empty for none."""
        seen = self.violation(one, source).get("seen")
        return "" if seen is None else str(seen)

    def change(self, one: dict[str, Any], source: UUID) -> dict[str, Any]:
        """A change of a report: code, path, and both values; of a rename they are names."""
        if self.unmasked:
            return one
        sides = {side: one.get(side) for side in ("from", "to")}
        is_name = one["code"] == "attribute.renamed"
        shown = {side: mask_in_record(value) if is_name else self.value(one["path"], value, source) for side, value in sides.items()}
        return {"code": one["code"], "path": mask_in_text(one["path"]), **shown}


def _masked_values(values: dict[str, Any]) -> dict[str, Any]:
    """What else a violation says, which may quote what was sent; what the plan says of itself stays."""
    shown = {name: value if name in _OF_THE_PLAN else mask_in_record(value) for name, value in values.items()}
    if shown.get("plain") != values.get("plain"):  # one by one its signs would tell the digits
        shown["signs"] = list(dict.fromkeys("*" if sign.isdecimal() else sign for sign in values.get("signs", ())))
    return shown


def matched_columns(columns: Iterable[dict[str, Any]], sight: Sight) -> dict[str, str]:
    """How a file's columns are hidden that were matched to the phone, an identifier or a personal attribute: {heading: kind}."""
    found = {}
    for column in columns:
        target = column["target"]
        if target == "phone":
            found[column["heading"]] = "phone"
        elif target.startswith("identifier.") or sight.is_hidden(target.removeprefix("attribute.")):
            found[column["heading"]] = ""
    return found
