"""The webhook door: who is believed, what is read, what is answered."""

import base64
import gzip
import hashlib
import hmac
import json
import re
import time
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from ingestion import keys
from ingestion.doors.files import FileFormat
from ingestion.doors.signatures import MISSING, SCHEMES, STALE, WRONG, Sent, opened, problem_of, public_key
from ingestion.models import FailedRequest, Hook, HookSecret
from ingestion.outgoing import signing
from ingestion.outgoing.sealing import seal, unseal
from ingestion.reread import decode, reread
from profiles.models import Batch, Event, Original
from taxonomy.current import current, forget
from taxonomy.definition import apply_definition, definition
from taxonomy.models import Source
from taxonomy.publish import publish
from taxonomy.standardize import RawEvent, Refusal, decode_body

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOGIN = {"id": "m1", "event": "login", "phone": "+8613800138000"}


@pytest.fixture
def hook(standard):
    """Make a hook of the website with one secret."""

    def make(scheme="standard", secret=SECRET, source="website", **more) -> Hook:
        made = Hook.objects.create(source=Source.objects.get(code=source), scheme=scheme, **more)
        made.add_secret(secret)
        return made

    return make


def signed(body: bytes, *, secret=SECRET, at=None, message_id="msg_1") -> dict[str, str]:
    return signing.headers([signing.key_of(secret)], message_id, int(time.time() if at is None else at), body)


@pytest.fixture
def post(client):
    def send(body, *, path="/hooks/website", headers=None, content_type="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post(path, data, content_type=content_type, headers=signed(data) if headers is None else headers)

    return send


def failures(cause: str) -> int:
    return sum(FailedRequest.objects.filter(cause=cause).values_list("count", flat=True))


def test_what_is_signed_is_stored_and_counted(hook, post):
    hook()
    answer = post(LOGIN)
    assert answer.status_code == 200
    assert {**answer.json(), "batch": "", "release": ""} == {
        "batch": "", "release": "", "received": 1, "accepted": 1, "changed": 0, "duplicate": 0, "quarantined": 0, "refused": 0,
    }  # fmt: skip
    event = Event.objects.get()
    assert (event.message_id, event.tag.code, event.batch.door) == ("m1", "login", "hook")
    assert bytes(event.original.record) == json.dumps(LOGIN).encode()
    assert post(LOGIN).json()["duplicate"] == 1
    assert Hook.objects.get().last_used_at is not None


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "hook.unsigned"),
        (signed(b"other"), "hook.wrong_signature"),
        (signed(json.dumps(LOGIN).encode(), secret="whsec_" + base64.b64encode(b"x" * 24).decode()), "hook.wrong_signature"),
        (signed(json.dumps(LOGIN).encode(), at=time.time() - 3600), "hook.stale"),
        (signed(json.dumps(LOGIN).encode(), at=time.time() + 3600), "hook.stale"),
    ],
)
def test_what_is_not_proved_is_401_and_counted(hook, post, headers, code):
    hook()
    answer = post(LOGIN, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert answer.json()["error"].keys() == {"code", "message", "docs"}
    assert failures(code) == 1 and FailedRequest.objects.get().source.code == "website"
    assert not Event.objects.exists()


def test_where_no_webhook_is_there_is_nothing(hook, post):
    hook(active=False)
    for path in ("/hooks/website", "/hooks/nobody", "/hooks/nobody/x"):
        answer = post(LOGIN, path=path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "hook.unknown")
    assert failures("hook.unknown") == 3


def test_a_former_secret_works_until_its_end(hook, post):
    made, body = hook(), json.dumps(LOGIN).encode()
    new = signing.secret_text(b"n" * 24)
    made.add_secret(new, former_until=timezone.now() + timezone.timedelta(hours=1))
    assert post(body).status_code == 200 and post(body, headers=signed(body, secret=new)).status_code == 200
    HookSecret.objects.filter(expires_at__isnull=False).update(expires_at=timezone.now() - timezone.timedelta(seconds=1))
    assert post(body).json()["error"]["code"] == "hook.wrong_signature"
    assert post(body, headers=signed(body, secret=new)).status_code == 200


def test_no_secret_can_be_read_in_the_database(hook):
    hook()
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(one)::text || encode(one.sealed, 'escape') FROM ingestion_hooksecret AS one")
        dump = cursor.fetchone()[0]
    assert "MfKQ9r8G" not in dump and unseal(HookSecret.objects.get().sealed) == SECRET


def test_a_secret_is_lost_with_the_key_it_was_sealed_under(hook, post, settings):
    hook()
    former = settings.SECRET_KEY
    settings.SECRET_KEY = "another"
    assert unseal(HookSecret.objects.get().sealed) is None
    assert post(LOGIN).json()["error"]["code"] == "hook.wrong_signature"
    settings.SECRET_KEY_FALLBACKS = [former]
    assert unseal(HookSecret.objects.get().sealed) == SECRET


def test_what_was_sealed_and_changed_is_not_believed():
    sealed = seal("秘密 secret")
    assert unseal(sealed) == "秘密 secret" and seal("秘密 secret") != sealed
    assert all(unseal(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]) is None for at in range(len(sealed)))
    assert unseal(b"") is None


