"""From what a file says to what may be proposed: names become codes, and meet the attributes and tags that are there. Pure.

A file that carries our own uuids changes those items. Any other only adds: a tag that is there keeps what it has and gains
attributes, an attribute that is there is used as it is.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from taxonomy.exchange.formats.found import Definition, Found, FoundAttribute, FoundTag, Items, LeftOut
from taxonomy.exchange.formats.names import TAG_CHARACTERS, clean, code_of, free_code
from taxonomy.exchange.written import Written
from taxonomy.standardize.names import RefinementIndex, parse_refinement
from taxonomy.standardize.plan import compile_finder
from taxonomy.standardize.types import check_definition, constraints_for

_LABEL = 120
_EXAMPLE = 300
_UNIT = 40
_RULE_NAME = 300
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
_TAG_SAYS = ("label_en", "label_zh_hans", "description_en", "description_zh_hans", "status", "system")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the reader chose: codes of the category and the source, the department that owns what is new."""

    category: str = ""
    owner: str = ""
    source: str = ""


@dataclass(slots=True)
class Carried:
    """`written` goes to taxonomy/exchange/written.py; `left_out` is everything it does not hold."""

    written: Written
    left_out: list[LeftOut] = field(default_factory=list)


def carry(found: Found, base: Items, *, choices: Choices, departments: Collection[str]) -> Carried:
    """Make of a file what can be proposed on top of `base`."""
    return _Carrier(found, base, choices, departments).carried()


@dataclass(slots=True)
class _Group:
    """Attributes of one name and one type, wherever the file uses them: they become one attribute."""

    members: list[tuple[str, FoundAttribute]]
    code: str = ""
    known: Definition | None = None
    own: Definition = field(default_factory=dict)


