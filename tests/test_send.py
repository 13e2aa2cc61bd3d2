"""How to send: code that is accepted as it stands, in the reader's own words, with a key that stays in their browser."""

import html
import json
import re
import shlex
import shutil
import subprocess
import sys
from decimal import Decimal

import pytest
from broker import Broker
from conftest import ROOT, publish_starter, wait_until
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from installed import node_with, python_with, run
from test_segment_clients import BROWSER, NODE, PYTHON, a_shop
from test_snippet import a_site, until

from ingestion.imports.run import run_import, take_file
from ingestion.models import Hook, MqttTopic, WriteKey
from ingestion.pipeline import Incoming, receive
from profiles.models import Event
from staff.models import User
from taxonomy.current import current
from taxonomy.dictionary.examples import KEY
from taxonomy.models import Attribute, Grant, Source, Tag, TagAttribute
from taxonomy.publish import publish

SENDS_SECRET = re.compile(r"tl[wt]_[A-Za-z0-9_-]{32}")


@pytest.fixture
def starter(departments):
    return publish_starter()


@pytest.fixture
def engineer(client, starter):
    return log_in(client, "engineer")


def log_in(client, role):
    person = User.objects.create_user(f"{role}@example.com", language="en", department_id="product")
    person.groups.add(Group.objects.get(name=role))
    client.force_login(person)
    return person


def page_of(client, source="website", **asked):
    answer = client.get(reverse("how_to_send", args=[Source.objects.get(code=source).pk]), asked)
    assert answer.status_code == 200
    return answer.content.decode()


def test_who_may_not_import_is_told_whom_to_ask(client, starter):
    there = reverse("admin:ingestion_importrun_add")
    for role in ("sales_rep", "marketer"):
        log_in(client, role)
        page = page_of(client, code="file")
        assert (there in page, "Somebody who may import" in page) == (role == "marketer", role != "marketer")


def code_on(page, door="api"):
    """The code as the copy button takes it."""
    return _text_of(f"code-{door}", page)


def receipt_on(page, door):
    return _text_of(f"receipt-{door}", page)


