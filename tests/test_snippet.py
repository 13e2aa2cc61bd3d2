"""The browser snippet in a real browser, on the pages of another site: what it queues arrives, and arrives once."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import publish_starter
from django.conf import settings
from django.db.models import Sum
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, Route
from pytest_django.live_server_helper import LiveServer

from ingestion.models import WriteKey
from ingestion.sending.code import loader
from profiles.models import Customer, Event, Subject, Tally
from profiles.timeline import timeline
from taxonomy.models import Source

PHONE = "+86 138 0013 8000"
DOOR = "**/v1/b"


# as it is served


class TestServed:
    def test_any_site_may_load_it_and_keep_it(self, client):
        answer = client.get("/js/v1/tagline.js")
        assert answer.status_code == 200
        assert answer["Content-Type"] == "text/javascript; charset=utf-8"
        assert answer["Access-Control-Allow-Origin"] == "*" and answer["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Cache-Control"] == "public, max-age=86400, stale-while-revalidate=604800"
        assert "Cookie" not in answer["Vary"] and not answer.cookies

    def test_the_address_without_a_version_is_asked_for_again_soon(self, client):
        newest = client.get("/js/tagline.js")
        assert newest.content == client.get("/js/v1/tagline.js").content
        assert newest["Cache-Control"] == "public, max-age=300"

    @pytest.mark.parametrize("path", ["/js/v1/tagline.js", "/js/tagline.js"])
    def test_who_has_it_is_told_so(self, client, path):
        etag = client.get(path)["ETag"]
        answer = client.get(path, headers={"If-None-Match": etag})
        assert (answer.status_code, answer.content) == (304, b"")
        assert client.get(path, headers={"If-None-Match": 'W/"another"'}).status_code == 200

    def test_it_is_under_6_kb_packed(self, client):
        packed = client.get("/js/v1/tagline.js", headers={"Accept-Encoding": "br, gzip"})
        assert packed["Content-Encoding"] == "gzip" and "Accept-Encoding" in packed["Vary"]
        assert len(packed.content) < 6 * 1024
        plain = client.get("/js/v1/tagline.js")
        assert "Content-Encoding" not in plain and gzip.decompress(packed.content) == plain.content

    def test_there_is_no_other_version_and_nothing_to_post(self, client):
        assert client.get("/js/v2/tagline.js").status_code == 404
        assert client.post("/js/v1/tagline.js").status_code == 405

    def test_the_version_it_names_is_that_of_its_address(self):
        source = (settings.BASE_DIR / "static/js/v1/tagline.js").read_text(encoding="utf-8")
        assert 'tagline.version = "1.' in source


# as it runs

browser = [pytest.mark.django_db(transaction=True), pytest.mark.needs("chromium")]
WORKER = """
self.addEventListener("install", (event) => event.waitUntil(caches.open("shop").then((shop) => shop.addAll(["/", "SCRIPT"]))))
self.addEventListener("activate", (event) => event.waitUntil(clients.claim()))
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(caches.match(event.request).then((kept) => kept ?? fetch(event.request)))
})
"""


@contextmanager
def a_site(pages: dict[str, str], policy: str = "") -> Iterator[str]:
    """The address of a site with these pages; the others are blank."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind = "text/javascript" if self.path.endswith(".js") else "text/html"
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            if policy:
                self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(pages.get(self.path.partition("?")[0], "<!doctype html><title>Blank</title>").encode())

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Shop:
    """A site of another origin, whose pages have the snippet, and a browser that was never there."""

    def __init__(self, url: str, server: LiveServer, key: str, context: BrowserContext) -> None:
        host = server.url
        self.url, self.server, self.key, self.context = url, server, key, context
        self.requests: list[str] = []
        self.told: list[str] = []
        self.problems: list[str] = []
        context.on("request", lambda request: self.requests.append(f"{request.method} {request.url.removeprefix(host)}"))

    def open(self, path: str = "/", **options: object) -> Page:
        """A new tab; the snippet is loaded with the options."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self.told.append(message.text))
        return self.go(page, path, **options)

    def go(self, page: Page, path: str = "/", **options: object) -> Page:
        page.goto(self.url + path)
        return self.ready(page, **options)

    def ready(self, page: Page, **options: object) -> Page:
        page.wait_for_function("window.tagline?.version")
        page.evaluate("([key, options]) => tagline.load(key, options)", [self.key, options])
        return page

    @contextmanager
    def offline(self) -> Iterator[None]:
        """The server is gone too: what outlives a page Chromium may send although it is told to be offline."""

        def gone() -> None:
            raise ConnectionAbortedError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.server.thread.httpd, "get_app", gone)
            self.context.set_offline(True)
            yield
        self.context.set_offline(False)

    @property
    def sent(self) -> int:
        return self.requests.count("POST /v1/b")


@pytest.fixture
def secret(transactional_db, departments):
    publish_starter()
    key = WriteKey(source=Source.objects.get(code="website"))
    made = key.set_secret()
    key.save()
    return made


@pytest.fixture
def shop(live_server, secret, chromium) -> Iterator[Shop]:
    page = f"<!doctype html><title>茶店</title>{loader(live_server.url)}"
    script = WORKER.replace("SCRIPT", f"{live_server.url}/js/v1/tagline.js")
    context = chromium.new_context()
    with a_site({"/": page, "/tea": page, "/worker.js": script}) as url:
        shop = Shop(url, live_server, secret, context)
        yield shop
        context.close()
    assert shop.problems == []


def until(page: Page, is_so: Callable[[], object]) -> None:
    """For what arrives from elsewhere; the browser goes on meanwhile."""
    for _turn in range(600):
        if is_so():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came to that")


def arrived(page: Page, *ids: str) -> None:
    """Wait until a view of each product arrived, and see that nothing else did, and nothing twice."""
    until(page, lambda: Event.objects.count() >= len(ids))
    assert sorted(product_of(event) for event in Event.objects.all()) == sorted(ids)
    assert set(Event.objects.values_list("standing", flat=True)) <= {Event.Standing.COUNTED}


def duplicates() -> int:
    return Tally.objects.aggregate(found=Sum("duplicate"))["found"] or 0


def product_of(event: Event) -> str:
    return str(event.attributes["product_id"])


def view(page: Page, *ids: str) -> None:
    page.evaluate("(ids) => ids.forEach((id) => tagline.track('product_view', { product_id: id }))", list(ids))


def flush(page: Page) -> None:
    page.evaluate("() => tagline.flush()")


def stored(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.evaluate("() => ({ ...localStorage })")
    return found


def queue(page: Page) -> list[str]:
    return [name for name in stored(page) if name.startswith("tagline.q.")]


LATER = {"batch": {"wait": 10_000_000}}  # nothing is sent unless something asks for it


class TestArrives:
    pytestmark = browser

    def test_calls_made_before_it_is_loaded_arrive_from_another_site_without_a_preflight(self, live_server, secret, chromium):
        calls = f"""<script>
            tagline.load("{secret}"); tagline.page(); tagline.track("product_view", {{ product_id: "tea" }})
            window.early = Array.isArray(tagline) && tagline.length
        </script>"""
        context = chromium.new_context()
        with a_site({"/green": f"<!doctype html><title>绿茶</title>{loader(live_server.url)}{calls}"}) as url:
            shop = Shop(url, live_server, secret, context)
            page = context.new_page()
            page.goto(url + "/green?from=mail#top")
            assert page.evaluate("window.early") == 3
            until(page, lambda: Event.objects.count() == 2)
        context.close()
        assert not [one for one in shop.requests if one.startswith("OPTIONS")]
        events = {event.name: event for event in Event.objects.all()}
        assert {event.standing for event in events.values()} == {Event.Standing.COUNTED}
        seen = events["view_page"].attributes
        assert (seen["page_url"], seen["page_path"], seen["page_title"]) == (f"{url}/green?from=mail", "/green", "绿茶")
        assert events["product_view"].subject == events["view_page"].subject
        assert events["product_view"].subject.kind == "anonymous_id"

    def test_one_element_is_enough_under_a_strict_policy(self, live_server, secret, chromium):
        html = (
            f'<!doctype html><title>x</title><script async src="{live_server.url}/js/v1/tagline.js" data-key="{secret}" data-page></script>'
        )
        policy = f"default-src 'none'; script-src {live_server.url}; connect-src {live_server.url}"
        context = chromium.new_context()
        told: list[str] = []
        with a_site({"/": html}, policy) as url:
            page = context.new_page()
            page.on("console", lambda message: told.append(message.text))
            page.goto(url)
            until(page, lambda: Event.objects.count() == 1)
        context.close()
        assert Event.objects.get().name == "view_page" and [one for one in told if "Policy" in one and "favicon" not in one] == []

    def test_many_go_in_requests_that_a_browser_lets_outlive_the_page(self, shop):
        page = shop.open(**LATER)
        sizes: list[int] = []
        page.on("request", lambda request: sizes.append(len(request.post_data or "")))
        page.evaluate(
            "() => { for (let n = 0; n < 120; n++) tagline.track('product_view', { product_id: `p${n}`, note: 'x'.repeat(2000) }) }"
        )
        flush(page)
        assert Event.objects.count() == 120 and duplicates() == 0
        assert len(sizes) > 3 and max(sizes) < 64 * 1024
        assert queue(page) == []

    def test_what_is_left_of_a_page_that_goes_away_arrives(self, shop):
        page = shop.open(**LATER)
        view(page, "a", "b")
        page.goto("about:blank")
        arrived(page, "a", "b")

    def test_also_where_only_a_beacon_outlives_a_page(self, shop):
        shop.context.add_init_script("delete Request.prototype.keepalive")
        page = shop.open(**LATER)
        view(page, "a")
        page.goto("about:blank")
        arrived(page, "a")
        # Its answer was not heard, so the next page sends it again, and it counts once. Chromium itself sometimes repeats a beacon.
        flush(shop.go(page))
        arrived(page, "a")
        assert duplicates() >= 1 and queue(page) == []

    def test_without_anything_of_a_secure_page(self, shop):
        shop.context.add_init_script(
            "Object.defineProperty(navigator, 'locks', { value: undefined }); Object.defineProperty(crypto, 'randomUUID', { value: undefined })"
        )
        page = shop.open()
        view(page, *"abcde")
        arrived(page, *"abcde")
        ids = {event.message_id for event in Event.objects.all()} | {stored(page)["tagline.anonymous"]}
        assert len(ids) == 6 and all(len(one) == 36 and one[14] == "4" and one[19] in "89ab" for one in ids)

    def test_where_a_page_may_store_nothing_it_works_from_memory(self, live_server, secret, chromium):
        inner = f"<!doctype html><title>x</title>{loader(live_server.url)}"
        context = chromium.new_context()
        with a_site({"/": '<!doctype html><iframe sandbox="allow-scripts" src="/inner"></iframe>', "/inner": inner}) as url:
            page = context.new_page()
            page.goto(url)
            frame = next(one for one in page.frames if one.url.endswith("/inner"))
            frame.wait_for_function("window.tagline?.version")
            assert frame.evaluate("() => { try { return !!localStorage } catch (error) { return error.name } }") == "SecurityError"
            frame.evaluate("(key) => { tagline.load(key); tagline.track('product_view', { product_id: 'a' }) }", secret)
            frame.evaluate("() => tagline.track('product_view', { product_id: 'b' })")
            arrived(page, "a", "b")
        context.close()
        assert Event.objects.values("subject").distinct().count() == 1

    def test_where_the_sites_storage_is_full_it_works_from_memory(self, shop):
        page = shop.open(**LATER)
        page.evaluate(
            "() => { for (let size = 1 << 22; size >= 1; size >>= 1) try { for (let n = 0; ; n++) localStorage.setItem(`${size} ${n}`, 'x'.repeat(size)) } catch {} }"
        )
        view(page, "a", "b")
        assert queue(page) == []
        flush(page)
        arrived(page, "a", "b")

    def test_two_sources_on_one_site_keep_apart(self, shop):
        blog = shop.open(name="blog", **LATER)
        view(blog, "a")
        assert {name.partition(".")[0] for name in stored(blog)} == {"blog"}
        other = shop.open(**LATER)
        flush(other)
        assert queue(other) == []
        flush(blog)  # unless it sent when the other page hid it
        arrived(blog, "a")


class TestOffline:
    pytestmark = browser

    def test_offline_and_reloaded_everything_arrives_once_when_it_is_online_again(self, shop):
        page = shop.open()
        page.evaluate("async () => { await navigator.serviceWorker.register('/worker.js'); await navigator.serviceWorker.ready }")
        page.wait_for_function("navigator.serviceWorker.controller")
        view(page, "before")
        arrived(page, "before")
        until(page, lambda: queue(page) == [])
        with shop.offline():
            view(page, "offline 1", "offline 2")
            flush(page)
            who = stored(page)["tagline.anonymous"]
            page.reload()
            shop.ready(page)
            assert page.evaluate("navigator.onLine") is False and len(queue(page)) == 2
            view(page, "after the reload")
            flush(page)
            assert Event.objects.count() == 1
        arrived(page, "before", "offline 1", "offline 2", "after the reload")
        until(page, lambda: queue(page) == [])
        assert duplicates() == 0 and Subject.objects.get().value == who

    def test_times_are_those_of_the_events_and_not_of_the_sending(self, shop):
        page = shop.open(**LATER)
        now = timezone.now()
        page.clock.set_fixed_time(now - timedelta(days=2))
        view(page, "a")
        page.clock.set_fixed_time(now)
        flush(page)
        arrived(page, "a")
        event = Event.objects.get()
        assert timedelta(days=1, hours=23) < event.received_at - event.occurred_at < timedelta(days=2, hours=1)


def refuses(status: int, times: int, **headers: str) -> Callable[[Route], None]:
    """A server in trouble: so often it answers this, then as ever."""
    left = [times]

    def answer(route: Route) -> None:
        left[0] -= 1
        if left[0] >= 0:
            exposed = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
            route.fulfill(status=status, headers=exposed | {name.replace("_", "-"): value for name, value in headers.items()}, body="no")
        else:
            route.continue_()

    return answer


class TestTrouble:
    pytestmark = browser

    @pytest.mark.parametrize("status", [408, 429, 500, 503])
    def test_a_server_in_trouble_is_sent_it_again_by_itself(self, shop, status):
        page = shop.open()
        page.route(DOOR, refuses(status, 2))
        view(page, "a", "b")
        arrived(page, "a", "b")
        assert shop.sent == 3 and duplicates() == 0

    def test_an_answer_that_was_lost_does_not_make_two_of_one(self, shop):
        page = shop.open()
        lost = [True]

        def lose(route: Route) -> None:
            answer = route.fetch()
            assert answer.ok
            route.abort() if lost.pop() else route.fulfill(response=answer)
            page.unroute(DOOR)

        page.route(DOOR, lose)
        view(page, "a")
        until(page, lambda: duplicates() == 1)
        arrived(page, "a")
        until(page, lambda: queue(page) == [])

    def test_while_the_server_asks_to_be_left_alone_no_page_sends(self, shop):
        page = shop.open(**LATER)
        shop.context.route(DOOR, refuses(429, 1, Retry_After="600"))
        view(page, "a")
        flush(page)
        flush(page)
        flush(shop.go(page))
        flush(shop.open())
        assert shop.sent == 1 and len(queue(page)) == 1
        # its time comes
        page.evaluate("() => localStorage.setItem('tagline.until', Date.now() - 1)")
        flush(page)
        arrived(page, "a")

    def test_what_no_second_sending_could_mend_is_dropped_and_told(self, shop):
        page = shop.open(**LATER)
        page.route(DOOR, refuses(400, 1))
        view(page, "a")
        flush(page)
        assert queue(page) == [] and any("dropped: the server answered 400" in one for one in shop.told)
        view(page, "b")
        flush(page)
        arrived(page, "b")

    def test_under_a_wrong_key_it_waits_for_a_page_with_the_right_one(self, shop):
        right, shop.key = shop.key, "tlw_" + "x" * 32
        page = shop.open(**LATER)
        view(page, "a")
        flush(page)
        flush(page)
        assert shop.sent == 1 and len(queue(page)) == 1 and any("write key was not accepted" in one for one in shop.told)
        shop.key = right
        flush(shop.go(page))
        arrived(page, "a")

    def test_a_message_that_is_too_large_is_dropped_alone(self, shop):
        page = shop.open(**LATER)
        page.evaluate("() => tagline.track('product_view', { product_id: '茶'.repeat(11_000) })")
        view(page, "a")
        flush(page)
        arrived(page, "a")
        assert any("bytes was dropped" in one for one in shop.told)

    def test_a_full_queue_drops_its_oldest(self, shop):
        page = shop.open(queue={"events": 3}, **LATER)
        view(page, *"abcde")
        flush(page)
        arrived(page, *"cde")
        page = shop.open(queue={"bytes": 5_000}, **LATER)
        page.evaluate("() => { for (const id of 'fgh') tagline.track('product_view', { product_id: id, note: 'x'.repeat(2_500) }) }")
        assert len(queue(page)) == 1
        flush(page)
        assert {product_of(event) for event in Event.objects.all()} == set("cdeh")

    def test_a_mistake_in_a_call_does_not_stop_the_page(self, shop):
        page = shop.open(**LATER)
        page.evaluate(
            "() => { const round = {}; round.round = round; tagline.track('x', round); tagline.track('x', { n: 1n }); tagline.identify({ get phone() { throw new Error('x') } }) }"
        )
        view(page, "a")
        flush(page)
        arrived(page, "a")
        assert len([one for one in shop.told if one.startswith("Tagline:")]) == 3


class TestTabs:
    pytestmark = browser

    @pytest.mark.parametrize("locks", [True, False])
    def test_two_tabs_at_once_send_everything_once(self, shop, locks):
        if not locks:
            shop.context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
        tabs = [shop.open(), shop.open("/tea")]
        with shop.offline():
            ids = [[f"{tab}-{n}" for n in range(60)] for tab in "ab"]
            for tab, own in zip(tabs, ids, strict=True):
                view(tab, *own)
            until(tabs[0], lambda: len(queue(tabs[0])) == 120)  # what another tab writes is seen a little later
        arrived(tabs[0], *ids[0], *ids[1])
        until(tabs[0], lambda: queue(tabs[0]) == [])
        assert Event.objects.values("subject").distinct().count() == 1

    def test_while_one_tab_sends_the_other_waits_its_turn(self, shop):
        first, second = shop.open(**LATER), shop.open(**LATER)
        for tab in (first, second):
            tab.evaluate("() => tagline.flush()")  # what it looks for as it opens, it has looked for
        stalled: list[Route] = []
        first.route(DOOR, lambda route: stalled.append(route))
        view(first, "a")
        first.evaluate("() => { tagline.flush() }")
        until(first, lambda: stalled)
        view(second, "b")
        second.evaluate("() => { tagline.flush() }")
        second.wait_for_function("async () => (await navigator.locks.query()).pending.length === 1")
        assert shop.sent == 1
        stalled[0].continue_()
        arrived(second, "a", "b")

    def test_what_a_closed_tab_left_the_other_one_sends(self, shop):
        first, second = shop.open(**LATER), shop.open(**LATER)
        with shop.offline():
            view(first, "a")
            first.close()
        flush(second)
        arrived(second, "a")


class TestConsent:
    pytestmark = browser

    def test_without_it_nothing_is_stored_or_sent_and_what_was_there_is_gone(self, shop):
        page = shop.open(**LATER)
        page.evaluate("() => localStorage.setItem('cart', 'tea')")
        with shop.offline():
            view(page, "a")
            page.evaluate("(phone) => tagline.identify(phone)", PHONE)
            page.evaluate("() => tagline.consent(false)")
            assert stored(page) == {"cart": "tea"}
        view(page, "b")
        flush(page)
        shop.go(page, consent=False)
        view(page, "c")
        page.evaluate("(phone) => tagline.identify(phone)", PHONE)
        flush(page)
        page.goto("about:blank")
        assert shop.sent == 0 and Event.objects.count() == 0
        assert stored(shop.go(page, consent=False)) == {"cart": "tea"}

    def test_a_page_loaded_without_it_removes_what_others_left(self, shop):
        page = shop.open(**LATER)
        shop.context.route(DOOR, lambda route: route.abort())
        view(page, "a")
        assert len(queue(page)) == 1
        assert stored(shop.go(page, consent=False)) == {}

    def test_until_it_is_given_all_stays_in_the_page(self, shop):
        page = shop.open(consent="ask")
        view(page, "a", "b")
        flush(page)
        assert stored(page) == {} and shop.sent == 0
        page.evaluate("() => tagline.consent(true)")
        arrived(page, "a", "b")
        page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('tagline.q.'))")  # once it is answered
        assert set(stored(page)) == {"tagline.anonymous", "tagline.consent"}
        assert Subject.objects.get().value == stored(page)["tagline.anonymous"]
        # the next page asks no more
        view(shop.go(page, consent="ask"), "c")
        arrived(page, *"abc")
        assert Subject.objects.count() == 1

    def test_refused_it_never_arrives(self, shop):
        page = shop.open(consent="ask")
        view(page, "a")
        page.evaluate("() => tagline.consent(false)")
        page.evaluate("() => tagline.consent(true)")
        view(page, "b")
        arrived(page, "b")

    def test_anything_but_a_clear_word_is_asked(self, shop):
        for word in (None, "yes", "false", 0):
            page = shop.open(consent=word)
            view(page, "a")
            flush(page)
            assert stored(page) == {} and shop.sent == 0, word

    def test_what_one_tab_is_told_holds_in_all(self, shop):
        first, second = shop.open(consent="ask"), shop.open(consent="ask")
        view(first, "a")
        view(second, "b")
        first.evaluate("() => tagline.consent(true)")
        arrived(second, "a", "b")
        assert Subject.objects.count() == 1, "one browser, one id, though each page had made its own"
        second.evaluate("() => tagline.consent(false)")
        first.wait_for_function("() => { tagline.track('product_view', { product_id: 'c' }); return !localStorage.length }")
        sent = shop.sent
        view(first, "d")
        flush(first)
        assert shop.sent == sent and stored(first) == {}


def names_of(phone: str) -> list[str | None]:
    """What a phone's customer did, newest first. Links are drawn a moment after the answer."""
    customer = Customer.objects.get(links__subject__value=phone.replace(" ", ""), links__withdrawn_at=None)
    return [event.name for event in timeline(customer)[0]]


