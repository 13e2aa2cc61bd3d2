"""Mangled bodies at every door, signed where the door asks for it: each is answered, and what was answered is stored."""

import base64
import gzip
import io
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from conftest import empty_the_queue
from django.db import connections
from django.utils import timezone
from mangle import BODIES, ODDITIES, SEED, bent, mangled
from test_fuzz import FILES
from test_webhooks_in import AES_KEY, APP, SECRET, wechat_encrypts, wechat_signs

from cdp.drain import read_away
from cdp.fast import answer_calls_early
from ingestion.doors.mqtt import Arrived, Subscriber
from ingestion.imports.uploads import finish_upload
from ingestion.models import Hook, MqttTopic, QuarantineReason, Upload, WriteKey
from ingestion.outgoing import signing
from ingestion.watching.rollup import roll_up
from profiles.entries import counts
from profiles.models import Arrival, Event, Tally
from taxonomy.models import Source

# A body this slow, on any machine, is one on which something goes round and round.
SLOWEST_SECONDS = 20
# Several at once share commits, as in a busy process; each sends so many between two checks.
SENDERS, CHECKED_TOGETHER = 8, 500
COUNTS = ("accepted", "duplicate", "quarantined", "refused")
TOKEN = "t" * 32
PART = "application/offset+octet-stream"


class Sent(NamedTuple):
    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    query: str = ""


SEGMENT = {
    "track": {"event": "login", "userId": "u1", "messageId": "m", "timestamp": "2026-03-01T10:00:00Z", "sentAt": "2026-03-01T10:00:01Z",
              "properties": {"sku": "s", "price": 9.9}, "context": {"traits": {"phone": "13800138000"}, "externalIds": [{"type": "email", "id": "a@b.c"}]}},
    "identify": {"userId": "u1", "traits": {"phone": "+86 138 0013 8000", "email": "a@b.example"}},
    "page": {"anonymousId": "a1", "name": "Home", "properties": {"url": "https://shop.example/", "title": ""}},
    "group": {"userId": "u1", "groupId": "g", "traits": {"n": 1}},
    "alias": {"userId": "u1", "previousId": "a1"},
    "batch": {"batch": [{"type": "track", "event": "purchase", "userId": "u1"}, {"type": "identify", "userId": "u1", "traits": {}}],
              "sentAt": "2026-03-01T10:00:01Z", "context": {"device": {"id": "d"}}},
}  # fmt: skip
CLOUD_EVENT = {"specversion": "1.0", "id": "m", "source": "s", "type": "login", "time": "2026-03-01T10:00:00Z", "subject": "x", "data": {"phone": "13800138000"}}  # fmt: skip
FORMS = [b"event=login&phone=%2B8613800138000&id=m1&a=1&a=2", b"event=item_detail_view&sku=%E5%95%86&x=%00&y=+"]
XML = ["<xml><event>login</event><phone>+8613800138000</phone><a k='v'>商<b><![CDATA[x & y]]></b></a><a/></xml>".encode()]
LINES = [b"\n".join([BODIES[0], BODIES[2]] * 2)]
APP_BODY = {"version": "1", "device": {"id": "d"}, "batch": [{"action": {"type": "login"}, "user": {"id": "u", "mobile": "13800138000"}, "ts": 1767225600000, "uid": "m", "data": {"sku": "s"}}] * 2}  # fmt: skip
CRM_BODY = {"编号": "7", "电话": "13800138000", "更新时间": "2026/03/01 10:00", "会员等级": "金"}


def json_bytes(seed: Any, chance: random.Random) -> bytes:
    """Bytes of a JSON text spoiled, or a value in it exchanged."""
    if chance.random() < 0.4:
        return mangled(json.dumps(seed, ensure_ascii=False).encode(), chance)
    return json.dumps(bent(seed, chance)).encode()


def packed(body: bytes, chance: random.Random) -> bytes:
    """A few come as gzip, some of it spoiled."""
    body = gzip.compress(body, 1)
    return mangled(body, chance) if chance.random() < 0.3 else body


API_SEEDS = [json.loads(body) for body in BODIES]


