"""The examples of the dictionary through the doors they are for: each is accepted as it stands, but for the key put in."""

import base64
import json
import re
import shlex
import subprocess
import sys
from html import unescape

import pytest
from broker import Broker
from conftest import ROOT, wait_until
from django.urls import reverse

from ingestion.imports.run import outcome, run_import, take_file
from ingestion.models import Hook, MqttTopic, WriteKey
from profiles.models import Event
from staff.models import User
from taxonomy.dictionary.examples import BROKER, KEY, SECRET, SOURCE, TOPIC, as_cloudevent, as_csv, as_curl, examples_of
from taxonomy.dictionary.standard import standard
from taxonomy.models import Source
from taxonomy.publish import publish
from taxonomy.starter.load import load_starter

pytestmark = pytest.mark.django_db(transaction=True)

DOORS = {"curl", "csv", "track", "cloudevents", "webhook", "mqtt"}
HOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@pytest.fixture
def key(departments):
    load_starter()
    Source.objects.create(
        code="sheet",
        label_en="Sheets",
        label_zh_hans="表格",
        source_kind="file",
        owner_id="sales",
        envelope={"preset": "flat"},
        currency="CNY",
    )
    publish(notes="with a source of files", by=None)
    made = WriteKey(source=Source.objects.get(code="website"))
    secret = made.set_secret()
    made.save()
    return secret


@pytest.fixture
def page(client, key):
    """{door: its example} on a tag's page."""
    client.force_login(User.objects.create_superuser("root@example.com", "x"))

    def texts(tag: str) -> dict[str, str]:
        shown = client.get(reverse("dictionary_tag", args=[tag])).content.decode()
        return {door: unescape(text) for door, text in re.findall(r'<pre class="tl-code" id="td-(\w+)">(.*?)</pre>', shown, re.DOTALL)}

    return texts


def run(text: str, *, live_server=None, **instead: str) -> subprocess.CompletedProcess:
    """In a shell, with these in the places of placeholders."""
    if live_server is not None:
        text = re.sub(r"http://127\.0\.0\.1:\d+(?=/)", live_server.url, text)
    for name, value in instead.items():
        text = text.replace(name, value)
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False, timeout=60)


def test_a_page_has_an_example_for_every_door(page):
    for tag in ("purchase", "login"):
        assert page(tag).keys() == DOORS
    # a list does not fit into a cell
    assert page("checkout_start").keys() >= DOORS - {"csv"}


def test_every_example_of_every_tag_is_accepted_through_the_doors_by_http(client, key):
    known = standard()
    assert known is not None
    for item in known.of_kind("tag"):
        code, found = known.items[item]["code"], examples_of(item, known.items, currency=known.currency)
        for text in (as_curl(found.event, ""), as_cloudevent(found.cloudevent, "")):
            words = shlex.split(text.replace("\\\n", " ").replace(KEY, key))
            headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
            media_type = headers.pop("Content-Type")
            answer = client.post(words[1], words[words.index("-d") + 1], content_type=media_type, headers=headers).json()
            assert (answer["results"][0]["status"], answer["results"][0]["tag"]) == ("accepted", code), answer
        basic = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}
        track = found.track | {"type": "track", "messageId": f"{code}-track"}
        assert client.post("/v1/track", json.dumps(track), content_type="application/json", headers=basic).status_code == 200
    assert set(Event.objects.values_list("standing", flat=True)) == {Event.Standing.COUNTED}


def test_every_row_is_accepted_as_a_file(key, tmp_path, settings):
    settings.UPLOAD_DIR = tmp_path / "uploads"
    known = standard()
    assert known is not None
    for code in ("purchase", "login", "product_view"):
        found = examples_of(str(known.find("tag", code)), known.items, currency=known.currency)
        (tmp_path / code).write_text(as_csv(found.row))
        counts = outcome(run_import(take_file(tmp_path / code, source=Source.objects.get(code="sheet"), file_name="a.csv").pk)).counts
        assert counts["accepted"] == 1, code


@pytest.mark.needs("curl")
def test_what_is_copied_runs_in_a_shell(live_server, page, key):
    Hook.objects.create(source=Source.objects.get(code="website"), scheme="standard").add_secret(HOOK_SECRET)
    texts, came = page("product_view"), {}
    for door in ("webhook", "cloudevents", "curl"):
        done = run(texts[door], live_server=live_server, **{KEY: key, SECRET: HOOK_SECRET, f"/{SOURCE}": "/website"})
        came[door] = {name: count for name, count in json.loads(done.stdout).items() if name in ("accepted", "duplicate") and count}
    # the webhook's and the API's have one id
    assert came == {"webhook": {"accepted": 1}, "cloudevents": {"accepted": 1}, "curl": {"duplicate": 1}}
    assert set(Event.objects.values_list("tag__code", "standing")) == {("product_view", Event.Standing.COUNTED)}


@pytest.mark.needs("mosquitto")
def test_what_is_copied_is_published_to_a_broker(page, tmp_path, process_environment):
    broker = Broker(tmp_path / "broker")
    MqttTopic.objects.create(filter="shops/+/events", source=Source.objects.get(code="website"))
    process = subprocess.Popen([sys.executable, "manage.py", "mqtt"], cwd=ROOT, env={**process_environment, "MQTT_URL": broker.url})
    command = page("product_view")["mqtt"]

    def is_there() -> bool:
        # until it listens a message is nobody's
        done = run(command, **{BROKER: f"127.0.0.1 -p {broker.port}", f"-t {TOPIC}": "-t shops/1/events"})
        assert done.returncode == 0, done.stderr
        return Event.objects.exists()

    try:
        wait_until(is_there)
        assert (Event.objects.get().tag.code, Event.objects.get().standing) == ("product_view", Event.Standing.COUNTED)
    finally:
        process.terminate()
        assert process.wait(30) == 0
        broker.stop()
