"""Whoever sends too much is told so: the answer comes though the request was not wanted whole."""

import http.client
import io
import json
import subprocess
import sys

import pytest
from conftest import ROOT, wait_until
from ports import free_port

from cdp.drain import MOST_BYTES, read_away

MEGABYTE = 1024 * 1024


def left_of(body: bytes, *, wanted: int, length: str | None = None, **environ: str) -> bytes:
    """What is still unread after an application that reads so much of the body has answered."""
    stream = io.BytesIO(body)

    def application(environ, start_response):
        environ["wsgi.input"].read(wanted)
        return [b"answer"]

    given = {"wsgi.input": stream, **environ, "CONTENT_LENGTH": str(len(body)) if length is None else length}
    assert read_away(application)(given, lambda *_: None) == [b"answer"]
    return stream.read()


def test_what_was_not_wanted_is_read_away():
    assert left_of(b"x" * MEGABYTE, wanted=0) == b""
    assert left_of(b"x" * MEGABYTE, wanted=1000) == b""
    assert left_of(b"x" * MEGABYTE, wanted=0, length="", HTTP_TRANSFER_ENCODING="chunked") == b""


def test_nothing_is_read_beyond_a_request():
    assert left_of(b"x" * MEGABYTE + b"the next request", wanted=0, length=str(MEGABYTE)) == b"the next request"
    assert left_of(b"x" * MEGABYTE + b"the next request", wanted=MEGABYTE, length=str(MEGABYTE)) == b"the next request"
    assert left_of(b"the next request", wanted=0, length="") == b"the next request"


def test_a_flood_is_cut_off():
    assert len(left_of(b"x" * (MOST_BYTES + 5), wanted=0)) == 5


@pytest.fixture
def served(process_environment):
    """The address of the product as it is served in production."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--no-ws", "cdp.wsgi:application"]
    process = subprocess.Popen(command, cwd=ROOT, env=process_environment, stdout=subprocess.DEVNULL)

    def answers() -> bool:
        # the port is open before the process behind it reads
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    wait_until(answers)
    yield port
    process.terminate()
    process.wait(30)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/api/v1/events", "/cloudevents", "/hooks/website", "/v1/batch"])
def test_a_body_that_is_too_large_is_answered_in_json(served, write_key, path):
    for megabytes in (6, 20):
        connection = http.client.HTTPConnection("127.0.0.1", served, timeout=60)
        connection.request(
            "POST", path, b" " * (megabytes * MEGABYTE), {"Authorization": f"Bearer {write_key[0]}", "Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        said = json.loads(answer.read())
        assert answer.status in (400, 401, 404, 413) and (said.get("error") or said).keys() >= {"code", "message"}
        if path in ("/api/v1/events", "/cloudevents"):
            assert (answer.status, said["error"]["code"]) == (413, "request.too_large")
        connection.close()
