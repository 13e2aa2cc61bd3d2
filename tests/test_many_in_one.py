"""A record may hold many events: each is its own, the record is kept once, and what is sent again is known again."""

import json
from datetime import UTC, datetime

import pytest

from ingestion.pipeline import Incoming, receive
from profiles.models import Event, Original
from taxonomy.current import current, refresh
from taxonomy.models import Source
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
ENVELOPE = {
    "preset": "custom", "events": "lines", "event": "event", "message_id": "id",
    "phone": "$.phone", "occurred_at": "$.at", "attributes": "attributes",
}  # fmt: skip


@pytest.fixture
def many(standard):
    source = Source.objects.get(code="website")
    source.envelope, source.region = ENVELOPE, "CN"
    source.save()
    publish(notes="many in one", by=None)
    refresh()
    return source


def record(event: str = "nonsense", **more) -> dict:
    lines = [{"id": f"i{number}", "event": event, "attributes": {"n": number}} for number in range(3)]
    return {"phone": "13800138000", "at": "2026-03-01 10:00:00", "lines": lines, **more}


def send(body: bytes, **more) -> list[str]:
    receipt = receive([Incoming(body, **more)], source_code="website", door="api", received_at=NOW, current=current())
    return [entry.status for entry in receipt.entries]


def test_the_record_is_kept_once_and_each_event_finds_it(many):
    body = json.dumps(record(pad="x" * 10_000)).encode()
    assert send(body) == ["quarantined"] * 3
    originals = list(Original.objects.order_by("item"))
    assert sorted(original.record is not None for original in originals) == [False, False, True]
    assert [original.item for original in originals] == [0, 1, 2]
    assert {original.whole_record for original in originals} == {body}


def test_sent_again_in_other_words_each_event_is_compared_with_itself(many):
    send(json.dumps(record()).encode())
    assert send(json.dumps(record(), indent=1).encode()) == ["duplicate"] * 3
    assert set(Event.objects.values_list("standing", flat=True)) == {Event.Standing.HELD}


def test_a_correction_that_says_what_a_neighbour_said_is_none_the_less_one(many):
    send(json.dumps(record()).encode())
    mended = record()
    mended["lines"] = [{**line, "attributes": {"n": 0}} for line in mended["lines"]]
    assert send(json.dumps(mended).encode()) == ["duplicate", "quarantined", "quarantined"]
    assert Event.objects.filter(standing=Event.Standing.CORRECTED).count() == 2


def test_like_events_of_one_record_without_id_and_time_are_each_their_own_through_every_door(many):
    lines = [{"event": "login", "attributes": {}}] * 2
    body = json.dumps({"phone": "13800138000", "lines": lines}).encode()
    assert send(body) == send(body, row=5) == ["accepted"] * 2


def test_like_events_of_one_record_are_each_their_own_and_sent_again_they_are_duplicates(many):
    lines = [{"event": "login", "attributes": {}}] * 2
    body = json.dumps(record(lines=lines)).encode()
    assert send(body) == ["accepted"] * 2
    assert send(json.dumps(record(lines=lines), indent=1).encode()) == ["duplicate"] * 2
    assert send(json.dumps(record(lines=lines[:1])).encode()) == ["duplicate"]
    assert send(json.dumps(record(lines=lines * 2)).encode()) == ["duplicate"] * 2 + ["accepted"] * 2
