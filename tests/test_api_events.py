"""The API door: answered per event after the commit; a request that fails as a whole says why and what to do."""

import gzip
import json
import logging
import zlib
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from ingestion import keys
from ingestion.models import FailedRequest, WriteKey
from profiles.models import Batch, Event
from taxonomy.models import Release

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/events"


def purchase(**more) -> dict:
    return {
        "id": "m1", "event": "purchase", "phone": "+86 138 0013 8000", "occurred_at": "2026-03-01T09:00:00Z",
        "attributes": {"order_id": "o1", "product_id": "p1", "price": "9.90", "quantity": 1}, **more,
    }  # fmt: skip


@pytest.fixture
def post(client, write_key):
    secret, _key = write_key

    def send(body, *, key=secret, url=URL, content_type="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(url, data, content_type=content_type, headers={"Authorization": f"Bearer {key}", **named})

    return send


def test_one_event_and_a_list_are_answered_alike(post):
    one = post(purchase()).json()
    many = post({"events": [purchase(id="m2"), purchase(id="m3", event="nonsense")]}).json()
    for answer in (one, many):
        assert set(answer) == {
            "batch",
            "release",
            "received",
            "accepted",
            "changed",
            "duplicate",
            "quarantined",
            "refused",
            "dry_run",
            "results",
        }
        assert answer["received"] == answer["accepted"] + answer["duplicate"] + answer["quarantined"] + answer["refused"]
    assert one["results"][0]["tag"] == "purchase"
    assert {"code", "path", "from", "to"} == set(one["results"][0]["changes"][0])
    assert [result["status"] for result in many["results"]] == ["accepted", "quarantined"]
    assert {"code", "blocking", "path", "message", "seen", "expected", "docs"} == set(many["results"][1]["violations"][0])
    assert Batch.objects.count() == 2


def test_decimals_come_back_with_exactly_their_digits(post):
    text = post(purchase(attributes={"order_id": "o", "product_id": "p", "price": "12345678901234567.10", "quantity": 1})).content.decode()
    assert "12345678901234567.10" in text.replace('"12345678901234567.10"', "", 1)


def test_a_duplicate_carries_the_first_verdict(post):
    first = post(purchase(event="nonsense")).json()["results"][0]
    again = post(purchase(event="nonsense")).json()["results"][0]
    assert (again["status"], again["verdict"]) == ("duplicate", "quarantined")
    assert again["violations"] == first["violations"]


def test_everything_quarantined_is_still_200(post):
    assert post({"events": [{"event": "nonsense"}]}).status_code == 200


def test_gzip_and_dry_run(post):
    packed = post(gzip.compress(json.dumps(purchase()).encode()), Content_Encoding="gzip", url=f"{URL}?dry_run=true")
    assert packed.json()["accepted"] == 1
    assert not Event.objects.exists()


def test_a_test_key_answers_and_stores_nothing(post, write_key):
    key = WriteKey(source=write_key[1].source, test=True)
    secret = key.set_secret()
    key.save()
    assert post(purchase(), key=secret).json()["accepted"] == 1
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "request.not_json"),
        (b"[1]", {}, 400, "request.not_json"),
        (b"\xff\xfe", {}, 400, "request.not_json"),
        (b'{"events": []}', {}, 400, "request.events"),
        (b'{"events": 7}', {}, 400, "request.events"),
        (b"not gzip", {"Content_Encoding": "gzip"}, 400, "request.not_gzip"),
        (gzip.compress(b'{"event": "login"}')[:-9], {"Content_Encoding": "gzip"}, 400, "request.not_gzip"),
        (zlib.compress(b"{}"), {"Content_Encoding": "br"}, 415, "request.encoding"),
        (b" " * (5 * 1024 * 1024 + 1), {}, 413, "request.too_large"),
        (gzip.compress(b" " * 200_000_000), {"Content_Encoding": "gzip"}, 413, "request.too_large"),
        (json.dumps({"events": [{}] * 1001}).encode(), {}, 413, "request.too_many"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_request_that_fails_as_a_whole_says_why(post, body, headers, status, code):
    response = post(body, **headers)
    assert response.status_code == status
    error = response.json()["error"]
    assert error["code"] == code
    assert set(error) == {"code", "message", "docs"}
    assert FailedRequest.objects.get().cause == code


def test_only_json_is_taken(post):
    assert post(b"a=1", content_type="application/x-www-form-urlencoded").status_code == 415


@pytest.mark.parametrize(("key", "status"), [("", 401), ("tlw_wrong", 401), ("tlr_reading", 403)])
def test_a_wrong_key_is_told_what_it_is(post, key, status):
    response = post(purchase(), key=key)
    assert response.status_code == status
    assert response.json()["error"]["code"].startswith("key.")


def test_expired_and_revoked_keys_stop_within_a_second(post, write_key):
    _secret, key = write_key
    assert post(purchase()).status_code == 200
    key.revoked_at = timezone.now()
    key.save()
    keys.forget()  # what a second does
    assert post(purchase()).status_code == 401
    key.revoked_at, key.expires_at = None, timezone.now() - timedelta(seconds=1)
    key.save()
    keys.forget()
    assert post(purchase()).status_code == 401


def test_a_rotated_key_overlaps(post, write_key):
    secret, key = write_key
    _successor, new = keys.rotate(key, overlap=timedelta(hours=1))
    keys.forget()
    assert post(purchase(), key=new).status_code == post(purchase(), key=secret).status_code == 200


def test_a_limit_holds_over_all_processes(post, write_key, monkeypatch):
    _secret, key = write_key
    key.per_second = 3
    key.save()
    monkeypatch.setattr("ingestion.keys.time.time", lambda: 1_000_000.0)
    another_process = keys.Allowance()
    sender = keys.sender(_secret)
    assert [another_process.take(sender, 1) for _ in range(2)] == [True, True]
    answers = [post(purchase()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert answers[-1].headers["Retry-After"] == "1"


def test_without_a_release_the_sender_is_asked_to_come_back(post):
    Release.objects.all().delete()
    from taxonomy import current

    current.forget()
    response = post(purchase())
    assert response.status_code == 503
    assert response.headers["Retry-After"]


def test_no_phone_and_no_key_reaches_a_log(post, write_key, caplog):
    caplog.set_level(logging.DEBUG)
    post(purchase())
    post({"event": "nonsense", "phone": "+8613800138000"})
    post(b"{")
    assert "8000" not in caplog.text
    assert write_key[0] not in caplog.text


def test_the_commands_make_a_source_and_its_key(standard, capsys):
    call_command("create_source", "kiosk", kind="till", owner="sales", region="CN")
    call_command("publish", notes="kiosk")
    capsys.readouterr()
    call_command("create_key", source="kiosk", json=True)
    made = json.loads(capsys.readouterr().out)
    assert made["source"] == "kiosk"
    assert keys.sender(made["key"]).source_code == "kiosk"
