"""What is sent comes out once, on the standard or held, and the counts add up."""

import json
import random
import threading
from datetime import UTC, datetime

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from ingestion.models import QuarantineReason
from ingestion.pipeline import Incoming, Receipt, receive
from profiles import copying, record
from profiles.jobs import settle_links
from profiles.link import settle
from profiles.models import Customer, Event, Link, Original, Tally, Tie
from profiles.timeline import timeline
from taxonomy import current as watching
from taxonomy.current import current

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def send(*events: dict, source="website", **more) -> Receipt:
    incoming = [Incoming(json.dumps(event).encode()) for event in events]
    return receive(incoming, source_code=source, door="api", received_at=NOW, current=current(), **more)


def purchase(**more) -> dict:
    return {
        "id": "m1",
        "event": "purchase",
        "phone": "+86 138 0013 8000",
        "occurred_at": "2026-03-01T09:00:00Z",
        "attributes": {"order_id": "o1", "product_id": "p1", "price": "9.90", "quantity": 1},
        **more,
    }


pytestmark = pytest.mark.django_db(transaction=True)


def test_an_event_on_the_standard_becomes_a_customer_s(standard):
    receipt = send(purchase())
    event = Event.objects.get()
    assert receipt.counts == {"accepted": 1, "changed": 1, "duplicate": 0, "quarantined": 0, "refused": 0}
    assert event.tag.code == "purchase"
    assert event.subject.value == "+8613800138000"
    assert event.subject.links.get().customer == Customer.objects.get()
    assert bytes(Original.objects.get().record) == json.dumps(purchase()).encode()


def test_what_happened_at_the_same_time_is_told_in_the_order_it_came(standard):
    send(*[purchase(id=f"m{number}") for number in range(20)])
    events, _ = timeline(Customer.objects.get())
    assert [event.message_id for event in events] == [f"m{number}" for number in reversed(range(20))]


def test_a_held_event_waits_whole_with_every_reason(standard):
    receipt = send({"id": "m1", "event": "nonsense", "phone": "12"})
    assert receipt.counts["quarantined"] == 1
    assert set(QuarantineReason.objects.values_list("code", flat=True)) >= {"event.unknown"}
    assert Original.objects.count() == 1


def test_sent_twice_is_one_event_and_answers_with_the_first_verdict(standard):
    send(purchase())
    receipt = send(purchase(), purchase())
    assert receipt.counts["duplicate"] == 2
    assert Event.objects.count() == 1
    assert {entry.first.verdict for entry in receipt.entries} == {"accepted"}


def test_a_corrected_sending_closes_the_held_one(standard):
    send(purchase(event="nonsense"))
    receipt = send(purchase())
    assert receipt.counts["accepted"] == 1
    assert sorted(Event.objects.values_list("standing", flat=True)) == [Event.Standing.COUNTED, Event.Standing.CORRECTED]
    assert not QuarantineReason.objects.filter(open=True).exists()


def test_a_held_one_sent_again_unchanged_is_a_duplicate(standard):
    send(purchase(event="nonsense"))
    again = dict(reversed(purchase(event="nonsense").items()))
    assert send(again).counts["duplicate"] == 1


def test_a_correction_within_one_batch_counts_too(standard):
    receipt = send(purchase(event="nonsense"), purchase(), purchase())
    assert [entry.status for entry in receipt.entries] == ["quarantined", "accepted", "duplicate"]
    assert not QuarantineReason.objects.filter(open=True).exists()


def test_of_several_wrong_ones_of_one_id_only_the_last_waits(standard):
    send(*[purchase(event=f"nonsense {number}") for number in range(4)])
    held = Event.objects.get(standing=Event.Standing.HELD)
    assert set(QuarantineReason.objects.filter(open=True).values_list("event_id", flat=True)) == {held.pk}


def test_a_dry_run_answers_the_same_and_stores_nothing(standard):
    assert send(purchase(), purchase(), dry_run=True).counts == send(purchase(), purchase()).counts
    assert send(purchase(), dry_run=True).counts["duplicate"] == 1
    assert Event.objects.count() == 1


