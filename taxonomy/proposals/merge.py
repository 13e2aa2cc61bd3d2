"""Two people's changes of one definition brought together: what only one of them changed is kept. Pure."""

from typing import Any, NamedTuple

Definition = dict[str, Any]
# What a row of an inline is known by.
ROW_KEYS = {"attributes": "attribute", "refinements": "pattern", "rows": "target", "modes": "source"}


class Merged(NamedTuple):
    """The definition with theirs where both changed a thing otherwise; `conflicts` are those things: (field, row or "")."""

    definition: Definition
    conflicts: list[tuple[str, str]]


def merge(base: Definition, theirs: Definition, mine: Definition, *, keep_mine: frozenset[tuple[str, str]] = frozenset()) -> Merged:
    """Three-way, field by field, and row by row within attributes, refinements and rows. `keep_mine` settles conflicts."""
    merged: Definition = {}
    conflicts: list[tuple[str, str]] = []
    for field in dict.fromkeys([*theirs, *mine]):
        if field in ROW_KEYS:
            merged[field] = _rows(field, base, theirs, mine, keep_mine, conflicts)
        else:
            merged[field] = _one((field, ""), base.get(field), theirs.get(field), mine.get(field), keep_mine, conflicts)
    return Merged(merged, conflicts)


def _one(place: tuple[str, str], base: Any, theirs: Any, mine: Any, keep_mine: frozenset[tuple[str, str]], conflicts: list[Any]) -> Any:
    if mine in (base, theirs):
        return theirs
    if theirs == base or place in keep_mine:
        return mine
    conflicts.append(place)
    return theirs


def _rows(
    field: str, base: Definition, theirs: Definition, mine: Definition, keep_mine: frozenset[tuple[str, str]], conflicts: list[Any]
) -> list[Any]:
    key = ROW_KEYS[field]
    was, other, own = ({row[key]: row for row in one.get(field) or []} for one in (base, theirs, mine))
    kept = {name: _one((field, name), was.get(name), other.get(name), own.get(name), keep_mine, conflicts) for name in {**other, **own}}
    order = list(other) if list(own) == list(was) else [*own, *other]
    return [kept[name] for name in dict.fromkeys([*order, *kept]) if kept[name] is not None]
