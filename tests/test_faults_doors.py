"""Through every door at once, whatever is killed meanwhile: every answered event is there exactly once, and each source's counts add up."""

import base64
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from broker import Broker
from paho.mqtt.client import CallbackAPIVersion, MQTTv5
from paho.mqtt.client import Client as MqttClient
from test_faults import COUNTED, HELD, WAITING, Client, Product, event, home, standing_of

from ingestion.outgoing import signing

SECRET = signing.secret_text(b"s" * 24)
TOPIC = "shops/1/events"
KEYS = ("website", "app", "till")
FILE_LINES, FILE_PARTS = 60, 3
# Between two requests of a client: what is to be killed is at work nearly always, and no second finds more than a thousand events.
PAUSE_SECONDS = 0.01
OPEN_DOORS = f"""
import json
from ingestion.models import Hook, MqttTopic, WriteKey
from taxonomy.models import Source
Hook.objects.create(source=Source.objects.get(code="app"), scheme="standard").add_secret({SECRET!r})
MqttTopic.objects.create(filter={TOPIC!r}, source=Source.objects.get(code="app"))
keys = {{code: WriteKey(source=Source.objects.get(code=code)) for code in {KEYS!r}}}
secrets = {{code: key.set_secret() for code, key in keys.items()}}
WriteKey.objects.bulk_create(keys.values())
print(json.dumps(secrets))
"""
# Every day of every source, as its page sets what was answered against what is stored.
ASTRAY = """
from django.utils import timezone
from ingestion.watching.intake import intake
from taxonomy.models import Source
now = timezone.now()
print(sum(len(intake(source, now.date(), 2, now).astray) for source in Source.objects.all()))
"""


class Doors(Product):
    """The web process, the worker, a broker with the subscriber, and the embedded server. The broker stays: it is nobody's of ours."""

    names = ("web", "worker", "mqtt")

    def prepare(self) -> None:
        self.broker = Broker(self.home / "broker")
        self.environment["MQTT_URL"] = self.broker.url
        self.keys: dict[str, str] = json.loads(self.manage("shell", "-c", OPEN_DOORS).splitlines()[-1])

    def is_subscribed(self) -> bool:
        """What nobody has subscribed to yet a broker keeps for nobody."""
        self.broker.publish(TOPIC, b"5")
        return self.ask("SELECT count(*) FROM profiles_tally") > [(0,)]

    def stop(self) -> None:
        super().stop()
        self.broker.stop()


@dataclass(frozen=True)
class Request:
    path: str
    body: bytes
    headers: dict[str, str]


# The requests. Where a request holds many, the last of them is nothing that could be an event.


def bearer(key: str, media_type: str = "application/json") -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": media_type}


def as_one(key: str, events: list[dict[str, Any]]) -> Request:
    return Request("/api/v1/events", encoded(events[0]), bearer(key))


def as_many(key: str, events: list[dict[str, Any]]) -> Request:
    return Request("/api/v1/events", encoded({"events": [*events, 5]}), bearer(key))


def segment_message(one: dict[str, Any]) -> dict[str, Any]:
    known = one["identifiers"]
    message = {"type": "track", "messageId": one["id"], "event": one["event"], "timestamp": one["occurred_at"]}
    message |= {name: known[kind] for kind, name in (("anonymous_id", "anonymousId"), ("user_id", "userId")) if kind in known}
    traits = {"phone": one["phone"]} if "phone" in one else {}
    return {**message, "context": {"traits": traits, "device": {"id": known.get("device")}}}


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode(), "Content-Type": "application/json"}


def as_track(key: str, events: list[dict[str, Any]]) -> Request:
    return Request("/v1/track", encoded(segment_message(events[0])), basic(key))


def as_batch(key: str, events: list[dict[str, Any]]) -> Request:
    return Request("/v1/batch", encoded({"batch": [*map(segment_message, events), 5]}), basic(key))


def as_hook(_key: str, events: list[dict[str, Any]]) -> Request:
    body = encoded([*events, 5])
    signed = signing.headers([signing.key_of(SECRET)], events[0]["id"], int(time.time()), body)
    return Request("/hooks/app", body, {**signed, "Content-Type": "application/json"})


def cloud_event(one: dict[str, Any]) -> dict[str, Any]:
    known = {name: one[name] for name in ("phone", "identifiers") if name in one}
    return {"specversion": "1.0", "id": one["id"], "source": "tills", "type": one["event"], "time": one["occurred_at"], "data": known}


def as_cloud_events(key: str, events: list[dict[str, Any]]) -> Request:
    body = encoded([*map(cloud_event, events), 5])
    return Request("/cloudevents", body, bearer(key, "application/cloudevents-batch+json"))


def as_binary_cloud_event(key: str, events: list[dict[str, Any]]) -> Request:
    whole = cloud_event(events[0])
    attributes = {f"ce-{name}": value for name, value in whole.items() if name != "data"}
    return Request("/cloudevents", encoded(whole["data"]), bearer(key) | attributes)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


