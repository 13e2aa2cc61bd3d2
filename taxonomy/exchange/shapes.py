"""What the draft can hold of each field: its type, its length, its choices. Pure; a test keeps it equal to the models."""

import dataclasses
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LARGEST_POSITION = 2_147_483_647
CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("attribute", "personal"): ("none", "contact", "identity", "sensitive"),
    ("tag", "status"): ("draft", "active", "deprecated"),
    ("source", "source_kind"): ("website", "app", "mini_program", "till", "call_centre", "crm", "device", "partner", "file"),
    ("rule", "match"): ("exact", "pattern"),
    ("rule", "condition.operator"): (
        "eq", "ne", "in", "gt", "gte", "lt", "lte", "contains", "starts_with", "matches", "exists", "missing",
    ),
}  # fmt: skip
# characters
LONGEST: dict[tuple[str, str], int] = {
    **{(kind, "code"): 120 if kind == "tag" else 80 for kind in ("category", "attribute", "tag", "source")},
    **{(kind, name): 120 for kind in ("category", "attribute", "tag", "source") for name in ("label_en", "label_zh_hans")},
    ("attribute", "unit"): 40, ("attribute", "example"): 300,
    ("tag", "synonyms"): 120, ("tag", "refinements.pattern"): 200,
    ("source", "region"): 2, ("source", "timezone"): 60, ("source", "currency"): 3, ("source", "namespace"): 40,
    ("rule", "name"): 300, ("rule", "condition.path"): 200, ("rule", "condition.value"): 300,
    ("rule", "rows.target"): 120, ("rule", "rows.path"): 300, ("rule", "rows.transforms"): 500,
}  # fmt: skip
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one thing somebody wrote. The sentences stand in taxonomy/exchange/words.py."""

    code: str
    field: str = ""
    values: dict[str, Any] = dataclasses.field(default_factory=dict)


def misfits(definition: dict[str, Any], before: dict[str, Any] | None) -> Iterator[Trouble]:
    """What of a definition the draft cannot hold. What stands there already, in `before`, may stay."""
    kind = definition["kind"]
    for name, value in definition.items():
        if before is not None and before.get(name) == value:
            continue
        place = name.split(".")[0]
        for path, text in _texts(name, value):
            if _UNSTORABLE.search(text):
                yield Trouble("written.characters", place)
            elif (longest := LONGEST.get((kind, path))) is not None and len(text) > longest:
                yield Trouble("written.too_long", place, {"longest": longest, "length": len(text)})
            elif (allowed := CHOICES.get((kind, path))) is not None and text not in allowed:
                yield Trouble("written.not_a_choice", place, {"seen": text, "choices": list(allowed)})
        if not _is_json(value):
            yield Trouble("written.characters", place)
    if "code" in definition and (before is None or before["code"] != definition["code"]):
        if not SNAKE_CASE.fullmatch(definition["code"]):
            yield Trouble("written.code", "code", {"seen": definition["code"]})
    if not 0 <= definition.get("position", 0) <= LARGEST_POSITION:
        yield Trouble("written.position", "position")


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text within a value with its path: the names of fields, without the places in lists."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(path, one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield f"{path}.", str(name)
            yield from _texts(f"{path}.{name}", one)


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_json(one) for name, one in value.items())
    return value is None or isinstance(value, (str, int))
