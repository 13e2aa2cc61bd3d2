"""CloudEvents through their door: structured, binary and batched, as the specification's own examples have them."""

import base64
import gzip
import json
import re

import pytest
from conftest import SHARED
from django.utils import timezone

from ingestion.models import FailedRequest
from ingestion.reread import reread
from profiles.models import Event, Original
from taxonomy.current import current
from taxonomy.definition import apply_definition, definition
from taxonomy.models import Source
from taxonomy.publish import publish
from taxonomy.standardize import LIMITS, RawEvent

pytestmark = pytest.mark.django_db(transaction=True)

STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
EVENT = {
    "specversion": "1.0", "type": "login", "source": "/till/3", "id": "A-1", "time": "2026-02-01T10:00:00Z", "subject": "s",
    "data": {"phone": "+8613800138000", "auth_method": "password"},
}  # fmt: skip


@pytest.fixture
def post(client, write_key):
    def send(body, *, content_type=STRUCTURED, key=write_key[0], **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(
            "/cloudevents", data, content_type=content_type, headers={**({"Authorization": f"Bearer {key}"} if key else {}), **named}
        )

    return send


def raw_of(stored: bytes) -> RawEvent:
    plan = current().plan
    (raw,) = reread(stored, plan.sources["website"], plan, door="cloudevents", received_at=timezone.now())
    assert isinstance(raw, RawEvent)
    return raw


def test_a_structured_event_is_stored(post):
    answer = post(EVENT).json()
    assert (answer["accepted"], answer["results"][0]["tag"], answer["results"][0]["id"]) == (1, "login", "/till/3 A-1")
    event = Event.objects.get()
    assert event.occurred_at.isoformat() == "2026-02-01T10:00:00+00:00" and event.batch.door == "cloudevents"
    assert event.subject.value == "+8613800138000"
    assert bytes(Original.objects.get().record) == json.dumps(EVENT).encode()
    assert raw_of(bytes(Original.objects.get().record)).context == {key: value for key, value in EVENT.items() if key != "data"}


def test_source_and_id_together_are_its_identity(post):
    assert post(EVENT).json()["accepted"] == 1
    assert post(EVENT).json()["duplicate"] == 1
    assert post(EVENT | {"source": "/till/4"}).json()["accepted"] == 1
    assert post(EVENT | {"id": "A-2"}).json()["accepted"] == 1
    long = EVENT | {"source": "/" + "x" * LIMITS.message_id_characters}
    assert [post(one).json()["duplicate"] for one in (long, long, long | {"id": "B"})] == [0, 1, 0]


def test_a_binary_event_is_kept_as_a_structured_one(post):
    body = b'{ "phone": "+8613800138000",  "price": 1.50 }'
    headers = {"ce_specversion": "1.0", "ce_type": "login", "ce_source": "/till/3", "ce_id": "A-1", "ce_time": "2026-02-01T10:00:00Z"}
    assert post(body, content_type="application/json; charset=utf-8", **headers).json()["accepted"] == 1
    stored = bytes(Original.objects.get().record)
    assert body in stored and json.loads(stored)["datacontenttype"] == "application/json; charset=utf-8"
    assert raw_of(stored).attributes["price"] == raw_of(stored).attributes["price"].__class__("1.50")
    assert post(EVENT).json()["duplicate"] == 1


@pytest.mark.parametrize(
    ("body", "content_type", "data"),
    [
        (b"<much wow='xml'/>", "application/xml", {"data": "<much wow='xml'/>"}),
        (b"\xff\x00", "application/octet-stream", {"data_base64": "/wA="}),
        (b"[1]", "application/json", {"data": [1]}),
        (b"{broken", "application/json", {"data": "{broken"}),
        (b"", "text/plain", {}),
    ],
)
def test_data_that_is_no_object_is_kept_whole(post, body, content_type, data):
    headers = {"ce_specversion": "1.0", "ce_type": "login", "ce_source": "/t", "ce_id": "1", "ce_phonekind": "%E5%95%86 %22x%22"}
    answer = post(body, content_type=content_type, **headers).json()
    assert answer["quarantined"] == 1
    raw = raw_of(bytes(Original.objects.get().record))
    assert raw.attributes == data and raw.context["phonekind"] == '商 "x"'


def test_bytes_that_are_json_are_read(post):
    packed = base64.b64encode(json.dumps(EVENT["data"]).encode()).decode()
    event = {key: value for key, value in EVENT.items() if key != "data"} | {"data_base64": packed}
    assert post(event).json()["accepted"] == 1


def test_our_own_json_may_be_the_data(post):
    data = {"phone": "+8613800138000", "identifiers": {"user_id": "u"}, "attributes": {"auth_method": "password"}}
    assert post(EVENT | {"data": data}).json()["accepted"] == 1
    raw = raw_of(bytes(Original.objects.get().record))
    assert raw.attributes == {"auth_method": "password"} and raw.identifiers == {"user_id": "u"}


def test_a_source_with_a_format_of_its_own_finds_its_fields_in_the_data(post):
    source = Source.objects.get(code="website")
    envelope = {"preset": "custom", "event": "x", "phone": "customer.mobile", "identifiers": {"device": "$.deviceid"}, "attributes": "more"}
    apply_definition(source.pk, definition(source) | {"envelope": envelope})
    publish({str(source.pk): definition(Source.objects.get(pk=source.pk))}, notes="t", by=None)
    from taxonomy import current as releases

    releases.forget()
    data = {"customer": {"mobile": "+8613800138000"}, "more": {"auth_method": "password"}}
    assert post(EVENT | {"data": data, "deviceid": "d-1"}).json()["accepted"] == 1
    raw = raw_of(bytes(Original.objects.get().record))
    assert (raw.phone, raw.identifiers, raw.attributes) == ("+8613800138000", {"device": "d-1"}, {"auth_method": "password"})


def test_a_batch_is_answered_event_by_event(post):
    wrong = {key: value for key, value in EVENT.items() if key != "id"}
    answer = post([EVENT, wrong, 5, EVENT | {"id": "A-2", "specversion": "0.3"}], content_type=BATCHED).json()
    assert [one["status"] for one in answer["results"]] == ["accepted", "refused", "refused", "refused"]
    codes = [one["violations"][0]["code"] for one in answer["results"][1:]]
    assert codes == ["record.not_cloudevent", "record.not_object", "record.not_cloudevent"]
    assert answer["results"][1]["violations"][0]["path"] == "id"
    assert post([], content_type=BATCHED).json() == {"received": 0, "results": []}
    assert post(gzip.compress(json.dumps([EVENT]).encode()), content_type=BATCHED, Content_Encoding="gzip").json()["duplicate"] == 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"specversion": "0.3"}, "specversion"), ({"specversion": None}, "specversion"), ({"id": ""}, "id"), ({"id": 5}, "id"),
        ({"source": " "}, "source"), ({"type": None}, "type"), ({"data_base64": "e30="}, "data_base64"),
    ],
)  # fmt: skip
def test_what_is_no_cloudevent_is_400_and_named(post, change, name):
    answer = post(EVENT | change)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "record.not_cloudevent")
    assert name in answer.json()["error"]["message"]
    assert FailedRequest.objects.get().cause == "record.not_cloudevent" and not Event.objects.exists()


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status", "code"),
    [
        (b"x", "text/plain", {}, 415, "cloudevents.mode"),
        (b"{}", "application/json", {}, 400, "record.not_cloudevent"),
        (b"<x/>", "application/cloudevents+xml", {"ce_id": "1"}, 415, "cloudevents.mode"),
        (b"nothing", STRUCTURED, {}, 400, "request.not_json"),
        (b"5", STRUCTURED, {}, 400, "record.not_object"),
        (b"{}", BATCHED, {}, 400, "request.not_json"),
        (b"{}", "application/json", {"ce_id": "%ff"}, 400, "cloudevents.header"),
        (b" " * (5 * 1024 * 1024 + 1), STRUCTURED, {}, 413, "request.too_large"),
        (json.dumps([EVENT] * 1001).encode(), BATCHED, {}, 413, "request.too_many"),
    ],
)
def test_a_request_that_is_none_is_told_so(post, body, content_type, headers, status, code):
    answer = post(body, content_type=content_type, **headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_key_is_needed(post, client):
    assert post(EVENT, key="").json()["error"]["code"] == "key.missing"
    assert post(EVENT, key="tlw_wrong").status_code == 401 and post(EVENT, key="tlr_reading").status_code == 403
    assert client.get("/cloudevents").status_code == 405


def test_who_asks_first_is_told_that_it_may_send(client):
    answer = client.options("/cloudevents", headers={"WebHook-Request-Origin": "eventemitter.example.com"})
    assert answer.status_code == 200 and answer["WebHook-Allowed-Origin"] == "eventemitter.example.com"


def request_of(text: str) -> tuple[dict[str, str], bytes]:
    """(headers, body) of an HTTP request that is written out."""
    head, _gap, body = text.replace("\r\n", "\n").partition("\n\n")
    lines = (line.partition(":") for line in head.strip().split("\n")[1:])
    return {name.strip(): value.strip() for name, _colon, value in lines}, body.strip().encode()


@pytest.mark.needs("shared-data")
def test_the_conformance_scenarios_hold(post):
    """The HTTP scenarios of CloudEvents' conformance suite: the attributes and the data that it expects of each example."""
    feature = (SHARED / "e02-cloudevents-conformance/features/http-protocol-binding.feature").read_text()
    seen = 0
    for scenario in feature.split("Scenario Outline:")[1:]:
        request, data = re.findall(r'"""\n(.*?)"""', scenario, re.DOTALL)
        table, examples = scenario.split("And the data")[0], scenario.split("Examples:")[1]
        expected = dict(re.findall(r"\|\s+(\w+) \| ([^|]+?)\s+\|", table))
        expected.pop("key", None)
        for content_type in re.findall(r"\| (application[^|]+?)\s+\|", examples):
            text = "\n".join(line[8:] for line in request.split("\n")).replace("<contentType>", content_type)
            headers, body = request_of(text)
            headers = {name.replace("-", "_"): value for name, value in headers.items() if name.startswith("ce-")}
            before = set(Original.objects.values_list("pk", flat=True))
            answer = post(body, content_type=content_type, **headers)
            assert answer.status_code == 200 and answer.json()["refused"] == 0
            for one in Original.objects.exclude(pk__in=before):
                raw = raw_of(bytes(one.record))
                assert raw.context == {name: value.replace("<contentType>", content_type) for name, value in expected.items()}
                assert raw.attributes == json.loads(data)
            seen += 1
            Original.objects.all().delete(), Event.objects.all().delete()
    assert seen == 4


def is_one(event) -> bool:
    """By the specification's table of required attributes, in other words than ours."""
    return isinstance(event, dict) and {"id", "source", "type"} <= event.keys() and event.get("specversion") == "1.0"


@pytest.mark.needs("shared-data")
def test_the_specifications_examples_are_read(post):
    """Each that is a CloudEvent 1.0 is taken, each other is told what it lacks; none is an error of ours."""
    taken = 0
    for path in sorted((SHARED / "b11-cloudevents-examples/json").glob("*.json")):
        example = json.loads(path.read_bytes())
        is_list = isinstance(example, list)
        answer = post(path.read_bytes(), content_type=BATCHED if is_list else STRUCTURED)
        if not is_list and not is_one(example):
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "record.not_cloudevent"), path.name
            continue
        taken += 1
        assert answer.status_code == 200, path.name
        statuses = [one["status"] for one in answer.json()["results"]]
        assert len(statuses) == (len(example) if is_list else 1)
        # They are of other people's types, which the small plan does not know.
        for one, status in zip(example if is_list else [example], statuses, strict=True):
            assert (status == "refused") == (not is_one(one)) and status != "accepted", path.name
    assert taken == 22


@pytest.mark.needs("shared-data")
def test_the_specifications_requests_are_read(post):
    seen = 0
    for path in sorted((SHARED / "b11-cloudevents-examples/http").glob("*.txt")):
        text = path.read_text()
        headers, body = request_of(text)
        named = {name.replace("-", "_"): value for name, value in headers.items() if name.lower().startswith("ce-")}
        if not text.startswith("POST") or not (named or b'"specversion"' in body):
            continue
        answer = post(body, content_type=headers["Content-Type"], **named)
        assert answer.status_code == 200 and {one["status"] for one in answer.json()["results"]} <= {"quarantined", "duplicate"}, path.name
        seen += 1
    assert seen == 5