# door, source, events of a request, what they are sent as, their message ids
WAYS: list[tuple[str, str, int, Callable[[str, list[dict[str, Any]]], Request], str]] = [
    ("api", "website", 1, as_one, ""),
    ("api", "app", 10, as_many, ""),
    ("segment", "website", 1, as_track, ""),
    ("segment", "website", 10, as_batch, ""),
    ("hook", "app", 10, as_hook, ""),
    ("cloudevents", "till", 10, as_cloud_events, "tills "),
    ("cloudevents", "till", 1, as_binary_cloud_event, "tills "),
]


class Sender(Client):
    """Sends by one door, each request until it is answered. `size`: records of a request; `told`: the answers by their batch."""

    door, source, size = "", "", 1

    def __init__(self, product: Doors, name: str) -> None:
        super().__init__(product, name)
        self.told: dict[str, dict[str, Any]] = {}

    def next_events(self, first: int, count: int) -> list[dict[str, Any]]:
        return [event(f"{self.prefix}-{number}", number) for number in range(first, first + count)]

    def count_answered(self, events: list[dict[str, Any]], first: int, before: str = "") -> None:
        self.answered |= {f"{before}{one['id']}": standing_of(first + place) for place, one in enumerate(events)}

    def until_answered[T](self, ask: Callable[[], T | None]) -> T:
        while (answer := ask()) is None:
            time.sleep(0.05)
        return answer


class Poster(Sender):
    def __init__(self, product: Doors, number: int) -> None:
        self.door, self.source, self.together, self.request, self.before = WAYS[number]
        self.size = self.together + (self.together > 1)
        super().__init__(product, f"way{number}")

    def run(self) -> None:
        number = 1
        while not self.ending.is_set():
            events = self.next_events(number, self.together)
            request = self.request(self.product.keys[self.source], events)
            told = self.until_answered(partial(self.post, request))
            self.told[told["batch"]] = told
            self.count_answered(events, number, self.before)
            number += self.together
            time.sleep(PAUSE_SECONDS)

    def post(self, request: Request) -> dict[str, Any] | None:
        self.sent += 1
        answer = self.product.call("POST", request.path, request.body, request.headers)
        if answer is None or answer[0] in (429, 503):
            return None
        told = json.loads(answer[2])
        assert answer[0] == 200 and told["received"] == self.size, told
        return told


class Device(Sender):
    """Publishes by QoS 1, each until the broker has it: what it has, it answers for."""

    door, source, size = "mqtt", "app", 3

    def run(self) -> None:
        client = MqttClient(CallbackAPIVersion.VERSION2, self.prefix, protocol=MQTTv5)
        client.connect("127.0.0.1", self.product.broker.port)
        client.loop_start()
        number = 1
        while not self.ending.is_set():
            events = self.next_events(number, 2)
            published = client.publish(TOPIC, encoded([*events, 5]), qos=1)
            published.wait_for_publish(60)
            assert published.is_published()
            self.sent += 1
            self.count_answered(events, number)
            number += 2
            time.sleep(PAUSE_SECONDS)
        client.disconnect()
        client.loop_stop()


