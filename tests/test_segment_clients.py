"""The real clients of Segment and RudderStack, sending to a running Tagline as they send to their own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import browser_program, publish_starter
from installed import node_with, python_with, run
from playwright.sync_api import sync_playwright

from ingestion.models import WriteKey
from profiles.models import Event, Subject
from taxonomy.models import Source

pytestmark = pytest.mark.django_db(transaction=True)
CLIENTS = Path(__file__).parent / "clients"
PYTHON = {"segment_python": "segment-analytics-python==2.4.0", "rudder_python": "rudder-sdk-python==2.1.9"}
NODE = {"segment_node": "@segment/analytics-node@3.1.0", "rudder_node": "@rudderstack/rudder-sdk-node@3.0.13"}
BROWSER = "@segment/analytics-next@1.84.3"


@pytest.fixture
def secret(departments):
    """A write key of the starter standard's web shop."""
    publish_starter()
    key = WriteKey(source=Source.objects.get(code="website"))
    made = key.set_secret()
    key.save()
    return made


def seen() -> dict[str | None, Event]:
    return {event.name: event for event in Event.objects.order_by("-id")}


def check_what_arrived() -> None:
    events = list(Event.objects.all())
    assert sorted(event.name for event in events) == [
        "identity_link", "identity_link", "nonsense", "profile_update", "purchase", "view_page", "view_page",
    ]  # fmt: skip
    assert [event.name for event in events if event.standing != Event.Standing.COUNTED] == ["nonsense"]
    assert all(event.message_id for event in events)
    assert all(abs((event.received_at - event.occurred_at).total_seconds()) < 60 for event in events if event.occurred_at)
    by_name = seen()
    assert by_name["profile_update"].subject.kind == "phone" and by_name["profile_update"].attributes["city"] == "杭州"
    purchase = by_name["purchase"].attributes
    assert purchase["order_id"] == "o1" and purchase["price"]["amount"] == Decimal("9.9")
    pages = [event.attributes for event in events if event.name == "view_page"]
    assert {"page_title": "Settings"} in pages
    assert {"page_title": "Home", "page_url": "https://shop.example.com/"} in pages
    assert {"user_id": "u1", "anonymous_id": "a1"} in [event.identifiers for event in events if event.name == "identity_link"]
    known = Subject.objects.filter(value__in=["+8613800138000", "u1", "a1", "li@example.com"])
    assert {subject.kind for subject in known} == {"phone", "user_id", "anonymous_id", "email"}


@pytest.mark.parametrize("client", PYTHON)
def test_python_clients(live_server, secret, client):
    done = run(python_with(PYTHON[client]), CLIENTS / f"{client}.py", live_server.url, secret)
    assert done.returncode == 0 and "error:" not in done.stdout, done.stdout + done.stderr
    check_what_arrived()


@pytest.mark.needs("npm")
@pytest.mark.parametrize("client", NODE)
def test_node_clients(live_server, secret, client):
    folder = node_with(NODE[client])
    done = run("node", CLIENTS / f"{client}.cjs", live_server.url, secret, NODE_PATH=str(folder / "node_modules"))
    assert done.returncode == 0 and "error:" not in done.stdout, done.stdout + done.stderr
    check_what_arrived()


@pytest.mark.needs("npm")
def test_a_client_with_a_wrong_key_hears_of_it(live_server, secret):
    folder = node_with(NODE["segment_node"])
    done = run("node", CLIENTS / "segment_node.cjs", live_server.url, "tlw_wrong", NODE_PATH=str(folder / "node_modules"))
    assert "error:" in done.stdout
    assert not Event.objects.exists()


PAGE = """<!doctype html><title>首页</title><script src="/umd/index.js"></script><script>
const analytics = new AnalyticsNext.AnalyticsBrowser()
analytics.load({writeKey: "KEY", cdnURL: "HOST"}, {integrations: {"Segment.io": BATCHING}});
(async () => {
  await analytics.page()
  await analytics.track("product_view", {product_id: "SKU1"})
  await analytics.identify("u1", {phone: "+8613800138000"})
  await analytics.track("purchase", {order_id: "o1", price: 9.9})
  window.sent = true
})()
</script>"""


@contextmanager
def a_shop(html: str) -> Iterator[str]:
    """The address of another site that shows this page, and serves Segment's script."""
    folder = node_with(BROWSER) / "node_modules/@segment/analytics-next/dist"

    class Shop(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(html.encode())
            else:
                super().do_GET()

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Shop, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.needs("npm")
@pytest.mark.needs("chromium")
@pytest.mark.parametrize("batching", ["{}", '{"deliveryStrategy": {"strategy": "batching", "config": {"size": 4, "timeout": 200}}}'])
def test_the_browsers_client_on_a_page_of_another_site(live_server, secret, batching, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    html = PAGE.replace("KEY", secret).replace("HOST", live_server.url).replace("BATCHING", batching)
    with a_shop(html) as shop, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_program(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.goto(shop)
        page.wait_for_function("window.sent", timeout=20_000)
        page.wait_for_timeout(1_000)
        browser.close()
    events = seen()
    assert set(events) == {"view_page", "product_view", "profile_update", "purchase"}
    assert all(event.standing == Event.Standing.COUNTED for event in events.values())
    assert events["view_page"].attributes["page_url"] == shop
    assert events["view_page"].attributes["page_title"] == "首页"
    assert events["product_view"].subject.kind == "anonymous_id"
    assert events["profile_update"].subject.kind == "phone"
