"""The MQTT door, with a real Mosquitto, its own clients and paho: what is published is there once, whatever is killed."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import psycopg
import pytest
from broker import Broker
from conftest import ROOT, wait_until
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.exceptions import ValidationError
from django.db import connection, connections
from django.db.models import Sum
from django.urls import reverse
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

from ingestion.doors.mqtt import Arrived, Routes, records
from ingestion.models import FailedRequest, MqttTopic
from ingestion.reread import reread
from profiles.models import Event, Original, Tally
from staff.models import User
from taxonomy.current import current
from taxonomy.definition import definition
from taxonomy.models import Source
from taxonomy.publish import publish
from taxonomy.standardize import RawEvent, Refusal

TOPIC = "shops/1/events"


def login(message_id, **more):
    return {"id": message_id, "event": "login", "phone": "+8613800138000", "occurred_at": "2026-03-01T10:00:00Z", **more}


def encoded(message_id, **more):
    return json.dumps(login(message_id, **more)).encode()


# the table


class TestFilters:
    @pytest.mark.parametrize("text", ["a", "a/b", "+", "#", "a/+/c", "a/#", "+/b/#", "/a", "$aws/things/#", "单价/+"])
    def test_what_a_broker_takes_is_taken(self, text):
        MqttTopic(filter=text).clean_fields(exclude=["source"])

    @pytest.mark.parametrize("text", ["", "a+", "a/b+/c", "a#", "a/#/b", "##", "$share/g/a", "a\x00b", "x" * 201])
    def test_what_a_broker_refuses_is_not(self, text):
        with pytest.raises(ValidationError):
            MqttTopic(filter=text).clean_fields(exclude=["source"])


@pytest.mark.django_db
class TestRoutes:
    @pytest.fixture
    def routes(self, standard):
        website, till = Source.objects.get(code="website"), Source.objects.get(code="till")
        for text, source in [("#", website), ("shops/+/events", till), ("shops/1/events", website), ("shops/#", website), ("$own/#", till)]:
            MqttTopic.objects.create(filter=text, source=source)
        found = Routes()
        found.read()
        return found

    @pytest.mark.parametrize(
        ("topic", "taken"),
        [
            ("shops/1/events", "shops/1/events"), ("shops/2/events", "shops/+/events"), ("shops/2/other", "shops/#"), ("shops", "shops/#"),
            ("tills/9", "#"), ("$own/a", "$own/#"), ("$SYS/uptime", None),
        ],
    )  # fmt: skip
    def test_the_most_exact_topic_that_fits_is_taken(self, routes, topic, taken):
        row = routes.of(topic)
        assert (row.filter if row else None) == taken

    def test_one_switched_off_is_not_and_a_change_is_read(self, routes):
        assert routes.of("shops/1/events").filter == "shops/1/events"
        MqttTopic.objects.filter(filter="shops/1/events").update(active=False)
        routes.read()
        assert routes.of("shops/1/events").filter == "shops/+/events"


class TestRecords:
    """How a message is cut."""

    def cut(self, payload, *, keep_topic=False, too_large=0):
        return records(Arrived(None, 1, TOPIC, payload, too_large), MqttTopic(filter=TOPIC, keep_topic=keep_topic))

    @pytest.mark.parametrize(
        ("payload", "wanted"),
        [
            (b' {"a": 1}\n', [b'{"a": 1}']),
            (b'[{"a":  1}, {"b":2}]', [b'{"a":  1}', b'{"b":2}']),
            (b"[]", [b"[]"]),
            (b"[oops", [b"[oops"]),
            (b"", [b""]),
            (b"\x00\xff", [b"\x00\xff"]),
        ],
    )
    def test_a_list_is_cut_and_all_else_is_one_record(self, payload, wanted):
        assert [one.original for one in self.cut(payload)] == wanted

    def test_the_topic_is_kept_where_its_row_says_so(self):
        assert json.loads(self.cut(b'{"a": 1}', keep_topic=True)[0].original) == {"_topic": TOPIC, "a": 1}
        assert json.loads(self.cut(b"{}", keep_topic=True)[0].original) == {"_topic": TOPIC}

    def test_too_many_and_too_large_are_one_refusal(self):
        many = self.cut(json.dumps([{}] * 1001).encode())
        assert [one.decoded.code for one in many] == ["limit.events"]
        assert [one.decoded.code for one in self.cut(b"", too_large=9_000_000)] == ["limit.size"]


@pytest.mark.django_db
def test_a_stored_record_is_read_again_as_it_was(standard):
    [event] = reread(
        encoded("m1"), current().plan.sources["website"], current().plan, door="mqtt", received_at=datetime(2026, 3, 1, tzinfo=UTC)
    )
    assert isinstance(event, RawEvent) and (event.message_id, event.name) == ("m1", "login")
    [refused] = reread(
        b"oops", current().plan.sources["website"], current().plan, door="mqtt", received_at=datetime(2026, 3, 1, tzinfo=UTC)
    )
    assert isinstance(refused, Refusal)


# the subscriber, a process of its own


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path / "broker")
    yield made
    made.stop()


@pytest.fixture
def topic(standard):
    return MqttTopic.objects.create(filter="shops/+/events", source=Source.objects.get(code="website"))


@pytest.fixture
def subscribe(transactional_db, process_environment):
    """Start a subscriber, and wait until the broker has its subscription; it ends with the test, as told or by SIGKILL."""
    started: list[subprocess.Popen] = []

    def start(broker, *arguments, subscribed=True, **environment) -> subprocess.Popen:
        environment = {"MQTT_URL": broker.url, **environment}
        started.append(
            subprocess.Popen([sys.executable, "manage.py", "mqtt", *arguments], cwd=ROOT, env={**process_environment, **environment})
        )
        if subscribed:
            wait_until(lambda: started[-1].poll() is None and arrives(broker))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            assert process.wait(30) == 0


_probes = 0


def arrives(broker, topic=TOPIC) -> bool:
    """Publish an event and see whether it comes in. Probes are no logins, so that tests may count those."""
    global _probes
    _probes += 1
    name = f"probe-{_probes}"
    broker.publish(topic, encoded(name, event="search"))
    until = time.monotonic() + 1
    while time.monotonic() < until:
        if Event.objects.filter(message_id=name).exists():
            return True
        time.sleep(0.02)
    return False


def stored():
    return Event.objects.filter(name="login")


class Publisher:
    """paho, QoS 1, with a connection of its own that comes back by itself; messages wait in it while the broker is away."""

    def __init__(self, broker):
        self.client = Client(CallbackAPIVersion.VERSION2, "publisher", protocol=MQTTv5)
        self.client.max_inflight_messages_set(200)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_publish = lambda *_: self.taken.append(1)
        self.client.connect("127.0.0.1", broker.port, clean_start=True)
        self.client.loop_start()
        self.sent, self.taken = 0, []

    def send(self, *message_ids, topic=TOPIC):
        for one in message_ids:
            self.client.publish(topic, encoded(one), qos=1)
        self.sent += len(message_ids)

    def wait(self):
        """Until the broker has them all."""
        wait_until(lambda: len(self.taken) >= self.sent)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def publisher(broker):
    made = Publisher(broker)
    yield made
    made.close()


def names(prefix, count):
    return [f"{prefix}-{number}" for number in range(count)]


def check_once(wanted):
    """Each is there, accepted, once, and the counts say the same."""
    wait_until(lambda: stored().count() >= len(wanted))
    assert sorted(stored().values_list("message_id", flat=True)) == sorted(wanted)
    assert set(stored().values_list("standing", flat=True)) == {Event.Standing.COUNTED}
    assert Tally.objects.aggregate(n=Sum("accepted"))["n"] == Event.objects.filter(standing=Event.Standing.COUNTED).count()


@pytest.mark.needs("mosquitto")
@pytest.mark.django_db(transaction=True)
class TestSubscriber:
    @pytest.mark.parametrize("version", ["5", "3.1.1"])
    def test_what_is_published_becomes_events(self, broker, topic, subscribe, publisher, version):
        subscribe(broker, MQTT_VERSION=version)
        broker.publish("shops/7/events", encoded("by-mosquitto"))
        publisher.send(*names("by-paho", 500))
        check_once(["by-mosquitto", *names("by-paho", 500)])
        event = stored().select_related("batch").get(message_id="by-mosquitto")
        assert (event.batch.door, event.batch.source.code, event.tag.code) == ("mqtt", "website", "login")
        assert bytes(Original.objects.get(event=event).record) == encoded("by-mosquitto")
        topic.refresh_from_db()
        assert topic.last_used_at is not None
        # what comes together shares a commit
        assert Tally.objects.count() < 300

    def test_the_same_message_again_is_a_duplicate(self, broker, topic, subscribe):
        subscribe(broker)
        for _ in range(2):
            broker.publish(TOPIC, encoded("m1"))
        wait_until(lambda: Tally.objects.aggregate(n=Sum("duplicate"))["n"] == 1)
        check_once(["m1"])

    def test_poison_is_refused_counted_and_keeps_nobody_waiting(self, broker, topic, subscribe):
        subscribe(broker)
        before = Tally.objects.aggregate(n=Sum("refused"))["n"]
        broker.publish(TOPIC, b"this is no JSON")
        broker.publish(TOPIC, b"\xff\xfe\x00")
        broker.publish(TOPIC, b'"a text"')
        broker.publish(TOPIC, b"")
        broker.publish(TOPIC, encoded("fat", attributes={"a": "x" * 300_000}))
        broker.publish(TOPIC, b'{"a": "' + b"x" * 6_000_000 + b'"}')
        broker.publish(TOPIC, b"[" * 100_000)
        broker.publish(TOPIC, b"[" + encoded("a") + b", 5, " + encoded("b") + b"]")
        broker.publish(TOPIC, encoded("held", event="nobody_knows"))
        broker.publish(TOPIC, encoded("after"))
        check_once(["a", "b", "after"])
        assert Event.objects.get(message_id="held").standing == Event.Standing.HELD
        assert Tally.objects.aggregate(n=Sum("refused"))["n"] - before == 8
        causes = {}
        for told in Tally.objects.exclude(refused_causes=None).values_list("refused_causes", flat=True):
            for cause, count in told.items():
                causes[cause] = causes.get(cause, 0) + count
        assert causes["limit.size"] == 2 and sum(causes.values()) == 8

    def test_the_table_is_obeyed_without_a_restart(self, broker, topic, subscribe):
        subscribe(broker)
        broker.publish("devices/1", encoded("nobody-listened"))
        added = MqttTopic.objects.create(filter="devices/#", source=Source.objects.get(code="partner"))
        wait_until(lambda: arrives(broker, "devices/1"))
        assert not stored().exists()
        assert Event.objects.filter(name="search").latest("id").source.code == "partner"
        MqttTopic.objects.filter(pk=added.pk).update(active=False)
        wait_until(lambda: not arrives(broker, "devices/1"))
        assert arrives(broker), "the other topic goes on"

    def test_what_was_switched_off_while_nobody_listened_is_given_up(self, broker, topic, subscribe):
        process = subscribe(broker)
        process.terminate()
        assert process.wait(30) == 0
        broker.publish(TOPIC, encoded("waits"))
        MqttTopic.objects.create(filter="other/#", source=topic.source)
        MqttTopic.objects.filter(pk=topic.pk).update(active=False)
        subscribe(broker, subscribed=False)
        wait_until(lambda: arrives(broker, "other/1"))
        wait_until(lambda: FailedRequest.objects.filter(cause="mqtt.topic").exists())
        broker.publish(TOPIC, encoded("gone"))
        assert arrives(broker, "other/1")
        assert FailedRequest.objects.get(cause="mqtt.topic").count == 1 and not stored().exists()

    def test_a_source_begins_when_it_is_released(self, broker, topic, subscribe):
        source = Source.objects.create(code="meter", label_en="m", label_zh_hans="m", source_kind="device", owner_id="product")
        MqttTopic.objects.create(filter="meters/#", source=source)
        subscribe(broker)
        assert not arrives(broker, "meters/1")
        assert definition(source)
        publish([str(source.pk)], notes="", by=None)
        wait_until(lambda: arrives(broker, "meters/1"))

    def test_its_status_is_retained_and_the_last_will_tells_of_a_death(self, broker, topic, subscribe):
        process = subscribe(broker)
        assert broker.last_said("tagline/status/tagline") == "online"
        process.terminate()
        assert process.wait(30) == 0
        assert broker.last_said("tagline/status/tagline") == "offline"
        process = subscribe(broker, MQTT_STATUS_TOPIC="state", MQTT_CLIENT_ID="other")
        assert broker.last_said("state/other") == "online"
        process.kill()
        process.wait()
        wait_until(lambda: broker.last_said("state/other") == "offline")

    def test_several_share_what_comes(self, broker, topic, subscribe, publisher):
        for name in ("one", "two"):
            subscribe(broker, "--client-id", name, MQTT_SHARED_GROUP="tagline", subscribed=name == "one")
        wait_until(lambda: broker.last_said("tagline/status/two") == "online")
        publisher.send(*names("m", 600))
        check_once(names("m", 600))
        assert (Tally.objects.aggregate(n=Sum("duplicate"))["n"]) == 0, "each came to one of them"

    def test_two_of_one_id_take_the_session_from_each_other_and_say_so(self, broker, topic, subscribe, publisher, process_environment):
        subscribe(broker)
        environment = {**process_environment, "MQTT_URL": broker.url}
        second = subprocess.Popen([sys.executable, "manage.py", "mqtt"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        publisher.send(*names("m", 100))
        told = next(line for line in second.stderr if "ends at once" in line)
        assert "'tagline'" in told
        second.terminate()
        assert second.wait(30) == 0
        second.stderr.close()
        check_once(names("m", 100))

    def test_a_wrong_setting_is_named(self, broker, topic, process_environment):
        for environment, said in [
            ({"MQTT_URL": ""}, "MQTT_URL"),
            ({"MQTT_URL": "mqtts://localhost", "MQTT_CA_FILE": "/nowhere.pem"}, "MQTT_CA_FILE"),
        ]:
            command = [sys.executable, "manage.py", "mqtt"]
            done = subprocess.run(command, cwd=ROOT, env={**process_environment, **environment}, capture_output=True, text=True, timeout=60)
            assert done.returncode == 1 and said in done.stderr and "expected" in done.stderr


@pytest.mark.needs("mosquitto")
@pytest.mark.django_db(transaction=True)
class TestWhateverIsKilled:
    def test_the_broker_restarts_in_between(self, broker, topic, subscribe, publisher):
        subscribe(broker)
        publisher.send(*names("before", 300))
        check_once(names("before", 300))
        broker.save()
        broker.kill()
        publisher.send(*names("meanwhile", 50))
        broker.start()
        publisher.send(*names("after", 300))
        publisher.wait()
        check_once([*names("before", 300), *names("meanwhile", 50), *names("after", 300)])

    def test_what_comes_while_nobody_listens_waits_even_through_a_death_of_the_broker(self, broker, topic, subscribe, publisher):
        process = subscribe(broker)
        process.kill()
        process.wait()
        publisher.send(*names("m", 400))
        publisher.wait()
        broker.save()
        broker.kill()
        broker.start()
        subscribe(broker, subscribed=False)
        check_once(names("m", 400))

    def test_the_subscriber_is_killed_again_and_again(self, broker, topic, subscribe, publisher):
        process = subscribe(broker)
        for number in range(4):
            publisher.send(*names(f"m{number}", 1_000))
            wait_until(lambda number=number: stored().count() > number * 1_000 + 200)
            process.kill()
            process.wait()
            process = subscribe(broker, subscribed=False)
        publisher.wait()
        check_once([one for number in range(4) for one in names(f"m{number}", 1_000)])

    def test_told_to_stop_at_work_it_stores_and_acknowledges_what_it_took(self, broker, topic, subscribe, publisher):
        process = subscribe(broker)
        publisher.send(*names("m", 2_000))
        wait_until(lambda: stored().count() > 100)
        process.terminate()
        assert process.wait(30) == 0
        assert stored().count() < 2_000
        subscribe(broker, subscribed=False)
        publisher.wait()
        check_once(names("m", 2_000))
        assert Tally.objects.aggregate(n=Sum("duplicate"))["n"] == 0, "all it stored was acknowledged"

    def test_the_database_goes_away(self, broker, topic, subscribe, publisher):
        process = subscribe(broker)
        name = connection.settings_dict["NAME"]
        publisher.send(*names("before", 1_000))
        wait_until(lambda: stored().count() > 100)
        connections.close_all()
        with administration() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            try:
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
                publisher.send(*names("meanwhile", 500))
                publisher.wait()
                time.sleep(1)
            finally:
                cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        check_once([*names("before", 1_000), *names("meanwhile", 500)])
        assert process.poll() is None

    def test_broken_connections_to_the_database_cost_nothing(self, broker, topic, subscribe, publisher):
        subscribe(broker)
        name = connection.settings_dict["NAME"]
        for number in range(10):
            publisher.send(*names(f"m{number}", 200))
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", [name]
                )
        check_once([one for number in range(10) for one in names(f"m{number}", 200)])


def administration():
    """A cursor on the server's own database."""
    wanted = connection.settings_dict
    made = psycopg.connect(
        host=wanted["HOST"], port=wanted["PORT"] or None, user=wanted["USER"], password=wanted["PASSWORD"] or None, dbname="postgres",
        autocommit=True,
    )  # fmt: skip
    return made.cursor()


