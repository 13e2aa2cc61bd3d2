"""Tracking plans as a table: Segment's CSV, a row for each event and each property, and the tables small teams keep. Pure.

Columns are found by their names, whatever their order and case; those that nobody knows are told.
"""

import csv
import io
import re
from typing import Any

from taxonomy.exchange.formats.documents import Files, Unreadable, parse_rows
from taxonomy.exchange.formats.found import Found, FoundAttribute, FoundTag, Items, LeftOut, Sent, not_carried, tags_of
from taxonomy.exchange.formats.names import clean
from taxonomy.exchange.formats.schema_in import SchemaReader
from taxonomy.exchange.formats.schema_out import CONSTRAINTS, Dialect, Schema, schema_of

_DIALECT = Dialect("")
_HEADER = [
    "Event Name",
    "Event Description",
    "Property Name",
    "Property Description",
    "Property Type",
    "Required",
    "Allowed Property Values",
    "Pattern",
]
# what a column holds: how it may be headed
_COLUMNS = {
    "event": ("event name", "event", "name", "track event name", "事件名", "事件英文名", "事件"),
    "about": ("event description", "description", "notes", "trigger", "事件说明", "说明"),
    "property": ("property name", "property", "attribute", "parameter", "属性名", "属性英文名", "属性"),
    "property_about": ("property description", "attribute description", "parameter description", "属性说明"),
    "type": ("property type", "data type", "type", "属性类型"),
    "required": ("required", "property required", "status", "is required", "必填"),
    "values": ("allowed property values", "permitted values", "allowed values", "enum values", "values", "枚举值"),
    "pattern": ("pattern", "regex"),
}
# A table with a row per event names its properties across.
_ACROSS = re.compile(r"(?:.*_)?(?:param|parameter|property|prop)(?:[_ ]?[0-9]+)?")
_TYPES = {
    "date time": {"type": "string", "format": "date-time"}, "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"}, "text": {"type": "string"}, "bool": {"type": "boolean"}, "float": {"type": "number"},
    "decimal": {"type": "number"}, "int": {"type": "integer"}, "list": {"type": "array"}, "any": {}, "": {},
}  # fmt: skip
_JSON_TYPES = ("string", "number", "integer", "boolean", "array", "object")
_YES = {"required", "true", "yes", "y", "1", "是", "必填"}
_NO = {"optional", "false", "no", "n", "0", "否", "选填", ""}
# A spreadsheet would calculate what begins so.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(items: Items, version: str) -> Sent:
    left_out: list[LeftOut] = not_carried(items, tag={"description_en"}, attribute={"description_en"})
    rows = [_HEADER]
    for _, tag, uses in tags_of(items):
        rows.append([tag["code"], tag.get("description_en") or "", "", "", "", "", "", ""])
        for use in uses:
            schema, missed = schema_of(use.attribute, use.tightened, dialect=_DIALECT)
            left_out += [LeftOut(f"attribute:{use.code}", what, why) for what, why in missed]
            required = "required" if use.required else "optional"
            kind, values, pattern = _cells(schema, f"attribute:{use.code}", left_out)
            rows.append([tag["code"], "", use.code, use.attribute.get("description_en") or "", kind, required, values, pattern])
            _write_parts(rows, tag["code"], use.code, schema, left_out)
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([[_safe(cell) for cell in row] for row in rows])
    return Sent({"tracking-plan.csv": b"\xef\xbb\xbf" + text.getvalue().encode()}, sorted(set(left_out)))


def _write_parts(rows: list[list[str]], tag: str, name: str, schema: Schema, left_out: list[LeftOut]) -> None:
    """The fields of an object, and of the objects of a list, each in a row of its own: `items.sku`."""
    inner = schema["items"] if schema["type"] == "array" else schema
    for field, part in (inner.get("properties") or {}).items():
        required = "required" if field in inner.get("required", []) else "optional"
        kind, values, pattern = _cells(part, f"attribute:{name}.{field}", left_out)
        rows.append([tag, "", f"{name}.{field}", "", kind, required, values, pattern])
        _write_parts(rows, tag, f"{name}.{field}", part, left_out)


def _cells(schema: Schema, where: str, left_out: list[LeftOut]) -> tuple[str, str, str]:
    """(type, allowed values, pattern); what no column holds is told."""
    values = schema.get("enum", [])
    if any("|" in one for one in values):
        left_out.append(LeftOut(where, "choices", "field"))
        values = []
    kind = str({"date-time": "Date time", "date": "date"}.get(schema.get("format", ""), schema["type"]))
    told = {"type", "format", "enum", "pattern", "properties", "required", "items", "additionalProperties"}
    left_out += [LeftOut(where, CONSTRAINTS.get(key, key), "field") for key in sorted(schema.keys() - told)]
    if schema["type"] == "array" and schema["items"].get("type") != "object" and schema["items"] != {"type": "string"}:
        left_out.append(LeftOut(where, "of", "field"))
    return kind, "|".join(values), schema.get("pattern", "")


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def read(files: Files) -> Found:
    found = Found()
    for path, body in sorted(files.items()):
        try:
            rows = parse_rows(body)
        except Unreadable as error:
            found.miss(path, "", error.code)
            continue
        _Table(path, rows, found).read()
    return found