def _text_of(place, page):
    found = re.search(rf'<pre class="tl-code" id="{place}">(.*?)</pre>', page, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", found[1])) if found else None


def body_of(curl):
    words = shlex.split(curl.replace("\\\n", " "))
    return json.loads(words[words.index("-d") + 1])


def verdict(record, source):
    original = json.dumps(record).encode()
    receipt = receive([Incoming(original)], source_code=source, door="api", received_at=timezone.now(), current=current(), dry_run=True)
    return receipt.entries[0].status


@pytest.mark.django_db
class TestPage:
    @pytest.mark.parametrize("source", ["website", "mini_program", "till", "call_centre", "crm", "sms", "email"])
    def test_the_command_for_every_source_is_accepted(self, client, engineer, source):
        assert verdict(body_of(code_on(page_of(client, source))), source) == "accepted"

    def test_a_tag_is_chosen(self, client, engineer):
        assert body_of(code_on(page_of(client, tag="purchase")))["event"] == "order_paid"
        assert body_of(code_on(page_of(client, tag="email_open")))["event"] == "email_open"

    def test_the_sources_own_tags_stand_first_and_no_draft_among_them(self, client, engineer):
        page = page_of(client, "sms")
        own, others = re.findall(r"<optgroup.*?</optgroup>", page, re.DOTALL)
        assert re.findall(r'value="(\w+)"', own) == ["sms_delivered", "sms_failed", "sms_open", "unsubscribe", "feedback_submit"]
        assert 'value="purchase"' in others and 'value="sms_open"' not in others
        assert "Mapped for this source" in own and "Others" in others

    def test_the_receipt_is_asked_for_by_the_id_that_was_sent(self, client, engineer):
        page = page_of(client, tag="purchase")
        words = shlex.split(receipt_on(page, "api").replace("\\\n", " "))
        assert words == [
            "curl", f"http://testserver/api/v1/receipts/{body_of(code_on(page))['id']}", "-H", f"Authorization: Bearer {KEY}",
        ]  # fmt: skip
        page = page_of(client, code="python", tag="purchase")
        assert "/receipts/example-" in receipt_on(page, "api") and "/receipts/MESSAGE_ID" in receipt_on(page, "segment")
        assert receipt_on(page_of(client, code="file"), "file") is None

    def test_rudderstacks_clients_are_told_their_control_plane(self, client, engineer):
        page = page_of(client, code="kotlin")
        assert "controlPlaneUrl" in page and "<code>http://testserver</code>" in page
        assert "controlPlaneUrl" not in page_of(client)

    def test_segments_own_names_are_offered_where_its_clients_are(self, client, engineer):
        source = Source.objects.get(code="website")
        link = f"{reverse('admin:taxonomy_source_from_pack')}?pack=segment_ecommerce&source={source.pk}"
        assert link in html.unescape(page_of(client, code="python"))
        assert link not in html.unescape(page_of(client))
        log_in(client, "product_manager")
        page = page_of(client, code="python")
        assert "tl-on" not in page, "not live before the script says so"
        assert "Order Completed" in page and "segment_ecommerce" not in page

    @pytest.mark.parametrize("language", ["web", "node", "python", "java", "kotlin", "swift", "php"])
    def test_each_language_has_code_with_the_host_and_a_place_for_the_key(self, client, engineer, language):
        page = page_of(client, code=language)
        codes = [code for door in ("api", "snippet", "segment") if (code := code_on(page, door))]
        assert codes and all("testserver" in code and KEY in code for code in codes)
        assert (code_on(page) is None) == (language in ("web", "kotlin", "swift"))

    def test_where_a_client_sends_no_context_the_event_does_without(self, client, engineer):
        assert '"page_open"' in code_on(page_of(client, code="node", tag="view_page"), "segment")
        code = code_on(page_of(client, code="swift", tag="view_page"), "segment")
        assert '"view_page"' in code and "page_open" not in code and "identify(" in code
        assert '"order_paid"' in code_on(page_of(client, code="swift", tag="purchase"), "segment")

    def test_each_look_has_an_id_of_its_own(self, client, engineer):
        assert body_of(code_on(page_of(client)))["id"] != body_of(code_on(page_of(client)))["id"]

    def test_a_file_is_csv_for_flat_rows_and_json_lines_for_others(self, client, engineer):
        header, row = code_on(page_of(client, "till", code="file", tag="purchase"), "file").splitlines()
        assert header.startswith("event,phone,") and row.startswith("SALE,")
        assert json.loads(code_on(page_of(client, code="file"), "file"))["event"] == "page_open"

    def test_mqtt_says_what_lacks_then_shows_the_topic_and_the_broker(self, client, engineer, settings):
        settings.MQTT_BROKER = {}
        assert "MQTT_URL is not set" in page_of(client, code="mqtt")
        settings.MQTT_BROKER = {"host": "broker.example.com", "port": 8883, "tls": True, "user": "tagline", "password": "never shown"}
        assert "adds one under MQTT topics" in page_of(client, code="mqtt")
        MqttTopic.objects.create(filter="shops/+/events/#", source=Source.objects.get(code="website"))
        settings.MQTT_CA_FILE, settings.MQTT_CERTIFICATE_FILE = "/somewhere/ca.pem", ""
        page = page_of(client, code="mqtt", tag="purchase")
        assert "never shown" not in page and "/somewhere" not in page
        command = shlex.split(code_on(page, "mqtt").replace("\\\n", " "))
        assert command[:-1] == shlex.split(
            "mosquitto_pub -h broker.example.com -p 8883 -q 1 -t shops/1/events/1 -u USER -P PASSWORD --cafile ca.pem -m"
        )
        assert verdict(json.loads(command[-1]), "website") == "accepted"
        assert 'client.tls_set(ca_certs="ca.pem")' in code_on(page, "mqtt_python")

    def test_a_source_that_is_not_released_says_so(self, client, engineer):
        Source.objects.create(code="new", label_en="New", label_zh_hans="新", source_kind="app", owner_id="product")
        page = page_of(client, "new")
        assert code_on(page) is None and reverse("admin:taxonomy_proposal_unreleased") in page

    def test_without_a_known_value_it_says_which_attribute_lacks_an_example(self, client, engineer):
        badge = Attribute.objects.create(code="badge", label_en="b", label_zh_hans="b", type="text", constraints={"pattern": "[0-9]{17}"})
        tag = Tag.objects.get(code="share")
        TagAttribute.objects.create(tag=tag, attribute=badge, required=True, position=99)
        publish([str(badge.pk), str(tag.pk)], notes="", by=None)
        page = page_of(client, tag="share")
        assert code_on(page) is None and "no value is known for badge" in page

    def test_an_engineer_makes_a_key_there_and_it_is_shown_this_once(self, client, engineer):
        url = reverse("how_to_send", args=[Source.objects.get(code="till").pk])
        answer = client.post(url, {"make": "live"})
        [secret] = set(SENDS_SECRET.findall(answer.content.decode()))
        key = WriteKey.objects.get()
        assert (key.source.code, key.test, key.created_by, key.hint) == ("till", False, engineer, secret[:10])
        assert "no-store" in answer["Cache-Control"]
        assert secret not in client.get(url).content.decode()
        test = SENDS_SECRET.findall(client.post(url, {"make": "test"}).content.decode())[0]
        assert test.startswith("tlt_") and WriteKey.objects.filter(test=True).count() == 1

    def test_whoever_may_not_make_keys_is_told_whom_to_ask(self, client, starter):
        log_in(client, "marketer")
        page = page_of(client)
        assert 'name="make"' not in page and "an engineer or an administrator" in page
        answer = client.post(reverse("how_to_send", args=[Source.objects.get(code="website").pk]), {"make": "live"})
        assert answer.status_code == 403 and not WriteKey.objects.exists()

    def test_what_grants_keep_from_a_reader_is_not_offered(self, client, engineer):
        website, tag = Source.objects.get(code="website"), Tag.objects.get(code="purchase")
        Grant.objects.create(department_id="service", may="read", category=tag.category)
        hidden = set(Tag.objects.filter(category=tag.category).exclude(owner_id="product").values_list("code", flat=True))
        assert hidden
        shown = set(re.findall(r'<option value="(\w+)"', page_of(client)))
        assert shown and not shown & hidden
        Grant.objects.create(department_id="service", may="read", sources_of_id="product")
        engineer.department_id = "sales"
        engineer.save()
        assert client.get(reverse("how_to_send", args=[website.pk])).status_code == 404
        assert str(website.pk) not in client.get(reverse("send")).content.decode()

    def test_the_pages_lead_there(self, client, engineer):
        source = Source.objects.get(code="website")
        url = reverse("how_to_send", args=[source.pk])
        key = WriteKey(source=source)
        key.set_secret()
        key.save()
        for page in (
            reverse("send"),
            reverse("admin:taxonomy_source_change", args=[source.pk]),
            reverse("admin:ingestion_writekey_change", args=[key.pk]),
            reverse("dictionary_source", args=["website"]),
        ):
            assert f'href="{url}"' in client.get(page).content.decode(), page
        assert f'href="{reverse("send")}"' in client.get(reverse("admin:index")).content.decode()


@pytest.mark.django_db
class TestNewKey:
    """The command shown beside a new key."""

    def made(self, client, source):
        return client.post(reverse("admin:ingestion_writekey_add"), {"source": Source.objects.get(code=source).pk, "per_second": 0}).content.decode()  # fmt: skip

    @pytest.mark.parametrize("source", ["website", "app", "mini_program", "till", "call_centre", "crm", "sms", "email"])
    def test_it_works_for_every_source(self, client, engineer, source):
        page = self.made(client, source)
        command = html.unescape(re.search(r'<pre class="tl-code">(.*?)</pre>', page, re.DOTALL)[1])
        [secret] = set(SENDS_SECRET.findall(page))
        assert f"Bearer {secret}" in command
        assert verdict(body_of(command), source) == "accepted"

    def test_of_a_source_that_is_not_released_there_is_none(self, client, engineer):
        Source.objects.create(code="new", label_en="New", label_zh_hans="新", source_kind="app", owner_id="product")
        page = self.made(client, "new")
        assert SENDS_SECRET.search(page) and "curl" not in page


# really run


@pytest.fixture
def secret(transactional_db, starter):
    key = WriteKey(source=Source.objects.get(code="website"))
    made = key.set_secret()
    key.save()
    return made


def shown(client, live_server, secret, door, **asked):
    """The code for the running server, the key put in."""
    host = live_server.url.removeprefix("http://")
    answer = client.get(reverse("how_to_send", args=[Source.objects.get(code="website").pk]), asked, headers={"host": host})
    return code_on(answer.content.decode(), door).replace(KEY, secret)


def check_it_arrived(name="order_paid"):
    event = Event.objects.select_related("tag").get()
    assert (event.name, event.standing, event.tag.code) == (name, Event.Standing.COUNTED, "purchase"), event.report
    assert (
        event.attributes["price"] == {"amount": Decimal("59.90"), "currency": "CNY"} and event.attributes["payment_method"] == "wechat_pay"
    )


RUNS = {
    "curl": ("api", "send.sh", ["sh"]),
    "python": ("api", "send.py", [shutil.which("python3") or "python3"]),
    "node": ("api", "send.js", ["node"]),
    "java": ("api", "Send.java", ["java"]),
    "php": ("api", "send.php", ["php"]),
}


@pytest.mark.django_db(transaction=True)
class TestReallyRun:
    @pytest.mark.parametrize("language", [pytest.param(name, marks=pytest.mark.needs(name)) if name != "python" else name for name in RUNS])
    def test_the_code_by_http(self, live_server, client, secret, tmp_path, language):
        log_in(client, "engineer")
        door, name, command = RUNS[language]
        file = tmp_path / name
        file.write_text(shown(client, live_server, secret, door, code=language, tag="purchase"), "utf-8")
        done = run(*command, file)
        assert done.returncode == 0 and '"accepted":1' in done.stdout, done.stdout + done.stderr
        check_it_arrived()

    def test_the_code_as_a_cloudevent(self, live_server, client, secret, tmp_path):
        log_in(client, "engineer")
        file = tmp_path / "send.sh"
        file.write_text(shown(client, live_server, secret, "cloudevents", code="cloudevents", tag="purchase"), "utf-8")
        done = run("sh", file)
        assert done.returncode == 0, done.stdout + done.stderr
        check_it_arrived()

    @pytest.mark.parametrize("source", ["website", "till"])
    def test_the_code_by_a_signed_webhook(self, live_server, client, secret, tmp_path, source):
        log_in(client, "engineer")
        hook = Hook.objects.create(source=Source.objects.get(code=source), scheme="standard", name="partner")
        hook.add_secret(signing := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        host = live_server.url.removeprefix("http://")
        page = client.get(
            reverse("how_to_send", args=[hook.source_id]), {"code": "webhook", "tag": "purchase"}, headers={"host": host}
        ).content.decode()
        file = tmp_path / "send.sh"
        file.write_text(code_on(page, "hook").replace("whsec_SECRET", signing), "utf-8")
        done = run("sh", file)
        assert done.returncode == 0, done.stdout + done.stderr
        assert Event.objects.get().tag.code == "purchase"

    def test_the_code_with_segments_client_for_python(self, live_server, client, secret, tmp_path):
        log_in(client, "engineer")
        (tmp_path / "send.py").write_text(shown(client, live_server, secret, "segment", code="python", tag="purchase"), "utf-8")
        done = run(python_with(PYTHON["segment_python"]), tmp_path / "send.py")
        assert done.returncode == 0, done.stderr
        check_it_arrived()

    @pytest.mark.needs("npm")
    def test_the_code_with_segments_client_for_node(self, live_server, client, secret, tmp_path):
        log_in(client, "engineer")
        (tmp_path / "send.cjs").write_text(shown(client, live_server, secret, "segment", code="node", tag="purchase"), "utf-8")
        done = run("node", tmp_path / "send.cjs", NODE_PATH=str(node_with(NODE["segment_node"]) / "node_modules"))
        assert done.returncode == 0, done.stderr
        check_it_arrived()

    @pytest.mark.needs("chromium")
    @pytest.mark.parametrize("tag", ["purchase", "product_view"])
    def test_the_code_with_our_own_snippet(self, live_server, client, secret, chromium, tag):
        log_in(client, "engineer")
        code = shown(client, live_server, secret, "snippet", code="web", tag=tag)
        context = chromium.new_context()
        with a_site({"/": f"<!doctype html><title>Shop</title>{code}"}) as shop:
            page = context.new_page()
            page.goto(shop)
            until(page, lambda: Event.objects.count() == 2)
        context.close()
        events = {event.tag.code: event for event in Event.objects.select_related("tag")}
        who, what = events["profile_update"], events[tag]
        assert who.standing == what.standing == Event.Standing.COUNTED and who.subject.kind == "phone"
        assert what.identifiers["anonymous_id"] == who.identifiers["anonymous_id"]

    @pytest.mark.needs("npm")
    @pytest.mark.needs("chromium")
    def test_the_code_on_a_web_page(self, live_server, client, secret, chromium):
        log_in(client, "engineer")
        code = shown(client, live_server, secret, "segment", code="web", tag="purchase").replace("/segment/", "/umd/")
        assert (node_with(BROWSER) / "node_modules/@segment/analytics-next/dist/umd/index.js").exists()
        with a_shop(f"<!doctype html><title>Shop</title>{code}") as shop:
            context = chromium.new_context()
            page = context.new_page()
            with page.expect_response(lambda answer: "/v1/t" in answer.url and answer.request.method == "POST", timeout=20_000) as sent:
                page.goto(shop)
            assert sent.value.status == 200
            context.close()
        check_it_arrived()

    @pytest.mark.needs("mosquitto")
    @pytest.mark.parametrize("door", ["mqtt", "mqtt_python"])
    def test_the_code_by_mqtt(self, client, secret, tmp_path, settings, process_environment, door):
        log_in(client, "engineer")
        broker = Broker(tmp_path / "broker")
        settings.MQTT_BROKER = {"host": "127.0.0.1", "port": broker.port, "tls": False, "user": "", "password": ""}
        MqttTopic.objects.create(filter="shops/+/events", source=Source.objects.get(code="website"))
        environment = {**process_environment, "MQTT_URL": broker.url}
        process = subprocess.Popen([sys.executable, "manage.py", "mqtt"], cwd=ROOT, env=environment)
        file = tmp_path / "send"
        file.write_text(code_on(page_of(client, code="mqtt", tag="purchase"), door), "utf-8")

        def is_there():
            # until it listens a message is nobody's
            done = run("sh" if door == "mqtt" else sys.executable, file)
            assert done.returncode == 0, done.stderr
            return Event.objects.exists()

        try:
            wait_until(is_there)
            check_it_arrived()
        finally:
            process.terminate()
            assert process.wait(30) == 0
            broker.stop()

    def test_a_row_of_a_file_is_imported(self, client, secret, tmp_path, settings):
        settings.UPLOAD_DIR = tmp_path
        log_in(client, "engineer")
        text = code_on(page_of(client, "till", code="file", tag="purchase"), "file")
        file = tmp_path / "till.csv"
        file.write_text(text, "utf-8")
        run_import(take_file(file, source=Source.objects.get(code="till"), file_name=file.name).pk)
        assert (Event.objects.get().name, Event.objects.get().standing) == ("SALE", Event.Standing.COUNTED)


@pytest.mark.django_db(transaction=True)
@pytest.mark.needs("chromium")
@pytest.mark.needs("curl")
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_an_engineer_copies_the_command_runs_it_and_sees_the_event_arrive(live_server, starter, chromium, language, tmp_path):
    person = User.objects.create_user("engineer@example.com", "a long password", language=language, department_id="product")
    person.groups.add(Group.objects.get(name="engineer"))
    context = chromium.new_context(locale="en" if language == "en" else "zh-CN")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_server.url)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda told: problems.append(told.text) if told.type == "error" else None)
    page.goto(live_server.url + "/admin/login/")
    page.fill("input[name=username]", person.email)
    page.fill("input[name=password]", "a long password")
    page.press("input[name=password]", "Enter")
    page.wait_for_url(live_server.url + "/admin/")
    page.click(f"#nav-sidebar a[href='{reverse('send')}']")
    page.click(f"a[href='{reverse('how_to_send', args=[Source.objects.get(code='mini_program').pk])}']")
    page.click("button[value=live]")
    secret = page.input_value("#write-key")
    assert secret.startswith("tlw_") and secret not in page.url
    page.locator(".tl-live.tl-on").wait_for(timeout=10_000)
    page.select_option("select[name=tag]", "purchase")
    page.wait_for_url("**/?code=curl&tag=purchase*")
    assert page.input_value("#write-key") == secret, "kept in the tab"
    page.click("[data-copy='#code-api']")
    command = page.evaluate("navigator.clipboard.readText()")
    assert secret in command and KEY not in command
    (tmp_path / "send.sh").write_text(command, "utf-8")
    done = run("sh", tmp_path / "send.sh")
    assert '"accepted":1' in done.stdout, done.stdout + done.stderr
    row = page.locator(".tl-latest tr.tl-new")
    row.wait_for(timeout=10_000)
    assert "支付成功" in row.inner_text() and "purchase" in row.inner_text()
    assert row.locator(".tl-good").count() == 1

    # a wrong key, and an event that is held, show too
    (tmp_path / "send.sh").write_text(command.replace(secret, secret + "x"), "utf-8")
    run("sh", tmp_path / "send.sh")
    page.locator(".tl-failed").wait_for(timeout=10_000)
    (tmp_path / "send.sh").write_text(re.sub(r'"eid": "[^"]*"', '"eid": "2"', command).replace("支付成功", "付款"), "utf-8")
    run("sh", tmp_path / "send.sh")
    page.locator(".tl-latest tr.tl-new .tl-warn").wait_for(timeout=10_000)

    # the key is in nothing that the browser asked for
    page.fill("#write-key", "tlr_no")
    assert page.locator("[data-hint=other]").is_visible() and "tlr_no" in page.inner_text("#code-api")
    context.close()
    assert problems == []
