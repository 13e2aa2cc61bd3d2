"""What spreadsheets, regions and hands do to a file is read where nothing is lost, else held or refused, and told with its row. Cases: tests/cases/traps.json."""

import json
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from plans import CASES, small_plan_items

from ingestion.doors.files import Block, FileFormat, blocks, decode_row, records, sniff
from ingestion.imports import traps
from ingestion.imports.reader import Reader
from ingestion.imports.traps import MOST_COLUMNS, Look, open_traps, traps_in
from ingestion.imports.words import TRAPS, trap_words
from taxonomy.standardize import Refusal, compile_plan, message_key_of, read, record_of_row, standardize

TRAP_CASES = json.loads((CASES / "traps.json").read_text(encoding="utf-8"))
PLAN = compile_plan(small_plan_items())
SOURCE = PLAN.sources["website"]
RECEIVED_AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("case", TRAP_CASES, ids=lambda case: case["trap"])
def test_a_trap(tmp_path, case):
    path = tmp_path / "a.csv"
    path.write_text(case["file"], encoding="utf-8", newline="")
    found = sniff(path)
    whole = [record for block in blocks(path, found) for record in records(block, found)]
    rows = [record for record in whole if not record.is_heading]
    if "columns" in case:
        assert found.columns == case["columns"]
        return
    events = [
        row.refusal or read(record_of_row(decode_row(row.original, found)), SOURCE, PLAN, received_at=RECEIVED_AT, original=row.original)[0]
        for row in rows
    ]
    results = [event if isinstance(event, Refusal) else standardize(event, PLAN) for event in events]
    assert [told(result) for result in results] == case["rows"]
    if "keys" in case:
        assert len({message_key_of(event, SOURCE).key for event in events}) == case["keys"]
    if "times" in case:
        assert [result.occurred_at.isoformat()[:19] for result in results] == case["times"]
    if "days" in case:
        assert [one.expected["days"] for one in results[0].violations if one.blocking] == [case["days"]]
    hidden = traps_in(whole, found)
    assert sorted(f"{trap.kind} {trap.column} {trap.row}" for trap in hidden) == case.get("told", [])
    assert all(f"{trap.row}" in trap_words(trap) and trap.column in trap_words(trap) for trap in hidden)


def test_every_trap_that_is_told_has_words_and_a_case():
    assert {one.split()[0] for case in TRAP_CASES for one in case.get("told", [])} == set(TRAPS)


def found_in(*parts: str, header: str = "id,event,phone,occurred_at") -> list[str]:
    """The traps of a file's parts, each looked through by itself, as its blocks are. `parts`: rows."""
    file_format = FileFormat("csv", columns=header.split(","), heading=[header.split(",")], quote='"')
    found, row = [], 2
    for at, part in enumerate(parts):
        look = Look(file_format, is_first=at == 0)
        block = Block(at, row, part.encode(), 0)
        for record in records(block, file_format):
            look.note(record, record.values)
            row += 1
        found.append(look.found())
    return [f"{trap.kind} {trap.column} {trap.row}" for trap in open_traps(found, file_format)]


def test_what_several_parts_of_a_file_hide_is_told_once_by_its_first_row():
    local, zoned, cut = "m,login,1,2025-03-04 10:00:00\n", "m,login,1,2025-03-04T10:00:00Z\n", "2.1E+18,login,1,2025-03-04 10:00:00\n"
    assert found_in(local, local + cut, cut + zoned) == ["cut id 4", "zones occurred_at 6"]
    assert found_in(zoned, zoned) == []
    assert found_in(local * 700 + zoned) == ["zones occurred_at 702"]


def test_numbers_of_five_digits_are_days_only_where_no_other_number_stands_beside_them():
    assert found_in("m,login,1,45720\nm,login,1,45721\n") == ["day_number occurred_at 2"]
    assert found_in("m,login,1,45720\nm,login,1,12\nm,login,1,123456\n") == []
    assert found_in("m,login,1,13/13/2025\nm,login,1,12/11/2025\n") == ["day_order occurred_at 3"]


def test_so_many_columns_are_looked_through_and_no_more():
    header = ",".join(f"c{at}" for at in range(MOST_COLUMNS + 1))
    assert found_in(",".join(["2.1E+18"] * (MOST_COLUMNS + 1)) + "\n", header=header)[-1] == f"cut c{MOST_COLUMNS - 1} 2"


def test_a_quote_that_somebody_left_open_in_our_own_column_is_told():
    columns = ["sku", "_tagline_id", "_reason"]
    file_format = FileFormat("csv", columns=columns, heading=[columns], quote='"')
    reader = Reader(file_format, is_first=True)
    [came] = reader.incoming(records(Block(0, 2, b'A1,,"bad" size\n', 0), file_format))
    assert came.decoded == {"sku": "A1"}
    assert [(trap.kind, trap.column, trap.seen) for trap in reader.found()] == [("quote", "_reason", "bad size")]


CELLS = st.text("0123456789.,/-+eEZT: 年０Ａ\u3000\u00a0a", max_size=12) | st.from_regex(
    r"[0-9]{4}[-/.年]1[0-9]:[0-9]{2}Z?|[0-9]{1,11}[.]0{1,2}|[0-9](\.[0-9]{1,4})?[eE]\+[0-9]{1,2}|[0-9]{1,2}/1[0-9]/20[0-9]{2}",
    fullmatch=True,
)


@given(CELLS)
@example("1.3800138000E+10")
@example(" 45720.5 ")
def test_whatever_a_cell_may_be_is_looked_at(cell):
    assert hidden_in([cell]) == list(traps._kinds(cell))


@given(st.lists(CELLS, max_size=8), st.lists(CELLS, max_size=8), st.sampled_from([0, 2, 2_000]))
def test_shapes_that_are_known_hide_no_other_trap_however_few_are_kept(before, after, most):
    found, shapes = {kind for cell in [*before, *after] for kind, _means in traps._kinds(cell)}, set()
    with patch.object(traps, "_MOST_SHAPES", most):
        hidden = {kind for cells in (before, after) for kind, _means in hidden_in(cells, shapes)}
    assert hidden | {"day_number"} == found | {"day_number"}
    assert len(shapes) <= most and all(len(shape) <= traps._LONGEST for shape in shapes)


@pytest.mark.parametrize(
    "cell", ["total" + " " * 200_000 + "x", "2026-" + "1:11" * 50_000 + "\n", "２０２６-" + "\u3000" * 200_000, "1.1e" * 60_000]
)
def test_a_cell_made_to_take_long_takes_no_time(cell):
    assert {kind for kind, _means in hidden_in([cell])} <= {"full_width", "odd_space"}
    assert traps._sum_at([cell, "", ""]) is None


def hidden_in(cells, shapes=None):
    shapes = set() if shapes is None else shapes
    odd = traps._odd({*cells}, "\0".join({*cells}), shapes)
    return [(kind, means) for kind, means, _at in traps._peculiar(cells, {*cells}, odd, shapes)] if odd else []


def told(result) -> str:
    """The verdict, or the first reason against it."""
    if isinstance(result, Refusal):
        return result.code
    return next((f"{one.code} {one.path}".strip() for one in result.violations if one.blocking), result.verdict)