# TLS, log-in


def make_certificates(folder):
    """ca.pem, and of it server.pem for this machine and client.pem for us, with their keys."""
    folder.mkdir()

    def write(name, key, certificate):
        folder.joinpath(f"{name}.key").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        folder.joinpath(f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def made(name, signer=None):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer_key, issuer = signer or (key, subject)
        now = datetime.now(UTC)
        building = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        )  # fmt: skip
        write(name, key, building.sign(issuer_key, hashes.SHA256()))
        return key, subject

    authority = made("ca")
    made("server", authority)
    made("client", authority)
    return folder


@pytest.mark.needs("mosquitto")
@pytest.mark.django_db(transaction=True)
class TestWhoMayCome:
    def test_tls_with_a_certificate_on_both_sides(self, topic, subscribe, tmp_path):
        files = make_certificates(tmp_path / "certificates")
        broker = Broker(tmp_path / "broker", access="allow_anonymous true\nrequire_certificate true", tls=files)
        options = ("--cafile", str(files / "ca.pem"), "--cert", str(files / "client.pem"), "--key", str(files / "client.key"))
        try:
            subscribe(
                broker, subscribed=False, MQTT_CA_FILE=str(files / "ca.pem"), MQTT_CERTIFICATE_FILE=str(files / "client.pem"),
                MQTT_KEY_FILE=str(files / "client.key"),
            )  # fmt: skip

            def is_there():
                broker.publish(TOPIC, encoded("over-tls"), *options)
                return stored().exists()

            wait_until(is_there)
        finally:
            broker.stop()

    def test_a_broker_whose_certificate_nobody_signed_is_told_nothing(self, topic, process_environment, tmp_path):
        files, others = make_certificates(tmp_path / "certificates"), make_certificates(tmp_path / "others")
        broker = Broker(tmp_path / "broker", tls=files)
        environment = {**process_environment, "MQTT_URL": broker.url, "MQTT_CA_FILE": str(others / "ca.pem")}
        process = subprocess.Popen([sys.executable, "manage.py", "mqtt"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            assert "its certificate is not trusted" in process.stderr.readline()
        finally:
            process.terminate()
            assert process.wait(30) == 0
            process.stderr.close()
            broker.stop()

    def test_a_user_and_a_password(self, topic, subscribe, process_environment, tmp_path):
        passwords = tmp_path / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "tag@line", "p/w: 1"], check=True, capture_output=True)
        broker = Broker(tmp_path / "broker", access=f"allow_anonymous false\npassword_file {passwords}")
        right = broker.url.replace("://", "://tag%40line:p%2Fw%3A%201@")
        options = ("-u", "tag@line", "-P", "p/w: 1")
        try:
            wrong = {**process_environment, "MQTT_URL": right.replace("w%3A", "x")}
            process = subprocess.Popen([sys.executable, "manage.py", "mqtt"], cwd=ROOT, env=wrong, stderr=subprocess.PIPE, text=True)
            told = process.stderr.readline()
            process.terminate()
            assert process.wait(30) == 0
            process.stderr.close()
            assert "refuses the connection" in told and "p/" not in told and "%2F" not in told

            subscribe(broker, subscribed=False, MQTT_URL=right)

            def is_there():
                broker.publish(TOPIC, encoded("known"), *options)
                return stored().exists()

            wait_until(is_there)
        finally:
            broker.stop()