class Listener(Subscriber):
    """A subscriber as it stands between the broker and the database, handed what a broker would: it tells what it stored."""

    def __init__(self, number: int) -> None:
        super().__init__(f"fuzz-{number}")
        self._session = object()
        self.routes.read()
        self.told: list[dict[str, Any]] = []

    def take(self, topic: str, payload: bytes) -> list[dict[str, Any]]:
        self.told = []
        self._store([Arrived(self._session, 0, topic, payload)])
        return self.told

    def _note(self, batch: Any) -> None:
        super()._note(batch)
        assert not any(cause == "mqtt.failed" for cause, _source in batch.dropped), batch
        for one in batch.deliveries:
            self.told.append({"batch": str(one.batch_id), "received": len(one.entries), **counts(one.entries)})


class Sender:
    """Makes a request for each door in turn of chance. `secret`: a write key; the hooks and topics are `open_doors`'."""

    def __init__(self, secret: str, chance: random.Random) -> None:
        self.chance, self.secret = chance, secret
        self.listener = Listener(chance.randrange(2**32))
        self.bearer = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        self.basic = {"Authorization": "Basic " + base64.b64encode(f"{secret}:".encode()).decode(), "Content-Type": "text/plain"}
        self.doors: list[Callable[[], Sent]] = [
            self.api, self.segment, self.cloud_structured, self.cloud_binary, self.cloud_batch, self.signed, self.in_a_field, self.encrypted,
            self.message,
        ]  # fmt: skip

    def api(self) -> Sent:
        body, headers = json_bytes(self.chance.choice(API_SEEDS), self.chance), self.bearer
        if self.chance.random() < 0.1:
            body, headers = packed(body, self.chance), {**headers, "Content-Encoding": "gzip"}
        return Sent("POST", "/api/v1/events", body, headers)

    def segment(self) -> Sent:
        call, seed = self.chance.choice(list(SEGMENT.items()))
        in_body = self.chance.random() < 0.2
        body = json_bytes({**seed, "writeKey": self.secret} if in_body else seed, self.chance)
        body = packed(body, self.chance) if self.chance.random() < 0.1 else body
        path = f"/v1/{call if call == 'batch' or self.chance.random() < 0.8 else call[0]}{self.chance.choice(['', '/'])}"
        return Sent("POST", path, body, {"Content-Type": "application/json"} if in_body else self.basic)

    def cloud_structured(self) -> Sent:
        return self.cloud("application/cloudevents+json", CLOUD_EVENT)

    def cloud_batch(self) -> Sent:
        return self.cloud(
            "application/cloudevents-batch+json", [CLOUD_EVENT, {**CLOUD_EVENT, "id": "n", "data": None, "data_base64": "eyJhIjoxfQ=="}]
        )

    def cloud(self, media_type: str, seed: Any) -> Sent:
        return Sent("POST", "/cloudevents", json_bytes(seed, self.chance), {**self.bearer, "Content-Type": media_type})

    def cloud_binary(self) -> Sent:
        attributes = {f"ce-{name}": value for name, value in CLOUD_EVENT.items() if name != "data"}
        attributes[self.chance.choice(["ce-id", "ce-type", "ce-source", "ce-time", "ce-x", "ce-"])] = self.header_text()
        media_type = self.chance.choice(["application/json", "application/json; charset=utf-8", "text/plain", "", self.header_text()])
        return Sent(
            "POST", "/cloudevents", json_bytes(CLOUD_EVENT["data"], self.chance), {**self.bearer, **attributes, "Content-Type": media_type}
        )

    def header_text(self) -> str:
        """What a server passes on: Latin-1, without the ends of lines."""
        text = mangled(self.chance.choice([b'"m%20%e5%95%86"', b"2026-03-01T10:00:00Z", b"login", *ODDITIES]), self.chance)
        return text.decode("latin-1").replace("\r", "").replace("\n", "")

    def hook_body(self) -> bytes:
        kinds = [FORMS, XML, LINES, [*BODIES, *LINES]]
        if self.chance.random() < 0.4:
            return json_bytes([*API_SEEDS[:1], {"event": "login"}], self.chance)
        body = mangled(self.chance.choice(self.chance.choice(kinds)), self.chance)
        return packed(body, self.chance) if self.chance.random() < 0.1 else body

    def signed(self) -> Sent:
        source = self.chance.choice(["website", "app", "crm", "till"])
        body = {"app": APP_BODY, "crm": CRM_BODY}.get(source)
        sent = json_bytes(body, self.chance) if body and self.chance.random() < 0.8 else self.hook_body()
        return Sent(
            "POST",
            f"/hooks/{source}",
            sent,
            {**signing.headers([signing.key_of(SECRET)], "m", int(time.time()), sent), "X-Topic": self.header_text()},
        )

    def in_a_field(self) -> Sent:
        text = self.hook_body()
        inner = self.chance.choice([bytes, base64.b64encode, lambda body: base64.b64encode(gzip.compress(body, 1))])(text)
        body = urlencode({"crc": "1", "data": inner}).encode()
        return Sent("POST", f"/hooks/partner/{TOKEN}", mangled(body, self.chance) if self.chance.random() < 0.3 else body, {})

    def encrypted(self) -> Sent:
        message = self.hook_body()
        at = str(int(time.time()))
        if self.chance.random() < 0.2:
            text = base64.b64encode(mangled(b"no cipher at all", self.chance)).decode()
        else:
            text = wechat_encrypts(message)
        query = urlencode({"timestamp": at, "nonce": "7", "msg_signature": wechat_signs("token", at, "7", text)})
        body = f"<xml><ToUserName>x</ToUserName><Encrypt><![CDATA[{text}]]></Encrypt></xml>".encode()
        return Sent("POST", "/hooks/website", body, {}, query)

    def message(self) -> Sent:
        """`path` is the topic: a broker passes on any UTF-8 without NUL."""
        topic = self.chance.choice(["shop/website", "shop/crm/7", "shop/app/devices/d1", "shop/none", f"shop/till/{self.header_text()}"])
        seeds = [*API_SEEDS, [API_SEEDS[0], {"event": "login"}], APP_BODY, CRM_BODY]
        return Sent("MQTT", topic.replace("\x00", ""), json_bytes(self.chance.choice(seeds), self.chance), {})