class _Carrier:
    def __init__(self, found: Found, base: Items, choices: Choices, departments: Collection[str]) -> None:
        self.found, self.base, self.choices, self.departments = found, base, choices, departments
        self.left_out = list(found.left_out)
        self.known = {(one["kind"], one["code"].lower()): (item, one) for item, one in base.items() if "code" in one}
        self.written: Written = {"category": {}, "attribute": {}, "tag": {}, "rule": {}}
        self.taken: dict[str, set[str]] = {"tag": set(), "attribute": set(), "category": set()}
        self.groups: dict[int, _Group] = {}
        self.refinements = RefinementIndex(
            (item, refinement)
            for item, one in base.items()
            for pattern in one.get("refinements") or []
            if (refinement := parse_refinement(one["code"], pattern["pattern"])) is not None
        )

    def carried(self) -> Carried:
        categories = {name: self._category(name, label) for name, label in self.found.categories.items()}
        codes = {id(tag): self._tag_code(tag) for tag in self.found.tags}
        self._attributes(codes)
        by_name = {tag.name: codes[id(tag)] for tag in self.found.tags}
        for tag in self.found.tags:
            self._tag(tag, codes[id(tag)], categories, by_name)
        if self.choices.source:
            self._rules([(tag, codes[id(tag)]) for tag in self.found.tags])
        return Carried({kind: items for kind, items in self.written.items() if items}, self.left_out)

    def _tell(self, where: str, what: str, why: str) -> None:
        self.left_out.append(LeftOut(where, what, why))

    def _category(self, name: str, label: str) -> str:
        code = code_of(name)
        if ("category", code) not in self.known:
            fields = _labels(clean(label or name, _LABEL))
            self.written["category"][code] = fields | ({"parent": self.choices.category} if self.choices.category else {})
        return code

    def _tag_code(self, tag: FoundTag) -> str:
        if tag.item in self.base:
            wanted = tag.code or tag.name
        else:
            wanted = code_of(tag.code or tag.name, TAG_CHARACTERS)
            if ("tag", wanted) not in self.known and self.refinements.candidates(wanted):
                # The standard would read it as a refinement of one of its own tags.
                self._tell(f"tag:{clean(tag.name, 80)}", f"event_{wanted}", "tag.renamed")
                wanted = f"event_{wanted}"[:TAG_CHARACTERS].rstrip("_")
        return free_code(wanted, self.taken["tag"], TAG_CHARACTERS)

    # Attributes

    def _attributes(self, tag_codes: dict[int, str]) -> None:
        """Give each attribute found a group, and each group a code."""
        members = [(tag_codes[id(tag)], one) for tag in self.found.tags for one in tag.attributes]
        members += [("", one) for one in self.found.attributes]
        by_code: dict[str, list[tuple[str, FoundAttribute]]] = {}
        for tag_code, one in members:
            by_code.setdefault(code_of(one.name), []).append((tag_code, one))
        for code, same in by_code.items():
            by_type: dict[str, list[tuple[str, FoundAttribute]]] = {}
            for member in same:
                by_type.setdefault(_signature(member[1].definition), []).append(member)
            # What most tags mean by a name has it; the others are told apart by their tag.
            for position, alike in enumerate(sorted(by_type.values(), key=lambda one: (any(found.is_exact for _, found in one), len(one)), reverse=True)):
                self._group(code, alike, first=position == 0)

    def _group(self, code: str, members: list[tuple[str, FoundAttribute]], *, first: bool) -> None:
        group = _Group(members)
        kind = members[0][1].definition["type"]
        item, known = self.known.get(("attribute", code), ("", None))
        ours = next((one.item for _, one in members if one.item), "") if first else ""
        if ours and ours in self.base:
            item, known = ours, self.base[ours]
        if known is not None and item != ours and not _can_take(known, members[0][1].definition):
            known, first = None, False
        group.known = known
        group.code = known["code"] if known is not None else code
        if known is None and (not first or code in self.taken["attribute"]):
            group.code = code_of(f"{members[0][0]}_{code}" if members[0][0] else f"{code}_{kind}")
            while ("attribute", group.code) in self.known or group.code in self.taken["attribute"]:
                group.code = free_code(group.code, self.taken["attribute"])
            for tag_code, one in members:
                self._tell(_place(tag_code, one.name), group.code, "attribute.renamed")
        self.taken["attribute"].add(group.code)
        if known is not None and ours != item and known["type"] != kind:
            for tag_code, one in members:
                self._tell(_place(tag_code, one.name), str(known["type"]), "attribute.standard")
        self._write_attribute(group, ours)
        for _, one in members:
            self.groups[id(one)] = group

    def _write_attribute(self, group: _Group, ours: str) -> None:
        first = next((one for _, one in group.members if one.is_exact), group.members[0][1])
        if group.known is not None and not ours:
            self.written["attribute"].setdefault(group.code, {})
            group.own = group.known.get("constraints") or {}
            return
        group.own = dict(first.definition["constraints"]) if ours and (first.is_exact or len(group.members) == 1) else _common([one.definition["constraints"] for _, one in group.members])
        fields = {name: first.definition[name] for name in ("type", "of", "fields")} | {"constraints": group.own}
        for name in _SAYS:
            for _, one in group.members:
                if text := clean(one.definition.get(name), {"unit": _UNIT, "example": _EXAMPLE}.get(name, _LABEL if "label" in name else 10_000)):
                    fields[name] = text
                    break
        if ours:
            fields["id"] = ours
        elif "label_en" not in fields and "label_zh_hans" not in fields:
            fields |= _labels(clean(first.name, _LABEL))
        self.written["attribute"][group.code] = fields

    # Tags

    def _tag(self, tag: FoundTag, code: str, categories: dict[str, str], by_name: dict[str, str]) -> None:
        item, known = self.known.get(("tag", code), (tag.item, self.base.get(tag.item)))
        ours = bool(tag.item) and (known is None or item == tag.item)
        uses = self._uses(tag, code)
        synonyms = self._synonyms(tag, code)
        if known is not None and not ours:
            self.written["tag"][code] = self._added(known, uses, synonyms)
            return
        fields = {name: tag.fields[name] for name in _TAG_SAYS if name in tag.fields}
        if not fields.get("label_en") and not fields.get("label_zh_hans"):
            fields |= _labels(clean(tag.name, _LABEL))
        if ours:
            fields["id"] = tag.item
        fields |= {"attributes": uses, "synonyms": synonyms, **self._grouped(tag, uses), **self._refined(tag)}
        fields |= self._owned(tag, code, known, categories, by_name)
        self.written["tag"][code] = fields

    def _uses(self, tag: FoundTag, code: str) -> list[Definition]:
        uses: dict[str, Definition] = {}
        for one in tag.attributes:
            group = self.groups[id(one)]
            if group.code in uses:
                self._tell(_place(code, one.name), group.code, "attribute.twice")
                continue
            uses[group.code] = {"attribute": group.code, "required": one.required, "constraints": self._tightened(one, group, code)}
        return list(uses.values())

    def _tightened(self, one: FoundAttribute, group: _Group, code: str) -> Definition:
        """What this tag asks beyond the attribute; nothing that would contradict it."""
        if one.is_exact:
            return one.tightened
        definition = (group.known if not one.item else None) or one.definition
        wanted = {name: value for name, value in one.definition["constraints"].items() if group.own.get(name) != value}
        allowed = constraints_for(definition["type"], definition.get("of")) - ({"choices"} if definition["type"] != one.definition["type"] else set())
        taken = {name: value for name, value in wanted.items() if name in allowed}
        if check_definition({**definition, "constraints": group.own}, taken):
            taken = {}
        for name in wanted.keys() - taken.keys():
            self._tell(_place(code, one.name), name, "attribute.own")
        if group.known is not None:
            for name in sorted(group.own.keys() - one.definition["constraints"].keys()):
                self._tell(_place(code, one.name), name, "attribute.stricter")
        return taken

    def _added(self, known: Definition, uses: list[Definition], synonyms: list[str]) -> Definition:
        """What a file adds to a tag that is there."""
        before = [{**use, "attribute": self.base[use["attribute"]]["code"]} for use in known.get("attributes") or []]
        there = {use["attribute"] for use in before}
        added = [{**use, "required": False} for use in uses if use["attribute"] not in there]
        for use in uses:
            if use["required"] and (use["attribute"] not in there or not _is_required(before, use["attribute"])):
                self._tell(_place(known["code"], use["attribute"]), "required", "tag.kept")
        words = [one for one in synonyms if one not in (known.get("synonyms") or [])]
        fields: Definition = {"attributes": before + added} if added else {}
        return fields | ({"synonyms": [*(known.get("synonyms") or []), *words]} if words else {})

    def _synonyms(self, tag: FoundTag, code: str) -> list[str]:
        names = [*tag.fields.get("synonyms", []), *([tag.name] if tag.name.lower() != code else [])]
        kept = []
        for name in dict.fromkeys(names):
            if name and clean(name, TAG_CHARACTERS) == name:
                kept.append(name)
            else:
                self._tell(f"tag:{code}", clean(name, 80), "name.unusable")
        return kept

    def _grouped(self, tag: FoundTag, uses: list[Definition]) -> Definition:
        codes = {one.name: self.groups[id(one)].code for one in tag.attributes}
        here = {use["attribute"] for use in uses}
        groups = [[codes.get(name, name) for name in group] for group in tag.fields.get("one_of", [])]
        kept = [group for group in groups if here.issuperset(group)]
        if len(kept) < len(groups):
            self._tell(f"tag:{tag.code or tag.name}", "one_of", "keyword")
        return {"one_of": kept} if "one_of" in tag.fields else {}

    def _refined(self, tag: FoundTag) -> Definition:
        return {"refinements": tag.fields["refinements"]} if "refinements" in tag.fields else {}

    def _owned(self, tag: FoundTag, code: str, known: Definition | None, categories: dict[str, str], by_name: dict[str, str]) -> Definition:
        """Category, owner, status and successor, with what the reader chose where the file says nothing that is here."""
        fields: Definition = {}
        given = tag.fields.get("category", "")
        category = categories.get(given) or (given if ("category", str(given).lower()) in self.known else "")
        if given and not category:
            self._tell(f"tag:{code}", "category", "tag.unknown")
        owner = tag.fields.get("owner", "")
        if owner and owner not in self.departments:
            self._tell(f"tag:{code}", "owner", "tag.unknown")
            owner = ""
        if category or known is None:
            fields["category"] = category or self.choices.category
        if owner or known is None:
            fields["owner"] = owner or self.choices.owner
        if known is None:
            fields["status"] = tag.fields.get("status") or "draft"
        if successor := tag.fields.get("successor"):
            fields["successor"] = by_name.get(successor, successor)
        if fields.get("status") == "deprecated" and not successor and not (known and known.get("successor")):
            fields["status"] = "draft" if known is None else known["status"]
            self._tell(f"tag:{code}", "deprecated", "tag.no_successor")
        return fields

    # Rules

    def _rules(self, tags: Iterable[tuple[FoundTag, str]]) -> None:
        """How the chosen source says it: a rule for each name that is not the code itself."""
        source, _ = self.known.get(("source", self.choices.source.lower()), ("", None))
        there = [one for one in self.base.values() if one["kind"] == "rule" and one["source"] == source]
        names = {one["name"] for one in there if one["match"] == "exact" and not one.get("condition")}
        position = max((one["position"] for one in there), default=-1) + 1
        for tag, code in tags:
            rows = self._rows(tag, code)
            if tag.name.lower() == code and not rows:
                continue
            if tag.name in names:
                self._tell(f"tag:{code}", clean(tag.name, 80), "rule.there")
            elif clean(tag.name, _RULE_NAME) != tag.name:
                self._tell(f"tag:{code}", clean(tag.name, 80), "name.unusable")
            else:
                names.add(tag.name)
                self.written["rule"][f"{self.choices.source}: {tag.name}"] = {
                    "source": self.choices.source, "name": tag.name, "tag": code, "position": position, "rows": rows,
                }  # fmt: skip
                position += 1

    def _rows(self, tag: FoundTag, code: str) -> list[Definition]:
        uses = {use["attribute"] for use in self.written["tag"][code].get("attributes") or self._known_uses(code)}
        rows: dict[str, Definition] = {}
        for one in tag.attributes:
            target = self.groups[id(one)].code
            if target == one.name or target not in uses or target in rows:
                continue
            path = one.name if _PLAIN_NAME.fullmatch(one.name) else json.dumps(one.name, ensure_ascii=False)
            if _compiles(path):
                rows[target] = {"target": target, "path": path, "transforms": ""}
            else:
                self._tell(_place(code, clean(one.name, 80)), target, "name.unusable")
        return list(rows.values())

    def _known_uses(self, code: str) -> list[Definition]:
        _, known = self.known.get(("tag", code), ("", None))
        return [{"attribute": self.base[use["attribute"]]["code"]} for use in (known or {}).get("attributes") or []]