def test_several_hooks_of_a_source_are_all_believed(hook, post):
    hook(), hook("plain", "a-token-of-its-own")
    assert post(LOGIN).status_code == 200
    assert post(LOGIN, headers={"Authorization": "Bearer a-token-of-its-own"}).status_code == 200


TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("more", "path", "headers"),
    [
        ({}, "", {"Authorization": f"Bearer {TOKEN}"}),
        ({}, "", {"Authorization": TOKEN}),
        ({}, "", {"Authorization": "Basic " + base64.b64encode(f"user:{TOKEN}".encode()).decode()}),
        ({"header": "X-Token"}, "", {"X-Token": TOKEN}),
        ({}, f"/{TOKEN}", {}),
        ({}, f"?token={TOKEN}", {}),
    ],
)
def test_a_token_may_come_in_a_header_or_in_the_address(hook, post, more, path, headers):
    hook("plain", TOKEN, **more)
    assert post(LOGIN, path=f"/hooks/website{path}", headers=headers).json()["accepted"] == 1
    HookSecret.objects.all().delete()
    Hook.objects.get().add_secret(TOKEN.replace("0", "1"))
    assert post(LOGIN, path=f"/hooks/website{path}", headers=headers).json()["error"]["code"] == "hook.wrong_signature"


def test_what_comes_too_fast_is_429_until_the_next_second(hook, post, monkeypatch):
    monkeypatch.setattr("ingestion.keys.time.time", lambda: 3_000_000.0)
    hook("plain", TOKEN, per_second=2)
    send = lambda *ids: post([{**LOGIN, "id": one} for one in ids], headers={"Authorization": TOKEN})  # noqa: E731
    assert [send("a").status_code, send("b").status_code] == [200, 200]
    for _ in range(2):
        answer = send("c")
        assert (answer.status_code, answer.json()["error"]["code"], answer.headers["Retry-After"]) == (429, "rate_limited", "1")
    assert post(LOGIN, headers={"Authorization": "wrong"}).status_code == 401, "who proves nothing is told nothing of it"
    keys.refused.write()
    assert failures("rate_limited") == 2
    monkeypatch.setattr("ingestion.keys.time.time", lambda: 3_000_001.0)
    assert send("c", "d", "e").status_code == 200 and send("f").status_code == 429
    Hook.objects.update(per_second=0)
    assert send("f").status_code == 200


def test_no_token_is_logged(hook, post, caplog):
    hook("plain", TOKEN)
    for path in (f"/hooks/website/{TOKEN}x", f"/hooks/nobody/{TOKEN}", f"/hooks/website?token={TOKEN}x"):
        assert post(LOGIN, path=path, headers={}).status_code in (401, 404)
    assert post(b"hello", path=f"/hooks/website/{TOKEN}", headers={}).status_code == 400
    assert TOKEN not in caplog.text


def test_a_get_is_read_without_its_token(hook, client, settings):
    hook("plain", TOKEN, source="till")
    answer = client.get(f"/hooks/till?event=sale&phone=%2B8613800138000&token={TOKEN}&id=7")
    assert answer.json()["received"] == 1
    assert bytes(Original.objects.get().record) == b"event=sale&phone=%2B8613800138000&id=7"