def open_doors() -> None:
    for place, code, keep_topic in [
        ("website", "website", False),
        ("crm/+", "crm", True),
        ("app/#", "app", True),
        ("till/#", "till", True),
    ]:
        MqttTopic.objects.create(filter=f"shop/{place}", source=Source.objects.get(code=code), keep_topic=keep_topic)
    for source, scheme, secret, more in [
        ("website", "wechat_aes", f"token {AES_KEY} {APP}", {}), ("website", "standard", SECRET, {"kept_headers": "X-Topic"}),
        ("app", "standard", SECRET, {}), ("crm", "standard", SECRET, {"kept_headers": "X-Topic"}), ("till", "standard", SECRET, {}),
        ("partner", "plain", TOKEN, {"packed_in": "data"}),
    ]:  # fmt: skip
        Hook.objects.create(source=Source.objects.get(code=source), scheme=scheme, **more).add_secret(secret)


class Server:
    """The application that granian serves, called as it calls it."""

    def __init__(self) -> None:
        from django.core.wsgi import get_wsgi_application

        self.application = read_away(answer_calls_early(get_wsgi_application()))
        self.slowest_seconds = 0.0

    def answer(self, sent: Sent) -> tuple[int, dict[str, str], bytes]:
        environ = {
            "REQUEST_METHOD": sent.method, "PATH_INFO": sent.path, "QUERY_STRING": sent.query, "CONTENT_LENGTH": str(len(sent.body)),
            "SERVER_NAME": "testserver", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(sent.body),
            "wsgi.errors": io.StringIO(),
        }  # fmt: skip
        for name, value in sent.headers.items():
            environ["CONTENT_TYPE" if name == "Content-Type" else f"HTTP_{name.upper().replace('-', '_')}"] = value
        told: list[Any] = []
        began = time.monotonic()
        answer = self.application(environ, lambda status, headers, *_: told.extend((int(status[:3]), dict(headers))))
        body = b"".join(answer)
        if close := getattr(answer, "close", None):
            close()
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
        return told[0], told[1], body


