"""Segment's messages as raw events, by cases: the same whatever the source's own envelope is."""

from datetime import UTC, datetime

import pytest
from plans import small_plan_items, uuid_of
from test_core_cases import PLAN, RECEIVED_AT, load

from taxonomy.standardize import RawEvent, Refusal, compile_plan, decode_json, encode_json, read, standardize
from taxonomy.standardize.sameness import same_value
from taxonomy.standardize.times import by_our_clock

CASES = load("segment.json")


def read_segment(record, source="website", plan=PLAN):
    original = encode_json(record)
    return read(decode_json(original), plan.sources[source], plan, received_at=RECEIVED_AT, original=original, preset="segment")


@pytest.mark.parametrize("source", ["website", "app", "crm"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_messages(case, source):
    found = read_segment(case["record"], source)
    assert len(found) == len(case["want"])
    for seen, want in zip(found, case["want"], strict=True):
        if "refused" in want:
            assert isinstance(seen, Refusal) and seen.code == want["refused"]
            continue
        assert isinstance(seen, RawEvent)
        for field, value in want.items():
            one = getattr(seen, field)
            assert same_value([[note.code, note.path] for note in one] if field == "notes" else one, value), (field, one)


def test_a_source_may_have_the_envelope_for_its_own():
    items = small_plan_items()
    items[uuid_of(items, "source", "website")]["envelope"] = {"preset": "segment"}
    plan = compile_plan(items)
    for case in CASES:
        original = encode_json(case["record"])
        own = read(decode_json(original), plan.sources["website"], plan, received_at=RECEIVED_AT, original=original)
        assert own == read_segment(case["record"])


def test_times_are_segments_whatever_the_format_of_the_source():
    sources = {source.envelope.get("time_format") for source in PLAN.sources.values()}
    assert len(sources) > 2
    for code in PLAN.sources:
        message = {"type": "track", "event": "login", "userId": "u", "timestamp": "2026-02-01T02:00:00Z"}
        (raw,) = read_segment(message, code)
        assert standardize(raw, PLAN).occurred_at == datetime(2026, 2, 1, 2, tzinfo=UTC), code


def test_the_senders_clock_is_corrected_by_its_own_error():
    at = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(4)]
    assert by_our_clock(at[0], at[1], at[3]) == at[2]
    assert by_our_clock(at[1], at[1], at[1]) == at[1]
    assert by_our_clock(datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), at[1]) == datetime.max.replace(tzinfo=UTC)
