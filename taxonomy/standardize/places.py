"""Places within a value, as violations name them: "[0].price" within a list of objects."""

import re
from typing import Any

_ENTRY = re.compile(r"\[(\d+)\]")


def general(path: str) -> str:
    """A path whatever the entry of a list: "attributes.items[0].price" becomes "attributes.items[].price"."""
    return _ENTRY.sub("[]", path) if "[" in path else path


def put(value: Any, place: str, given: Any) -> tuple[Any, Any]:
    """The value with what is given at a place of it, and what stood there; the value itself stays as it is.

    Raises LookupError where it has no such place.
    """
    if not place:
        return given, value
    if isinstance(value, list) and (entry := _ENTRY.match(place)):
        index = int(entry[1])
        inner, found = put(value[index], place[entry.end() :], given)
        return [*value[:index], inner, *value[index + 1 :]], found
    if isinstance(value, dict) and place.startswith("."):
        key = _key(value, place[1:])
        inner, found = put(value.get(key), place[len(key) + 1 :], given)
        return {**value, key: inner}, found
    raise LookupError(place)


def _key(value: dict[str, Any], place: str) -> str:
    """The field that a place begins with: one that is there, the longest first, for names may hold points; else the next name."""
    there = [key for key in value if place == key or place.startswith((f"{key}.", f"{key}["))]
    return max(there, key=len, default="") or re.split(r"[.\[]", place, maxsplit=1)[0]