class Ledger:
    """What was answered since the last check, set against what is stored since."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[int, ...]] = {}
        self.totals = Counter[str]()
        self.last_event = self.last_tally = 0

    def note(self, told: dict[str, Any]) -> None:
        counts = tuple(told[name] for name in COUNTS)
        assert told["received"] == sum(counts)
        self.totals.update({name: told[name] for name in ("received", *COUNTS)})
        if told["received"]:
            self.told[told["batch"]] = counts

    def check(self) -> None:
        tallies = Tally.objects.filter(pk__gt=self.last_tally).order_by("pk").values_list("pk", "batch_id", *COUNTS)
        counted = {str(batch): (pk, tuple(counts)) for pk, batch, *counts in tallies}
        assert {batch: counts for batch, (_pk, counts) in counted.items()} == self.told
        stored = Counter[str]()
        for pk, batch in Event.objects.filter(pk__gt=self.last_event).order_by("pk").values_list("pk", "batch_id"):
            self.last_event = pk
            stored[str(batch)] += 1
        assert stored == +Counter({batch: counts[0] + counts[2] for batch, counts in self.told.items()})
        self.last_tally = max((pk for pk, _counts in counted.values()), default=self.last_tally)
        self.told = {}


@pytest.fixture
def server(transactional_db, settings, tmp_path, caplog):
    caplog.set_level(logging.ERROR, "django.request")  # or a warning for each body is kept until the end
    settings.UPLOAD_DIR = tmp_path / "uploads"
    settings.MQTT_BROKER = {"host": "127.0.0.1", "port": 1883, "user": "", "password": "", "tls": False}  # never connected to
    yield Server()
    empty_the_queue()


class Round(NamedTuple):
    """What one sender was answered in a row: by status, which doors understood, and the answers that tell of events."""

    statuses: Counter[int]
    understood: set[str]
    told: list[dict[str, Any]]


def send_some(server: Server, sender: Sender, count: int) -> Round:
    found = Round(Counter(), set(), [])
    try:
        for _ in range(count):
            make = sender.chance.choice(sender.doors)
            sent = make()
            if sent.method == "MQTT":
                told = sender.listener.take(sent.path, sent.body)
                found.statuses[200] += 1
                found.told.extend(told)
                found.understood.update({make.__name__} if told else ())
                continue
            status, _headers, body = server.answer(sent)
            assert status < 500, (sent, body)
            found.statuses[status] += 1
            told = json.loads(body) if body or status != 200 else {}
            if status == 200 and told:
                found.understood.add(make.__name__)
                found.told.extend([told] if told["received"] else [])
        return found
    finally:
        connections.close_all()


# A million in parts, each of its own chance: what was broken off is done again alone, and two can run side by side.
PARTS = [pytest.param(252_000, part, marks=pytest.mark.proof) for part in range(1, 5)]


@pytest.mark.parametrize(("count", "part"), [(400, 0), *PARTS])
def test_no_body_breaks_a_door_or_is_lost(server, write_key, count, part, record_property):
    secret, key = write_key
    WriteKey.objects.filter(pk=key.pk).update(per_second=0)
    open_doors()
    senders = [Sender(secret, random.Random(SEED + SENDERS * part + number)) for number in range(SENDERS)]
    ledger, statuses, understood = Ledger(), Counter[int](), set[str]()
    each = min(count // SENDERS, CHECKED_TOGETHER)
    with ThreadPoolExecutor(SENDERS) as pool:
        for _ in range(count // each // SENDERS):
            for found in pool.map(lambda sender: send_some(server, sender, each), senders):
                statuses += found.statuses
                understood |= found.understood
                for told in found.told:
                    ledger.note(told)
            ledger.check()
            roll_up(timezone.now())
    assert statuses.total() == count
    waiting = QuarantineReason.objects.filter(open=True)
    assert set(waiting.values_list("event_id", flat=True)) == set(
        Event.objects.filter(standing=Event.Standing.HELD).values_list("pk", flat=True)
    )
    assert understood == {make.__name__ for make in senders[0].doors}
    assert not Arrival.objects.exists()
    assert server.slowest_seconds < SLOWEST_SECONDS
    totals = ledger.totals
    record_property(
        "figure",
        f"{count:,} mangled bodies and messages at {len(understood)} doors and ways: {statuses[200]:,} understood, {count - statuses[200]:,} refused as a whole;"
        f" {totals['received']:,} events, {totals['accepted']:,} accepted and {totals['quarantined']:,} held, all stored; no 5xx,"
        f" the slowest in {server.slowest_seconds:.1f} s",
    )


class Uploader:
    """Announces files and sends their parts, either of them spoiled now and then, as far as whole files."""

    def __init__(self, server: Server, secret: str, chance: random.Random) -> None:
        self.server, self.chance = server, chance
        self.headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: bytes = b"", **more: str) -> tuple[int, dict[str, str], bytes]:
        headers = {**self.headers, **{name.replace("_", "-"): value for name, value in more.items()}}
        status, told, answer = self.server.answer(Sent(method, path, body, headers))
        assert status < 500 or status == 507, (body, answer)  # 507: announced as larger than the disk
        return status, told, answer

    def upload(self, content: bytes) -> dict[str, Any] | None:
        """The import as it was announced, every byte of it sent; None: nobody could send so much."""
        said = {
            "file": "a.csv",
            "size_bytes": len(content),
            "dry_run": False,
            "format": {"encoding": "utf-8", "delimiter": ",", "above": 0},
        }
        if self.chance.random() < 0.7:
            del said["format"]
        status, _headers, answer = self.call("POST", "/api/v1/imports", json_bytes(said, self.chance))
        if status != 201:
            assert json.loads(answer)["error"]["message"]
            status, _headers, answer = self.call("POST", "/api/v1/imports", json.dumps({"file": "a", "size_bytes": len(content)}).encode())
        told = json.loads(answer)
        if told["size_bytes"] > 100 * len(content):
            Upload.objects.filter(pk=told["id"]).delete()
            return None
        self.send(told["upload"], (content * 100)[: told["size_bytes"]])
        return told

    def send(self, address: str, content: bytes) -> None:
        offset = 0
        while offset < len(content):
            part = content[offset : offset + self.chance.randint(1, len(content))]
            if self.chance.random() < 0.3:
                odd = mangled(str(offset).encode(), self.chance).decode("latin-1").replace("\r", "").replace("\n", "")
                self.call("PATCH", address, part, Content_Type=PART, Upload_Offset=odd)
            else:
                self.call("PATCH", address, part, Content_Type=PART, Upload_Offset=str(offset))
            status, headers, _body = self.call("HEAD", address)
            assert status == 200
            offset = int(headers["Upload-Offset"])


@pytest.mark.parametrize("count", [25, pytest.param(5_000, marks=pytest.mark.proof)])
def test_no_uploaded_file_breaks_its_import_or_is_lost(server, write_key, count, record_property):
    chance = random.Random(SEED)
    uploader = Uploader(server, write_key[0], chance)
    ends = Counter[str]()
    rows = 0
    for _ in range(count):
        content = mangled(chance.choice(FILES), chance) or b"x"
        if (announced := uploader.upload(gzip.compress(content, 1) if chance.random() < 0.2 else content)) is None:
            continue
        finish_upload(Upload.objects.get(pk=announced["id"]).pk)
        here = f"/api/v1/imports/{announced['id']}"
        told = json.loads(uploader.call("GET", here)[2])
        assert told["status"] in ("finished", "failed") and (told["status"] == "finished" or told["error"]["message"]), told
        assert told["received"] == sum(told[name] for name in COUNTS), told
        ends[told["status"]] += 1
        rows += told["received"]
        run = Upload.objects.get(pk=announced["id"]).run_id
        stored = Event.objects.filter(batch_id=run).count() if run else 0
        assert told["dry_run"] or stored == told["accepted"] + told["quarantined"], told
        for address in (told["failed_rows"], told["findings"]):
            assert address is None or uploader.call("GET", address)[0] == 200
    assert ends["finished"] and (ends["failed"] or count < 100)
    assert server.slowest_seconds < SLOWEST_SECONDS
    record_property(
        "figure",
        f"{count:,} mangled files sent in parts: {ends['finished']:,} imported with {rows:,} rows, {ends['failed']:,} refused in words, nothing lost",
    )
