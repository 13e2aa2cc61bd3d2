"""A plan as people write it, with codes where definitions have uuids: what every format reads and writes. Pure.

`Written` is {kind: {key: fields}}: the key is the item's code; of a rule, its uuid, or any text for one that is new. Fields are
those of a definition, with codes for what they refer to, and may hold `id`, the permanent uuid, so that a rename stays one.
What is not said stays as it is; of a new item it is the default. Where a format could not read a value, a Trouble stands for it.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4

from taxonomy.exchange.shapes import Trouble, misfits
from taxonomy.standardize import Problem, check_plan
from taxonomy.standardize.types import check_definition

Definition = dict[str, Any]
Items = dict[str, Definition]
Written = dict[str, dict[str, Definition]]
Status = Literal["added", "changed", "unchanged", "removed", "wrong"]

KINDS = ("category", "attribute", "tag", "source", "rule")
# field: the kind its code names
_REFERENCES: dict[str, dict[str, str]] = {
    "category": {"parent": "category"},
    "attribute": {},
    "tag": {"category": "category", "successor": "tag"},
    "source": {},
    "rule": {"source": "source", "tag": "tag"},
}
_LABELS: Definition = {"label_en": "", "label_zh_hans": "", "description_en": "", "description_zh_hans": ""}
DEFAULTS: dict[str, Definition] = {
    "category": {**_LABELS, "code": "", "position": 0, "parent": None},
    "attribute": {
        **_LABELS, "code": "", "type": "text", "of": None, "fields": {}, "unit": "", "example": "", "personal": "none", "constraints": {},
    },
    "tag": {
        **_LABELS, "code": "", "status": "active", "synonyms": [], "one_of": [], "system": False, "category": None, "owner": None,
        "successor": None, "attributes": [], "refinements": [],
    },
    "source": {
        **_LABELS, "code": "", "source_kind": "website", "region": "", "timezone": "UTC", "currency": "", "namespace": "",
        "hold_unreadable_phone": True, "separate_rows": False, "envelope": {"preset": "tagline"}, "owner": None,
    },
    "rule": {
        "position": 0, "match": "exact", "name": "", "keep_unmapped": True, "note": "", "source": None, "tag": None, "condition": None,
        "rows": [],
    },
}  # fmt: skip
# Said only where they say something, as in a definition.
OPTIONAL: dict[str, Definition] = {
    "attribute": {"watch_until": ""}, "tag": {"watch_until": "", "modes": []}, "rule": {"below_version": "", "until": ""},
    "source": {"replay_held": False},
}  # fmt: skip
_NEEDED = {"category": (), "attribute": (), "tag": ("category", "owner"), "source": ("owner",), "rule": ("source", "tag", "name")}
_USE: Definition = {"attribute": "", "required": False, "constraints": {}}
_ROW: Definition = {"target": "", "path": "", "transforms": ""}
_CONDITION: Definition = {"path": "", "operator": "", "value": ""}


@dataclass(slots=True)
class Entry:
    """One item that came in. `item` is its uuid, `key` what it was written under; `after` is None for one that goes."""

    kind: str
    key: str
    item: str
    status: Status
    before: Definition | None
    after: Definition | None
    troubles: list[Trouble] = dataclasses.field(default_factory=list)
    # what a person should know before it is taken over
    notes: list[Trouble] = dataclasses.field(default_factory=list)


def write(items: Items) -> Written:
    """Every item with codes for uuids, in the order of their codes; rules in the order in which they are tried."""
    written: Written = {kind: {} for kind in KINDS}
    for item, one in sorted(items.items(), key=lambda pair: _order(pair, items)):
        key = item if one["kind"] == "rule" else one["code"]
        written[one["kind"]][key] = {"id": item, **_write_one(one, items)}
    return written


def line_ends(text: str) -> str:
    """The text with the line ends of a file: a browser sends others."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read(
    written: Written,
    base: Items,
    *,
    departments: Collection[str],
    whole: Collection[str] = (),
    plain: Callable[[str], str] = line_ends,
    full: bool = False,
    beyond: Items | None = None,
) -> list[Entry]:
    """What the written makes of the items of `base`, by kind and in its order; wrong ones with every reason.

    `whole`: kinds of which everything was written, so that what is missing goes. Two texts with the same `plain` are the same:
    what a format cannot carry changes nothing. `full`: a field that is not said has its default rather than staying as it is.
    `beyond`: what the writer may not read: it stays as it is, may be referred to by uuid alone, and all must hold together with it.
    """
    beyond = beyond or {}
    reader = _Reader(written, base, departments, plain, full, beyond)
    entries = [reader.entry(kind, key, fields) for kind in KINDS for key, fields in written.get(kind, {}).items()]
    found = {entry.item for entry in entries}
    for item, one in base.items():
        if one["kind"] in whole and item not in found:
            key = item if one["kind"] == "rule" else one["code"]
            entries.append(Entry(one["kind"], key, item, "removed", one, None))
    for entry in entries:
        if entry.item in beyond:
            entry.status = "wrong"
            entry.troubles.append(Trouble("written.beyond"))
    _check_together(entries, base | beyond)
    return entries


