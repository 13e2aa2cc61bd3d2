"""The Segment door: what its clients may send, and what they are answered."""

import base64
import gzip
import json

import pytest
from django.db import OperationalError
from django.utils import timezone

from ingestion import keys
from ingestion.models import FailedRequest, WriteKey
from profiles.models import Batch, Event, Original
from taxonomy.models import Release

pytestmark = pytest.mark.django_db(transaction=True)
COUNTS = {"received", "accepted", "changed", "duplicate", "quarantined", "refused"}


def login(message_id="m1", **more) -> dict:
    return {"type": "track", "event": "login", "userId": "u1", "messageId": message_id, **more}


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


@pytest.fixture
def post(client, write_key):
    def send(path, body, *, key=write_key[0], content_type="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(path, data, content_type=content_type, headers={**(basic(key) if key else {}), **named})

    return send


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("paths", "body", "tag"),
    [
        (("track", "t"), {"event": "login", "userId": "u"}, "login"),
        (("identify", "i"), {"userId": "u", "traits": {"city": "杭州"}}, "profile_update"),
        (("alias", "a"), {"userId": "u", "previousId": "x"}, "identity_link"),
        (("group", "g"), {"userId": "u", "groupId": "x"}, "identity_link"),
        (("batch", "import", "b"), {"batch": [login()]}, "login"),
    ],
)
def test_every_call_arrives_as_its_tag(post, paths, body, tag, slash):
    for number, path in enumerate(paths):
        response = post(f"/v1/{path}{slash}", body)
        assert response.status_code == 200
        answer = response.json()
        assert answer["success"] is True and answer.keys() > COUNTS
        assert answer["received"] == 1 and answer["refused"] == 0
        event = Event.objects.latest("id")
        if answer["accepted"]:
            assert event.tag.code == tag
        assert Batch.objects.latest("received_at").door == "segment"
        assert number == 0 or Event.objects.exists()


@pytest.mark.parametrize("path", ["page", "p", "screen", "s"])
def test_pages_and_screens_are_views_of_a_page(post, path):
    post(f"/v1/{path}", {"anonymousId": "a", "name": "Home", "messageId": path})
    event = Event.objects.get()
    assert event.name == "view_page"


def test_the_key_comes_by_basic_auth_or_in_the_body(post, write_key):
    assert post("/v1/track", login("m1")).json()["accepted"] == 1
    assert post("/v1/t", login("m2", writeKey=write_key[0]), key="").json()["accepted"] == 1
    assert post("/v1/b", {"writeKey": write_key[0], "batch": [login("m3")]}, key="").json()["accepted"] == 1
    assert {event.message_id for event in Event.objects.all()} == {"m1", "m2", "m3"}


def test_no_key_is_kept_with_what_it_brought(post, write_key):
    post("/v1/t", login("m1", writeKey=write_key[0]), key="")
    post("/v1/b", {"writeKey": write_key[0], "sentAt": "2026-02-01T00:00:00Z", "batch": [login("m2", writeKey=write_key[0])]})
    assert Original.objects.count() == 2
    assert not any(write_key[0].encode() in bytes(one.record) for one in Original.objects.all())


@pytest.mark.parametrize(
    ("key", "status", "code"), [("", 401, "key.missing"), ("tlw_wrong", 401, "key.unknown"), ("tlr_reading", 403, "key.cannot_send")]
)
def test_a_wrong_key_is_told_what_it_is(post, key, status, code):
    for response in (post("/v1/track", login(), key=key), post("/v1/t", login(writeKey=key), key="")):
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.json().keys() == {"code", "message"}
    assert not Event.objects.exists()
    assert sum(FailedRequest.objects.filter(cause=code).values_list("count", flat=True)) == 2


def test_a_header_that_is_no_basic_auth_is_no_key(post):
    for given in ("Basic !!!", "Basic", "Basic /w==", "Digest x"):
        assert post("/v1/track", login(), key="", Authorization=given).json()["code"] == "key.missing"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png"]
)
def test_json_whatever_the_content_type(post, content_type):
    assert post("/v1/track", login(), content_type=content_type).json()["accepted"] == 1


def test_gzip_whatever_the_header(post):
    packed = gzip.compress(json.dumps({"batch": [login("m1"), login("m2")]}).encode())
    assert post("/v1/batch", packed).json()["accepted"] == 2
    assert post("/v1/batch", packed, Content_Encoding="gzip").json()["duplicate"] == 2
    assert post("/v1/track", login("m3"), Content_Encoding="gzip").json()["accepted"] == 1


def test_what_is_said_of_all_holds_for_each(post):
    sent = timezone.now()
    body = {
        "sentAt": sent.isoformat(),
        "context": {"traits": {"phone": "+8613800138000"}, "app": {"version": "7"}},
        "batch": [login("m1", timestamp=sent.isoformat()), login("m2", context={"traits": {"phone": "+8613900139000"}})],
    }
    assert post("/v1/batch", body).json()["accepted"] == 2
    first, second = Event.objects.order_by("message_id")
    assert first.subject.value == "+8613800138000" and second.subject.value == "+8613900139000"
    assert first.occurred_at >= sent


