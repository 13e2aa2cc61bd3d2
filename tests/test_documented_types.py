"""The table of docs/attribute-types.md says what the core does: every value in it is judged."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from taxonomy.standardize import encode_json
from taxonomy.standardize.sameness import same_value
from taxonomy.standardize.types import ABSENT, TYPES, Defaults, Fault, Faults, compile_cast

DOCS = (Path(__file__).parent.parent / "docs" / "attribute-types.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in DOCS.partition("## What holds")[0].splitlines() if line[:3] == "| `"
]
DEFAULTS = Defaults(timezone="Asia/Shanghai", region="CN", currency="CNY")
# What the table says in words of the types that need more than their name.
MORE: dict[str, dict[str, Any]] = {
    "choice": {"constraints": {"choices": ["male", "female"]}}, "object": {"fields": {"floor": {"type": "integer"}}},
}  # fmt: skip
SPAN = re.compile(r"`([^`]+)`")
CODE = re.compile(r"[a-z]+\.[a-z_]+")


def spans(text: str) -> list[str]:
    return SPAN.findall(text)


def value(written: str) -> Any:
    return json.loads(written, parse_float=Decimal)


def cast(type: str, given: Any) -> Any:
    return compile_cast({"type": type, **MORE.get(type, {})})(given, DEFAULTS)


STANDARD = [(spans(row[0])[0], one) for row in ROWS for one in spans(row[1])]
# (type, value, what it becomes): in a part without an arrow, the row's standard value.
CAST = [
    (spans(row[0])[0], one, spans(after)[0] if after else spans(row[1])[0])
    for row in ROWS for part in row[2].split(";") for before, _arrow, after in [part.partition("→")] for one in spans(before)
]  # fmt: skip
HELD = [
    (spans(row[0])[0], one, next((code for code in spans(part) if CODE.fullmatch(code)), "attribute.wrong_type"))
    for row in ROWS for part in row[3].split(";") for one in spans(part) if not CODE.fullmatch(one)
]  # fmt: skip


def test_every_type_has_a_row_with_values_of_each_kind():
    assert [spans(row[0])[0] for row in ROWS] == list(TYPES)
    for judged in (STANDARD, CAST, HELD):
        assert {one[0] for one in judged} == TYPES.keys()


@pytest.mark.parametrize(("type", "written"), STANDARD)
def test_a_standard_value_is_kept(type, written):
    given = value(written)
    assert cast(type, given) is given


@pytest.mark.parametrize(("type", "written", "standard"), CAST)
def test_what_is_said_to_be_cast_is(type, written, standard):
    found = cast(type, value(written))
    assert found is not ABSENT and not isinstance(found, Fault | Faults)
    assert same_value(json.loads(encode_json(found), parse_float=Decimal), value(standard)), found


@pytest.mark.parametrize(("type", "written", "code"), HELD)
def test_what_is_said_to_be_held_is(type, written, code):
    found = cast(type, value(written))
    assert isinstance(found, Fault) and found.code == code, found