def chosen(entries: list[Entry], *, add: bool = True, update: bool = True, remove: bool = False) -> dict[str, Definition | None]:
    """{uuid: definition, None for one that goes} of what is to be proposed. Wrong ones never are."""
    wanted = {"added": add, "changed": update, "removed": remove}
    return {entry.item: entry.after for entry in entries if wanted.get(entry.status, False)}


def _order(pair: tuple[str, Definition], items: Items) -> tuple[Any, ...]:
    item, one = pair
    if one["kind"] == "rule":
        return (KINDS.index("rule"), items.get(one["source"], {}).get("code", ""), one["position"], item)
    return (KINDS.index(one["kind"]), one["code"])


def _write_one(one: Definition, items: Items) -> Definition:
    def code(item: Any) -> Any:
        return items[item]["code"] if item in items else item

    found = {name: value for name, value in one.items() if name != "kind"}
    found |= {name: code(found[name]) for name in _REFERENCES[one["kind"]] if found.get(name)}
    if one["kind"] == "tag":
        found["attributes"] = [{**use, "attribute": code(use["attribute"])} for use in one.get("attributes") or []]
        found["refinements"] = [refinement["pattern"] for refinement in one.get("refinements") or []]
        if one.get("modes"):
            found["modes"] = [{**mode, "source": code(mode["source"])} for mode in one["modes"]]
    return found