def test_each_message_is_kept_in_its_exact_bytes(post):
    message = b'{ "type":"track", "event":"login",  "userId":"\\u0075", "properties":{"x":1.50}}'
    post("/v1/batch", b'{"batch":[' + message + b"]}")
    assert bytes(Original.objects.get().record) == message
    post("/v1/batch", b'{"sentAt":"2026-02-01T00:00:00Z","batch":[' + message.replace(b"075", b"076") + b"]}")
    assert message.replace(b"075", b"076") in bytes(Original.objects.latest("event_id").record)


def test_the_clock_of_the_sender_is_corrected(post):
    long_ago = login(timestamp="1970-01-01T00:00:00Z")
    assert post("/v1/batch", {"sentAt": "1970-01-01T00:01:00Z", "batch": [long_ago]}).json()["accepted"] == 1
    event = Event.objects.get()
    assert abs((event.received_at - event.occurred_at).total_seconds() - 60) < 1
    assert [one["code"] for one in event.report["violations"]] == ["time.skewed"]


def test_sent_again_is_a_duplicate_through_whatever_door(post, client, write_key):
    assert post("/v1/track", login("same")).json()["accepted"] == 1
    assert post("/v1/batch", {"batch": [login("same"), login("same")]}).json()["duplicate"] == 2
    native = {"id": "same", "event": "login", "identifiers": {"user_id": "u1"}}
    response = client.post(
        "/api/v1/events", json.dumps(native), content_type="application/json", headers={"Authorization": f"Bearer {write_key[0]}"}
    )
    assert response.json()["duplicate"] == 1


def test_a_held_event_sent_again_the_same_stays_and_mended_is_corrected(post):
    body = {"sentAt": "2026-02-01T00:00:00Z", "batch": [login("m", event="nonsense")]}
    assert post("/v1/batch", body).json()["quarantined"] == 1
    assert post("/v1/batch", {**body, "sentAt": "2026-02-01T00:00:09Z"}).json()["duplicate"] == 1
    assert post("/v1/batch", {"batch": [login("m")]}).json()["accepted"] == 1
    assert sorted(Event.objects.values_list("standing", flat=True)) == [Event.Standing.COUNTED, Event.Standing.CORRECTED]


def test_everything_quarantined_is_still_a_success(post):
    answer = post("/v1/track", login(event="nonsense")).json()
    assert answer["success"] is True and answer["quarantined"] == 1


def test_an_empty_batch_is_a_success_of_nothing(post):
    answer = post("/v1/batch", {"batch": []}).json()
    assert answer["success"] is True and answer["received"] == 0
    assert not Batch.objects.exists()