def test_wechat_checks_the_address_and_is_told_success(hook, client):
    hook("wechat", "token", answer="success")
    at = str(int(time.time()))
    query = {"timestamp": at, "nonce": "n", "signature": hashlib.sha1("".join(sorted(["token", at, "n"])).encode()).hexdigest()}
    assert client.get("/hooks/website", {**query, "echostr": "5<b>"}).content == b"5<b>"
    assert client.get("/hooks/website", {**query, "echostr": "5", "nonce": "m"}).status_code == 401
    xml = "<xml><event>login</event><phone>+8613800138000</phone><id>1</id></xml>"
    answer = client.post("/hooks/website?" + "&".join(f"{k}={v}" for k, v in query.items()), xml, content_type="text/xml")
    assert answer.content == b"success" and Event.objects.get().tag.code == "login"
    assert bytes(Original.objects.get().record) == xml.encode()


def test_woocommerce_may_ping_without_a_signature(hook, post):
    hook("woocommerce", "s")
    assert post(b"webhook_id=12", headers={}).status_code == 200
    assert post(b"webhook_id=12&event=login", headers={}).status_code == 401
    assert not Event.objects.exists()


def test_alibaba_is_told_code_0(hook, post):
    hook(answer="code")
    answer = post([LOGIN]).json()
    assert (answer["code"], answer["msg"], answer["accepted"]) == (0, "success", 1)


def test_a_list_and_lines_are_records_of_their_own(hook, post):
    hook()
    assert post([LOGIN | {"id": str(one)} for one in range(3)]).json()["accepted"] == 3
    lines = b"\n".join(json.dumps(LOGIN | {"id": f"l{one}"}).encode() for one in range(2)) + b"\nnot json\n"
    answer = post(lines).json()
    assert (answer["received"], answer["accepted"], answer["refused"]) == (3, 2, 1)
    assert post(b"[]").json() == {"received": 0} and post(b"").json() == {"received": 0}


def test_a_record_keeps_its_exact_bytes_behind_the_headers_that_are_read(hook, post):
    hook(kept_headers="X-Topic, X-Absent")
    body = b'{ "event":"login",  "id":"\\u0031", "attributes":{"x":1.50}}'
    post(body, headers={**signed(body), "X-Topic": "orders/paid"})
    assert (
        bytes(Original.objects.get().record)
        == b'{"_request":{"x-topic":"orders/paid"},"event":"login",  "id":"\\u0031", "attributes":{"x":1.50}}'
    )
    post(b"{}", headers={**signed(b"{}"), "X-Topic": "x"})
    assert Event.objects.count() == 2