# the pages


@pytest.mark.django_db
def test_the_list_says_what_becomes_of_each_topic(client, standard, settings):
    client.force_login(User.objects.create_superuser("root@example.com", "x", language="en"))
    source = Source.objects.create(code="meter", label_en="m", label_zh_hans="m", source_kind="device", owner_id="product")
    MqttTopic.objects.create(filter="a/#", source=Source.objects.get(code="website"))
    MqttTopic.objects.create(filter="b/#", source=source)
    MqttTopic.objects.create(filter="c/#", source=source, active=False)
    settings.MQTT_BROKER = {}
    url = reverse("admin:ingestion_mqtttopic_changelist")
    assert "no broker: MQTT_URL is not set" in client.get(url).content.decode()
    settings.MQTT_BROKER = {"host": "h"}
    page = client.get(url).content.decode()
    assert all(words in page for words in ("begins when its source is released", "switched off", "active"))
    assert "no broker" not in page


@pytest.mark.django_db
def test_a_topic_is_added_by_its_form_and_stays_what_it_is(client, standard):
    client.force_login(User.objects.create_superuser("root@example.com", "x", language="en"))
    source = Source.objects.get(code="website")
    add = reverse("admin:ingestion_mqtttopic_add")
    assert "one whole level" in client.post(add, {"filter": "a/#/b", "source": source.pk, "active": "on"}).content.decode()
    client.post(add, {"filter": "a/#", "source": source.pk, "active": "on"})
    row = MqttTopic.objects.get()
    assert (row.filter, row.active, row.created_by.email) == ("a/#", True, "root@example.com")
    assert "belongs to a source already" in client.post(add, {"filter": "a/#", "source": source.pk}).content.decode()
    client.post(reverse("admin:ingestion_mqtttopic_change", args=[row.pk]), {"filter": "b/#", "source": source.pk})
    row.refresh_from_db()
    assert (row.filter, row.active) == ("a/#", False)
