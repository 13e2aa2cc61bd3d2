"""A key that sends too fast is refused cheaply, and gets no more than it may."""

import io
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from conftest import wait_until
from django.utils import timezone

from cdp.fast import answer_calls_early
from ingestion import keys
from ingestion.models import FailedRequest, Hook, WriteKey
from profiles.models import Event
from taxonomy.models import Source

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = 3_000_000


@pytest.fixture
def clock(monkeypatch):
    """The moment it is, in seconds, to be set."""
    now = [SECOND]
    monkeypatch.setattr("ingestion.keys.time.time", lambda: float(now[0]))
    return now


@pytest.fixture
def limited(write_key):
    """The secret and the sender of a key that may send two events a second."""
    secret, key = write_key
    key.per_second = 2
    key.save()
    return secret, keys.sender(secret)


def unread(_size: int) -> bytes:
    raise AssertionError("the body was read")


def early(secret: str, path: str = "/api/v1/events", **more: Any) -> tuple[str, dict[str, str], dict[str, Any]] | None:
    """(status, headers, body) of what is answered before Django, and before the body is read; None: Django would answer."""
    told: list[Any] = []
    body = io.BytesIO(b"{}")
    body.read = unread  # type: ignore[method-assign, assignment]
    environ = {
        "PATH_INFO": path, "REQUEST_METHOD": "POST", "HTTP_AUTHORIZATION": f"Bearer {secret}", "CONTENT_LENGTH": "2", "wsgi.input": body, **more,
    }  # fmt: skip
    answer = answer_calls_early(lambda _environ, _start: [])(environ, lambda status, headers: told.extend((status, dict(headers))))
    return (told[0], told[1], json.loads(b"".join(answer))) if told else None


def test_a_second_that_is_used_up_costs_no_query(limited, clock, django_assert_num_queries):
    one, allowance = limited[1], keys.Allowance()
    assert [allowance.take(one, 1) for _ in range(3)] == [True, True, False]
    with django_assert_num_queries(0):
        assert not allowance.take(one, 1) and allowance.is_used_up(one)
    clock[0] += 1
    assert not allowance.is_used_up(one) and allowance.take(one, 1)


def test_another_process_is_told_by_its_first_question(limited, clock):
    one = limited[1]
    assert [keys.Allowance().take(one, 1) for _ in range(3)] == [True, True, False]


def test_what_was_sent_comes_back_evenly_and_no_more_than_a_second_is_saved_up(limited, clock):
    one, processes = limited[1], [keys.Allowance(), keys.Allowance()]
    sent = lambda: sum(process.take(one, 1) for _ in range(9) for process in processes)  # noqa: E731
    clock[0] += 60
    assert sent() == 2
    found = []
    for _ in range(20):
        clock[0] += 0.25
        found.append(sent())
    assert found == [0, 1] * 10


def test_what_processes_took_and_did_not_send_is_not_saved_up(limited, clock):
    one, processes = replace(limited[1], per_second=100), [keys.Allowance() for _ in range(4)]
    assert all(process.take(one, 1) for process in processes)
    clock[0] += 3_600
    assert sum(process.take(one, 1) for _ in range(99) for process in processes) == 100


def test_a_large_request_that_is_too_many_keeps_no_small_one_out(limited, clock):
    one, allowance = replace(limited[1], per_second=100), keys.Allowance()
    assert allowance.take(one, 40) and not allowance.take(one, 80)
    assert not allowance.is_used_up(one) and allowance.take(one, 60)
    assert not allowance.take(one, 1) and allowance.is_used_up(one)


def test_a_flood_is_let_in_evenly_over_the_second(limited, clock):
    one, processes = replace(limited[1], per_second=100), [keys.Allowance(), keys.Allowance()]
    tenths = []
    for _ in range(30):
        let_in = 0
        for _ in range(10):
            clock[0] += 0.01
            let_in += sum(process.take(one, 1) for process in processes for _ in range(20))
        tenths.append(let_in)
    assert 190 <= sum(tenths[10:]) <= 210 and max(tenths[10:]) <= 20


def test_a_large_request_is_not_starved_by_what_each_process_keeps(limited, clock):
    one, processes = limited[1], [keys.Allowance(), keys.Allowance()]
    assert processes[0].take(one, 2)
    taken = 0
    for _ in range(40):
        clock[0] += 0.25
        taken += sum(process.take(one, 2) for process in processes)
    assert taken == 10


def test_a_process_whose_clock_is_late_is_given_nothing_twice(limited, clock):
    """Two processes, of which one was late, sent twice what they might."""
    one = limited[1]
    on_time, late = keys.Allowance(), keys.Allowance()
    assert on_time.take(one, 2)
    clock[0] -= 1
    assert not late.take(one, 1)
    clock[0] += 1
    assert not late.take(one, 1) and not on_time.take(one, 1)


