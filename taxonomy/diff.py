"""What differs between two definitions of an item, field by field, in the reader's language."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import get_language, gettext, override
from django.utils.translation import gettext_lazy as _

from staff.models import Department, in_reader_language
from taxonomy.definition import Definition, Items
from taxonomy.dictionary.words import row_words
from taxonomy.models import Attribute, MappingRule, Source, Tag, TagMode
from taxonomy.proposals.merge import ROW_KEYS
from taxonomy.rule_words import condition_words, limits_words, rule_name

FIELDS: dict[str, Promise | str] = {
    "attribute": _("attribute"),
    "attributes": _("attributes"),
    "below_version": _("only below version"),
    "category": _("category"),
    "code": _("code"),
    "condition": _("condition"),
    "constraints": _("constraints"),
    "currency": _("currency"),
    "description_en": _("description in English"),
    "description_zh_hans": _("description in Chinese"),
    "envelope": _("envelope"),
    "example": _("example"),
    "fields": _("fields"),
    "hold_unreadable_phone": _("hold unreadable phones"),
    "replay_held": _("replay by itself"),
    "keep_unmapped": _("take the rest as it is"),
    "label_en": _("name in English"),
    "label_zh_hans": _("name in Chinese"),
    "match": _("event name"),
    "mode": _("when an attribute breaks a rule"),
    "modes": _("how strict, by source"),
    "name": _("name"),
    "namespace": _("identifier namespace"),
    "note": _("note"),
    "of": _("list of"),
    "one_of": _("at least one of"),
    "owner": _("owner"),
    "parent": _("above it"),
    "path": _("from"),
    "personal": _("personal data"),
    "position": _("position"),
    "refinements": _("refinements"),
    "region": _("default region"),
    "required": _("required"),
    "rows": _("rows"),
    "separate_rows": _("identical rows are separate"),
    "source": _("source"),
    "source_kind": _("kind"),
    "status": _("status"),
    "successor": _("successor"),
    "synonyms": _("synonyms"),
    "system": _("system tag"),
    "tag": _("tag"),
    "timezone": _("time zone"),
    "transforms": _("transforms"),
    "type": _("type"),
    "unit": _("unit"),
    "until": _("only until"),
    "watch_until": _("only watch until"),
}
# What an envelope can say, in the order the form of a source asks it.
ENVELOPE = {
    "event": _("event name"),
    "event_constant": _("or always this event"),
    "events": _("events in one record"),
    "phone": _("phone"),
    "region": _("region"),
    "occurred_at": _("time"),
    "time_format": _("time format"),
    "sent_at": _("time sent"),
    "message_id": _("message id"),
    "source_version": _("source version"),
    "attributes": _("attributes"),
    "context": _("context"),
}
PRESETS: dict[str, Promise | str] = {
    "tagline": _("Tagline JSON"),
    "flat": _("flat rows"),
    "segment": _("Segment messages"),
    "cloudevents": "CloudEvents",
    "custom": _("its own format, found by the paths below"),
}
# What a row without a name is called, and choices that a definition holds by their codes.
_UNNAMED = {"modes": _("every other source")}
CHOICES: dict[str, dict[str, Promise | str]] = {
    "match": dict(MappingRule.Match.choices), "mode": dict(TagMode.Mode.choices), "of": dict(Attribute.Type.choices),
    "operator": dict(MappingRule.Operator.choices), "personal": dict(Attribute.Personal.choices), "source_kind": dict(Source.Kind.choices),
    "status": dict(Tag.Status.choices), "type": dict(Attribute.Type.choices),
}  # fmt: skip
CONSTRAINTS: dict[str, Promise | str] = {
    "minimum": _("minimum"),
    "maximum": _("maximum"),
    "min_length": _("shortest"),
    "max_length": _("longest"),
    "min_items": _("fewest entries"),
    "max_items": _("most entries"),
    "pattern": _("pattern"),
    "choices": _("choices"),
}
# What is said of a field of an object.
_OF_FIELD = ("type", "of", "required", "constraints")
_SECONDS = 5
_EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class Line:
    """One difference. `before` or `after` is empty when something was added or removed."""

    field: str
    before: str
    after: str


def diff(before: Definition | None, after: Definition | None, names: Items) -> list[Line]:
    """The lines that tell two definitions apart. `names` are the items that uuids in them may refer to."""
    old, new = before or {}, after or {}
    lines: list[Line] = []
    for field in dict.fromkeys([*new, *old]):
        if field == "kind" or old.get(field) == new.get(field):
            continue
        if field in ROW_KEYS:
            lines += _row_lines(field, old.get(field) or [], new.get(field) or [], names)
        elif old.get(field) in _EMPTY and new.get(field) in _EMPTY:
            continue
        elif field == "fields":
            lines += _field_lines(old.get(field), new.get(field), names)
        else:
            lines.append(Line(str(FIELDS.get(field, field)), *(_value(field, one.get(field), names) for one in (old, new))))
    return lines


def side_by_side(place: tuple[str, str], theirs: Definition, mine: Definition, names: Items) -> dict[str, str]:
    """One thing that two people changed otherwise: {"place", "field", "theirs", "mine"}, as a person reads it."""
    field, row = place
    told = {"place": f"{field}.{row}", "field": str(FIELDS.get(field, field))}
    if not row:
        return {**told, "theirs": _value(field, theirs.get(field), names), "mine": _value(field, mine.get(field), names)}
    key = ROW_KEYS[field]
    rows = ({one[key]: one for one in side.get(field) or []}.get(row) for side in (theirs, mine))
    versions = [_row(one, key, names) for one in rows]
    return {**told, "field": f"{told['field']}: {_row_name(field, row, names)}", "theirs": versions[0], "mine": versions[1]}


def _row_lines(field: str, old: list[Definition], new: list[Definition], names: Items) -> list[Line]:
    key = ROW_KEYS[field]
    before = {row[key]: row for row in old}
    after = {row[key]: row for row in new}
    lines = [
        Line(f"{FIELDS[field]}: {_row_name(field, name, names)}", _row(before.get(name), key, names), _row(after.get(name), key, names))
        for name in dict.fromkeys([*after, *before])
        if before.get(name) != after.get(name)
    ]
    if not lines and list(before) != list(after):
        order = [", ".join(_row_name(field, name, names) for name in rows) for rows in (before, after)]
        lines.append(Line(str(_("order of %(field)s") % {"field": FIELDS[field]}), *order))
    return lines


def _field_lines(old: Any, new: Any, names: Items) -> list[Line]:
    """One for each field of an object that differs, those within it by their paths; where none does, one of the whole."""
    before, after = dict(_each_field(old)), dict(_each_field(new))
    lines = [
        Line(f"{FIELDS['fields']}: {'.'.join(path)}", *(_field(fields.get(path), names) for fields in (before, after)))
        for path in dict.fromkeys([*after, *before])
        if before.get(path) != after.get(path)
    ]
    return lines or [Line(str(FIELDS["fields"]), shown(old, names), shown(new, names))]


def _each_field(fields: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Definition]]:
    """(path, the field without those within it), such as ("address", "city"). A draft may hold anything where its type has no fields."""
    for name, one in fields.items() if isinstance(fields, dict) else ():
        written = one if isinstance(one, dict) else {"type": one}
        yield (*above, name), {key: value for key, value in written.items() if key != "fields"}
        yield from _each_field(written.get("fields"), (*above, name))


def _field(one: Definition | None, names: Items) -> str:
    """A field of an object in words; what no field has, as it stands."""
    if one is None:
        return ""
    told = [
        f"{FIELDS[name]} {_value(name, value, names)}" if name in _OF_FIELD else f"{name} {shown(value, names)}"
        for name, value in one.items()
        if value not in _EMPTY
    ]
    return ", ".join(told) or str(_("there"))


def _row_name(field: str, name: str, names: Items) -> str:
    if field == "rows":
        return row_words({"target": name})["target"]
    return shown(name, names) or str(_UNNAMED.get(field, ""))


def _row(row: Definition | None, key: str, names: Items) -> str:
    if row is None:
        return ""
    told = [f"{FIELDS.get(name, name)} {_value(name, value, names)}" for name, value in row.items() if name != key and value not in _EMPTY]
    return ", ".join(told) or str(_("there"))


def _value(field: str, value: Any, names: Items) -> str:
    """A field's value: choices, conditions, groups and fields in words, all else as `shown` has it."""
    if field == "condition" and isinstance(value, dict):
        return condition_words(value)
    if field == "envelope" and isinstance(value, dict):
        return ", ".join(_envelope_parts(value))
    if field == "one_of" and value:
        return gettext("; ").join(gettext(" or ").join(group) for group in value)
    if field == "fields" and value:
        told = [f"{'.'.join(path)}: {_field(one, names)}" for path, one in _each_field(value)]
        return gettext("; ").join(told) or shown(value, names)
    if field == "owner" and value:
        return _departments().get(value, value)
    return str(CHOICES[field].get(value, value)) if field in CHOICES and isinstance(value, str) else shown(value, names)