class _Reader:
    def __init__(
        self, written: Written, base: Items, departments: Collection[str], plain: Callable[[str], str], full: bool, beyond: Items
    ) -> None:
        self.base = base
        self.beyond = beyond
        self.departments = departments
        self.plain = plain
        self.full = full
        self.by_code = {(one["kind"], one["code"].lower()): item for item, one in base.items() if "code" in one}
        self.rules = {_rule_key(one): item for item, one in base.items() if one["kind"] == "rule"}
        self.incoming: dict[tuple[str, str], str] = {}
        for kind in KINDS[:-1]:
            for key, fields in written.get(kind, {}).items():
                self.incoming.setdefault((kind, _text(key).lower()), self._item(kind, key, fields))

    def entry(self, kind: str, key: str, fields: Any) -> Entry:
        if not isinstance(fields, dict):
            return Entry(kind, key, str(uuid4()), "wrong", None, None, [Trouble("written.not_fields")])
        troubles: list[Trouble] = []
        after = self._definition(kind, key, fields, troubles)
        item = self._rule(key, fields, after) if kind == "rule" else self.incoming[kind, _text(key).lower()]
        before = self.base.get(item)
        if before is not None:
            said = {name: after[name] for name in after if name in fields or name in ("kind", "code") or (self.full and name in before)}
            kept = {name: one for name, one in before.items() if name not in (fields.keys() | said.keys())}
            if self.full:
                kept = {name: one for name, one in kept.items() if name not in OPTIONAL.get(kind, {})}
            after = {**kept, **{name: self._as_before(value, before.get(name)) for name, value in said.items()}}
        told = {trouble.field for trouble in troubles}
        missing = (name for name in _NEEDED[kind] if not after.get(name) and (before is None or before.get(name)))
        troubles += [Trouble("written.missing", name) for name in missing if name not in told]
        troubles += misfits(after, before)
        if kind == "attribute":
            troubles += [Trouble(one.code, _field_of(one.code), {"expected": one.expected}) for one in check_definition(after)]
        status: Status = "wrong" if troubles else "added" if before is None else "unchanged" if before == after else "changed"
        return Entry(kind, key, item, status, before, after, troubles)

    def _as_before(self, value: Any, before: Any) -> Any:
        if isinstance(value, str) and isinstance(before, str) and self.plain(value) == self.plain(before):
            return before
        return value

    def _item(self, kind: str, key: str, fields: Any) -> str:
        """The uuid written, of a known item; else the one of this code; else a new one."""
        given = fields.get("id") if isinstance(fields, dict) else None
        if isinstance(given, str) and _is_uuid(given) and self.base.get(given, {"kind": kind})["kind"] == kind:
            return given
        return self.by_code.get((kind, _text(key).lower())) or str(uuid4())

    def _rule(self, key: str, fields: Definition, after: Definition) -> str:
        for given in (fields.get("id"), key):
            if isinstance(given, str) and _is_uuid(given) and self.base.get(given, {"kind": "rule"})["kind"] == "rule":
                return given
        return self.rules.get(_rule_key(after)) or str(uuid4())

    def _definition(self, kind: str, key: str, fields: Definition, troubles: list[Trouble]) -> Definition:
        optional = OPTIONAL.get(kind, {})
        defaults = DEFAULTS[kind] | optional
        found: Definition = {"kind": kind, **DEFAULTS[kind]}
        if kind != "rule":
            found["code"] = _text(key)
        for name, value in fields.items():
            if isinstance(value, Trouble):
                troubles.append(value)
                continue
            if name in ("id", "kind") or (name == "code" and kind != "rule"):
                continue
            if name not in defaults:
                troubles.append(Trouble("written.unknown_field", str(name)))
            elif name in _REFERENCES[kind]:
                found[name] = self._refer(_REFERENCES[kind][name], name, value, troubles)
            elif name == "owner":
                found[name] = self._owner(value, troubles)
            elif name == "attributes":
                found[name] = self._uses(value, troubles)
            elif name == "modes":
                found[name] = self._modes(value, troubles)
            elif name == "refinements":
                found[name] = self._refinements(value, troubles)
            elif name == "rows":
                found[name] = self._rows(value, troubles)
            elif name == "condition":
                found[name] = self._condition(value, troubles)
            elif (expected := _expected(name, value, defaults[name])) is not None:
                self._wrong(name, expected, troubles)
            else:
                found[name] = defaults[name] if value is None or (value == "" and defaults[name] is None) else value
        return {name: value for name, value in found.items() if value or name not in optional}

    def _refer(self, kind: str, name: str, value: Any, troubles: list[Trouble]) -> str | None:
        if value in (None, ""):
            return None
        key = (kind, _text(value).lower())
        found = self.incoming.get(key) or self.by_code.get(key)
        if found is None and self.beyond.get(key[1], {}).get("kind") == kind:
            return key[1]
        if found is None:
            troubles.append(Trouble("written.no_such", name, {"code": value}))
        return found

    def _owner(self, value: Any, troubles: list[Trouble]) -> str | None:
        if value in (None, "") or value in self.departments:
            return value or None
        troubles.append(Trouble("written.no_such", "owner", {"code": value}))
        return None

    def _uses(self, value: Any, troubles: list[Trouble]) -> list[Definition]:
        uses = []
        for one in value if isinstance(value, list) else self._wrong("attributes", "a list", troubles):
            if isinstance(one, Trouble):
                troubles.append(one)
                continue
            until = one.get("watch_until") if isinstance(one, dict) else None
            said = {name: part for name, part in one.items() if name != "watch_until"} if isinstance(one, dict) else {"attribute": one}
            use = _filled(_USE, said)
            if use is None or not isinstance(until, str | None):
                self._wrong("attributes", "codes of attributes", troubles)
            elif found := self._refer("attribute", "attributes", use["attribute"], troubles):
                uses.append({**use, "attribute": found, **({"watch_until": until} if until else {})})
        return _once("attributes", "attribute", uses, self.base, troubles)

    def _refinements(self, value: Any, troubles: list[Trouble]) -> list[Definition]:
        unread = [one for one in value if isinstance(one, Trouble)] if isinstance(value, list) else []
        troubles += unread
        value = [one for one in value if one not in unread] if unread else value
        if not _is_texts(value):
            return self._wrong("refinements", "a list of patterns", troubles)
        return _once("refinements", "pattern", [{"pattern": one} for one in value], {}, troubles)

    def _rows(self, value: Any, troubles: list[Trouble]) -> list[Definition]:
        unread = [one for one in value if isinstance(one, Trouble)] if isinstance(value, list) else []
        troubles += unread
        rows = [_filled(_ROW, one) for one in value if one not in unread] if isinstance(value, list) else [None]
        if None in rows:
            return self._wrong("rows", "a list of rows with target, path and transforms", troubles)
        return _once("rows", "target", [one for one in rows if one is not None], {}, troubles)

    def _condition(self, value: Any, troubles: list[Trouble]) -> Definition | None:
        if value in (None, "", {}):
            return None
        found = _filled(_CONDITION, value)
        if found is None or not found["path"]:
            self._wrong("condition", "a path, an operator and a value", troubles)
            return None
        return found

    def _modes(self, value: Any, troubles: list[Trouble]) -> list[Definition]:
        modes = []
        for one in value if isinstance(value, list) else self._wrong("modes", "a list", troubles):
            if isinstance(one, Trouble):
                troubles.append(one)
            elif not isinstance(one, dict) or one.keys() != {"source", "mode"}:
                self._wrong("modes", "a source and a mode", troubles)
            else:
                # a source that the writer could not read stands by its uuid
                known = self.base.get(_text(one["source"]), {}).get("kind") == "source"
                source = one["source"] if known else self._refer("source", "modes", one["source"], troubles)
                modes.append({"source": source or "", "mode": one["mode"]})
        return modes

    def _wrong(self, name: str, expected: str, troubles: list[Trouble]) -> list[Any]:
        troubles.append(Trouble("written.wrong_type", name, {"expected": expected}))
        return []