@pytest.mark.parametrize(
    "pack",
    [
        lambda text: text,
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.b64encode(gzip.compress(text.encode())).decode(),
    ],
)
def test_events_packed_in_a_field_are_unpacked(hook, post, pack):
    hook("plain", TOKEN, packed_in="data, data_list")
    text = json.dumps([LOGIN, LOGIN | {"id": "m2"}])
    body = urlencode({"crc": "1", "data_list": pack(text)}).encode()
    assert post(body, path=f"/hooks/website/{TOKEN}", headers={}).json()["accepted"] == 2
    assert post({"data": pack(json.dumps(LOGIN | {"id": "m3"}))}, path=f"/hooks/website/{TOKEN}", headers={}).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"hello", "record.not_form"),
        (b'{"event": ', "record.not_json"),
        (b"<xml><a></xml>", "record.not_xml"),
        (b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>', "record.not_xml"),
        (b'<!DOCTYPE x SYSTEM "http://example.com/x"><x/>', "record.not_xml"),
        (b"<?xml version='1.0' encoding='GBK'?><x/>", "record.not_xml"),
        (b"\xff\xfe", "record.not_form"),
    ],
)
def test_what_cannot_be_read_is_400_and_nothing_is_stored(hook, post, body, code):
    hook()
    answer = post(body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert failures(code) == 1 and not Event.objects.exists()


def test_too_much_is_413(hook, post):
    hook()
    assert post(b" " * (5 * 1024 * 1024 + 1)).status_code == 413
    assert post(gzip.compress(b" " * 200_000_000)).status_code == 413
    assert post([LOGIN] * 1_001).status_code == 413


def test_a_record_may_hold_many_events_where_the_envelope_says(hook, post):
    source = Source.objects.get(code="website")
    apply_definition(
        source.pk, definition(source) | {"envelope": {"preset": "custom", "events": "list", "event": "what", "phone": "$.who"}}
    )
    publish({str(source.pk): definition(Source.objects.get(pk=source.pk))}, notes="t", by=None)
    forget()
    hook()
    answer = post({"who": "+8613800138000", "list": [{"what": "login"}, {"what": "login", "n": 2}, 5]}).json()
    assert (answer["received"], answer["accepted"], answer["refused"]) == (3, 2, 1)
    assert Original.objects.exclude(record=None).count() == 1


def test_no_secret_is_kept_with_what_it_brought(hook):
    for more in ({"kept_headers": "X-A, authorization"}, {"kept_headers": "x-token", "header": "X-Token"}):
        with pytest.raises(ValidationError):
            hook("plain", TOKEN, **more).full_clean()
    hook("plain", TOKEN, kept_headers="X-Topic").full_clean()


def test_other_methods_are_405(hook, client):
    hook()
    assert client.put("/hooks/website").status_code == 405
    assert client.head("/hooks/website").status_code == 200


def test_a_source_that_is_not_released_is_told_to_come_again(hook, post, departments):
    made = hook()
    owner = made.source.owner
    made.source = Source.objects.create(code="fresh", label_en="Fresh", label_zh_hans="新", source_kind="website", owner=owner)
    made.save()
    answer = post(LOGIN, path="/hooks/fresh")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "source.unreleased")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(LOGIN).encode(),
        b"event=login&phone=%2B8613800138000&id=m1",
        b"<xml><event>login</event><phone>+8613800138000</phone><id>m1</id></xml>",
    ],
)
def test_each_is_read_again_as_it_was_read_first(hook, post, body):
    hook()
    assert post(body).json()["accepted"] == 1
    plan = current().plan
    stored = bytes(Original.objects.get().record)
    assert stored == body
    (raw,) = reread(stored, plan.sources["website"], plan, door=Batch.objects.get().door, received_at=timezone.now())
    assert isinstance(raw, RawEvent) and (raw.name, raw.phone, raw.message_id) == ("login", "+8613800138000", "m1")


def test_a_form_is_read_by_no_other_door():
    assert decode(b"a=b", door="hook") == {"a": "b"}
    assert isinstance(decode(b"a=b", door="api"), Refusal)
    assert decode(b'{"a":1}', door="file", file_format=FileFormat("ndjson")) == {"a": 1}


@pytest.mark.parametrize(
    ("body", "decoded"),
    [
        (b"a=1&b=%E5%95%86&a=2&c=", {"a": ["1", "2"], "b": "商", "c": ""}),
        (b"a=1+2&b&&c=x%3Dy&", {"a": "1 2", "b": "", "c": "x=y"}),
        (b"<x><a>1</a><b><c>2</c></b></x>", {"a": "1", "b": {"c": "2"}}),
        (b"<x><a>1</a><a>2</a><a/></x>", {"a": ["1", "2", ""]}),
        (b"<x><![CDATA[text & more]]></x>", "text & more"),
        (b'<x k="v">text</x>', {"@k": "v", "#text": "text"}),
        ('<?xml version="1.0"?><n:x xmlns:n="u"><n:a>商</n:a></n:x>'.encode(), {"a": "商"}),
        (b"<x/>", ""),
        (b"<x>&lt;&#65;</x>", "<A"),
        (b"\xef\xbb\xbf<x><a>1</a></x>", {"a": "1"}),
        (b" {}", {}),
    ],
)
def test_bodies_become_objects(body, decoded):
    assert decode_body(body) == decoded


def test_xml_nested_too_deep_is_refused():
    assert decode_body(b"<x>" * 33 + b"</x>" * 33) != Refusal("record.not_xml")
    assert decode_body(b"<x>" * 34 + b"</x>" * 34) == Refusal("record.not_xml")
    assert decode_body(b"<x>" * 100_000) == Refusal("record.not_xml")


# Every scheme: (what its sender would send, made from the secret by hand)
NOW = 1_700_000_000
BODY = b'{"a": 1}'


def _b64(mac: bytes) -> str:
    return base64.b64encode(mac).decode()


# SendGrid's keys: the private one here by its public one, as only SendGrid has it.
_SENDGRID = {}


