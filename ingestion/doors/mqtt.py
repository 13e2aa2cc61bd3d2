"""The MQTT door: a subscriber of a broker, `manage.py mqtt`. A message is acknowledged once it is on disk.

Two threads: paho's reads the network and puts messages into a queue; ours stores what waits, in one commit, and then
acknowledges it. So the broker sends again whatever a killed process, a lost connection or a database that is away left
unstored; what it sends twice is known by its message id.
"""

import logging
import threading
import time
from collections import Counter, defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5, MQTTv311, topic_matches_sub
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingestion import keys
from ingestion.commit import store_in_one
from ingestion.doors.deliver import REQUEST_BYTES, REQUEST_EVENTS, cut_list, with_member
from ingestion.models import MqttTopic
from ingestion.pipeline import Incoming, evaluate
from profiles.entries import Delivery
from taxonomy.current import NoRelease, current
from taxonomy.standardize import Refusal, encode_json

QOS = 1
ONLINE, OFFLINE = "online", "offline"
# What the broker may send ahead of our acknowledgements, and how much of it one commit takes: the rest arrives meanwhile.
RECEIVE_MAXIMUM, TOGETHER = 2_000, 500
# While so much waits nothing more is read from the network: memory ends here, and the broker keeps the rest.
_WAITING_BYTES = 64 * 1024 * 1024
_LOOK_SECONDS = 0.25
_TOPICS_READ_SECONDS = 0.5
_AWAY_SECONDS = 0.5
_GOODBYE_SECONDS = 5
_KEEPALIVE_SECONDS = 30
# So often a database that answers is asked again to store what it could not.
_ATTEMPTS = 3
_TOPICS_KNOWN = 10_000
# So many connections in a row that stood no longer than this are no broker's restart.
_SHORT_ONES, _SHORT_SECONDS = 5, 3
_log = logging.getLogger(__name__)


class CannotListen(Exception):
    """The subscriber cannot do its work; the text says why."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that waits. `session`: the connection it came by, the only one that may acknowledge it."""

    session: object
    mid: int
    topic: str
    payload: bytes
    too_large: int = 0


class Inbox:
    """The messages that wait, between the two threads. Full, it makes the network wait."""

    def __init__(self) -> None:
        self._waiting: deque[Arrived] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self.ending = False

    def put(self, one: Arrived) -> None:
        with self._changed:
            while self._bytes >= _WAITING_BYTES and not self.ending:
                self._changed.wait(_LOOK_SECONDS)
            self._waiting.append(one)
            self._bytes += len(one.payload)
            self._changed.notify_all()

    def take(self, most: int, *, wait_seconds: float) -> list[Arrived]:
        """What waits, at least one unless the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, timeout=wait_seconds)
            taken: list[Arrived] = []
            taken_bytes = 0
            while self._waiting and len(taken) < most and taken_bytes < REQUEST_BYTES:
                taken.append(self._waiting.popleft())
                taken_bytes += len(taken[-1].payload)
            self._bytes -= taken_bytes
            self._changed.notify_all()
            return taken

    def end(self) -> None:
        """Let nobody wait any more. Called by a signal's handler, so it takes no lock."""
        self.ending = True


class Routes:
    """Whose events the messages of a topic are, as the table says."""

    def __init__(self) -> None:
        self.rows: list[MqttTopic] = []
        self._known: dict[str, MqttTopic | None] = {}
        self._minutes: dict[int, datetime] = {}

    def read(self) -> None:
        """Read the table anew. Raises DatabaseError."""
        rows = sorted(MqttTopic.objects.all(), key=lambda row: (row.exactness, row.filter))
        seen = [(row.pk, row.source_id, row.active, row.keep_topic) for row in self.rows]
        if [(row.pk, row.source_id, row.active, row.keep_topic) for row in rows] != seen:
            self._known = {}
        self.rows = rows

    def of(self, topic: str) -> MqttTopic | None:
        """The most exact row that is active."""
        if topic not in self._known:
            if len(self._known) >= _TOPICS_KNOWN:
                self._known.clear()
            self._known[topic] = next((row for row in self.rows if row.active and topic_matches_sub(row.filter, topic)), None)
        return self._known[topic]

    def note_use(self, rows: set[MqttTopic], now: datetime) -> None:
        """Keep the minute of the last message: one write a minute and row at the most."""
        minute = now.replace(second=0, microsecond=0)
        new = [row.pk for row in rows if self._minutes.get(row.pk) != minute]
        if new:
            MqttTopic.objects.filter(pk__in=new).update(last_used_at=minute)
            self._minutes |= dict.fromkeys(new, minute)


