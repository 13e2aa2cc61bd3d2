"""From what a file says to what may be proposed: names become codes, and meet the attributes and tags that are there. Pure.

A file that carries our own uuids changes those items. Any other only adds: a tag that is there keeps what it has and gains
attributes, an attribute that is there is used as it is.
"""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from taxonomy.exchange.formats.carry_attributes import LABEL_CHARACTERS, AttributeCarrier, labels_of, place_of
from taxonomy.exchange.formats.found import Definition, Found, FoundTag, Items, LeftOut
from taxonomy.exchange.formats.names import TAG_CHARACTERS, clean, code_of, free_code
from taxonomy.exchange.written import Written
from taxonomy.standardize.names import RefinementIndex, parse_refinement
from taxonomy.standardize.plan import compile_finder

_RULE_NAME = 300
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
    for kind, those in (("tag", found.tags), ("attribute", [*found.attributes, *(one for tag in found.tags for one in tag.attributes)])):
        for one in those:
            # An id that stands for something else here is nobody's.
            if base.get(one.item, {"kind": kind})["kind"] != kind:
                one.item = ""
    return _Carrier(found, base, choices, departments).carried()


class _Carrier:
    def __init__(self, found: Found, base: Items, choices: Choices, departments: Collection[str]) -> None:
        self.found, self.base, self.choices, self.departments = found, base, choices, departments
        self.left_out = list(found.left_out)
        self.known = {(one["kind"], one["code"].lower()): (item, one) for item, one in base.items() if "code" in one}
        self.written: Written = {"category": {}, "attribute": {}, "tag": {}, "rule": {}}
        self.taken: set[str] = set()
        _, source = self.known.get(("source", choices.source.lower()), ("", None))
        # What the chosen source's own rules make of a name.
        self.mapped = {rule["name"]: base[rule["tag"]]["code"] for rule in _plain_rules(base, source) if rule["tag"] in base}
        self.attributes = AttributeCarrier(base, self.written["attribute"], self.left_out)
        self.refinements = RefinementIndex(
            (item, refinement)
            for item, one in base.items()
            for pattern in one.get("refinements") or []
            if (refinement := parse_refinement(one["code"], pattern["pattern"])) is not None
        )

    def carried(self) -> Carried:
        categories = {name: self._category(name, label) for name, label in self.found.categories.items()}
        codes = {id(tag): self._tag_code(tag) for tag in self.found.tags}
        self.attributes.carry(self.found, codes)
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
            fields = labels_of(clean(label or name, LABEL_CHARACTERS))
            self.written["category"][code] = fields | ({"parent": self.choices.category} if self.choices.category else {})
        return code

    def _tag_code(self, tag: FoundTag) -> str:
        if tag.item in self.base:
            wanted = tag.code or tag.name
        elif (mapped := self.mapped.get(tag.name)) and mapped not in self.taken:
            self._tell(f"tag:{clean(tag.name, 80)}", mapped, "rule.followed")
            wanted = mapped
        else:
            wanted = code_of(tag.code or tag.name, TAG_CHARACTERS)
            if ("tag", wanted) not in self.known and self.refinements.candidates(wanted):
                # The standard would read it as a refinement of one of its own tags.
                self._tell(f"tag:{clean(tag.name, 80)}", f"event_{wanted}", "tag.renamed")
                wanted = f"event_{wanted}"[:TAG_CHARACTERS].rstrip("_")
        return free_code(wanted, self.taken, TAG_CHARACTERS)

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
            fields |= labels_of(clean(tag.name, LABEL_CHARACTERS))
        if ours:
            fields["id"] = tag.item
        fields |= {"attributes": uses, "synonyms": synonyms, **self._grouped(tag, uses), **self._refined(tag)}
        fields |= self._owned(tag, code, known, categories, by_name)
        self.written["tag"][code] = fields

    def _uses(self, tag: FoundTag, code: str) -> list[Definition]:
        uses: dict[str, Definition] = {}
        for one in tag.attributes:
            group = self.attributes.groups[id(one)]
            if group.code in uses:
                self._tell(place_of(code, one.name), group.code, "attribute.twice")
                continue
            uses[group.code] = {
                "attribute": group.code,
                "required": one.required,
                "constraints": self.attributes.tightened(one, group, code),
            }
        return list(uses.values())

    def _added(self, known: Definition, uses: list[Definition], synonyms: list[str]) -> Definition:
        """What a file adds to a tag that is there."""
        before = [{**use, "attribute": self.base[use["attribute"]]["code"]} for use in known.get("attributes") or []]
        there = {use["attribute"] for use in before}
        added = [{**use, "required": False} for use in uses if use["attribute"] not in there]
        for use in uses:
            if use["required"] and (use["attribute"] not in there or not _is_required(before, use["attribute"])):
                self._tell(place_of(known["code"], use["attribute"]), "required", "tag.kept")
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
        codes = {one.name: self.attributes.groups[id(one)].code for one in tag.attributes}
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
        names = set(self.mapped)
        position = max((one["position"] for one in there), default=-1) + 1
        for tag, code in tags:
            rows = self._rows(tag, code)
            if tag.name.lower() == code and not rows:
                continue
            if self.mapped.get(tag.name) == code:
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
            target = self.attributes.groups[id(one)].code
            if target == one.name or target not in uses or target in rows:
                continue
            path = one.name if _PLAIN_NAME.fullmatch(one.name) else json.dumps(one.name, ensure_ascii=False)
            if _compiles(path):
                rows[target] = {"target": target, "path": path, "transforms": ""}
            else:
                self._tell(place_of(code, clean(one.name, 80)), target, "name.unusable")
        return list(rows.values())

    def _known_uses(self, code: str) -> list[Definition]:
        _, known = self.known.get(("tag", code), ("", None))
        return [{"attribute": self.base[use["attribute"]]["code"]} for use in (known or {}).get("attributes") or []]


def _plain_rules(base: Items, source: Definition | None) -> list[Definition]:
    """A source's rules for exactly one name, whatever else the event says."""
    rules = [one for one in base.values() if one["kind"] == "rule" and base.get(one["source"]) is source]
    return [one for one in rules if source is not None and one["match"] == "exact" and not one.get("condition")]


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
