"""Webhooks on a release: signed as the standard says, sent until taken or given up, never into our own network."""

import json
import socket
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import SHARED
from django.core.exceptions import ValidationError
from django.utils import timezone
from installed import python_with, run
from ports import free_port

from ingestion.models import Attempt, Dispatch, Subscriber
from ingestion.outgoing import calling, signing
from ingestion.outgoing.calling import Answer, NotCalled, is_public, post
from ingestion.outgoing.dispatches import RETRIES, announce_release, attempt, dispatch, send_again
from staff.models import Department, Notice, User
from taxonomy.models import Tag
from taxonomy.publish import publish


@pytest.fixture
def subscriber(db):
    return Subscriber.objects.create(name="shop", url="https://shop.example.com/hook", events=["release.published"])


@pytest.fixture
def steward(departments):
    return User.objects.create_user(email="steward@example.com", password="x", department=Department.objects.get(duty="steward"))


def waiting(subscriber) -> Dispatch:
    return dispatch(subscriber, "test", {"n": 1}, at=timezone.now())


def answers(*given):
    """A caller that answers these one after the other, and remembers what it was called with."""
    left = list(given)

    def call(url, body, headers, **_more):
        call.seen.append((url, body, headers))
        one = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(one, Exception):
            raise one
        return one if isinstance(one, Answer) else Answer(one, None)

    call.seen = []
    return call


def jobs_waiting() -> list[dict]:
    from procrastinate.contrib.django.models import ProcrastinateJob

    return list(ProcrastinateJob.objects.filter(task_name="ingestion.jobs.send_dispatch").order_by("id").values_list("args", flat=True))


def run_round(one: Dispatch, call, *, at=None) -> Dispatch:
    """Every attempt of a round, without the waiting."""
    while True:
        one.refresh_from_db()
        if one.state != Dispatch.State.WAITING:
            return one
        attempt(one.pk, one.round, one.attempts, call=call, now=(lambda: at) if at else timezone.now)


def test_the_signature_is_the_standards():
    key = __import__("base64").b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = signing.sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signing.secret_text(key) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.needs("shared-data")
def test_it_is_that_of_the_standards_own_tests():
    text = (SHARED / "e03-standard-webhooks/libraries/python/tests/test_webhooks.py").read_text()
    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" in text and "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" in text


def test_the_schedule_is_the_standards():
    assert [wait.total_seconds() for wait in RETRIES] == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


@pytest.mark.django_db(transaction=True)
def test_a_release_is_told_in_its_own_transaction(standard, subscriber):
    Subscriber.objects.create(name="off", url="https://x.example.com/", events=["release.published"], active=False)
    Subscriber.objects.create(name="other", url="https://x.example.com/", events=[])
    tag = Tag.objects.get(code="login")
    tag.label_en = "Sign in"
    tag.save()
    made = publish(notes="words", by=None)
    one = Dispatch.objects.get()
    said = json.loads(one.body)
    assert (one.subscriber, said["type"]) == (subscriber, "release.published")
    assert said["data"]["version"] == made.version and said["data"]["previous"] == standard.version
    assert (said["data"]["verdict"], said["data"]["changed_items"]) == ("wording", 1)
    assert said["data"]["diff"].endswith(f"/api/v1/releases/{standard.version}/diff/{made.version}")
    assert jobs_waiting()[-1:] == [{"dispatch_id": str(one.pk), "round": 0, "number": 0}]


@pytest.mark.django_db(transaction=True)
def test_a_release_that_fails_is_not_told(standard, subscriber, settings):
    settings.TAGLINE_AFTER_RELEASE = ["ingestion.outgoing.dispatches.announce_release", "test_webhooks_out.fails"]
    tag, before = Tag.objects.get(code="login"), jobs_waiting()
    tag.label_en = "Sign in"
    tag.save()
    with pytest.raises(RuntimeError):
        publish(notes="words", by=None)
    assert not Dispatch.objects.exists() and jobs_waiting() == before


def fails(_made, _before):
    raise RuntimeError