def _envelope_parts(envelope: Definition) -> Iterator[str]:
    """Such as: records are: flat rows."""
    for key, value in sorted(envelope.items(), key=lambda pair: pair[0] != "preset"):
        if key == "preset":
            yield f"{gettext('records are')}: {PRESETS.get(value, value)}"
        elif key == "identifiers" and isinstance(value, dict):
            yield from (f"{kind}: {path}" for kind, path in value.items() if path)
        elif value not in _EMPTY:
            yield f"{ENVELOPE.get(key, key)}: {value}"


@lru_cache(maxsize=2)
def _departments_at(moment: int, language: str) -> dict[str, str]:
    return {one.pk: one.label for one in Department.objects.all()}


def _departments() -> dict[str, str]:
    """Their names by code; asked once for all the lines of a page, and a few seconds later again."""
    return _departments_at(int(monotonic() / _SECONDS), get_language() or "")


def shown(value: Any, names: Items) -> str:
    """A value as a person reads it: uuids by name, lists and objects in a line."""
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if value in _EMPTY:
        return ""
    if isinstance(value, str):
        return title(names[value], names) if value in names else value
    if isinstance(value, list):
        return ", ".join(shown(one, names) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{CONSTRAINTS.get(name, name)}: {shown(one, names)}" for name, one in value.items() if one not in _EMPTY)
    return str(value)


def title(item: Definition, names: Items) -> str:
    """An item by its name and code; a rule by its source, name as sent, tag and limits. `names` hold what a rule refers to."""
    return _label(item, names) if item["kind"] == "rule" else f"{_label(item, names)} ({item['code']})"


def called(item: Definition, names: Items) -> list[str]:
    """An item's name in English and in Chinese, without its code: for what is kept and read by each in their language."""
    found = []
    for language in ("en", "zh-hans"):
        with override(language):
            found.append(_label(item, names))
    return found


def _label(item: Definition, names: Items) -> str:
    """What is gone has no name; what is not shown to the reader says so."""
    if item.get("kind") == "rule" and "source" in item:
        source, tag = (_label(names.get(item.get(key) or "") or {}, names) for key in ("source", "tag"))
        return rule_name(source, item["name"], tag, limits_words(item))
    label = in_reader_language(item.get("label_en", ""), item.get("label_zh_hans", ""))
    return label or str(item.get("code") or item.get("name") or "–")