class Subscriber:
    """One connection to the broker, and the commits of what comes by it."""

    def __init__(self, client_id: str) -> None:
        self.status_topic = f"{settings.MQTT_STATUS_TOPIC}/{client_id}"
        self.inbox = Inbox()
        self.routes = Routes()
        self.client_id = client_id
        self.client = self._client()
        self._lock = threading.RLock()
        # The connection that stands, None for none; and what it is subscribed to.
        self._session: object | None = None
        self._subscribed: set[str] | None = None
        self._connected_at = 0.0
        self._short_ones = 0
        self._told: set[str] = set()

    def _client(self) -> Client:
        broker = settings.MQTT_BROKER
        is_v5 = settings.MQTT_VERSION == "5"
        client = Client(
            CallbackAPIVersion.VERSION2, self.client_id, protocol=MQTTv5 if is_v5 else MQTTv311, clean_session=None if is_v5 else False,
            manual_ack=True,
        )  # fmt: skip
        client.username_pw_set(broker["user"] or None, broker["password"] or None)
        if broker["tls"]:
            client.tls_set(_file("MQTT_CA_FILE"), _file("MQTT_CERTIFICATE_FILE"), _file("MQTT_KEY_FILE"))
        client.will_set(self.status_topic, OFFLINE, qos=QOS, retain=True)
        client.reconnect_delay_set(min_delay=1, max_delay=15)
        client.on_connect, client.on_disconnect, client.on_message = self._on_connect, self._on_disconnect, self._on_message
        client.on_connect_fail = self._on_connect_fail
        return client

    # in the network's thread, which asks no database

    def _on_connect(self, _client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._tell(f"the broker refuses the connection: {reason}")
            return
        with self._lock:
            self._session, self._subscribed, self._told = object(), None, set()
        self._connected_at = time.monotonic()
        self.client.publish(self.status_topic, ONLINE, qos=QOS, retain=True)

    def _on_disconnect(self, _client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self._lock:
            self._session = None
        if self.inbox.ending:
            return
        self._short_ones = self._short_ones + 1 if time.monotonic() - self._connected_at < _SHORT_SECONDS else 0
        self._tell(f"the connection to the broker was lost: {reason}")
        if self._short_ones == _SHORT_ONES:
            # Mosquitto does not say that it gave the session to another.
            _log.error(
                "MQTT: each connection ends at once. Does another subscriber use the client id %r? Give each its own.", self.client_id
            )

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        self._tell("the broker cannot be reached, or its certificate is not trusted")

    def _tell(self, problem: str) -> None:
        """Once, until all is well again."""
        if problem not in self._told:
            _log.warning("MQTT: %s; trying again", problem)
        self._told.add(problem)

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        size = len(message.payload)
        payload = bytes(message.payload) if size <= REQUEST_BYTES else b""
        self.inbox.put(Arrived(self._session, message.mid if message.qos else 0, topic, payload, 0 if payload else size))

    # in ours

    def run(self) -> None:
        """Until `inbox.end()`. Raises CannotListen."""
        broker = settings.MQTT_BROKER
        self._wait_for_table()
        properties = None
        if settings.MQTT_VERSION == "5":
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = settings.MQTT_SESSION_DAYS * 24 * 3600
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
        clean: dict[str, Any] = {"clean_start": False, "properties": properties} if properties else {}
        self.client.connect_async(broker["host"], broker["port"], keepalive=_KEEPALIVE_SECONDS, **clean)
        self.client.loop_start()
        try:
            self._work()
        finally:
            self._say_goodbye()

    def _wait_for_table(self) -> None:
        while not self.inbox.ending:
            try:
                self.routes.read()
                return
            except (DatabaseError, InterfaceError) as error:
                self._tell(f"the database cannot be reached ({type(error).__name__})")
                close_old_connections()
                time.sleep(_AWAY_SECONDS)

    def _work(self) -> None:
        table_read = 0.0
        while not self.inbox.ending:
            if not any(one.name == f"paho-mqtt-client-{self.client_id}" for one in threading.enumerate()):
                raise CannotListen("The thread that reads the network has ended; its reason stands above.")
            if time.monotonic() - table_read > _TOPICS_READ_SECONDS or (self._session is not None and self._subscribed is None):
                self._follow_table()
                table_read = time.monotonic()
            taken = self.inbox.take(TOGETHER, wait_seconds=_LOOK_SECONDS)
            # What came by a connection that is lost is sent again.
            if fresh := [one for one in taken if one.session is self._session]:
                self._store(fresh)

    def _follow_table(self) -> None:
        """Bring the subscriptions to what the table and the release say; while the database is away, to what they said."""
        try:
            self.routes.read()
        except (DatabaseError, InterfaceError):
            close_old_connections()
        with suppress(DatabaseError, InterfaceError), self._lock:
            if self._session is None:
                return
            wanted = self._wanted()
            # A session may hold what was switched off while nobody listened.
            known = {row.filter for row in self.routes.rows} if self._subscribed is None else self._subscribed
            if new := sorted(wanted - (self._subscribed or set())):
                self.client.subscribe([(_as_subscribed(one), _options()) for one in new])
            if gone := sorted(known - wanted):
                self.client.unsubscribe([_as_subscribed(one) for one in gone])
            self._subscribed = wanted

    def _wanted(self) -> set[str]:
        """The topics of sources that are released: what others send nobody could read."""
        try:
            released = {source.uuid for source in current().plan.sources.values()}
        except NoRelease:
            released = set()
        return {row.filter for row in self.routes.rows if row.active and str(row.source_id) in released}

    def _say_goodbye(self) -> None:
        """Acknowledgements go out first, in their order. The will is not sent on a clean end, so its word is."""
        self.inbox.end()
        if self._session is not None:
            told = self.client.publish(self.status_topic, OFFLINE, qos=QOS, retain=True)
            until = time.monotonic() + _GOODBYE_SECONDS
            while not told.is_published() and self._session is not None and time.monotonic() < until:
                time.sleep(0.01)
        self.client.disconnect()
        self.client.loop_stop()

    def _store(self, messages: list[Arrived]) -> None:
        """Store these in one commit, then acknowledge them. While the database is away they wait, and so does the broker."""
        batch: _Batch | None = None
        refusals_by_database, tried = 0, False
        while not self.inbox.ending:
            try:
                batch = batch or self._read(messages, timezone.now())
                if batch.deliveries:
                    store_in_one(batch.deliveries, again=tried)
                break
            except (OperationalError, InterfaceError) as error:
                close_old_connections()
                if messages[0].session is not self._session:
                    return  # they will be sent again
                self._tell(f"the database does not store ({type(error).__name__})")
                tried = batch is not None
                refusals_by_database += _is_reachable()
                if refusals_by_database >= _ATTEMPTS:
                    self._store_apart(messages, error)
                    return
                time.sleep(_AWAY_SECONDS)
            except Exception as error:
                self._store_apart(messages, error)
                return
        else:
            return
        self._told = set()
        self._acknowledge(messages)
        self._note(batch)

    def _store_apart(self, messages: list[Arrived], error: Exception) -> None:
        """What cannot be stored together may be alone; what cannot either keeps nobody else waiting."""
        if len(messages) > 1:
            for one in messages:
                self._store([one])
            return
        # Not acknowledged: the broker keeps it, and sends it again at the next connection, to whatever was mended by then.
        _log.error("MQTT: a message cannot be stored and stays with the broker: %s", type(error).__name__)
        self._note(_Batch(timezone.now(), dropped=Counter({("mqtt.failed", None): 1})))

    def _read(self, messages: list[Arrived], now: datetime) -> "_Batch":
        """Bring the messages to the standard, a delivery for each source."""
        batch = _Batch(now)
        try:
            obeyed = current()
        except NoRelease:
            batch.dropped["no_release", None] = len(messages)
            return batch
        codes = {source.uuid: code for code, source in obeyed.plan.sources.items()}
        found: dict[str, list[Incoming]] = defaultdict(list)
        for one in messages:
            row = self.routes.of(one.topic)
            code = codes.get(str(row.source_id)) if row else None
            if row is not None and code is not None:
                batch.used.add(row)
                found[code] += records(one, row)
            elif row is not None:
                batch.dropped["source_unreleased", str(row.source_id)] += 1
            elif not one.topic.startswith(f"{settings.MQTT_STATUS_TOPIC}/"):
                batch.dropped["mqtt.topic", None] += 1
        batch.deliveries = [
            evaluate(incoming, source_code=code, door="mqtt", received_at=now, current=obeyed) for code, incoming in found.items()
        ]
        return batch

    def _acknowledge(self, messages: list[Arrived]) -> None:
        """By the connection they came by: another one may know other messages by these numbers."""
        with self._lock:
            for one in messages:
                if one.mid and one.session is self._session:
                    self.client.ack(one.mid, QOS)

    def _note(self, batch: "_Batch") -> None:
        """When a topic was last used, and what was dropped. A count that is lost with the database is no event."""
        try:
            self.routes.note_use(batch.used, batch.received_at)
            for (cause, source_id), times in batch.dropped.items():
                keys.count_failure(cause, source_id, times=times)
        except (DatabaseError, InterfaceError):
            close_old_connections()


@dataclass(slots=True)
class _Batch:
    """What one commit stores. `dropped`: messages that are nobody's, by (cause, the source's uuid)."""

    received_at: datetime
    deliveries: list[Delivery] = field(default_factory=list)
    used: set[MqttTopic] = field(default_factory=set)
    dropped: Counter[tuple[str, str | None]] = field(default_factory=Counter)


def records(one: Arrived, row: MqttTopic) -> list[Incoming]:
    """A message is a record, or a list of them."""
    if one.too_large:
        return [Incoming(b"", Refusal("limit.size", values={"seen": one.too_large, "limit": REQUEST_BYTES}))]
    body = one.payload.strip()
    found = (cut_list(body) if body.startswith(b"[") else None) or [body]
    if len(found) > REQUEST_EVENTS:
        return [Incoming(body, Refusal("limit.events", values={"seen": len(found), "limit": REQUEST_EVENTS}))]
    if row.keep_topic:
        member = b'"_topic":' + encode_json(one.topic)
        found = [with_member(record, member) for record in found]
    return [Incoming(record) for record in found]


def _as_subscribed(topic: str) -> str:
    return f"$share/{settings.MQTT_SHARED_GROUP}/{topic}" if settings.MQTT_SHARED_GROUP else topic


def _options() -> Any:
    """What is retained is sent when a topic is first subscribed to, not at each connection."""
    if settings.MQTT_VERSION != "5":
        return QOS
    return SubscribeOptions(qos=QOS, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)


def _is_reachable() -> bool:
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError):
        return False
    return True


def _file(name: str) -> str | None:
    """The path that a setting names; None: it names none. Raises CannotListen."""
    path = getattr(settings, name)
    if path and not Path(path).is_file():
        raise CannotListen(f"{name} is {path!r}; expected a PEM file that can be read.")
    return path or None
