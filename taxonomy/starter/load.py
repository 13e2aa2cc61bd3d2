"""Write the starter standard into the draft, and release it where nothing is released yet."""

from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from taxonomy.definition import MODELS, apply_definition
from taxonomy.models import MappingRule, Release, Revision
from taxonomy.publish import newest, publish
from taxonomy.starter import Definition, Items, starter_items

WHY = "Tagline starter standard / Tagline 初始标签规范"
# Two installations starting at once on one database wait for each other on this lock.
_LOCK = 7_201_002


@dataclass(slots=True)
class Loaded:
    """The items written, the names of those in whose place the company has its own, and the release made."""

    created: Items = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    release: Release | None = None


@transaction.atomic
def load_starter() -> Loaded:
    """Create what was never here; what people changed, deleted or named alike stays theirs. One query if all is here."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    missing = _never_here(starter_items())
    loaded = Loaded()
    stand_ins = _stand_ins(missing) if missing else {}
    for uuid, item in missing.items():
        definition = _with_stand_ins(item, stand_ins)
        if uuid in stand_ins or _is_taken(definition):
            loaded.kept.append(f"{item['kind']} {item.get('code') or item['name']}")
            continue
        apply_definition(uuid, definition)
        loaded.created[uuid] = definition
    _record_revisions(loaded.created)
    # Beside items of the company's own it is for people to say when the whole is ready.
    if loaded.created and not loaded.kept and newest() is None:
        loaded.release = publish(loaded.created, notes=WHY, by=None)
    return loaded


def _never_here(items: Items) -> Items:
    """Every governed item ever saved has a revision, deleted ones too."""
    seen = {str(uuid) for uuid in Revision.objects.filter(item__in=items).values_list("item", flat=True)}
    return {uuid: item for uuid, item in items.items() if uuid not in seen}


def _stand_ins(items: Items) -> dict[str, str]:
    """{starter's uuid: the company's own item of that kind and code}."""
    own = {
        (kind, code.lower()): str(uuid)
        for kind, model in MODELS.items()
        if kind != "rule"
        for uuid, code in model._default_manager.values_list("pk", "code")
    }
    keys = ((uuid, (item["kind"], item["code"].lower())) for uuid, item in items.items() if item["kind"] != "rule")
    return {uuid: own[key] for uuid, key in keys if key in own}


def _with_stand_ins(value: Any, stand_ins: dict[str, str]) -> Any:
    """The same definition, referring to the company's own items where they stand in."""
    if isinstance(value, dict):
        return {key: _with_stand_ins(inner, stand_ins) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_stand_ins(inner, stand_ins) for inner in value]
    return stand_ins.get(value, value) if isinstance(value, str) else value


def _is_taken(definition: Definition) -> bool:
    """Whether the company has an unconditional rule of its own for the same name."""
    if definition["kind"] != "rule" or definition["condition"] or definition["match"] != "exact":
        return False
    return MappingRule.objects.filter(source=definition["source"], name=definition["name"], match="exact", condition_path="").exists()


def _record_revisions(items: Items) -> None:
    Revision.objects.bulk_create(
        Revision(item=uuid, kind=item["kind"], action=Revision.Action.CREATED, definition=item, why=WHY) for uuid, item in items.items()
    )
