"""A body that comes in pieces, its length not said, as Segment's clients for Java and Kotlin send it: read to its end at every door."""

import base64
import gzip
import http.client
import json
import socket

import pytest
from django.test import RequestFactory
from test_drain import MEGABYTE, served  # noqa: F401

from ingestion.doors.deliver import body_of, length_of
from ingestion.doors.errors import ApiError
from ingestion.models import Hook, Upload
from profiles.models import Event
from taxonomy.models import Source

pytestmark = pytest.mark.django_db(transaction=True)
PIECE = 700


@pytest.fixture
def send(served, write_key):  # noqa: F811
    """Send a body in pieces to the product as it is served in production: (status, decoded answer)."""

    def call(path: str, body: bytes, *, method: str = "POST", **headers: str):
        named = {"Authorization": f"Bearer {write_key[0]}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        pieces = (body[at : at + PIECE] for at in range(0, len(body), PIECE))
        connection = http.client.HTTPConnection("127.0.0.1", served, timeout=60)
        connection.request(method, path, pieces, named, encode_chunked=True)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer.status, json.loads(said) if said else dict(answer.headers)

    return call


def logins(number: int) -> list[dict]:
    return [{"type": "track", "event": "login", "userId": f"u{one}", "messageId": f"m{one}"} for one in range(number)]


def test_segments_clients_send_gzip_in_pieces(send, write_key):
    basic = "Basic " + base64.b64encode(f"{write_key[0]}:".encode()).decode()
    body = gzip.compress(json.dumps({"batch": logins(200)}).encode())
    assert len(body) > PIECE
    for path in ("/v1/batch", "/v1/import/"):
        status, said = send(path, body, Authorization=basic, Content_Type="application/json", Content_Encoding="gzip")
        assert (status, said["success"], said["received"]) == (200, True, 200)
    assert (said["duplicate"], Event.objects.count()) == (200, 200)


def test_every_other_door_takes_it_so(send):
    event = {"event": "login", "identifiers": {"user_id": "u"}}
    status, said = send("/api/v1/events", json.dumps({"events": [{"id": f"a{one}", **event} for one in range(20)]}).encode())
    assert (status, said["accepted"]) == (200, 20)
    sent = {"specversion": "1.0", "id": "c", "source": "/s", "type": "login", "data": {"identifiers": {"user_id": "u"}}}
    status, said = send("/cloudevents", json.dumps(sent).encode(), Content_Type="application/cloudevents+json")
    assert (status, said["received"]) == (200, 1)
    Hook.objects.create(source=Source.objects.get(code="website"), scheme="plain").add_secret("the-token")
    status, said = send("/hooks/website/the-token", json.dumps({"id": "h", **event}).encode())
    assert (status, said["accepted"]) == (200, 1)


def test_a_file_and_its_announcement_too_and_no_byte_beyond_its_size(send):
    status, said = send("/api/v1/imports", json.dumps({"file": "a.csv", "size_bytes": 3 * PIECE}).encode())
    assert status == 201
    part = {"method": "PATCH", "Content_Type": "application/offset+octet-stream", "Tus_Resumable": "1.0.0"}
    status, told = send(said["upload"], b"x" * 2 * PIECE, Upload_Offset="0", **part)
    assert (status, told["upload-offset"]) == (204, str(2 * PIECE))
    status, told = send(said["upload"], b"x" * (PIECE + 1), Upload_Offset=str(2 * PIECE), **part)
    assert (status, told["error"]["code"]) == (409, "upload.offset")
    assert Upload.objects.get().received_bytes == 2 * PIECE
    assert send(said["upload"], b"x" * PIECE, Upload_Offset=str(2 * PIECE), **part)[0] == 204
    assert Upload.objects.get().is_whole


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/v1/batch", 400, "segment.too_large"), ("/api/v1/events", 413, "request.too_large"), ("/cloudevents", 413, "request.too_large")]
)  # fmt: skip
def test_the_limits_hold_for_it(send, path, status, code):
    said = send(path, b" " * (6 * MEGABYTE), Content_Type="application/json")
    assert (said[0], (said[1].get("error") or said[1])["code"]) == (status, code)


def test_where_its_end_cannot_be_told_it_is_refused(client, write_key):
    headers = {"Transfer-Encoding": "chunked", "Authorization": f"Bearer {write_key[0]}"}
    answer = client.post("/v1/batch", {"batch": logins(1)}, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (411, "request.length")
    answer = client.post("/api/v1/events", {"event": "login"}, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (411, "request.length")


def test_a_form_says_its_length(send):
    """Broken off it would end like a whole one: a value cut in two would be stored, and the whole beside it when it is sent again."""
    Hook.objects.create(source=Source.objects.get(code="website"), scheme="plain").add_secret("the-token")
    status, said = send("/hooks/website/the-token", b"id=h&event=login&user_id=u")
    assert (status, said["error"]["code"]) == (411, "request.length")
    assert not Event.objects.exists()


def test_a_body_that_breaks_off_before_its_length_is_not_taken_for_a_whole_one(served, standard):  # noqa: F811
    Hook.objects.create(source=Source.objects.get(code="website"), scheme="plain").add_secret("the-token")
    form = b"id=h&event=login&user_id=u"
    with socket.create_connection(("127.0.0.1", served), timeout=60) as sender:
        sender.sendall(b"POST /hooks/website/the-token HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (len(form) + 9) + form)
        sender.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(sender)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (400, "request.cut_off")
    assert not Event.objects.exists()


def test_a_request_without_a_body_has_none():
    assert length_of({}) == 0 and length_of({"CONTENT_LENGTH": ""}) == 0 and length_of({"CONTENT_LENGTH": "7"}) == 7
    assert body_of(RequestFactory().generic("POST", "/hooks/website")) == b""
    with pytest.raises(ApiError):
        length_of({"CONTENT_LENGTH": "-1"})