def test_tallies_add_up(standard):
    send(purchase(), purchase(), purchase(id="m2", event="nonsense"))
    receive([Incoming(b"[1]")], source_code="website", door="api", received_at=NOW, current=current())
    totals = [(tally.received, tally.accepted, tally.duplicate, tally.quarantined, tally.refused) for tally in Tally.objects.order_by("id")]
    assert totals == [(3, 1, 1, 1, 0), (1, 0, 0, 0, 1)]


def test_the_same_event_by_many_at_once_is_stored_once(standard):
    events = [purchase(id=f"m{number}") for number in range(40)]
    found: list[Receipt] = []

    def post(order: int) -> None:
        try:
            found.append(send(*(events if order else reversed(events))))
        finally:
            connection.close()

    current()
    threads = [threading.Thread(target=post, args=(number % 2,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Event.objects.count() == 40
    assert sum(receipt.counts["accepted"] for receipt in found) == 40
    assert sum(receipt.counts["duplicate"] for receipt in found) == 280


def test_a_large_delivery_that_repeats_itself_makes_the_next_be_looked_up_no_sooner(standard, monkeypatch):
    monkeypatch.setattr(record, "_MANY_EVENTS", 4)
    monkeypatch.setattr(record, "_lately_new", record._LatelyNew())

    def looks(*numbers: int) -> tuple[int, dict[str, int]]:
        with CaptureQueriesContext(connection) as queries:
            receipt = send(*[purchase(id=f"m{number}") for number in numbers])
        return sum("SELECT key FROM profiles_event" in one["sql"] for one in queries), receipt.counts

    assert looks(1, 2, 3, 3)[0] == 0
    assert looks(4, 5, 6, 6)[0] == 0
    found, counts = looks(6, 7, 8, 9)
    assert (found, counts["accepted"], counts["duplicate"]) == (1, 3, 1)  # done again, for one was there
    assert looks(10, 11, 12, 13)[0] == 1
    assert looks(14, 15, 16, 17)[0] == 0


@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800", "😀", "tab\\tnew\\nline\\\\", '"'])
def test_hostile_text_is_stored_or_held_never_lost(standard, text):
    body = json.dumps(purchase()).replace("o1", text)
    receipt = receive([Incoming(body.encode())], source_code="website", door="api", received_at=NOW, current=current())
    assert receipt.counts["accepted"] + receipt.counts["quarantined"] + receipt.counts["refused"] == 1
    if not receipt.counts["refused"]:
        assert bytes(Original.objects.get().record) == body.encode()


ODD = ['a"b', "{c,d}", "\\", "NULL", "", "茶😀", "a\tb\nc\r", "null", "\\N", "\x7f", "x" * 1_200]


@pytest.mark.parametrize("text", ODD)
def test_what_is_stored_is_read_back_as_it_was_made(standard, text):
    """Through every column that COPY writes."""
    said = purchase(
        id=text[:150] or "m",
        event="purchase",
        occurred_at="1990-01-01T00:00:00.000001Z",
        source_version=text,
        identifiers={"user_id": f"u{text}"},
    )
    said["attributes"] |= {"category": text, "odd": text}
    (made,) = send(said, {"event": text, "phone": "1"}).entries[:1]
    event, held = Event.objects.order_by("id")
    assert (event.message_id, event.source_version, event.name) == (said["id"], text[:1_000] or None, "purchase")
    assert (event.attributes["category"], event.extra) == (text, {"odd": text} if text else None)
    assert (event.refinements or []) == made.result.refinements == ([f"purchase_category_{text}"] if 0 < len(text) < 200 else [])
    assert (event.identifiers or {}) == made.result.identifiers
    assert (event.occurred_at, event.received_at) == (datetime(1990, 1, 1, 0, 0, 0, 1, UTC), NOW)
    assert (str(event.tag_id), event.rule_id, event.release_id) == (made.result.tag, None, current().release_id)
    assert (str(event.source_id), event.subject.value, event.standing) == (
        current().plan.sources["website"].uuid,
        "+8613800138000",
        1,
    )
    assert (held.name, held.attributes, held.standing) == (text[:1_000] or None, None, 2)
    assert [one["code"] for one in held.report["violations"]]


def test_half_a_surrogate_pair_and_nul_in_a_name_are_repaired(standard):
    body = json.dumps(purchase(event="n\\u0000\\ud800")).replace("\\\\u", "\\u")
    assert receive([Incoming(body.encode())], source_code="website", door="api", received_at=NOW, current=current()).counts["quarantined"]
    assert Event.objects.get().name == "n\ufffd\ufffd"


def test_what_no_text_of_a_database_may_hold_is_shown_by_its_escape():
    """From doors that decode otherwise: a file's cells, a form."""
    assert copying._text("n\0\ud800")[4:] == b"n\\u0000\\ud800"
    assert copying._json({"n": "\0"})[5:].decode() == '{"n":"\ufffd"}'


def test_a_name_that_no_text_may_hold_is_kept_in_the_report_without_it(standard):
    body = json.dumps(purchase(odd=1)).replace('"odd"', '"o\\u0000d\\ud800d"')
    receipt = receive([Incoming(body.encode())], source_code="website", door="api", received_at=NOW, current=current())
    assert receipt.counts["refused"] == 0
    assert Event.objects.get().report


def test_a_dry_run_answers_the_same_to_an_id_used_twice_with_other_content(standard):
    twice = [purchase(), purchase(attributes={"order_id": "o2", "product_id": "p1", "price": "1", "quantity": 1})]
    assert send(*twice, dry_run=True).counts == send(*twice).counts


def test_an_id_that_says_something_else_now_is_a_duplicate_and_told(standard):
    send(purchase())
    again, other = send(purchase()), send(purchase(occurred_at="2026-03-01T08:00:00Z"))
    assert [again.entries[0].differs, other.entries[0].differs] == [False, True]
    assert other.entries[0].status == "duplicate"


def test_writers_of_shared_identifiers_do_not_lock_each_other_out(standard):
    failed: list[BaseException] = []

    def post(order: int) -> None:
        chance = random.Random(order)
        try:
            for at in range(8):
                send(*(shared(chance, f"{order}-{at}-{number}") for number in range(40)))
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    current()
    threads = [threading.Thread(target=post, args=(order,)) for order in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    settle()
    assert Event.objects.count() == 8 * 8 * 40
    assert not Tie.objects.filter(settled=False).exists()


def shared(chance: random.Random, id: str) -> dict:
    """A log-in of one of twenty people with a device and an account that several of them use."""
    return {
        "id": id,
        "event": "login",
        "phone": f"+86138{chance.randrange(20):08d}",
        "occurred_at": f"2026-02-{chance.randrange(1, 28):02d}T00:00:00Z",
        "identifiers": {"device": f"dev-{chance.randrange(30):06d}", "user_id": f"user-{chance.randrange(30):06d}"},
    }


def test_links_that_cannot_be_drawn_now_fail_nobody_and_are_drawn_later(standard, monkeypatch):
    def away() -> int:
        raise OperationalError("gone")

    monkeypatch.setattr("profiles.link.settle", away)
    assert send(purchase(identifiers={"user_id": "user-77"})).counts["accepted"] == 1
    monkeypatch.undo()
    assert Tie.objects.filter(settled=False).exists()
    settle_links(timestamp=0)
    assert not Tie.objects.filter(settled=False).exists()
    assert Link.objects.filter(evidence=Link.Evidence.TIE).count() == 1


def test_the_watch_for_releases_is_quiet_about_a_database_that_restarts(caplog, monkeypatch):
    watch = watching._Watch()
    monkeypatch.setattr(watching, "_watch", watch)
    monkeypatch.setattr(watching._log, "propagate", True)
    for _failure in range(watching._FAILURES_TOLD - 1):
        watching._failed(OSError())
    assert caplog.records == []
    watching._failed(OSError())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    watching._failed(OSError())
    assert len(caplog.records) == 1
