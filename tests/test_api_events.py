"""The API door: answered per event after the commit; a request that fails as a whole says why and what to do."""

import gzip
import json
import logging
import re
import zlib
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from cdp.logs import WithoutValues
from ingestion import commit, keys
from ingestion.models import FailedRequest, WriteKey
from ingestion.pipeline import Incoming, evaluate
from profiles.models import Batch, Event, Tally
from profiles.record import record
from taxonomy.current import current
from taxonomy.models import Release, Source

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


@pytest.mark.parametrize("event", ["purchase", "nonsense"])
def test_each_result_names_its_event_and_a_duplicate_the_first(post, client, write_key, event):
    events = {"events": [purchase(id=None, event=event), "none"]}
    told, again = ([(one["status"], one["event_id"]) for one in post(events).json()["results"]] for _ in range(2))
    event_id = Event.objects.get().public_id
    assert [one for _, one in told] == [event_id, None] and again == [("duplicate", event_id), ("refused", None)]
    assert client.get(f"/api/v1/receipts/{event_id}", headers={"Authorization": f"Bearer {write_key[0]}"}).json()["event_id"] == event_id


def test_everything_quarantined_is_still_200(post):
    assert post({"events": [{"event": "nonsense"}]}).status_code == 200


def test_gzip_and_dry_run(post):
    packed = post(gzip.compress(json.dumps(purchase()).encode()), Content_Encoding="gzip", url=f"{URL}?dry_run=true")
    assert packed.json()["accepted"] == 1
    assert not Event.objects.exists()


@pytest.mark.parametrize(("asked", "stored"), [("", False), ("on", False), ("1", False), ("TRUE", False), ("false", True), ("0", True)])
def test_a_dry_run_is_asked_for_in_the_usual_words(post, asked, stored):
    assert post(purchase(), url=f"{URL}?dry_run={asked}").json()["dry_run"] is not stored
    assert Event.objects.exists() is stored


def test_a_dry_run_asked_for_in_other_words_is_refused_and_stores_nothing(post):
    assert post(purchase(), url=f"{URL}?dry_run=banana").json()["error"]["code"] == "request.dry_run"
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "odd",
    [
        b'{"id":"b","event":"login","phone":"+8613800138000","attributes":{"x":"\\ud800"}}',
        b'{"id":"\\ud800","event":"login"}',
        b'{"id":"b","event":"login","attributes":{"x":NaN}}',
        b'{"id":"b","event":"login","attributes":{"x":"a\tb"}}',
        b'{"id":"b","event":"login","attributes":{"x":"\xff"}}',
        b'{"id":"b","event":"login" "phone"}',
        b'{"id":"b","event":"login","attributes":{"x":"],}\\"{[,"}}',
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_one_odd_event_spoils_no_other_of_its_batch(post, odd, order):
    events = [json.dumps(purchase()).encode(), odd, json.dumps(purchase(id="m2")).encode()][::order]
    answer = post(b'{"events":[' + b", ".join(events) + b"]}").json()
    assert (answer["received"], [answer["results"][at]["status"] for at in (0, 2)]) == (3, ["accepted", "accepted"])
    alone = post(odd)
    assert alone.status_code == 400 or alone.json()["results"][0]["status"] in (answer["results"][1]["status"], "duplicate")


def test_a_byte_order_mark_before_the_body_is_no_matter(post):
    assert post(b"\xef\xbb\xbf" + json.dumps(purchase()).encode()).json()["accepted"] == 1


def test_gzip_of_several_members_is_read_whole(post):
    body = json.dumps({"events": [purchase(id="g1"), purchase(id="g2")]}).encode()
    answer = post(gzip.compress(body[:40]) + gzip.compress(body[40:]), Content_Encoding="gzip")
    assert answer.json()["accepted"] == 2


def test_an_id_used_again_for_something_else_is_told(post):
    post(purchase())
    again, other = post(purchase()).json(), post(purchase(occurred_at="2026-03-01T08:00:00Z")).json()
    assert "message_id.reused" not in [one["code"] for one in again["results"][0]["violations"]]
    assert "message_id.reused" in [one["code"] for one in other["results"][0]["violations"]]


@pytest.mark.parametrize("url", [URL, f"{URL}?dry_run=true"])
def test_who_says_something_else_under_an_id_is_told_nothing_personal_of_the_first(post, url):
    mine = purchase(attributes={**purchase()["attributes"], "receiver_mobile": "13812345678"})
    first = post(mine).content.decode()
    assert "13812345678" in first and post(mine, url=url).content.decode().count("13812345678") == first.count("13812345678")
    (told,) = post({"id": mine["id"], "event": "x"}, url=url).json()["results"]
    assert (told["verdict"], told["tag"], told["refinements"]) == ("accepted", "purchase", [])
    codes = [one["code"] for one in told["violations"]]
    assert "attribute.unplanned" in codes and "message_id.reused" in codes and "12345678" not in json.dumps(told)
    together = post({"events": [mine | {"id": "both"}, {"id": "both", "event": "x"}]}, url=url).json()["results"]  # as in one commit
    assert "13812345678" in json.dumps(together[0]) and "12345678" not in json.dumps(together[1])


def test_of_an_event_without_an_id_it_is_told_that_the_id_was_derived(post):
    """Region and context are no part of it."""
    post(purchase(id=None, region="CN"))
    again, other = (post(purchase(id=None, region=region)).json()["results"][0] for region in ("CN", "HK"))
    assert [again["status"], other["status"]] == ["duplicate", "duplicate"]
    assert "message_id.reused" not in [one["code"] for one in again["violations"]]
    (told,) = [one["message"] for one in other["violations"] if one["code"] == "message_id.reused"]
    assert "derived from" in told and "sent this id" not in told


def test_a_duplicate_tells_its_changes_with_the_same_digits(post):
    event = purchase(attributes={"order_id": "o", "product_id": "p", "price": "12345678901234567.10", "quantity": "2"})
    for key in ("m1", "m2"):
        answers = [json.loads(post({"events": [{**event, "id": key}] * 2}).content, parse_float=str) for _ in range(2)]
        first, *others = [result["changes"] for answer in answers for result in answer["results"]]
        assert first[0]["to"]["amount"] == "12345678901234567.10"
        assert others == [first] * 3


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
        (gzip.compress(b'{"event": "login"}', mtime=0)[:-9], {"Content_Encoding": "gzip"}, 400, "request.not_gzip"),
        (gzip.compress(b"", mtime=0) * 200_000, {"Content_Encoding": "gzip"}, 400, "request.not_gzip"),
        (b'{"events":[{"attributes":{"cart":"[' + b'{\\"sku\\":1},' * 100_000, {}, 400, "request.not_json"),
        (b'{"' + b'\\"' * 1_000_000 + b"\\", {}, 400, "request.not_json"),
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


def test_a_request_larger_than_the_limit_takes_a_whole_second_and_is_not_refused_for_ever(post, write_key, monkeypatch):
    _secret, key = write_key
    key.per_second = 50
    key.save()
    monkeypatch.setattr("ingestion.keys.time.time", lambda: 2_000_000.0)
    many = {"events": [purchase(id=f"m{number}") for number in range(100)]}
    assert post(many).status_code == 200
    assert post(purchase()).status_code == 429
    monkeypatch.setattr("ingestion.keys.time.time", lambda: 2_000_001.0)
    assert post(many).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/events/", "/api/v1/customers/xyz", "/api/v1/customers/+8613800138000"])
def test_an_address_of_the_api_where_nothing_is_answers_in_json(client, db, path):
    response = client.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_an_error_of_ours_is_answered_in_json_and_without_its_cause(post, monkeypatch):
    def broken(*_args, **_more):
        raise ValueError("+8613800138000")

    monkeypatch.setattr("ingestion.doors.deliver.receive", broken)
    response = post(purchase())
    assert (response.status_code, response.json()["error"]["code"]) == (500, "error")
    assert "8000" not in response.content.decode()


def test_a_commit_whose_answer_was_lost_is_not_counted_twice(write_key, monkeypatch):
    lost = []

    def recorded(deliveries, in_commit):
        stored = record(deliveries, in_commit)
        if not lost:
            lost.append(True)
            raise OperationalError("the server closed the connection")
        return stored

    monkeypatch.setattr(commit, "record", recorded)
    monkeypatch.setattr(commit, "close_old_connections", lambda: None)
    waiting = []
    for number in range(2):
        incoming = [Incoming(json.dumps(purchase(id=f"m{number}")).encode())]
        delivery = evaluate(incoming, source_code="website", door="api", received_at=timezone.now(), current=current())
        waiting.append(commit._Waiting(delivery))
    commit._store(waiting)
    assert [one.error for one in waiting] == [None, None]
    assert [one.delivery.entries[0].status for one in waiting] == ["accepted", "accepted"]
    assert list(Tally.objects.values_list("accepted", "duplicate")) == [(1, 0), (1, 0)]


def test_a_connection_lost_while_nobody_sent_fails_nobody(post):
    assert post(purchase(id="before")).json()["accepted"] == 1
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] >= 1
    assert post(purchase(id="after")).json()["accepted"] == 1
    assert sorted(Event.objects.values_list("message_id", flat=True)) == ["after", "before"]


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


