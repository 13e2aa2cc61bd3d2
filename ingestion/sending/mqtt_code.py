"""Code to copy that publishes one record to the broker: by Mosquitto's own client, and by paho in Python. Pure."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from ingestion.sending.code import PYTHON, Code, Record, literal

DOORS = ("mqtt", "mqtt_python")
# What a level of a topic may be where the table says +, or any with #.
_ANY = "1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to publish. `with_user`, `with_ca`, `with_certificate`: what the broker asks of whoever comes, as it asks us."""

    host: str
    port: int
    topic: str
    tls: bool = False
    with_user: bool = False
    with_ca: bool = False
    with_certificate: bool = False


def place_of(broker: Mapping[str, Any], topic_filter: str, *, ca: str = "", certificate: str = "") -> Place:
    """A topic that the filter fits, at the broker we listen to."""
    levels = [_ANY if level in ("+", "#") else level for level in topic_filter.split("/")]
    tls = broker["tls"]
    return Place(broker["host"], broker["port"], "/".join(levels), tls, bool(broker["user"]), tls and bool(ca), tls and bool(certificate))


def mqtt_code(door: str, record: Record, place: Place) -> Code:
    if door == "mqtt":
        return Code(door, _command(record, place), "apt install mosquitto-clients", _NOTE)
    return Code(door, _python(record, place), "pip install paho-mqtt")


_NOTE = _(
    "With QoS 1 the broker keeps the event until it is on disk here. What it sends twice is known by its id, or else by its content and time: give each event one of them. It needs no write key: the broker says who may send on a topic."
)


def _command(record: Record, place: Place) -> str:
    words = f"mosquitto_pub -h {shlex.quote(place.host)} -p {place.port} -q 1 -t {shlex.quote(place.topic)}"
    lines = [words]
    if place.with_user:
        lines.append("-u USER -P PASSWORD")
    if place.tls:
        lines.append("--cafile ca.pem" if place.with_ca else "--tls-use-os-certs")
    if place.with_certificate:
        lines.append("--cert client.pem --key client.key")
    lines.append(f"-m {shlex.quote(json.dumps(record, ensure_ascii=False))}")
    return " \\\n  ".join(lines) + "\n"


def _python(record: Record, place: Place) -> str:
    setting = []
    if place.with_user:
        setting.append('client.username_pw_set("USER", "PASSWORD")\n')
    if place.tls:
        files = [*(['ca_certs="ca.pem"'] if place.with_ca else [])]
        files += ['certfile="client.pem"', 'keyfile="client.key"'] if place.with_certificate else []
        setting.append(f"client.tls_set({', '.join(files)})\n")
    return f"""import json
import paho.mqtt.client as mqtt

event = {literal(record, PYTHON)}
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
{"".join(setting)}client.connect({literal(place.host, PYTHON)}, {place.port})
client.loop_start()
client.publish({literal(place.topic, PYTHON)}, json.dumps(event), qos=1).wait_for_publish()
client.disconnect()
client.loop_stop()
"""
