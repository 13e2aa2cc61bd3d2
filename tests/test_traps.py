"""What spreadsheets, regions and hands do to a file is read where nothing is lost, else held or refused, and told with its row. Cases: tests/cases/traps.json."""

import json
from datetime import UTC, datetime

import pytest
from plans import CASES, small_plan_items

from ingestion.doors.files import blocks, decode_row, records, sniff
from ingestion.imports.traps import traps_in
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
    traps = traps_in(whole, found)
    assert sorted(f"{trap.kind} {trap.column} {trap.row}" for trap in traps) == case.get("told", [])
    assert all(f"{trap.row}" in trap_words(trap) and trap.column in trap_words(trap) for trap in traps)


def test_every_trap_that_is_told_has_words_and_a_case():
    assert {one.split()[0] for case in TRAP_CASES for one in case.get("told", [])} == set(TRAPS)


def told(result) -> str:
    """The verdict, or the first reason against it."""
    if isinstance(result, Refusal):
        return result.code
    return next((f"{one.code} {one.path}".strip() for one in result.violations if one.blocking), result.verdict)
