"""Attributes of a file meet those of the plan: what all tags mean by a name becomes one attribute, the rest are told apart. Pure."""

import json
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from taxonomy.exchange.formats.found import Definition, Found, FoundAttribute, Items, LeftOut
from taxonomy.exchange.formats.names import clean, code_of, free_code
from taxonomy.standardize.types import check_definition, constraints_for

LABEL_CHARACTERS = 120
_LIMITS = {"unit": 40, "example": 300, "label_en": LABEL_CHARACTERS, "label_zh_hans": LABEL_CHARACTERS}
# A type of a file that a type of the standard can take, because its values are cast.
_TAKES = {
    "text": {"choice", "phone", "email", "url", "date", "datetime"},
    "choice": {"text"},
    "integer": {"decimal", "money", "text"},
    "decimal": {"money", "text"},
    "boolean": {"text"},
    "date": {"datetime", "text"},
    "datetime": {"date", "text"},
    "email": {"text"},
    "url": {"text"},
    "phone": {"text"},
}
_SAYS = ("label_en", "label_zh_hans", "description_en", "description_zh_hans", "unit", "example", "personal")


@dataclass(slots=True)
class Group:
    """Attributes of one name and one type, wherever the file uses them: they become one attribute."""

    members: list[tuple[str, FoundAttribute]]
    code: str = ""
    known: Definition | None = None
    own: Definition = field(default_factory=dict)


class AttributeCarrier:
    """`written` and `left_out` are added to; `groups` tells the group of each attribute found, by its id()."""

    def __init__(self, base: Items, written: Definition, left_out: list[LeftOut]) -> None:
        self.written, self.left_out = written, left_out
        self.base = base
        self.known = {one["code"].lower(): (item, one) for item, one in base.items() if one["kind"] == "attribute"}
        self.taken: set[str] = set()
        self.groups: dict[int, Group] = {}

    def _tell(self, where: str, what: str, why: str) -> None:
        self.left_out.append(LeftOut(where, what, why))

    def carry(self, found: Found, tag_codes: dict[int, str]) -> None:
        """Give each attribute found a group, and each group a code."""
        members = [(tag_codes[id(tag)], one) for tag in found.tags for one in tag.attributes]
        members += [("", one) for one in found.attributes]
        by_code: dict[str, list[tuple[str, FoundAttribute]]] = {}
        for tag_code, one in members:
            by_code.setdefault(code_of(one.name), []).append((tag_code, one))
        for code, same in by_code.items():
            by_type: dict[str, list[tuple[str, FoundAttribute]]] = {}
            for member in same:
                by_type.setdefault(_signature(member[1].definition), []).append(member)
            # What most tags mean by a name has it; the others are told apart by their tag.
            for position, alike in enumerate(
                sorted(by_type.values(), key=lambda one: (any(member.is_exact for _, member in one), len(one)), reverse=True)
            ):
                self._group(code, alike, first=position == 0)

    def _group(self, code: str, members: list[tuple[str, FoundAttribute]], *, first: bool) -> None:
        group = Group(members)
        kind = members[0][1].definition["type"]
        item, known = self.known.get(code, ("", None))
        ours = next((one.item for _, one in members if one.item), "") if first else ""
        if ours and ours in self.base:
            item, known = ours, self.base[ours]
        if known is not None and item != ours and not _can_take(known, members[0][1].definition):
            known, first = None, False
        group.known = known
        group.code = known["code"] if known is not None else code
        if known is None and (not first or code in self.taken):
            group.code = code_of(f"{members[0][0]}_{code}" if members[0][0] else f"{code}_{kind}")
            while group.code in self.known or group.code in self.taken:
                group.code = free_code(group.code, self.taken)
            for tag_code, one in members:
                self._tell(place_of(tag_code, one.name), group.code, "attribute.renamed")
        self.taken.add(group.code)
        if known is not None and ours != item and known["type"] != kind:
            for tag_code, one in members:
                self._tell(place_of(tag_code, one.name), str(known["type"]), "attribute.standard")
        self._write_attribute(group, ours)
        for _, one in members:
            self.groups[id(one)] = group

    def _write_attribute(self, group: Group, ours: str) -> None:
        first = next((one for _, one in group.members if one.is_exact), group.members[0][1])
        if group.known is not None and not ours:
            self.written.setdefault(group.code, {})
            group.own = group.known.get("constraints") or {}
            return
        group.own = (
            dict(first.definition["constraints"])
            if ours and (first.is_exact or len(group.members) == 1)
            else _common([one.definition["constraints"] for _, one in group.members])
        )
        fields = {name: first.definition[name] for name in ("type", "of", "fields")} | {"constraints": group.own}
        for name in _SAYS:
            for _, one in group.members:
                if text := clean(one.definition.get(name), _LIMITS.get(name, 10_000)):
                    fields[name] = text
                    break
        if ours:
            fields["id"] = ours
        elif "label_en" not in fields and "label_zh_hans" not in fields:
            fields |= labels_of(clean(first.name, LABEL_CHARACTERS))
        self.written[group.code] = fields

    def tightened(self, one: FoundAttribute, group: Group, code: str) -> Definition:
        """What this tag asks beyond the attribute; nothing that would contradict it."""
        if one.is_exact:
            return one.tightened
        definition = (group.known if not one.item else None) or one.definition
        wanted = {name: value for name, value in one.definition["constraints"].items() if group.own.get(name) != value}
        allowed = constraints_for(definition["type"], definition.get("of")) - (
            {"choices"} if definition["type"] != one.definition["type"] else set()
        )
        taken = {name: value for name, value in wanted.items() if name in allowed}
        if check_definition({**definition, "constraints": group.own}, taken):
            taken = {}
        for name in wanted.keys() - taken.keys():
            self._tell(place_of(code, one.name), name, "attribute.own")
        if group.known is not None:
            for name in sorted(group.own.keys() - one.definition["constraints"].keys()):
                self._tell(place_of(code, one.name), name, "attribute.stricter")
        return taken