def _sendgrid_key() -> str:
    made = ec.generate_private_key(ec.SECP256R1())
    der = made.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    _SENDGRID[_b64(der)] = made
    return _b64(der)


AES_KEY, APP = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wx2c2769f8efd9abc2"


def wechat_encrypts(message: bytes, *, aes_key=AES_KEY, app=APP, padding=None) -> str:
    key = base64.b64decode(aes_key + "=")
    plain = b"r" * 16 + len(message).to_bytes(4) + message + app.encode()
    missing = 32 - len(plain) % 32
    plain += bytes([missing]) * missing if padding is None else padding
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return _b64(cipher.update(plain) + cipher.finalize())


def wechat_signs(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def wechat_sends(secret: str, message: bytes, at: int = NOW, **more) -> Sent:
    token, aes_key, app = secret.split(" ")
    text = wechat_encrypts(message, **{"aes_key": aes_key, "app": app, **more})
    query = {"timestamp": str(at), "nonce": "7", "msg_signature": wechat_signs(token, str(at), "7", text)}
    return Sent("POST", ("u",), {}, query, f"<xml><ToUserName>x</ToUserName><Encrypt><![CDATA[{text}]]></Encrypt></xml>".encode())


def secrets_of(scheme: str) -> tuple[str, str]:
    """(a secret, another) as the scheme takes them."""
    if scheme == "sendgrid":
        return _sendgrid_key(), _sendgrid_key()
    if scheme == "wechat_aes":
        return f"token {AES_KEY} {APP}", f"nekot {AES_KEY} {APP}"
    return SECRET, signing.secret_text(b"o" * 24)


def sent_as(scheme: str, secret: str, body: bytes = BODY, at: int = NOW) -> Sent:
    """A request as the vendors' documentation describes it."""
    url, headers, query, token, header = "https://t.example.com/hooks/x", {}, {}, "", ""
    mac = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    if scheme == "standard":
        headers = signed(body, secret=secret, at=at)
    elif scheme == "shopify":
        headers = {"X-Shopify-Hmac-Sha256": _b64(mac)}
    elif scheme == "woocommerce":
        headers = {"X-WC-Webhook-Signature": _b64(mac)}
    elif scheme == "hmac":
        headers = {"X-Hub-Signature-256": "sha256=" + mac.hex()}
    elif scheme == "stripe":
        told = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={at},v1={'0' * 64},v1={told},v0=x"}
    elif scheme == "mailgun":
        told = hmac.new(secret.encode(), f"{at}tok".encode(), hashlib.sha256).hexdigest()
        body = json.dumps({"signature": {"timestamp": str(at), "token": "tok", "signature": told}, "event-data": {}}).encode()
    elif scheme in ("twilio", "mandrill"):
        body = b"To=%2B1415&From=x&Body=a+b"
        told = hmac.new(secret.encode(), f"{url}Bodya bFromxTo+1415".encode(), hashlib.sha1).digest()
        headers = {f"X-{scheme.title()}-Signature": _b64(told)}
    elif scheme == "wechat":
        query = {"timestamp": str(at), "nonce": "7", "signature": wechat_signs(secret, str(at), "7")}
    elif scheme == "wechat_aes":
        return wechat_sends(secret, BODY, at)
    elif scheme == "sendgrid":
        told = _SENDGRID[secret].sign(str(at).encode() + body, ec.ECDSA(hashes.SHA256()))
        headers = {"X-Twilio-Email-Event-Webhook-Signature": _b64(told), "X-Twilio-Email-Event-Webhook-Timestamp": str(at)}
    else:
        token = secret
    return Sent("POST", ("https://other.example.com/", url), headers, query, body, token, header)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_believes_its_senders_and_nobody_else(scheme):
    secret, other = secrets_of(scheme)
    sent = sent_as(scheme, secret)
    assert problem_of(scheme, sent, [secret], now=NOW) == ""
    assert problem_of(scheme, sent, [other, secret], now=NOW) == ""
    assert problem_of(scheme, sent, [other], now=NOW) == WRONG
    assert problem_of(scheme, sent, [], now=NOW) == WRONG
    assert problem_of(scheme, sent, [""], now=NOW) == WRONG
    assert problem_of(scheme, Sent("POST", sent.urls, {}, {}, b"{}"), [secret], now=NOW) == MISSING


TIMED = [scheme for scheme in SCHEMES if scheme in ("standard", "stripe", "mailgun", "wechat", "wechat_aes", "sendgrid")]


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize(("seconds", "problem"), [(300, ""), (-300, ""), (301, STALE), (-301, STALE)])
def test_what_signs_a_time_is_good_for_five_minutes(scheme, seconds, problem):
    secret, other = secrets_of(scheme)
    assert problem_of(scheme, sent_as(scheme, secret), [secret], now=NOW + seconds) == problem
    assert problem_of(scheme, sent_as(scheme, secret), [other], now=NOW + seconds) == WRONG


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme not in ("plain", "wechat", "mailgun")])
def test_another_body_is_not_believed(scheme):
    secret, _other = secrets_of(scheme)
    sent = sent_as(scheme, secret)
    changed = Sent(sent.method, sent.urls, sent.headers, sent.query, sent.body + b" &x=1", sent.token, sent.header)
    assert problem_of(scheme, changed, [secret], now=NOW) == WRONG


