"""RudderStack: a data catalog and a tracking plan as YAML of `rudder/v1`; the versions before it are read too. Pure."""

import re
from typing import Any

from taxonomy.exchange.formats.documents import Files, dump_yaml
from taxonomy.exchange.formats.found import Items, LeftOut, Sent, Use, not_carried, tags_of
from taxonomy.exchange.formats.rudderstack_read import CONFIG, FORMATS, read
from taxonomy.exchange.formats.schema_out import Dialect, Schema, schema_of
from taxonomy.standardize.types import TYPES

__all__ = ["read", "write"]

_DIALECT = Dialect("")
_NAME = re.compile(r"[A-Z_a-z][ \w,.-]{1,63}[\w,.-]", re.ASCII)
_UNUSABLE = re.compile("[^a-zA-Z0-9_-]")
# RudderStack's own limits: of a property's name, of an event's, and of the levels of properties below a rule's own.
_NAME_CHARACTERS = 65
_EVENT_CHARACTERS = 64
_LEVELS = 3
_SNAKE = {camel: snake for snake, camel in CONFIG.items()}


def write(items: Items, version: str) -> Sent:
    left_out: list[LeftOut] = not_carried(items, tag={"description_en", "category"}, attribute={"description_en"}, category={"label_en"})
    catalog = _Catalog(left_out)
    events, rules = [], []
    for _, _, uses in tags_of(items):
        for use in uses:
            catalog.register(use.code, use.code, schema_of(use.attribute, dialect=_DIALECT)[0], use.attribute.get("description_en") or "")
    for _, tag, uses in tags_of(items):
        event = {"id": tag["code"], "name": tag["code"], "event_type": "track", "description": tag.get("description_en") or ""}
        if tag.get("category") in items:
            event["category"] = f"#category:{items[tag['category']]['code']}"
        events.append(event)
        if len(tag["code"]) > _EVENT_CHARACTERS:
            left_out.append(LeftOut(f"tag:{tag['code']}", "name", "name.long"))
        rule = {"type": "event_rule", "id": f"{tag['code']}_rule", "event": f"#event:{tag['code']}", "additional_properties": True}
        rules.append(rule | ({"properties": [catalog.use(use, tag["code"]) for use in uses]} if uses else {}))
    categories = [
        {"id": one["code"], "name": one["label_en"] if _NAME.fullmatch(one.get("label_en") or "") else one["code"]}
        for one in sorted(items.values(), key=lambda one: str(one.get("code")))
        if one["kind"] == "category"
    ]
    plan = {"id": "tagline", "display_name": "Tagline", "description": f"Release {version}".strip(), "rules": rules}
    files: Files = {
        "categories.yaml": _dump("categories", {"categories": categories}),
        "properties.yaml": _dump("properties", {"properties": catalog.properties()}),
        "events.yaml": _dump("events", {"events": events}),
        "tracking-plan.yaml": _dump("tracking-plan", plan),
    }
    return Sent(files, sorted(set(left_out)))


class _Catalog:
    """The properties that rules refer to. RudderStack knows one of each name and type."""

    def __init__(self, left_out: list[LeftOut]) -> None:
        self._left_out = left_out
        self._by_id: dict[str, Schema] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def properties(self) -> list[Schema]:
        return [self._by_id[one] for one in sorted(self._by_id)]

    def use(self, use: Use, tag_code: str) -> Schema:
        schema, missed = schema_of(use.attribute, dialect=_DIALECT)
        self._left_out += [LeftOut(f"attribute:{use.code}", what, why) for what, why in missed]
        self._left_out += [LeftOut(f"attribute:{tag_code}.{use.code}", name, "field") for name in sorted(use.tightened)]
        if schema.get("type") == "array" and use.attribute.get("of") not in (None, "object"):
            taken = set(TYPES["list"].constraints)
            self._left_out += [
                LeftOut(f"attribute:{use.code}", name, "field") for name in (use.attribute.get("constraints") or {}) if name not in taken
            ]
            if use.attribute.get("of") not in ("text", "integer", "decimal", "boolean"):
                self._left_out.append(LeftOut(f"attribute:{use.code}", "of", "field"))
        return self._refer(use.code, use.code, schema, use.attribute.get("description_en") or "", required=use.required)

    def register(self, path: str, name: str, schema: Schema, description: str) -> str:
        """The id of the property of this name and type: the first that asked for one. Attributes come before parts of others."""
        wanted = _UNUSABLE.sub("_", path.replace(".", "-"))
        own = {"id": wanted, "name": name, "description": description, **_typed(schema, self._left_out, path)}
        identity = (name, f"{own['type']} {own.get('item_type')}")
        known = self._ids.setdefault(identity, wanted)
        if known == wanted:
            self._by_id.setdefault(wanted, {key: value for key, value in own.items() if value != ""})
        elif {**self._by_id[known], "id": "", "description": ""} != {**own, "id": "", "description": ""}:
            self._left_out.append(LeftOut(f"attribute:{path}", "config", "rudder.one_per_name"))
        if len(name) > _NAME_CHARACTERS:
            self._left_out.append(LeftOut(f"attribute:{path}", "name", "name.long"))
        return known

    def _refer(self, path: str, name: str, schema: Schema, description: str, *, required: bool, level: int = 0) -> Schema:
        known = self.register(path, name, schema, description)
        inner = schema["items"] if schema["type"] == "array" else schema
        reference: Schema = {"property": f"#property:{known}", "required": required}
        if inner.get("properties") and level == _LEVELS:
            self._left_out.append(LeftOut(f"attribute:{path}", "fields", "field"))
        elif inner.get("properties"):
            reference["properties"] = [
                self._refer(f"{path}.{field}", field, part, "", required=field in inner.get("required", []), level=level + 1)
                for field, part in inner["properties"].items()
            ]
        return reference


def _typed(schema: Schema, left_out: list[LeftOut], where: str) -> Schema:
    kind = schema["type"]
    config = {_SNAKE[key]: value for key, value in schema.items() if key in _SNAKE and (key != "format" or value in FORMATS)}
    if "allOf" in schema:
        left_out.append(LeftOut(f"attribute:{where}", "pattern", "field"))
    item = {"item_type": schema["items"]["type"]} if kind == "array" else {}
    return {"type": kind, **item, **({"config": config} if config and kind != "object" else {})}


def _dump(kind: str, spec: Any) -> bytes:
    return dump_yaml({"version": "rudder/v1", "kind": kind, "metadata": {"name": "tagline"}, "spec": spec})