@pytest.mark.parametrize(
    "path",
    ["/customers/13800138000/", "/api/v1/customers/+8613800138000", "/customers/%2B86%20138-0013-8000/", "/customers/li@example.com/"],
)
def test_the_log_line_of_an_address_that_names_a_phone_does_not(client, db, path):
    lines = []
    handler = logging.StreamHandler(SimpleNamespace(write=lines.append, flush=lambda: None))
    handler.addFilter(WithoutValues())
    logging.getLogger("django.request").addHandler(handler)
    try:
        client.get(path)
    finally:
        logging.getLogger("django.request").removeHandler(handler)
    assert "Not Found" in "".join(lines) or path.startswith("/api/")
    assert not re.search("0013|li@", "".join(lines))


def test_what_an_error_says_is_not_logged_where_it_happened_is():
    lines, sent = [], "+86 138 0013 8000 " + "li" + "@example.com"
    handler = logging.StreamHandler(SimpleNamespace(write=lines.append, flush=lambda: None))
    handler.addFilter(WithoutValues())
    logger = logging.getLogger("test.errors")
    logger.addHandler(handler)
    try:
        try:
            int(sent)
        except ValueError as error:
            raise RuntimeError(sent) from error
    except RuntimeError:
        logger.exception("It broke for %s", sent.replace("@", "＠"))
    finally:
        logger.removeHandler(handler)
    said = "".join(lines)
    assert "It broke" in said and "ValueError" in said and "RuntimeError" in said and said.count("test_api_events.py") == 2
    assert not re.search("0013|li[@＠]", said)


def test_the_commands_make_a_source_and_its_key(standard, capsys):
    call_command("create_source", "kiosk", kind="till", owner="sales", region="CN")
    call_command("publish", notes="kiosk")
    capsys.readouterr()
    call_command("create_key", source="kiosk", json=True)
    made = json.loads(capsys.readouterr().out)
    assert made["source"] == "kiosk"
    assert keys.sender(made["key"]).source_id == str(Source.objects.get(code="kiosk").pk)
    for wrong in ({"per_second": -1}, {"name": "n" * 200}):
        with pytest.raises(CommandError, match=next(iter(wrong))):
            call_command("create_key", source="kiosk", **wrong)