def test_a_webhook_and_a_key_of_one_number_take_nothing_of_each_other(limited, clock):
    key, hook = limited[1], Hook.objects.create(pk=limited[1].key_id, source=Source.objects.get(code="website"), per_second=2)
    sender = keys.Sender(None, key.source_id, test=False, per_second=2, hook_id=hook.pk)
    allowance = keys.Allowance()
    assert allowance.take(sender, 2) and not allowance.take(sender, 1)
    assert allowance.is_used_up(sender) and not keys.Allowance().take(sender, 1), "over all processes"
    assert allowance.take(key, 2) and not allowance.take(key, 1)


def test_a_key_in_use_is_looked_up_again_by_another_thread_and_none_waits(write_key, monkeypatch, django_assert_num_queries):
    secret, key = write_key
    again = keys._Again()
    monkeypatch.setattr(keys, "_again", again)
    monkeypatch.setattr(keys, "_SECONDS_KEPT", 60.0)
    assert keys.sender(secret).key_id == key.pk
    monkeypatch.setattr(keys.time, "monotonic", lambda real=time.monotonic: real() + 40)
    WriteKey.objects.filter(pk=key.pk).update(per_second=7)
    with django_assert_num_queries(0):
        assert keys.sender(secret).per_second == 0, "as it was, while another thread asks"
    wait_until(lambda: not again.wanted)
    with django_assert_num_queries(0):
        assert keys.sender(secret).per_second == 7
    WriteKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    monkeypatch.setattr(keys.time, "monotonic", lambda real=time.monotonic: real() + 120)
    assert keys.sender(secret) is None and not again.wanted


def test_keys_and_webhooks_without_a_limit_are_never_used_up(write_key, clock):
    free = keys.sender(write_key[0])
    hook = keys.Sender(None, "x", test=False, per_second=0, hook_id=1)
    for one in (free, hook):
        assert all(keys.allowance.take(one, 1_000) for _ in range(5)) and not keys.allowance.is_used_up(one)


def test_it_is_refused_before_its_body_is_read_as_django_would_refuse_it(limited, clock, client):
    secret = limited[0]
    assert early(secret) is None
    event = {"event": "login", "phone": "+8613800138000"}
    send = lambda: client.post("/api/v1/events", event, content_type="application/json", headers={"Authorization": f"Bearer {secret}"})  # noqa: E731
    assert [send().status_code for _ in range(3)] == [200, 200, 429]
    long_way, (status, headers, body) = send(), early(secret)
    assert (status, body) == ("429 Too Many Requests", long_way.json())
    assert headers["Retry-After"] == long_way.headers["Retry-After"] == "1"
    assert headers["Content-Type"] == long_way.headers["Content-Type"] == "application/json"
    assert early(secret, HTTP_ACCEPT_LANGUAGE="zh-hans")[2]["error"]["message"] != body["error"]["message"]
    clock[0] += 1
    assert early(secret) is None
    assert Event.objects.count() == 2


@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
def test_segments_door_reads_no_body_of_what_is_too_fast(limited, clock, path):
    secret = limited[0]
    for _ in range(3):
        keys.allowance.take(limited[1], 1)
    status, headers, body = early(secret, path)
    assert (status, body["code"], headers["Retry-After"]) == ("429 Too Many Requests", "rate_limited", "1")


def test_cloudevents_are_refused_as_soon(limited, clock, client):
    for _ in range(3):
        keys.allowance.take(limited[1], 1)
    answer = client.post(
        "/cloudevents", b"no json at all", content_type="application/cloudevents+json", headers={"Authorization": f"Bearer {limited[0]}"}
    )
    assert answer.status_code == 429


def test_what_is_unknown_or_not_posted_goes_the_long_way(limited, clock):
    for _ in range(3):
        keys.allowance.take(limited[1], 1)
    secret = limited[0]
    assert early(secret) is not None
    assert early(secret, REQUEST_METHOD="GET") is early("tlw_nobody") is early(secret, "/api/v1/plan") is None
    assert early(secret, HTTP_AUTHORIZATION="") is None


def test_every_refused_request_is_counted_in_one_write(limited, clock, django_assert_num_queries):
    source = limited[1].source_id
    for _ in range(1_000):
        keys.count_failure(keys.RATE_LIMITED, source)
    assert not FailedRequest.objects.exists()
    with django_assert_num_queries(1):
        keys.refused.write()
    keys.count_failure(keys.RATE_LIMITED, source)
    keys.refused.write()
    row = FailedRequest.objects.get()
    assert (str(row.source_id), row.cause, row.count) == (source, "rate_limited", 1_001)
