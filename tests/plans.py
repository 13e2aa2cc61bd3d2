"""The small plan that tests share: a dozen tags, five sources, a dozen rules. See cases/plan.json."""

import json
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"


def small_plan_items() -> dict[str, dict[str, Any]]:
    """A fresh copy of its definitions, {uuid: definition}, as a release holds them."""
    items: dict[str, dict[str, Any]] = json.loads((CASES / "plan.json").read_text(encoding="utf-8"))
    return items


def uuid_of(items: dict[str, dict[str, Any]], kind: str, code: str) -> str:
    return next(uuid for uuid, item in items.items() if item["kind"] == kind and item["code"] == code)
