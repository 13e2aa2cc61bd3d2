"""The starter standard: the tags, attributes, sources and rules a new company begins with, as data in TOML.

The files use codes; here they become definitions as a release holds them, under uuids that are the same everywhere.
"""

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid5

Definition = dict[str, Any]
Items = dict[str, Definition]

# Never to change: every uuid of the starter standard, in every company's plan and events, comes from it.
NAMESPACE = UUID("fc72605a-cc18-47c3-9e80-e842f50c8880")

TAG_FILES = ("general", "product", "marketing", "service", "store", "device", "system")
_LABELS = ("label_en", "label_zh_hans", "description_en", "description_zh_hans")


def starter_uuid(kind: str, code: str) -> str:
    """The uuid of an item of the starter standard; a rule's code is "source:key"."""
    return str(uuid5(NAMESPACE, f"{kind}:{code}"))


def starter_items() -> Items:
    """A fresh copy of the starter standard: {uuid: definition}, in an order in which they can be written."""
    items: Items = {}
    for kind, code, definition in _definitions():
        items[starter_uuid(kind, code)] = {"kind": kind, **definition}
    return items


def _definitions() -> Iterator[tuple[str, str, Definition]]:
    neighbours: dict[str, int] = {}
    for code, written in _read("categories.toml").items():
        yield "category", code, _category(code, written, neighbours)
    for code, written in _read("attributes.toml").items():
        yield "attribute", code, _attribute(code, written)
    for name in TAG_FILES:
        for code, written in _read(f"tags/{name}.toml").items():
            yield "tag", code, _tag(code, written)
    for code, written in _read("sources.toml").items():
        yield "source", code, _source(code, written)
    for source, rules in _read("rules.toml").items():
        for position, written in enumerate(rules):
            yield "rule", f"{source}:{written['key']}", _rule(source, position, written)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__name__).joinpath(name).read_text(encoding="utf-8"))


def _labels(written: Definition) -> Definition:
    return {name: written[name] for name in _LABELS}


def _category(code: str, written: Definition, neighbours: dict[str, int]) -> Definition:
    parent = written.get("parent", "")
    position = neighbours[parent] = neighbours.get(parent, -1) + 1
    return {
        **_labels(written),
        "code": code,
        "parent": starter_uuid("category", parent) if parent else None,
        "position": position,
    }


def _attribute(code: str, written: Definition) -> Definition:
    return {
        **_labels(written),
        "code": code,
        "type": written["type"],
        "of": written.get("of"),
        "fields": {name: {"required": False, "constraints": {}, **field} for name, field in written.get("fields", {}).items()},
        "unit": written.get("unit", ""),
        "example": written["example"],
        "personal": written.get("personal", "none"),
        "constraints": dict(written.get("constraints", {})),
    }


def _tag(code: str, written: Definition) -> Definition:
    required = written.get("required", [])
    constraints = written.get("constraints", {})
    return {
        **_labels(written),
        "code": code,
        "category": starter_uuid("category", written["category"]),
        "owner": written["owner"],
        "status": written.get("status", "active"),
        "successor": None,
        "synonyms": list(written["synonyms"]),
        "attributes": [
            {
                "attribute": starter_uuid("attribute", attribute),
                "required": attribute in required,
                "constraints": dict(constraints.get(attribute, {})),
            }
            for attribute in (*required, *written.get("optional", []))
        ],
        "one_of": [list(group) for group in written.get("one_of", [])],
        "refinements": [{"pattern": pattern} for pattern in written.get("refinements", [])],
        "system": written.get("system", False),
    }


def _source(code: str, written: Definition) -> Definition:
    return {
        **_labels(written),
        "code": code,
        "source_kind": written["source_kind"],
        "owner": written["owner"],
        "region": "CN",
        "timezone": "Asia/Shanghai",
        "currency": "CNY",
        "namespace": "",
        "hold_unreadable_phone": True,
        "separate_rows": False,
        "envelope": dict(written["envelope"]),
    }


def _rule(source: str, position: int, written: Definition) -> Definition:
    condition = written.get("condition")
    return {
        "source": starter_uuid("source", source),
        "position": position,
        "match": written.get("match", "exact"),
        "name": written["name"],
        "condition": dict(condition) if condition else None,
        "tag": starter_uuid("tag", written["tag"]),
        "rows": [_row(target, text) for target, text in written.get("rows", {}).items()],
        "keep_unmapped": True,
        "note": "",
    }


def _row(target: str, text: str) -> Definition:
    """Part "path | transforms" at the first bar: no path of the starter uses JMESPath's own."""
    path, _, transforms = text.partition("|")
    return {"target": target, "path": path.strip(), "transforms": transforms.strip()}