def test_what_is_taken_is_sent_once(subscriber):
    call = answers(204)
    one = run_round(waiting(subscriber), call)
    attempt(one.pk, 0, 0, call=call)
    assert (one.state, one.attempts, len(call.seen), one.log.get().status) == ("delivered", 1, 1, 204)
    _url, body, headers = call.seen[0]
    assert headers["webhook-id"] == one.message_id
    expected = signing.sign(subscriber.keys(timezone.now()), one.message_id, int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == expected


def test_what_is_not_taken_is_tried_again_on_the_schedule_then_given_up_and_the_stewards_told(subscriber, steward):
    one = waiting(subscriber)
    waits, call = [], answers(500, NotCalled("timeout"), 302, NotCalled("private"), 404)
    for number in range(10):
        attempt(one.pk, 0, number, call=call)
        one.refresh_from_db()
        if one.next_at:
            waits.append(one.next_at - timezone.now())
    assert (one.state, one.attempts, len(call.seen)) == ("failed", 10, 10)
    for wait, least in zip(waits, RETRIES, strict=True):
        assert least - timedelta(seconds=2) < wait < least * 1.1 + timedelta(seconds=2)
    assert {headers["webhook-id"] for _url, _body, headers in call.seen} == {one.message_id}
    subscriber.refresh_from_db()
    assert not subscriber.active and subscriber.stopped_because
    notice = Notice.objects.get(user=steward)
    assert notice.values == {"name": "shop"} and str(subscriber.pk) in notice.link


def test_a_subscriber_that_takes_others_stays_on(subscriber, steward):
    one = waiting(subscriber)
    run_round(waiting(subscriber), answers(200))
    run_round(one, answers(500))
    subscriber.refresh_from_db()
    assert subscriber.active and not Notice.objects.exists()


def test_gone_is_gone(subscriber, steward):
    one, other = waiting(subscriber), waiting(subscriber)
    call = answers(410)
    assert run_round(one, call).state == "failed"
    assert run_round(other, call).state == "dropped"
    assert len(call.seen) == 1 and Notice.objects.count() == 1


def test_a_receiver_that_says_when_is_asked_then(subscriber):
    one = waiting(subscriber)
    attempt(one.pk, 0, 0, call=answers(Answer(429, 3600)))
    one.refresh_from_db()
    assert timedelta(minutes=59) < one.next_at - timezone.now() <= timedelta(hours=1)
    attempt(one.pk, 0, 1, call=answers(Answer(503, 99_999_999)))
    one.refresh_from_db()
    assert one.next_at - timezone.now() <= timedelta(hours=24)


def test_sending_again_is_a_new_round_under_the_same_id(subscriber):
    one = run_round(waiting(subscriber), answers(200))
    send_again(one)
    call = answers(200)
    attempt(one.pk, 0, 1, call=call)  # a job of the round before
    assert call.seen == []
    assert run_round(one, call).state == "delivered"
    assert call.seen[0][2]["webhook-id"] == one.message_id and Attempt.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_done_twice_at_once_it_counts_once(subscriber):
    one = waiting(subscriber)
    both = threading.Barrier(2)

    def call(*_args, **_named):
        both.wait(10)
        return Answer(200, None)

    def work():
        from django.db import connection

        attempt(one.pk, 0, 0, call=call)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.refresh_from_db()
    assert (one.state, one.attempts) == ("delivered", 1)


def test_a_new_secret_works_beside_the_old_for_a_day(subscriber):
    former, now = subscriber.secret, timezone.now()
    new = subscriber.change_secret(now)
    assert new != former and len(subscriber.keys(now)) == 2
    assert len(subscriber.keys(now + timedelta(days=1, seconds=1))) == 1
    subscriber.refresh_from_db()
    assert subscriber.secret == new
    assert new.encode()[6:] not in bytes(subscriber.salt)


def test_the_standards_own_library_verifies_what_we_send(subscriber, tmp_path):
    call = answers(200)
    run_round(waiting(subscriber), call)
    former = subscriber.secret
    subscriber.change_secret(timezone.now())
    run_round(waiting(subscriber), call)
    script = (
        "import json, sys\nfrom standardwebhooks import Webhook\n"
        "for secret, body, headers in json.load(open(sys.argv[1])):\n    Webhook(secret).verify(body, headers)\n"
    )
    (tmp_path / "verify.py").write_text(script)
    first, second = [(body.decode(), headers) for _url, body, headers in call.seen]
    (tmp_path / "sent.json").write_text(json.dumps([(former, *first), (former, *second), (subscriber.secret, *second)]))
    python = python_with("standardwebhooks==1.0.0")
    done = run(python, tmp_path / "verify.py", tmp_path / "sent.json")
    assert done.returncode == 0, done.stderr
    (tmp_path / "sent.json").write_text(json.dumps([(subscriber.secret, *first)]))
    assert "WebhookVerificationError" in run(python, tmp_path / "verify.py", tmp_path / "sent.json").stderr


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),
        ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1%eth0", False), ("fd00::1", False), ("ff02::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True), ("64:ff9b::a00:1", False), ("2002:7f00:1::", False),
    ],
)  # fmt: skip
def test_private_addresses_however_they_are_written(address, public):
    assert is_public(address) == public


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost:1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://169.254.169.254/latest",
    ],
)
def test_no_call_goes_into_our_own_network(url):
    with pytest.raises(NotCalled) as raised:
        post(url, b"{}", {}, seconds=2, allow_private=False)
    assert raised.value.problem in ("private", "name")


