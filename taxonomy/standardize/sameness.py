"""Whether bringing a value to the standard changed it. How a phone or a time is written does not count."""

from decimal import Decimal
from typing import Any

_OF_NOTATION = frozenset({"phone", "date", "datetime"})

# True: only notation can differ. A dict: an object's fields. A list: of its entries. None: compare.
Notation = Any

_NUMBERS = frozenset({int, float, Decimal})


def notation_of(definition: dict[str, Any]) -> Notation:
    """Say, for an attribute's definition, where phones and times are."""
    kind = definition.get("type")
    if kind in _OF_NOTATION:
        return True
    if kind == "list" and definition.get("of") in _OF_NOTATION:
        return [True]
    if kind == "object":
        fields = {name: notation_of(field) for name, field in (definition.get("fields") or {}).items()}
        return {name: notation for name, notation in fields.items() if notation is not None} or None
    return None


def same_value(before: Any, after: Any, notation: Notation = None) -> bool:
    """Equal in value and in JSON's types: 12 and 12.00 are, 1 and true or "1" are not."""
    if before is after or notation is True:
        return True
    kind = type(before)
    if kind is not type(after):
        return kind in _NUMBERS and type(after) in _NUMBERS and before == after
    if kind is dict:
        return before.keys() == after.keys() and all(
            same_value(before[key], after[key], notation.get(key) if notation else None) for key in before
        )
    if kind is list:
        inner = notation[0] if notation else None
        return len(before) == len(after) and all(same_value(one, other, inner) for one, other in zip(before, after, strict=True))
    return bool(before == after)