def test_nan_and_a_byte_order_mark_are_put_up_with(post):
    assert post("/v1/batch", b'{"batch":[{"type":"track","event":"login","userId":"u","properties":{"x":NaN}}]}').json()["accepted"] == 1
    assert post("/v1/track", b'\xef\xbb\xbf{"event":"login","userId":"u2"}').json()["accepted"] == 1


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("batch", b"", "request.not_json"),
        ("batch", b"{", "request.not_json"),
        ("track", b"[1]", "request.not_json"),
        ("track", b"\xff\xfe", "request.not_json"),
        ("track", b'"login"', "request.not_json"),
        ("track", b"[" * 100_000, "request.not_json"),
        ("batch", {"event": "login"}, "segment.batch"),
        ("batch", {"batch": 7}, "segment.batch"),
        ("batch", {"batch": {"0": 1}}, "segment.batch"),
        ("batch", {"batch": [{}] * 2501}, "segment.too_many"),
        ("batch", b" " * (500 * 1024 + 1), "segment.too_large"),
        ("batch", gzip.compress(b" " * 200_000_000, mtime=0), "segment.too_large"),
        ("batch", {"context": {"x": "y" * 100_000}, "batch": [{}] * 100}, "segment.too_large"),
        ("batch", gzip.compress(b'{"batch": []}', mtime=0)[:-9], "request.not_gzip"),
        ("batch", b"\x1f\x8bnothing", "request.not_gzip"),
        ("track", {"event": "login", "properties": {"x": "y" * 32_768}}, "segment.message_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_request_that_no_second_sending_would_mend_is_400(post, path, body, code):
    response = post(f"/v1/{path}", body)
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert response.json().keys() == {"code", "message"}
    failed = FailedRequest.objects.get()
    assert failed.cause == code and failed.source is not None
    assert not Event.objects.exists()


def test_one_message_too_large_does_not_take_the_others_with_it(post):
    answer = post("/v1/batch", {"batch": [login("m1"), login("m2", properties={"x": "y" * 32_768}), 7]}).json()
    assert (answer["accepted"], answer["refused"], answer["received"]) == (1, 2, 3)


def test_a_batch_of_2500_is_taken(post):
    answer = post("/v1/batch", {"batch": [login(f"m{number}") for number in range(2500)]}).json()
    assert answer["accepted"] == 2500


def test_too_fast_is_asked_to_wait(post, write_key, monkeypatch):
    write_key[1].per_second = 1
    write_key[1].save()
    monkeypatch.setattr("ingestion.keys.time.time", lambda: 2_000_000.0)
    first, second = post("/v1/track", login("m1")), post("/v1/track", login("m2"))
    assert (first.status_code, second.status_code, second.json()["code"]) == (200, 429, "rate_limited")
    assert second.headers["Retry-After"] == "1"


def test_without_a_release_the_client_is_asked_to_come_back(post):
    from taxonomy import current

    Release.objects.all().delete()
    current.forget()
    response = post("/v1/track", login())
    assert (response.status_code, response.json()["code"]) == (503, "no_release")
    assert response.headers["Retry-After"]


def test_a_database_that_is_gone_is_503_and_no_page(post, monkeypatch):
    def gone(*_args, **_named):
        raise OperationalError("gone")

    monkeypatch.setattr("ingestion.doors.segment.deliver", gone)
    response = post("/v1/track", login())
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["Retry-After"]


def test_a_test_key_stores_nothing(post, write_key):
    key = WriteKey(source=write_key[1].source, test=True)
    secret = key.set_secret()
    key.save()
    assert post("/v1/track", login(), key=secret).json()["accepted"] == 1
    assert not Event.objects.exists()


def test_any_page_may_send(client, post):
    before = client.options(
        "/v1/t",
        headers={
            "Origin": "https://shop.example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert before.status_code == 204
    assert before.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in before.headers["Access-Control-Allow-Methods"]
    assert "content-type" in before.headers["Access-Control-Allow-Headers"].lower()
    for response in (post("/v1/t", login()), post("/v1/t", b"{"), post("/v1/t", login(), key="tlw_x")):
        assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_other_calls_and_methods_are_told(client, post):
    assert (post("/v1/nothing", login()).status_code, post("/v1/nothing", login()).json()["code"]) == (404, "not_found")
    response = client.get("/v1/track")
    assert (response.status_code, response.json()["code"], response.headers["Allow"]) == (405, "method_not_allowed", "POST, OPTIONS")


def test_the_settings_send_the_clients_here(client, write_key):
    for slash in ("", "/"):
        response = client.get(f"/v1/projects/{write_key[0]}/settings{slash}")
        assert response.status_code == 200
        ours = response.json()["integrations"]["Segment.io"]
        assert (ours["apiKey"], ours["apiHost"], ours["protocol"]) == (write_key[0], "testserver/v1", "http")
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/v1/projects/tlw_wrong/settings").status_code == 401


def test_rudderstacks_clients_find_their_source_enabled_here(client, write_key):
    secret, key = write_key
    asked = [
        client.get("/sourceConfig?p=android&v=1.25.0", headers=basic(secret)),
        client.get(f"/sourceConfig/?p=npm&writeKey={secret}", headers={"Origin": "https://shop.example.com"}),
    ]
    for response in asked:
        assert response.status_code == 200 and response.headers["Access-Control-Allow-Origin"] == "*"
        source = response.json()["source"]
        # What rudder-sdk-swift and -kotlin do not decode without; the others ask for less.
        assert all(isinstance(source[name], str) for name in ("id", "name", "writeKey", "workspaceId", "updatedAt"))
        assert (source["id"], source["writeKey"], source["enabled"]) == (str(key.source_id), secret, True)
        assert source["destinations"] == []
        assert {name: source["config"]["statsCollection"][name]["enabled"] for name in ("errors", "metrics")} == {
            "errors": False,
            "metrics": False,
        }
    before = client.options(
        "/sourceConfig/", headers={"Origin": "https://shop.example.com", "Access-Control-Request-Headers": "authorization"}
    )
    assert before.status_code == 204 and "authorization" in before.headers["Access-Control-Allow-Headers"].lower()
    for response, code in ((client.get("/sourceConfig"), "key.missing"), (client.get("/sourceConfig/?writeKey=tlw_wrong"), "key.unknown")):
        assert (response.status_code, response.json()["code"]) == (401, code)
        assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_plan_is_tried_on_what_came_this_way(post):
    from datetime import timedelta

    from ingestion.trial import try_plan
    from taxonomy.current import current

    post("/v1/batch", {"sentAt": "2026-02-01T00:00:00Z", "batch": [login("m1"), login("m2", event="nonsense")]})
    plan = current().plan
    found = try_plan(plan, plan, since=timezone.now() - timedelta(hours=1), today=timezone.localdate())
    assert (found.accepted, found.held, found.differences) == (1, 1, [])


def test_no_phone_and_no_key_reaches_a_log(post, write_key, caplog):
    caplog.set_level("DEBUG")
    post("/v1/track", login(context={"traits": {"phone": "+8613800138000"}}))
    post("/v1/t", b'{"writeKey": "' + write_key[0].encode())
    assert "8000" not in caplog.text and write_key[0] not in caplog.text
    keys.forget()