def _place(tag_code: str, name: str) -> str:
    return f"attribute:{tag_code}.{clean(name, 80)}" if tag_code else f"attribute:{clean(name, 80)}"


def _labels(name: str) -> Definition:
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
    """What all ask alike; of choices, all that anyone allows."""
    common = {name: value for name, value in constraints[0].items() if all(one.get(name) == value for one in constraints)}
    if "choices" not in common and all("choices" in one for one in constraints):
        common["choices"] = list(Counter(choice for one in constraints for choice in one["choices"]))
    return common


def _is_required(uses: list[Definition], code: str) -> bool:
    return any(use["attribute"] == code and use.get("required") for use in uses)


def _compiles(path: str) -> bool:
    try:
        compile_finder(path)
    except Exception:
        return False
    return len(path) <= _RULE_NAME


def count_by(left_out: Iterable[LeftOut]) -> list[tuple[str, str, list[str]]]:
    """[(why, what, places)], the most frequent first: how a long list is shown."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in left_out:
        found.setdefault((one.why, one.what), []).append(one.where)
    return sorted(((why, what, places) for (why, what), places in found.items()), key=lambda row: (-len(row[2]), row[0], row[1]))


def texts(values: Any) -> list[str]:
    return [one for one in values if isinstance(one, str)] if isinstance(values, list) else []