class _Table:
    def __init__(self, path: str, rows: list[list[str]], found: Found) -> None:
        self.path, self.found = path, found
        self.rows = [[_unsafe(cell) for cell in row] for row in rows]
        self.tags: dict[str, FoundTag] = {}
        # {tag: {path of a property: its schema}}: parts stand in rows of their own
        self.schemas: dict[str, dict[str, Schema]] = {}
        self.required: dict[str, set[str]] = {}

    def read(self) -> None:
        header = [cell.strip().lower().replace("_", " ") for cell in self.rows[0]] if self.rows else []
        columns = {
            name: header.index(title)
            for name, titles in _COLUMNS.items()
            if (title := next((one for one in titles if one in header), None))
        }
        if "event" not in columns:
            self.found.miss(self.path, "", "file.no_plan")
            return
        across = [
            at
            for at, title in enumerate(header)
            if at not in columns.values() and "property" not in columns and _ACROSS.fullmatch(title.replace(" ", "_"))
        ]
        for at, title in enumerate(header):
            if at not in columns.values() and at not in across and title:
                for row in self.rows[1:]:
                    if at < len(row) and row[at].strip():
                        self.found.miss(f"tag:{clean(_at(row, columns['event']), 80)}", clean(self.rows[0][at], 80), "keyword")
        name = ""
        for row in self.rows[1:]:
            # Below an event's own row its name may be left out.
            name = _at(row, columns["event"]) or name
            if not name:
                self.found.miss(self.path, "", "event.no_object")
                continue
            self._read_row(name, {key: _at(row, at) for key, at in columns.items()}, [_at(row, at) for at in across])
        self._finish()

    def _read_row(self, name: str, cells: dict[str, str], across: list[str]) -> None:
        tag = self.tags.setdefault(name, FoundTag(name))
        if not cells.get("property"):
            if text := clean(cells.get("about")):
                tag.fields["description_en"] = text
            for one in across:
                if one:
                    self.schemas.setdefault(name, {}).setdefault(one, {})
            return
        schema = self._schema(cells, f"attribute:{clean(name, 80)}.{clean(cells['property'], 80)}")
        if text := clean(cells.get("property_about") or ("" if "property_about" in cells else cells.get("about"))):
            schema["description"] = text
        if self.schemas.setdefault(name, {}).setdefault(cells["property"], schema) is not schema:
            self.found.miss(f"attribute:{clean(name, 80)}", clean(cells["property"], 80), "attribute.twice")
            return
        if cells.get("required", "").lower() in _YES:
            self.required.setdefault(name, set()).add(cells["property"])
        elif cells.get("required", "").lower() not in _NO:
            self.found.miss(f"attribute:{clean(name, 80)}.{clean(cells['property'], 80)}", clean(cells["required"], 80), "keyword")

    def _schema(self, cells: dict[str, str], where: str) -> Schema:
        kind = cells.get("type", "").strip().lower()
        schema: Schema = dict(_TYPES[kind]) if kind in _TYPES else {"type": kind}
        if kind not in _TYPES and kind not in _JSON_TYPES:
            self.found.miss(where, clean(cells["type"], 80), "type.unknown")
            schema = {"type": "string"}
        if values := [one.strip() for one in cells.get("values", "").split("|") if one.strip()]:
            schema["enum"] = values
        if cells.get("pattern"):
            schema["pattern"] = cells["pattern"]
        return schema

    def _finish(self) -> None:
        reader = SchemaReader([], self.found.left_out)
        for name, tag in self.tags.items():
            schemas, required = self.schemas.get(name, {}), self.required.get(name, set())
            for path, schema in schemas.items():
                above = path.rpartition(".")[0]
                if above in schemas:
                    _put_below(schemas[above], path.rpartition(".")[2], schema, needed=path in required)
            for path, schema in schemas.items():
                if path.rpartition(".")[0] in schemas:
                    continue
                read = reader.attribute(schema, file=self.path, where=f"attribute:{clean(name, 80)}.{clean(path, 80)}")
                if read is not None:
                    tag.attributes.append(FoundAttribute(path, read[0], path in required))
            self.found.tags.append(tag)


def _put_below(schema: Schema, name: str, part: Schema, *, needed: bool) -> None:
    holder: Any = schema.setdefault("items", {"type": "object"}) if schema.get("type") == "array" else schema
    holder.setdefault("properties", {})[name] = part
    if needed:
        holder.setdefault("required", []).append(name)


def _at(row: list[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""


def _unsafe(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
