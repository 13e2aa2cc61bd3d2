"""Two people's changes of one definition brought together: what only one of them changed is kept. Pure."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

Definition = dict[str, Any]
# What a row of an inline is known by.
ROW_KEYS = {"attributes": "attribute", "refinements": "pattern", "rows": "target", "modes": "source"}


# Where in a definition, and what stands there.
Part = tuple[tuple[str, ...], str]


# A thing of a definition: (field, row or "").
Place = tuple[str, str]


class Merged(NamedTuple):
    """The definition with theirs where both changed a thing otherwise: `conflicts`. `theirs` and `mine` are what else was changed:
    by one of the two only; by both alike it is theirs."""

    definition: Definition
    conflicts: list[Place]
    theirs: list[Place]
    mine: list[Place]


def parts_written(before: Definition | None, after: Definition | None) -> set[Part]:
    """What one definition says otherwise than another, each value by its place. An item that goes is one part."""
    if after is None:
        return {((), "")} if before is not None else set()
    was, now = (dict(_leaves((), one)) for one in (before or {}, after))
    return {(place, now.get(place, "")) for place in was | now if was.get(place) != now.get(place)}


def _leaves(place: tuple[str, ...], value: Any) -> Iterator[Part]:
    if place and place[-1] in ROW_KEYS and isinstance(value, list):
        value = {row[ROW_KEYS[place[-1]]]: row for row in value}
        yield (*place, ""), json.dumps(list(value))
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _leaves((*place, str(name)), one)
    else:
        yield place, json.dumps(value, sort_keys=True)


def merge(base: Definition, theirs: Definition, mine: Definition, *, keep_mine: frozenset[Place] = frozenset()) -> Merged:
    """Three-way, field by field, and row by row within attributes, refinements and rows. `keep_mine` settles conflicts."""
    merged = Merged({}, [], [], [])
    for field in dict.fromkeys([*theirs, *mine]):
        if field in ROW_KEYS:
            merged.definition[field] = _rows(field, base, theirs, mine, keep_mine, merged)
        else:
            merged.definition[field] = _one((field, ""), base.get(field), theirs.get(field), mine.get(field), keep_mine, merged)
    return merged


def _one(place: Place, base: Any, theirs: Any, mine: Any, keep_mine: frozenset[Place], merged: Merged) -> Any:
    if mine in (base, theirs):
        if theirs != base:
            merged.theirs.append(place)
        return theirs
    if theirs == base or place in keep_mine:
        merged.mine.append(place)
        return mine
    merged.conflicts.append(place)
    return theirs


def _rows(field: str, base: Definition, theirs: Definition, mine: Definition, keep_mine: frozenset[Place], merged: Merged) -> list[Any]:
    key = ROW_KEYS[field]
    was, other, own = ({row[key]: row for row in one.get(field) or []} for one in (base, theirs, mine))
    kept = {name: _one((field, name), was.get(name), other.get(name), own.get(name), keep_mine, merged) for name in {**was, **other, **own}}
    order = list(other) if list(own) == list(was) else [*own, *other]
    return [kept[name] for name in dict.fromkeys([*order, *kept]) if kept[name] is not None]
