"""JSON nested without end: refused alone, in words; the process that reads it goes on."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone

from taxonomy.standardize import LIMITS, Refusal, decode_json
from taxonomy.standardize.decode import is_too_deep

# A parser written in C ends the whole process where a thread's stack ends; a server's threads have 2 MB.
_IN_A_SMALL_THREAD = """
import sys, threading
from taxonomy.standardize import Refusal, decode_json
threading.stack_size(2 << 20)
found = []
def read():
    for data in (b"[" * {n}, b'{{"a":' * {n}, b"[" * {n} + b"]" * {n}, b'{{"a": "x", "b": ' + b"[" * {n} + b"]" * {n} + b"}}", b'["\\\\u0000", ' + b"[" * {n}):
        found.append(type(decode_json(data)) is Refusal)
thread = threading.Thread(target=read)
thread.start()
thread.join()
sys.exit(0 if found == [True] * 5 else 1)
"""


@pytest.mark.parametrize("depth", [201, 7_000, 60_000, 1_000_000])
def test_a_process_outlives_whatever_it_reads(depth):
    done = subprocess.run([sys.executable, "-c", _IN_A_SMALL_THREAD.format(n=depth)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("data", [b"[" * 5_000, b'{"a":' * 5_000, b"[" * 201 + b"]" * 201])
def test_what_is_nested_too_deep_is_said_to_be(data):
    found = decode_json(data)
    assert isinstance(found, Refusal)
    assert (found.code, found.values["limit"]) == ("limit.nesting", LIMITS.nesting)


@pytest.mark.parametrize(
    "data",
    [
        json.dumps([{"a": [1]}] * 2_000).encode(),
        json.dumps({"text": "[" * 5_000, "more": '"{[\\'}).encode(),
        json.dumps([[]] * 1_000).encode(),
        b"[" * 200 + b"]" * 200,
    ],
)
def test_many_brackets_beside_each_other_or_in_texts_are_not_deep(data):
    assert not is_too_deep(data)
    assert decode_json(data) == json.loads(data)


@pytest.mark.django_db(transaction=True)  # Segment's door knows no dry run
@pytest.mark.parametrize(
    ("url", "body", "status"),
    [
        ("/api/v1/events", b"[" * 60_000, 400),
        ("/api/v1/events", b'{"event": "login", "attributes": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}", 200),
        ("/v1/track", b'{"event": "login", "properties": ' + b"[" * 9_000 + b"]" * 9_000 + b"}", 200),
        ("/v1/batch", b'{"batch": [' + b"[" * 9_000 + b"]" * 9_000 + b"]}", 200),
        ("/cloudevents", b"[" * 60_000, 400),
    ],
)
def test_every_door_answers_it(client, write_key, url, body, status):
    answer = client.post(url, body, content_type="application/json", headers={"Authorization": f"Bearer {write_key[0]}"}, QUERY_STRING="dry_run=true")  # fmt: skip
    assert answer.status_code == status, answer.content
    if status == 200:
        assert answer.json()["refused"] == 1


@pytest.mark.django_db
@pytest.mark.parametrize("depth", [300, 100_000])
def test_looking_a_customer_up_too(client, standard, depth):
    from staff.models import ReadToken, User

    person = User.objects.create_superuser("root@example.com", "x")
    token = ReadToken(user=person, name="t", scopes=["customers"], expires_at=timezone.now() + timedelta(days=1))
    secret = token.set_secret()
    token.save()
    answer = client.post(
        "/api/v1/customers/lookup", b"[" * depth, content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
    )
    assert answer.status_code == 400, answer.content