@pytest.mark.parametrize(
    ("scheme", "headers", "query", "body"),
    [
        ("standard", {"webhook-id": "1", "webhook-timestamp": "hello", "webhook-signature": "v1,x"}, {}, b""),
        ("stripe", {"Stripe-Signature": "t=x,v1=y"}, {}, b""),
        ("plain", {"Authorization": "Basic !"}, {}, b""),
        ("mailgun", {}, {}, b'{"signature": {"timestamp": "x", "token": "t", "signature": "s"}}'),
        ("mailgun", {}, {}, b"{"),
        ("mailgun", {}, {}, b"\xff"),
        ("wechat", {}, {"timestamp": "x", "nonce": "n", "signature": "ü"}, b""),
        ("wechat_aes", {}, {"timestamp": "1", "nonce": "n", "msg_signature": "ü"}, b"<xml><Encrypt>x</Encrypt></xml>"),
        ("wechat_aes", {}, {"timestamp": "1", "nonce": "n", "msg_signature": "x"}, b"hello"),
        ("sendgrid", {"X-Twilio-Email-Event-Webhook-Signature": "!", "X-Twilio-Email-Event-Webhook-Timestamp": "1"}, {}, b""),
        ("sendgrid", {"X-Twilio-Email-Event-Webhook-Signature": "eA==", "X-Twilio-Email-Event-Webhook-Timestamp": "x"}, {}, b""),
        ("twilio", {"X-Twilio-Signature": "ü"}, {"bodySHA256": "00"}, b""),
        ("twilio", {"X-Twilio-Signature": "ü"}, {}, b"\xff"),
        ("hmac", {"X-Hub-Signature-256": "ü"}, {}, b""),
    ],
)  # fmt: skip
def test_nonsense_is_a_wrong_signature_and_no_error(scheme, headers, query, body):
    assert problem_of(scheme, Sent("POST", ("u",), headers, query, body), [SECRET], now=NOW) == WRONG


def test_twilio_signs_the_hash_of_json_in_the_address():
    url = f"https://t.example.com/hooks/x?bodySHA256={hashlib.sha256(BODY).hexdigest()}"
    headers = {"X-Twilio-Signature": _b64(hmac.new(b"s", url.encode(), hashlib.sha1).digest())}
    query = {"bodySHA256": hashlib.sha256(BODY).hexdigest()}
    assert problem_of("twilio", Sent("POST", (url,), headers, query, BODY), ["s"], now=NOW) == ""
    assert problem_of("twilio", Sent("POST", (url,), headers, query, BODY + b" "), ["s"], now=NOW) == WRONG


# The signature as compute_signature of Twilio's own Python library gives it for the address and no fields, under the token 12345.
TWILIO_QUERY = "event=login&phone=%2B12025550123&id=SM1&note=a+b"
TWILIO_SIGNATURE = "5HA27YvsPfT6nOhjd4netX9xlvM="