def _check_together(entries: list[Entry], base: Items) -> None:
    """Codes written twice, and what would not hold together once all that is right is taken over."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.after is not None and seen.setdefault((entry.kind, entry.item), entry) is not entry:
            entry.status = "wrong"
            entry.troubles.append(Trouble("written.twice", "code", {"code": entry.key}))
    known = {_told(problem) for problem in check_plan(base)}
    # what is wrong is left out, so that what stands on it becomes wrong too
    while _mark(entries, [problem for problem in check_plan(_together(base, entries)) if _told(problem) not in known]):
        pass


def _told(problem: Problem) -> tuple[str, frozenset[str]]:
    """What it is and of which items: of two that meet, either is blamed, the one that stands later."""
    return problem.code, frozenset({problem.item, str(problem.values.get("other", problem.item))})


def _together(base: Items, entries: list[Entry]) -> Items:
    return {item: one for item, one in (base | chosen(entries, remove=True)).items() if one is not None}


def _mark(entries: list[Entry], problems: list[Problem]) -> bool:
    """Mark what is to blame for each problem as wrong; whether anything was."""
    by_item = {entry.item: entry for entry in entries if entry.status in ("added", "changed", "removed")}
    marked = False
    for problem in problems:
        target = str(problem.values.get("target"))
        if problem.code == "reference.missing" and target in by_item and by_item[target].status == "removed":
            entry, trouble = by_item[target], Trouble("written.in_use", "", {"item": problem.item})
        elif problem.item in by_item:
            entry, trouble = by_item[problem.item], Trouble(problem.code, problem.path, dict(problem.values))
        elif (other := str(problem.values.get("other"))) in by_item:
            values = {name: value for name, value in problem.values.items() if name != "other"}
            entry, trouble = by_item[other], Trouble(problem.code, problem.path, values)
        else:
            continue
        marked = True
        entry.status = "wrong"
        if trouble not in entry.troubles:
            entry.troubles.append(trouble)
    return marked


def _rule_key(rule: Definition) -> tuple[Any, ...]:
    condition = rule.get("condition") or {}
    limits = (rule.get("below_version") or "", rule.get("until") or "")
    return (rule["source"], rule["match"], rule["name"], condition.get("path"), condition.get("operator"), condition.get("value"), *limits)


def _field_of(code: str) -> str:
    return {"definition.type": "type", "definition.of": "of", "definition.fields": "fields"}.get(code, "constraints")


def _expected(name: str, value: Any, default: Any) -> str | None:
    """What the field expects, None where the value is of that type."""
    if default is None or isinstance(default, str):
        return None if value is None or isinstance(value, str) else "a text"
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "yes or no"
    if isinstance(default, int):
        return None if type(value) is int else "a whole number"
    if name == "one_of":
        return None if isinstance(value, list) and all(map(_is_texts, value)) else "groups of codes"
    if isinstance(default, list):
        return None if _is_texts(value) else "a list of texts"
    return None if isinstance(value, dict) else "fields"


def _filled(defaults: Definition, value: Any) -> Definition | None:
    """The fields with defaults where they are not said; None for other fields, other types, or where the first is missing."""
    if not isinstance(value, dict) or not value.get(next(iter(defaults))) or value.keys() - defaults.keys():
        return None
    filled = {**defaults, **{name: one for name, one in value.items() if one is not None}}
    return filled if all(type(filled[name]) is type(default) for name, default in defaults.items()) else None


def _once(field: str, key: str, rows: list[Definition], names: Items, troubles: list[Trouble]) -> list[Definition]:
    for seen, count in Counter(row[key] for row in rows).items():
        if count > 1:
            troubles.append(Trouble("written.twice", field, {"code": names.get(seen, {}).get("code", seen)}))
    return rows


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
