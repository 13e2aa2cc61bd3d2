"""What a file of another format says, before it meets the plan; and what of either side the other cannot say. Pure."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from taxonomy.exchange.formats.documents import Files, Unreadable, parse

Definition = dict[str, Any]
Items = dict[str, Definition]


class LeftOut(NamedTuple):
    """Something that was not carried over: where it stands, what it is, and why (a code of words.py)."""

    where: str
    what: str
    why: str


@dataclass(slots=True)
class FoundAttribute:
    """`definition` holds the type with all it needs, and whatever else of an attribute's definition the file says.

    `item` is the permanent uuid, if it is one of ours; `is_exact` says that nobody changed what we wrote, and then
    `tightened` holds the constraints that only this tag lays over it.
    """

    name: str
    definition: Definition
    required: bool = False
    item: str = ""
    tightened: Definition = field(default_factory=dict)
    is_exact: bool = False


@dataclass(slots=True)
class FoundTag:
    """`name` is how a source says it, `code` what to call it if the name will not do.

    `fields` are those of a tag's definition that the file says; names stand where a definition has codes.
    """

    name: str
    attributes: list[FoundAttribute] = field(default_factory=list)
    fields: Definition = field(default_factory=dict)
    code: str = ""
    item: str = ""


@dataclass(slots=True)
class Found:
    """`categories` is {name: label}, those that tags name; `attributes` those that no tag uses."""

    tags: list[FoundTag] = field(default_factory=list)
    attributes: list[FoundAttribute] = field(default_factory=list)
    categories: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def miss(self, where: str, what: str, why: str) -> None:
        self.left_out.append(LeftOut(where, what, why))


def parsed(files: Files, found: Found) -> list[tuple[str, Any]]:
    """(path, document) of each JSON or YAML document. A file that cannot be read is told, and the others go on."""
    documents = []
    for path, body in sorted(files.items()):
        try:
            documents += [(path, one) for one in parse(path, body)]
        except Unreadable as error:
            found.miss(path, "", error.code)
    return documents


class Sent(NamedTuple):
    files: Files
    left_out: list[LeftOut]


class Use(NamedTuple):
    """One attribute as a tag uses it."""

    item: str
    attribute: Definition
    required: bool
    tightened: Definition

    @property
    def code(self) -> str:
        return str(self.attribute["code"])


def tags_of(items: Items) -> list[tuple[str, Definition, list[Use]]]:
    """(uuid, tag, its attributes) in the order of the tags' codes."""
    return [
        (
            item,
            one,
            [
                Use(use["attribute"], items[use["attribute"]], bool(use.get("required")), use.get("constraints") or {})
                for use in one.get("attributes") or []
                if use["attribute"] in items
            ],
        )
        for item, one in sorted(items.items(), key=lambda pair: str(pair[1].get("code")))
        if one["kind"] == "tag"
    ]


# What a field says when it says nothing.
_NOTHING: tuple[Any, ...] = (None, "", [], {}, False, "none")
# Carried by every format, or what the other fields hang on.
_ALWAYS = {"kind", "code", "type", "of", "fields", "constraints", "attributes", "name", "position"}


def not_carried(items: Items, *, tag: set[str], attribute: set[str], category: set[str] = frozenset()) -> list[LeftOut]:  # type: ignore[assignment]
    """What a format cannot say of these items: whole kinds, attributes that no tag uses, and fields not among the given."""
    carries = {"tag": tag, "attribute": attribute, "category": category}
    used = {use.item for _, _, uses in tags_of(items) for use in uses}
    left = []
    for item, one in items.items():
        kind, where = one["kind"], place(one, items)
        if kind not in carries or (kind == "category" and not category) or (kind == "attribute" and item not in used):
            left.append(LeftOut(where, "", "item"))
            continue
        left += [
            LeftOut(where, name, "field") for name, value in one.items() if name not in carries[kind] | _ALWAYS and value not in _NOTHING
        ]
    return sorted(left)


def place(one: Definition, items: Items) -> str:
    """`tag:login`; of a rule its source and name."""
    if one["kind"] == "rule":
        return f"rule:{items.get(one['source'], {}).get('code', '')} {one['name']}"
    return f"{one['kind']}:{one['code']}"
