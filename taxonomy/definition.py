"""Draft rows to definitions and back. A definition is one governed item whole, as a release holds it: plain JSON."""

from collections import defaultdict
from collections.abc import Iterable
from math import inf
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, models, transaction

from taxonomy.models import Attribute, Category, MappingRow, MappingRule, Refinement, Source, Tag, TagAttribute, TagMode
from taxonomy.proposals.merge import ROW_KEYS

Definition = dict[str, Any]
Items = dict[str, Definition]

MODELS: dict[str, type[models.Model]] = {model.kind: model for model in (Category, Attribute, Source, Tag, MappingRule)}
# The order in which definitions can be written, so that what they refer to is there.
KINDS = tuple(MODELS)

_PLAIN: dict[str, tuple[str, ...]] = {
    "category": ("code", "position"),
    "attribute": ("code", "type", "of", "fields", "unit", "example", "personal", "constraints"),
    "tag": ("code", "status", "synonyms", "one_of", "system"),
    "source": (
        "code", "source_kind", "region", "timezone", "currency", "namespace", "hold_unreadable_phone", "separate_rows",
        "envelope",
    ),
    "rule": ("position", "match", "name", "keep_unmapped", "note"),
}  # fmt: skip
# Said only where they say something, so that what never had them stays as it was.
_OPTIONAL: dict[str, dict[str, Any]] = {
    "attribute": {"watch_until": None}, "tag": {"watch_until": None}, "rule": {"below_version": "", "until": None},
    "source": {"replay_held": False},
}  # fmt: skip
_LABELS = ("label_en", "label_zh_hans", "description_en", "description_zh_hans")
# By the definition's key; their rows are known by ROW_KEYS.
INLINES: dict[str, dict[str, type[models.Model]]] = {
    "tag": {"attributes": TagAttribute, "modes": TagMode, "refinements": Refinement}, "rule": {"rows": MappingRow},
}  # fmt: skip
# definition key -> column of a foreign key
_REFERENCES: dict[str, dict[str, str]] = {
    "category": {"parent": "parent_id"},
    "attribute": {},
    "tag": {"category": "category_id", "owner": "owner_id", "successor": "successor_id"},
    "source": {"owner": "owner_id"},
    "rule": {"source": "source_id", "tag": "tag_id"},
}


def definition(item: models.Model) -> Definition:
    """The definition of one row, its inlines included. Two queries at the most."""
    return _definitions(item.kind, [item])[str(item.pk)]  # type: ignore[attr-defined]


def unsaved_rule(rule: MappingRule, rows: Iterable[Definition]) -> Definition:
    """The definition of a rule that is not saved, with its rows as a form has them."""
    lines = [{key: row.get(key) or "" for key in ("target", "path", "transforms")} for row in rows]
    return _definition("rule", rule, {"rows": lines})


def definitions(items: list[Any]) -> Items:
    """The definitions of rows of one kind: {uuid: definition}. Two queries, however many."""
    return _definitions(items[0].kind, items) if items else {}


def draft_items() -> Items:
    """Every definition of the draft: {uuid: definition}. Eight queries, whatever its size."""
    items: Items = {}
    for kind, model in MODELS.items():
        rows = list(model._default_manager.values_list(*_columns(kind), named=True))
        items |= _with_inlines(kind, rows, _inlines(kind, rows, every=True))
    return items


def _columns(kind: str) -> list[str]:
    condition = [f"condition_{key}" for key in ("path", "operator", "value")] if kind == "rule" else _LABELS
    return ["id", *_PLAIN[kind], *_OPTIONAL.get(kind, ()), *_REFERENCES[kind].values(), *condition]


def apply_definition(item_id: str | UUID, wanted: Definition) -> models.Model:
    """Write a definition to the draft, creating the row or replacing what it says."""
    return apply_definitions({str(item_id): wanted})[0]


@transaction.atomic
def apply_definitions(wanted: Items) -> list[Any]:
    """Write definitions of one kind to the draft. A few queries, however many; their rows, in the order given."""
    alike: dict[frozenset[str], list[tuple[str, Definition]]] = defaultdict(list)
    for item, one in wanted.items():
        columns = _written_columns(one)
        alike[frozenset(columns)].append((item, columns))
    model = MODELS[next(iter(wanted.values()))["kind"]]
    for names, rows in alike.items():
        # what a definition does not say stays as it is
        model._default_manager.bulk_create(
            [model(pk=UUID(item), **columns) for item, columns in rows],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=[*(model._meta.get_field(name).name for name in names), "updated_at"],
            batch_size=1_000,
        )
    written = {str(row.pk): row for row in model._default_manager.filter(pk__in=wanted)}
    _write_inlines({written[item]: one for item, one in wanted.items()})
    return [written[item] for item in wanted]


def _written_columns(wanted: Definition) -> Definition:
    kind = wanted["kind"]
    labels = () if kind == "rule" else _LABELS
    columns = {name: wanted[name] for name in (*_PLAIN[kind], *labels) if name in wanted}
    columns |= {name: wanted.get(name) or default for name, default in _OPTIONAL.get(kind, {}).items()}
    columns |= {column: wanted.get(key) for key, column in _REFERENCES[kind].items()}
    if kind == "attribute":
        columns["of"] = wanted.get("of") or ""
    if kind == "source":
        columns["in_draft"] = True
    if kind == "rule":
        columns |= _condition_columns(wanted.get("condition"))
    return columns