class Uploader(Sender):
    """Announces a file, sends it in parts, and where a part is not answered asks how far it came."""

    door, source, size = "file", "till", FILE_LINES

    def run(self) -> None:
        number = 1
        self.imports: list[str] = []
        while not self.ending.is_set():
            rows = [flat(one) for one in self.next_events(number, FILE_LINES - 1)]
            content = b"".join(encoded(row) + b"\n" for row in [*rows, 5])
            address = self.until_answered(partial(self.announce, len(content)))
            while (offset := self.until_answered(partial(self.offset, address))) < len(content):
                self.part(address, offset, content[offset : offset + len(content) // FILE_PARTS + 1])
            self.imports.append(address.removesuffix("/file"))
            self.count_answered(rows, number)
            number += len(rows)
            self.sent += 1
            time.sleep(0.2)

    def announce(self, size: int) -> str | None:
        body = encoded({"file": "a.ndjson", "size_bytes": size})
        answer = self.product.call("POST", "/api/v1/imports", body, self.headers())
        assert answer is None or answer[0] in (201, 503), answer
        return json.loads(answer[2])["upload"] if answer and answer[0] == 201 else None

    def offset(self, address: str) -> int | None:
        answer = self.product.call("HEAD", address, b"", self.headers())
        return int(answer[1]["Upload-Offset"]) if answer and answer[0] == 200 else None

    def part(self, address: str, offset: int, content: bytes) -> None:
        self.product.call("PATCH", address, content, self.headers("application/offset+octet-stream") | {"Upload-Offset": str(offset)})

    def headers(self, media_type: str = "application/json") -> dict[str, str]:
        return bearer(self.product.keys[self.source], media_type)

    def have_ended(self) -> bool:
        return all(self.status(here)["status"] == "finished" for here in self.imports)

    def status(self, here: str) -> dict[str, Any]:
        answer = self.product.call("GET", here, b"", self.headers())
        assert answer is not None and answer[0] == 200, answer
        return json.loads(answer[2])


def flat(one: dict[str, Any]) -> dict[str, Any]:
    """As the till's flat records have it."""
    known = one.pop("identifiers")
    return one | {f"identifier.{kind}": value for kind, value in known.items()}


@pytest.fixture
def doors():
    with home() as place:
        running = Doors(place)
        try:
            running.wait_until(running.is_subscribed, "nobody subscribes")
            yield running
        finally:
            running.stop()


@pytest.mark.needs("mosquitto")
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=pytest.mark.proof)])
def test_every_event_answered_at_any_door_is_there_exactly_once(doors, kills, record_property):
    chance = random.Random(kills)
    device, uploader = Device(doors, "device"), Uploader(doors, "file")
    clients = [*(Poster(doors, number) for number in range(len(WAYS))), device, uploader]
    for client in clients:
        client.start()
    order = ["web", "mqtt", "postgres", "worker"]
    killed = Counter[str]()
    for number in range(kills):
        time.sleep(chance.uniform(0.3, 2.5))
        name = order[number] if number < len(order) else chance.choice(order)
        doors.kill(name)
        killed[name] += 1
    doors.wait_until(lambda: all(client.answered for client in clients), "a client has no answer")
    for client in clients:
        client.ending.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    from_device = "SELECT count(*) FROM profiles_event WHERE message_id LIKE 'device-%%'"
    doors.wait_until(lambda: doors.ask(from_device) == [(len(device.answered),)], "what the broker has is not stored")
    doors.wait_until(uploader.have_ended, "an upload does not end")
    doors.wait_until_done()

    wanted = Counter((client.source, message_id, standing) for client in clients for message_id, standing in client.answered.items())
    stored = doors.ask(
        "SELECT source.code, message_id, standing FROM profiles_event JOIN taxonomy_source AS source ON source.id = source_id"
    )
    assert Counter(stored) == wanted
    held = sum(count for (_source, _id, standing), count in wanted.items() if standing == HELD)
    assert doors.ask(WAITING) == [(held, held)]
    every_answer_is_what_was_counted(doors, clients)
    every_source_adds_up(doors, clients)
    every_file_is_told_as_it_was_stored(uploader)
    record_property(
        "figure",
        f"{kills} kills ({', '.join(f'{count} {name}' for name, count in sorted(killed.items()))}); {wanted.total():,} events answered at"
        f" {len({client.door for client in clients})} doors in {sum(len(client.told) for client in clients):,} answers and"
        f" {len(uploader.imports):,} files: all there, once each",
    )


def every_answer_is_what_was_counted(doors: Doors, clients: list[Sender]) -> None:
    counted = {
        str(batch): counts for batch, *counts in doors.ask("SELECT batch_id, accepted, duplicate, quarantined, refused FROM profiles_tally")
    }
    for client in clients:
        for batch, told in client.told.items():
            assert counted[batch] == [told[name] for name in ("accepted", "duplicate", "quarantined", "refused")], (client.door, told)


def every_source_adds_up(doors: Doors, clients: list[Sender]) -> None:
    """Each event was accepted or held once; whatever else was received was sent again and is a duplicate, or is no event and refused."""
    tallies = """
        SELECT source.code, batch.door, sum(tally.accepted), sum(tally.duplicate), sum(tally.quarantined), sum(tally.refused)
        FROM profiles_tally AS tally JOIN profiles_batch AS batch ON batch.id = tally.batch_id
        JOIN taxonomy_source AS source ON source.id = tally.source_id GROUP BY 1, 2
    """
    found = {(source, door): counts for source, door, *counts in doors.ask(tallies)}
    assert found.keys() == {(client.source, client.door) for client in clients}
    for (source, door), (accepted, duplicate, quarantined, refused) in found.items():
        of_it = [client for client in clients if (client.source, client.door) == (source, door)]
        standings = Counter(standing for client in of_it for standing in client.answered.values())
        assert (accepted, quarantined) == (standings[COUNTED], standings[HELD]), (source, door)
        refused_once = sum(len(client.told) if client.told else client.sent for client in of_it if client.size > 1)
        assert refused_once <= refused <= sum(client.sent for client in of_it if client.size > 1) or door == "mqtt", (source, door)
        received = accepted + duplicate + quarantined + refused
        assert door == "mqtt" or received <= sum(client.sent * client.size for client in of_it), (source, door)
        assert received >= standings.total() + refused_once, (source, door)
        if door == "file":
            assert (duplicate, refused) == (0, refused_once)
    assert doors.manage("shell", "-c", ASTRAY).split()[-1] == "0"


def every_file_is_told_as_it_was_stored(uploader: Uploader) -> None:
    told = [uploader.status(here) for here in uploader.imports]
    assert sum(one["accepted"] + one["quarantined"] for one in told) == len(uploader.answered)
    assert all((one["received"], one["duplicate"], one["refused"]) == (FILE_LINES, 0, 1) for one in told)