class TestIdentify:
    pytestmark = browser

    def test_the_history_before_it_is_the_phones(self, shop):
        page = shop.open(**LATER)
        view(page, "before")
        flush(page)
        page.evaluate("(phone) => tagline.identify(phone, { city: '杭州', email: 'li@example.com', userId: 'u1' })", PHONE)
        view(page, "after")
        flush(page)
        identified = Event.objects.get(name="profile_update")
        assert identified.subject.value == "+8613800138000" and identified.attributes["city"] == "杭州"
        assert identified.standing == Event.Standing.COUNTED and identified.message_id
        assert set(identified.identifiers) == {"anonymous_id", "email", "user_id"}
        until(page, lambda: names_of(PHONE) == ["product_view", "profile_update", "product_view"])
        assert not any("13800138000" in value.replace(" ", "") for value in stored(page).values()), "no phone stays behind"

    def test_the_same_phone_written_otherwise_is_the_same_person(self, shop):
        page = shop.open(**LATER)
        page.evaluate("(phone) => tagline.identify(phone)", PHONE)
        who = stored(page)["tagline.anonymous"]
        page.evaluate("() => tagline.identify({ phone: 13800138000, city: 'x' })")
        assert stored(page)["tagline.anonymous"] == who
        flush(page)
        assert set(Event.objects.values_list("subject__value", flat=True)) == {"+8613800138000"}

    def test_another_phone_in_the_same_browser_is_somebody_else(self, shop):
        page = shop.open(**LATER)
        phones = (PHONE, "+8613900139000", "+8613700137000", "+8613600136000")
        for phone in phones:
            page.evaluate("(phone) => tagline.identify(phone)", phone)
            view(page, phone)
        flush(page)
        assert Subject.objects.filter(kind="anonymous_id").count() == 4
        for phone in phones:
            until(page, lambda phone=phone: names_of(phone) == ["product_view", "profile_update"])

    def test_after_a_reset_nobody_is_known(self, shop):
        page = shop.open(**LATER)
        view(page, "a")
        page.evaluate("() => tagline.reset()")
        view(page, "b")
        flush(page)
        arrived(page, "a", "b")
        assert Subject.objects.filter(kind="anonymous_id").count() == 2