def _definitions(kind: str, rows: Iterable[Any]) -> Items:
    rows = list(rows)
    return _with_inlines(kind, rows, _inlines(kind, rows))


def _with_inlines(kind: str, rows: list[Any], inlines: dict[UUID, Definition]) -> Items:
    return {str(row.id): _definition(kind, row, inlines[row.id]) for row in rows}


def _definition(kind: str, row: Any, inlines: Definition) -> Definition:
    found: Definition = {"kind": kind}
    if kind != "rule":
        found |= {name: getattr(row, name) for name in _LABELS}
    found |= {name: getattr(row, name) for name in _PLAIN[kind]}
    found |= {name: value if value is True else str(value) for name in _OPTIONAL.get(kind, ()) if (value := getattr(row, name))}
    if kind == "attribute":
        found["of"] = row.of or None
    for key, column in _REFERENCES[kind].items():
        value = getattr(row, column)
        found[key] = str(value) if value is not None else None
    if kind == "rule":
        found["condition"] = _condition(row)
    return found | inlines


def _condition(rule: MappingRule) -> Definition | None:
    if not rule.condition_path:
        return None
    return {"path": rule.condition_path, "operator": rule.condition_operator, "value": rule.condition_value}


def _condition_columns(condition: Definition | None) -> Definition:
    given = condition or {"path": "", "operator": "", "value": ""}
    return {f"condition_{key}": given[key] for key in ("path", "operator", "value")}


def _inlines(kind: str, rows: list[Any], *, every: bool = False) -> dict[UUID, Definition]:
    """{row id: its inlines}; kinds without any get an empty one. `every`: the rows are all there are of the kind."""
    found: dict[UUID, Definition] = defaultdict(dict)
    if kind == "tag":
        for row in rows:
            found[row.id] = {"attributes": [], "refinements": []}
        of_rows = {} if every else {"tag__in": rows}
        for tag, uses in _uses(None if every else [row.id for row in rows]):
            found[tag]["attributes"] = uses
        for tag, source, mode in TagMode.objects.filter(**of_rows).values_list("tag_id", "source_id", "mode"):
            found[tag].setdefault("modes", []).append({"source": str(source) if source else "", "mode": mode})
        for tag, pattern in Refinement.objects.filter(**of_rows).values_list("tag_id", "pattern"):
            found[tag]["refinements"].append({"pattern": pattern})
    elif kind == "rule":
        for row in rows:
            found[row.id] = {"rows": []}
        of_rows = {} if every else {"rule__in": rows}
        lines = MappingRow.objects.filter(**of_rows).values_list("rule_id", "target", "path", "transforms")
        for rule, target, path, transforms in lines:
            found[rule]["rows"].append({"target": target, "path": path, "transforms": transforms})
    return found


def _uses(tags: list[UUID] | None) -> Iterable[tuple[UUID, list[Definition]]]:
    """The attributes of tags, of all where none are named: put together by the database, which takes a third of the time of 8,000 rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT tag_id, jsonb_agg(
                jsonb_build_object('attribute', attribute_id, 'required', required, 'constraints', constraints)
                || CASE WHEN watch_until IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('watch_until', watch_until) END
                ORDER BY position, id
            )::text FROM taxonomy_tagattribute WHERE %(every)s OR tag_id = ANY(%(tags)s::uuid[]) GROUP BY tag_id
            """,
            {"every": tags is None, "tags": tags or []},
        )
        return [(tag, msgspec.json.decode(uses)) for tag, uses in cursor.fetchall()]


def _write_inlines(rows: dict[Any, Definition]) -> None:
    """Bring the inlines of rows of one kind to what {row: its definition} says.

    What is there under its key keeps its id, by which a form that was opened before still knows it.
    """
    kind = next(iter(rows.values()))["kind"]
    for field, model in INLINES.get(kind, {}).items():
        key = model._meta.get_field(ROW_KEYS[field]).attname  # type: ignore[union-attr]
        there = {
            (str(owner), str(name)): pk
            for owner, name, pk in model._default_manager.filter(**{f"{kind}__in": rows}).values_list(f"{kind}_id", key, "pk")
        }
        made: list[models.Model] = []
        columns: Definition = {}
        for row, one in rows.items():
            latest = 0.0
            for at, line in enumerate(one.get(field) or []):
                columns = _line_columns(field, at, line)
                place = (str(row.pk), str(columns[key]))
                pk = there.get(place, 0)
                if "position" not in columns:  # their ids are their order
                    pk = pk if pk > latest else 0
                    latest = pk or inf
                if pk:
                    del there[place]
                made.append(model(pk=pk or None, **{kind: row}, **columns))
        if there:
            model._default_manager.filter(pk__in=there.values()).delete()
        if made:
            fields = [model._meta.get_field(name).name for name in columns]
            model._default_manager.bulk_create(made, update_conflicts=True, unique_fields=["id"], update_fields=fields)


def _line_columns(field: str, at: int, line: Definition) -> Definition:
    """The columns of one row of an inline, those that say whose it is left out."""
    match field:
        case "attributes":
            columns = {"attribute_id": line["attribute"], "required": line["required"], "constraints": line["constraints"]}
            return columns | {"watch_until": line.get("watch_until") or None, "position": at}
        case "refinements":
            return {"pattern": line["pattern"], "position": at}
        case "modes":
            return {"source_id": line["source"] or None, "mode": line["mode"]}
    return {**line, "position": at}