def test_a_name_that_has_one_private_address_is_not_called(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(calling.socket, "getaddrinfo", lambda *_args, **_named: found)
    monkeypatch.setattr(calling.socket, "create_connection", lambda *_args, **_named: pytest.fail("called"))
    with pytest.raises(NotCalled, match="private"):
        post("https://evil.example.com/", b"{}", {}, seconds=2, allow_private=False)


def test_the_name_is_looked_up_once_and_that_address_called(monkeypatch):
    asked, called = [], []

    def look_up(*_args, **_named):
        asked.append(1)
        address = "8.8.8.8" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    def connect(address, **_named):
        called.append(address)
        raise OSError

    monkeypatch.setattr(calling.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(calling.socket, "create_connection", connect)
    with pytest.raises(NotCalled, match="connection"):
        post("https://rebinding.example.com/", b"{}", {}, seconds=2, allow_private=False)
    assert called == [("8.8.8.8", 443)] and len(asked) == 1


@pytest.fixture
def receiver():
    """A server on this machine that remembers what it was posted, and answers as its path says."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.seen.append((self.path, dict(self.headers), body))
            if self.path == "/slow":
                for _ in range(100):
                    self.wfile.write(b"H")
                    time.sleep(0.1)
                return
            if self.path == "/nonsense":
                self.wfile.write(b"hello\r\n\r\n")
                return
            self.send_response(int(self.path.rpartition("/")[2]))
            self.send_header("Location", "/200")
            self.send_header("Retry-After", "7")
            self.end_headers()

        def log_message(self, *_args):
            pass

        def handle_error(self, *_args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.seen = []
    server.handle_error = lambda *_args: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_real_receiver_gets_the_bytes_and_the_headers(receiver, subscriber, settings):
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = True
    subscriber.url = f"http://127.0.0.1:{receiver.server_port}/hook/200"
    subscriber.save()
    one = waiting(subscriber)
    attempt(one.pk, 0, 0)
    one.refresh_from_db()
    assert one.state == "delivered"
    path, headers, body = receiver.seen[0]
    assert (path, body.decode(), headers["Host"]) == ("/hook/200", one.body, f"127.0.0.1:{receiver.server_port}")
    assert headers["webhook-id"] == one.message_id and headers["Content-Type"] == "application/json"


def test_a_redirect_is_not_followed(receiver):
    answer = post(f"http://127.0.0.1:{receiver.server_port}/302", b"{}", {}, seconds=5, allow_private=True)
    assert answer == Answer(302, 7) and len(receiver.seen) == 1


@pytest.mark.parametrize(("path", "problem"), [("slow", "timeout"), ("nonsense", "protocol")])
def test_an_answer_that_never_ends_or_is_none_costs_no_more_than_its_time(receiver, path, problem):
    began = time.monotonic()
    with pytest.raises(NotCalled, match=problem):
        post(f"http://127.0.0.1:{receiver.server_port}/{path}", b"{}", {}, seconds=1, allow_private=True)
    assert time.monotonic() - began < 3


def test_nobody_there_and_no_certificate(receiver):
    port = free_port()
    with pytest.raises(NotCalled, match="connection"):
        post(f"http://127.0.0.1:{port}/", b"{}", {}, seconds=2, allow_private=True)
    with pytest.raises(NotCalled, match=r"tls|timeout|protocol"):
        post(f"https://127.0.0.1:{receiver.server_port}/", b"{}", {}, seconds=2, allow_private=True)


@pytest.mark.parametrize(
    "url", ["http://shop.example.com/", "ftp://x/", "shop", "https://", "https://a:b@shop.example.com/", "javascript:alert(1)"]
)
def test_an_address_that_cannot_be_called_cannot_be_saved(url):
    with pytest.raises(ValidationError):
        Subscriber(name="x", url=url, events=["release.published"]).full_clean()


@pytest.fixture
def admin_client(client, steward):
    from django.contrib.auth.models import Group

    steward.is_staff = True
    steward.save()
    steward.groups.add(Group.objects.get(name="data_steward"))
    client.force_login(steward)
    return client


@pytest.mark.django_db
def test_the_steward_sets_one_up_sends_a_test_and_sends_it_again(admin_client):
    page = admin_client.post(
        "/admin/ingestion/subscriber/add/",
        {"name": "cache", "url": "https://shop.example.com/hook", "events": ["release.published"], "held_events": 100, "held_minutes": 60},
    )
    made = Subscriber.objects.get()
    assert made.secret in page.content.decode()
    address = f"/admin/ingestion/subscriber/{made.pk}"
    shown = admin_client.get(f"{address}/change/").content.decode()
    assert "shop.example.com" in shown and made.secret not in shown
    one = Dispatch.objects.get(pk=admin_client.post(f"{address}/send_test/").url.rstrip("/").split("/")[-2])
    run_round(one, answers(NotCalled("private"), 200))
    detail = admin_client.get(f"/admin/ingestion/dispatch/{one.pk}/change/").content.decode()
    assert one.message_id in detail and "private network" in detail and "delivered" in detail
    assert "&#x27;" not in detail.partition(one.message_id)[2].partition("tl-code")[0]
    assert admin_client.post(f"/admin/ingestion/dispatch/{one.pk}/resend/").status_code == 302
    one.refresh_from_db()
    assert (one.state, one.round) == ("waiting", 1)
    former = made.secret
    page = admin_client.post(f"{address}/new_secret/").content.decode()
    made.refresh_from_db()
    assert made.secret != former and made.secret in page
    assert admin_client.get("/admin/ingestion/subscriber/").status_code == admin_client.get("/admin/ingestion/dispatch/").status_code == 200


@pytest.mark.django_db
def test_who_may_not_change_webhooks_cannot(client, subscriber, departments):
    from django.contrib.auth.models import Group

    person = User.objects.create_user(email="rep@example.com", password="x", is_staff=True)
    person.groups.add(Group.objects.get(name="sales_rep"))
    client.force_login(person)
    one = waiting(subscriber)
    for address in (
        f"subscriber/{subscriber.pk}/send_test/",
        f"subscriber/{subscriber.pk}/new_secret/",
        f"dispatch/{one.pk}/resend/",
        "subscriber/add/",
    ):
        assert client.post(f"/admin/ingestion/{address}").status_code == 403, address
    assert Dispatch.objects.count() == 1


def test_nobody_listening_costs_no_query(standard, django_assert_num_queries):
    with django_assert_num_queries(1):
        announce_release(standard, {})
