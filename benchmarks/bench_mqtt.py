"""The MQTT door: QoS 1 through a real Mosquitto, publisher, broker, subscriber and database on this machine.

Events/s from the first one published to the last one on disk and acknowledged, beside those of a subscriber that
acknowledges and does nothing, same client, same broker, in turns.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks.bench_api import ROUNDS, event
from benchmarks.database import fresh_database

EVENTS = 20_000
ASKED = 2_000
TOPIC = "shops/1/events"
CONFIG = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 2000\npersistence false\n"


def main() -> None:
    with fresh_database(), broker() as port:
        from ingestion.models import MqttTopic
        from profiles.models import Event
        from taxonomy.models import Source

        MqttTopic.objects.create(filter="shops/+/events", source=Source.objects.get(code="website"))
        noop, ours = [], []
        for attempt in range(ROUNDS):
            noop.append(rate_of_noop(port, f"n{attempt}"))
            with subscriber(port):
                stored = Event.objects.count()
                with publisher(port, f"s{attempt}") as began:
                    wait_until(lambda stored=stored: Event.objects.count() >= stored + EVENTS)
                    ours.append(EVENTS / (time.monotonic() - began))
        limit, rate = statistics.median(noop), statistics.median(ours)
        print(f"subscriber that does nothing {limit:8,.0f} events/s")
        print(f"manage.py mqtt               {rate:8,.0f} events/s   ratio {rate / limit:.2f}   asked {ASKED:,}: {verdict(rate)}")


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not is_so():
        if time.monotonic() > until:
            raise RuntimeError("what was waited for did not come within 300 seconds")
        time.sleep(0.05)


def verdict(rate: float) -> str:
    return "met" if rate >= ASKED else "missed"


@contextmanager
def broker() -> Iterator[int]:
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        sys.exit("This needs mosquitto (Debian, Ubuntu: apt install mosquitto).")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text(CONFIG.format(port=port))
        # Started by root it becomes another account, which must read this.
        config.chmod(0o644)
        Path(folder).chmod(0o755)
        process = subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
            yield port
        finally:
            process.terminate()
            process.wait()


@contextmanager
def publisher(port: int, name: str) -> Iterator[float]:
    """Mosquitto's own client, which costs next to nothing, publishing a line at a time; the time when it began."""
    lines = "".join(json.dumps(event(name, number)) + "\n" for number in range(EVENTS)).encode()
    command = ["mosquitto_pub", "-p", str(port), "-V", "mqttv5", "-q", "1", "-M", "1000", "-t", TOPIC, "-l"]
    with tempfile.TemporaryFile() as file:
        file.write(lines)
        file.seek(0)
        process = subprocess.Popen(command, stdin=file)
        try:
            yield time.monotonic()
        finally:
            if process.wait(60):
                raise RuntimeError("the publisher failed")


def connected(port: int, name: str) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5, manual_ack=True)
    properties = Properties(PacketTypes.CONNECT)
    properties.ReceiveMaximum = 2_000
    client.connect("127.0.0.1", port, properties=properties)
    client.loop_start()
    while not client.is_connected():
        time.sleep(0.01)
    return client


def rate_of_noop(port: int, name: str) -> float:
    arrived = []

    def on_message(client: Client, _userdata: object, message: object) -> None:
        client.ack(message.mid, 1)
        arrived.append(1)

    client = connected(port, "noop")
    client.on_message = on_message
    client.subscribe(TOPIC, qos=1)
    time.sleep(0.5)
    with publisher(port, name) as began:
        wait_until(lambda: len(arrived) >= EVENTS)
        seconds = time.monotonic() - began
    client.unsubscribe(TOPIC)
    client.disconnect()
    client.loop_stop()
    return EVENTS / seconds


@contextmanager
def subscriber(port: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "manage.py", "mqtt"], env={**os.environ, "MQTT_URL": f"mqtt://127.0.0.1:{port}"})
    online: list[bytes] = []
    client = connected(port, "waits")
    client.on_message = lambda _client, _userdata, message: online.append(message.payload)
    client.subscribe("tagline/status/tagline", qos=1)
    wait_until(lambda: b"online" in online[-1:])
    client.disconnect()
    client.loop_stop()
    time.sleep(1)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