def test_twilio_signs_the_whole_address_of_a_get_and_nothing_else(hook, client):
    hook("twilio", "12345")
    headers = {"X-Twilio-Signature": TWILIO_SIGNATURE}
    assert client.get(f"/hooks/website?{TWILIO_QUERY}", headers=headers).json()["accepted"] == 1
    assert (Event.objects.get().message_id, Event.objects.get().tag.code) == ("SM1", "login")
    for changed in (TWILIO_QUERY.replace("SM1", "SM2"), TWILIO_QUERY + "&x=1", ""):
        assert client.get(f"/hooks/website?{changed}", headers=headers).status_code == 401
    fields = {"CallSid": "CA1234567890ABCDE", "Digits": "1234", "From": "+14158675309", "To": "+18005551212", "Caller": "+14158675309"}
    sent = Sent(
        "POST",
        ("https://mycompany.com/myapp.php?foo=1&bar=2",),
        {"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        {},
        urlencode(fields).encode(),
    )
    assert problem_of("twilio", sent, ["12345"], now=NOW) == ""


# The example of SendGrid's own libraries.
SENDGRID_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
SENDGRID_SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
SENDGRID_BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)


def sendgrid_says(body=SENDGRID_BODY, *, key=SENDGRID_KEY, timestamp="1600112502", now=1600112502) -> str:
    headers = {"X-Twilio-Email-Event-Webhook-Signature": SENDGRID_SIGNATURE, "X-Twilio-Email-Event-Webhook-Timestamp": timestamp}
    return problem_of("sendgrid", Sent("POST", (), headers, {}, body), [key], now=now)


def test_sendgrids_own_example_is_good():
    assert sendgrid_says() == ""
    assert sendgrid_says(key=f"-----BEGIN PUBLIC KEY-----\n{SENDGRID_KEY[:64]}\n{SENDGRID_KEY[64:]}\n-----END PUBLIC KEY-----\n") == ""
    assert sendgrid_says(SENDGRID_BODY.rstrip()) == WRONG
    assert sendgrid_says(timestamp="1600112503") == WRONG
    assert sendgrid_says(now=1600112502 + 301) == STALE


def test_a_key_of_another_curve_or_kind_is_none():
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    der = other.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for text in ("", "hello", "aGVsbG8=", _b64(der)):
        with pytest.raises(ValueError, match=r"."):
            public_key(text)


# The example of WeCom's documentation, "回调和回复的加解密方案".
WECOM = "QDG6eK jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C wx5823bf96d3bd56c7"
WECOM_QUERY = {"msg_signature": "477715d11cdb4164915debcba66cb864d751f3e6", "timestamp": "1409659813", "nonce": "1372623149"}
WECOM_TEXT = "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=="


def test_wecoms_own_example_is_good():
    sent = Sent("POST", (), {}, WECOM_QUERY, f"<xml><Encrypt><![CDATA[{WECOM_TEXT}]]></Encrypt></xml>".encode())
    assert problem_of("wechat_aes", sent, [WECOM], now=1409659813) == ""
    told = decode_body(opened("wechat_aes", sent, ["x", WECOM]))
    assert (told["FromUserName"], told["Content"], told["MsgId"]) == ("mycreate", "hello", "4561255354251345929")


def test_wecom_checks_the_address_with_an_encrypted_text():
    query = {
        "msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "timestamp": "1409659589", "nonce": "263014780",
        "echostr": "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==",
    }  # fmt: skip
    sent = Sent("GET", (), {}, query, b"")
    assert problem_of("wechat_aes", sent, [WECOM], now=1409659589) == ""
    assert opened("wechat_aes", sent, [WECOM]) == b"1616140317555161061"


MINE = f"token {AES_KEY} {APP}"


@pytest.mark.parametrize(
    "more",
    [
        {"app": "wx0000000000000000"},
        {"app": APP + "x"},
        {"aes_key": AES_KEY.swapcase()},
        {"padding": b"\x00" * 20},
        {"padding": b"\x21" * 52},
    ],
)
def test_what_is_signed_and_not_for_this_app_is_not_believed(more):
    good = wechat_sends(MINE, b"<xml/>")
    assert problem_of("wechat_aes", good, [MINE], now=NOW) == "" and opened("wechat_aes", good, [MINE]) == b"<xml/>"
    assert problem_of("wechat_aes", wechat_sends(MINE, b"<xml/>", **more), [MINE], now=NOW) == WRONG


