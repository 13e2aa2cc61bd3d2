"""What every language is written from: the tags of a release that sources may send, each with its attributes."""

from dataclasses import dataclass, field
from typing import Any

from taxonomy.standardize.plan import Items


@dataclass(frozen=True)
class Shape:
    """The type of a value. `of`: of a list's entries. `fields`: of an object, {name: (shape, required)}."""

    type: str
    choices: tuple[str, ...] = ()
    of: "Shape | None" = None
    fields: dict[str, "tuple[Shape, bool]"] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """An attribute as one tag uses it. `about`: what it is, a sentence a line."""

    code: str
    required: bool
    shape: Shape
    about: list[str]


@dataclass(frozen=True)
class Call:
    """A tag. `one_of`: groups of optional attributes of which one must be given. `deprecated`: what to send instead, else ""."""

    code: str
    about: list[str]
    attributes: list[Given]
    one_of: list[list[str]]
    is_deprecated: bool
    successor: str


def calls_of(items: Items) -> list[Call]:
    """By code: active tags, and deprecated ones, which still arrive."""
    tags = (item for item in items.values() if item["kind"] == "tag" and item.get("status", "active") != "draft")
    return [_call(tag, items) for tag in sorted(tags, key=lambda tag: str(tag["code"]))]


def _call(tag: dict[str, Any], items: Items) -> Call:
    given = [
        _given(items[use["attribute"]], use) for use in sorted(tag.get("attributes") or [], key=lambda use: not use.get("required", False))
    ]
    required = {one.code for one in given if one.required}
    groups = [list(group) for group in tag.get("one_of") or [] if not required.intersection(group)]
    successor = items.get(tag.get("successor") or "", {}).get("code", "")
    return Call(tag["code"], _about(tag), given, groups, tag.get("status") == "deprecated", successor)


def _given(attribute: dict[str, Any], use: dict[str, Any]) -> Given:
    about = _about(attribute)
    if attribute.get("unit"):
        about.append(f"Unit: {_line(attribute['unit'])}")
    if attribute.get("example"):
        about.append(f"Example: {_line(attribute['example'])}")
    return Given(attribute["code"], use.get("required", False), _shape(attribute, use.get("constraints") or {}), about)


def _shape(definition: dict[str, Any], tighter: dict[str, Any]) -> Shape:
    own, here = (constraints.get("choices") for constraints in (definition.get("constraints") or {}, tighter))
    choices = tuple(one for one in own or here or () if here is None or one in here)
    kind, of = definition["type"], definition.get("of") or "text"
    if kind == "list":
        return Shape("list", of=_shape({**definition, "type": of}, tighter))
    if kind == "object":
        fields = definition.get("fields") or {}
        return Shape("object", fields={name: (_shape(one, {}), bool(one.get("required"))) for name, one in fields.items()})
    return Shape(kind, choices if kind in ("choice", "text") else ())


def _about(item: dict[str, Any]) -> list[str]:
    """Label and description in both languages, each on a line of its own."""
    labels = [_line(item.get(f"label_{language}") or "") for language in ("en", "zh_hans")]
    described = [_line(item.get(f"description_{language}") or "") for language in ("en", "zh_hans")]
    return [line for line in (" · ".join(label for label in labels if label), *described) if line]


def _line(text: str) -> str:
    """A text on one line: no line end or other space in it can end a comment."""
    return " ".join(str(text).split())