def place_of(tag_code: str, name: str) -> str:
    return f"attribute:{tag_code}.{clean(name, 80)}" if tag_code else f"attribute:{clean(name, 80)}"


def labels_of(name: str) -> Definition:
    """A name shown in the language that it is in."""
    return {"label_zh_hans" if any("\u3400" <= one <= "\u9fff" for one in name) else "label_en": name}


def _signature(definition: Definition) -> str:
    """What two attributes must have in common to be one."""
    return json.dumps([definition["type"], definition.get("of"), definition.get("fields") or {}], sort_keys=True, default=str)


def _can_take(known: Definition, wanted: Definition) -> bool:
    if _signature(known) == _signature(wanted):
        return True
    if known["type"] in ("list", "object"):
        return known["type"] == wanted["type"] and (known.get("of") or None) == (wanted.get("of") or None)
    return known["type"] in _TAKES.get(wanted["type"], set()) or known["type"] == wanted["type"]


def _common(constraints: list[Definition]) -> Definition:
    """What all ask at least: the loosest of each bound, all the choices that anyone allows. What a tag asks beyond it is its own."""
    common: Definition = {}
    for name in constraints[0]:
        given = [one[name] for one in constraints if name in one]
        if len(given) < len(constraints):
            continue
        if name == "choices":
            common[name] = list(Counter(choice for choices in given for choice in choices))
        elif name != "pattern":
            common[name] = (min if name.startswith("min") else max)(given, key=_size)
        elif len(set(given)) == 1:
            common[name] = given[0]
    return common


def _size(bound: Any) -> tuple[int, Decimal, str]:
    """Numbers by their size, dates as texts."""
    try:
        return (0, Decimal(str(bound)), "")
    except InvalidOperation:
        return (1, Decimal(0), str(bound))