def test_a_plain_signature_does_not_prove_an_encrypted_webhook():
    query = {"timestamp": str(NOW), "nonce": "7", "signature": wechat_signs("token", str(NOW), "7")}
    assert problem_of("wechat_aes", Sent("POST", (), {}, query, b"<xml><event>login</event></xml>"), [MINE], now=NOW) == MISSING
    assert problem_of("wechat_aes", Sent("GET", (), {}, query, b""), [MINE], now=NOW) == MISSING
    assert problem_of("wechat_aes", Sent("GET", (), {}, {**query, "echostr": "5"}, b""), [MINE], now=NOW) == ""


def test_what_wechat_encrypted_is_stored_as_what_it_says(hook, client):
    hook("wechat_aes", MINE, answer="success")
    at = int(time.time())
    xml = b"<xml><event>login</event><phone>+8613800138000</phone><id>1</id></xml>"
    sent = wechat_sends(MINE, xml, at)
    answer = client.post(f"/hooks/website?{urlencode(sent.query)}", sent.body, content_type="text/xml")
    assert answer.content == b"success" and Event.objects.get().tag.code == "login"
    assert bytes(Original.objects.get().record) == xml
    text = wechat_encrypts(b"5<b>")
    query = {"timestamp": str(at), "nonce": "n", "msg_signature": wechat_signs("token", str(at), "n", text), "echostr": text}
    assert client.get("/hooks/website", query).content == b"5<b>"
    query = {"timestamp": str(at), "nonce": "n", "signature": wechat_signs("token", str(at), "n"), "echostr": "6"}
    assert client.get("/hooks/website", query).content == b"6"


# Standard Webhooks' own vectors, which its libraries share.
VECTOR = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330", "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}  # fmt: skip
PAYLOAD = b'{"test": 2432232314}'


def verify(headers, *, secret=SECRET, now=1614265330):
    return problem_of("standard", Sent("POST", (), headers, {}, PAYLOAD), [secret], now=now)


def test_the_standards_vector_is_good():
    assert verify(VECTOR) == ""
    assert verify({name.replace("webhook", "svix"): value for name, value in VECTOR.items()}) == ""
    assert verify(VECTOR, secret=SECRET.removeprefix("whsec_")) == ""


@pytest.mark.parametrize("name", VECTOR)
def test_the_standard_needs_all_three_headers(name):
    assert verify({key: value for key, value in VECTOR.items() if key != name}) == MISSING


def test_the_standard_takes_one_good_signature_of_several():
    noise = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
    several = f"{noise} {noise.replace('v1', 'v2')} {VECTOR['webhook-signature']} {noise}"
    assert verify({**VECTOR, "webhook-signature": several}) == ""
    assert verify({**VECTOR, "webhook-signature": VECTOR["webhook-signature"].replace("v1,", "v2,")}) == WRONG
    assert verify({**VECTOR, "webhook-signature": VECTOR["webhook-signature"].replace("g0hM", "g0hN")}) == WRONG


@pytest.mark.parametrize(
    "secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr"]
)
def test_the_standards_secrets_need_no_padding_and_no_prefix(secret):
    padded = secret + "=" * (-len(secret) % 4)
    told = base64.b64encode(hmac.digest(base64.b64decode(padded), b"i.1614265330." + PAYLOAD, "sha256")).decode()
    headers = {**VECTOR, "webhook-id": "i", "webhook-signature": f"v1,{told}"}
    assert all(verify(headers, secret=one) == "" for one in (secret, padded, "whsec_" + secret, "whsec_" + padded))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!"])
def test_no_secret_proves_nothing(secret):
    told = base64.b64encode(hmac.digest(b"", b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + PAYLOAD, "sha256")).decode()
    assert verify({**VECTOR, "webhook-signature": f"v1,{told}"}, secret=secret) == WRONG


@pytest.mark.needs("shared-data")
def test_the_vectors_of_the_standards_libraries_are_ours():
    """Their tests name one id, secret, payload and signature, whatever the language; the cases above are theirs."""
    from conftest import SHARED

    found = "".join(path.read_text() for path in (SHARED / "e03-standard-webhooks/libraries").rglob("*") if path.is_file())
    assert set(re.findall(r"v1,[A-Za-z0-9+/]{43}=", found)) >= {VECTOR["webhook-signature"]}
    for signature in set(re.findall(r"v1,[A-Za-z0-9+/]{43}=", found)):
        expected = "" if signature == VECTOR["webhook-signature"] else WRONG
        assert verify({**VECTOR, "webhook-signature": signature}) == expected
