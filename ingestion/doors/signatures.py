"""The one table of how senders of webhooks prove themselves. Pure: the clock is passed in, secrets come as texts.

A scheme looks at the request as it came, before anything in it is believed; several secrets may be good at once.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.utils.translation import gettext_lazy as _

from ingestion.outgoing import signing
from taxonomy.standardize import decode_body, decode_json

# How far from now a time that was signed may be, either way. Source: Standard Webhooks, "Verifying webhook authenticity".
WINDOW_SECONDS = 5 * 60

MISSING, WRONG, STALE = "hook.unsigned", "hook.wrong_signature", "hook.stale"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came. `urls`: the addresses its sender may have called it by; `header`: of the hook, which one proves."""

    method: str
    urls: tuple[str, ...]
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    token: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says to prove itself. `signed(secret)`: what its signatures must be one of; `at`: the time signed, if any.

    With a public key, what was signed can only be looked at: `signed` says those given that are good.
    """

    given: tuple[bytes, ...]
    signed: Callable[[str], tuple[bytes, ...]]
    at: int | None = None


# None: nothing came that could prove anything.
Reader = Callable[[Sent], Claim | None]


class Scheme(NamedTuple):
    """`given_to_us`: the vendor makes the secret. `open`: what a proved request says, where its body hides it."""

    label: Any
    read: Reader
    given_to_us: bool = False
    open: Callable[[Sent, str], bytes] | None = None


def problem_of(scheme: str, sent: Sent, secrets: Iterable[str], *, now: float) -> str:
    """Why a request is not believed; "" when it is. Every secret is tried, in constant time."""
    try:
        claim = SCHEMES[scheme].read(sent)
    except (ValueError, binascii.Error, OverflowError, RecursionError):
        return WRONG
    if claim is None:
        return MISSING
    good = False
    for expected in [one for secret in secrets for one in _signed(claim, secret)]:
        for given in claim.given:
            good |= hmac.compare_digest(expected, given)
    if not good:
        return WRONG
    return STALE if claim.at is not None and abs(now - claim.at) > WINDOW_SECONDS else ""


def opened(scheme: str, sent: Sent, secrets: Iterable[str]) -> bytes:
    """The body of a request that was proved, decrypted by the first secret that fits."""
    if (opens := SCHEMES[scheme].open) is None:
        return sent.body
    for secret in secrets:
        try:
            return opens(sent, secret)
        except ValueError:
            continue
    raise ValueError("no secret opens it")


def _signed(claim: Claim, secret: str) -> tuple[bytes, ...]:
    """What a request signed with this secret would say; nothing where it is no secret of the scheme."""
    try:
        return claim.signed(secret) if secret else ()
    except ValueError:
        return ()


def _standard(sent: Sent) -> Claim | None:
    """Source: Standard Webhooks, "Signature scheme". svix-* are the names its makers used before."""
    said = [sent.headers.get(f"webhook-{part}") or sent.headers.get(f"svix-{part}") or "" for part in ("id", "timestamp", "signature")]
    message_id, timestamp, signatures = said
    if not all(said):
        return None
    at = int(timestamp)

    def signed(secret: str) -> tuple[bytes, ...]:
        key = signing.key_of(secret)
        return (signing.sign([key], message_id, at, sent.body).encode(),) if key else ()

    return Claim(tuple(one.encode() for one in signatures.split(" ") if one.startswith("v1,")), signed, at)


def _of_body(header: str, digest: str, *, encode: Callable[[bytes], bytes]) -> Reader:
    """A header that holds the HMAC of the body."""

    def read(sent: Sent) -> Claim | None:
        given = sent.headers.get(header, "").strip()
        return Claim((given.encode(),), lambda secret: (encode(hmac.digest(secret.encode(), sent.body, digest)),)) if given else None

    return read


def _hex(mac: bytes) -> bytes:
    return mac.hex().encode()


def _github(sent: Sent) -> Claim | None:
    """The HMAC-SHA256 of the body, in hexadecimal or base64, with or without "sha256=" before it. Source: GitHub, "Validating deliveries"."""
    given = sent.headers.get(sent.header or "X-Hub-Signature-256", "").strip().removeprefix("sha256=")
    if not given:
        return None

    def signed(secret: str) -> tuple[bytes, ...]:
        mac = hmac.digest(secret.encode(), sent.body, "sha256")
        return _hex(mac), base64.b64encode(mac)

    return Claim((given.encode(),), signed)


def _stripe(sent: Sent) -> Claim | None:
    """Source: Stripe, "Verify webhook signatures manually"."""
    parts = [part.strip().partition("=") for part in sent.headers.get("Stripe-Signature", "").split(",")]
    times, given = [value for key, _eq, value in parts if key == "t"], tuple(value.encode() for key, _eq, value in parts if key == "v1")
    if not times or not given:
        return None
    return Claim(given, lambda secret: (_hex(hmac.digest(secret.encode(), times[0].encode() + b"." + sent.body, "sha256")),), int(times[0]))


def _mailgun(sent: Sent) -> Claim | None:
    """Signs a time and a token inside the body, so that this much of it is read first. Source: Mailgun, "Securing webhooks"."""
    if sent.body.lstrip()[:1] == b"{":
        body = decode_json(sent.body)
        if not isinstance(body, dict):
            raise ValueError("no JSON object")
        said = body.get("signature")
    else:
        said = dict(parse_qsl(sent.body.decode()))
    if not isinstance(said, dict):
        return None
    timestamp, token, signature = (str(said.get(part) or "") for part in ("timestamp", "token", "signature"))
    if not (timestamp and token and signature):
        return None
    text = (timestamp + token).encode()
    return Claim((signature.encode(),), lambda secret: (_hex(hmac.digest(secret.encode(), text, "sha256")),), int(timestamp))


def _of_address(header: str) -> Reader:
    """The HMAC-SHA1 of the address called and the form's fields in order of their names. Source: Twilio, Mandrill.

    Of a JSON body Twilio signs the address alone, which holds the body's hash; of a GET too, which holds its fields.
    """

    def read(sent: Sent) -> Claim | None:
        given = sent.headers.get(header, "").strip()
        if not given:
            return None
        fields = ""
        if hashed := sent.query.get("bodySHA256", ""):
            if not hmac.compare_digest(hashlib.sha256(sent.body).hexdigest(), hashed.lower()):
                raise ValueError
        elif sent.method != "GET":
            pairs = sorted(set(parse_qsl(sent.body.decode(), keep_blank_values=True)))
            fields = "".join(name + value for name, value in pairs)
        texts = [(url + fields).encode() for url in sent.urls]

        def signed(secret: str) -> tuple[bytes, ...]:
            return tuple(base64.b64encode(hmac.digest(secret.encode(), text, "sha1")) for text in texts)

        return Claim((given.encode(),), signed)

    return read


def _wechat(sent: Sent) -> Claim | None:
    """The SHA-1 of token, time and nonce in order; plain mode. Source: WeChat, "接入指南"."""
    signature, timestamp, nonce = (sent.query.get(part, "") for part in ("signature", "timestamp", "nonce"))
    if not (signature and timestamp and nonce):
        return None

    def signed(token: str) -> tuple[bytes, ...]:
        return (hashlib.sha1("".join(sorted([token, timestamp, nonce])).encode(), usedforsecurity=False).hexdigest().encode(),)

    return Claim((signature.encode(),), signed, int(timestamp))


class WeChatSecret(NamedTuple):
    """What is entered at WeChat for its encrypted mode, kept as one text with spaces between."""

    token: str
    aes_key: str
    app_id: str

    @classmethod
    def parse(cls, text: str) -> "WeChatSecret":
        """Raises ValueError for what is none."""
        token, aes_key, app_id = text.split(" ")
        if not (token and app_id and re.fullmatch("[A-Za-z0-9]{43}", aes_key)):
            raise ValueError
        return cls(token, aes_key, app_id)

    @property
    def key(self) -> bytes:
        return base64.b64decode(self.aes_key + "=")


def _wechat_encrypted(sent: Sent) -> Claim | None:
    """The SHA-1 of token, time, nonce and the encrypted text in order. Source: WeChat, "消息加解密说明".

    An official account's address is checked in plain, a company's (WeCom) encrypted.
    """
    if "msg_signature" not in sent.query:
        if sent.method != "GET" or "echostr" not in sent.query:
            return None
        claim = _wechat(sent)
        return claim and Claim(claim.given, lambda secret: claim.signed(WeChatSecret.parse(secret).token), claim.at)
    given, timestamp, nonce = (sent.query.get(part, "") for part in ("msg_signature", "timestamp", "nonce"))
    encrypted = _encrypted(sent)

    def signed(text: str) -> tuple[bytes, ...]:
        secret = WeChatSecret.parse(text)
        parts = sorted([secret.token, timestamp, nonce, encrypted])
        mac = hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest().encode()
        if not hmac.compare_digest(mac, given.encode()):
            return ()
        _open_wechat(sent, text)
        return (mac,)

    return Claim((given.encode(),), signed, int(timestamp))


def _encrypted(sent: Sent) -> str:
    """The encrypted text of a request. Raises ValueError where there is none."""
    if sent.method == "GET":
        return sent.query["echostr"] if "echostr" in sent.query else _nothing()
    body = decode_body(sent.body)
    text = body.get("Encrypt") if isinstance(body, dict) else None
    return text if isinstance(text, str) and text else _nothing()


def _nothing() -> str:
    raise ValueError("nothing is encrypted")


def _open_wechat(sent: Sent, text: str) -> bytes:
    """AES-256-CBC: 16 random bytes, the length, the message, the app's id. Raises ValueError when it is not for this app."""
    if sent.method == "GET" and "msg_signature" not in sent.query:
        return sent.query["echostr"].encode()
    secret = WeChatSecret.parse(text)
    cipher = Cipher(algorithms.AES(secret.key), modes.CBC(secret.key[:16])).decryptor()
    plain = cipher.update(base64.b64decode(_encrypted(sent), validate=True)) + cipher.finalize()
    padding = plain[-1] if plain else 0
    # WeChat pads to 32 bytes, twice the block of AES.
    if not 1 <= padding <= 32 or plain[-padding:] != bytes([padding]) * padding:
        raise ValueError("padding")
    content = plain[16:-padding]
    end = 4 + int.from_bytes(content[:4])
    if len(content) < end or not hmac.compare_digest(content[end:], secret.app_id.encode()):
        raise ValueError("another app's")
    return content[4:end]


def public_key(text: str) -> ec.EllipticCurvePublicKey:
    """A P-256 public key from base64 or PEM, its lines joined or not. Raises ValueError for any other text."""
    written = re.sub(r"-----(?:BEGIN|END) PUBLIC KEY-----|\s", "", text)
    try:
        key = load_der_public_key(base64.b64decode(written, validate=True))
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not P-256")
    return key


def _sendgrid(sent: Sent) -> Claim | None:
    """ECDSA of the time and the body. Source: Twilio SendGrid, "Getting Started with the Event Webhook Security Features"."""
    signature, timestamp = (sent.headers.get(f"X-Twilio-Email-Event-Webhook-{part}", "").strip() for part in ("Signature", "Timestamp"))
    if not (signature and timestamp):
        return None
    der = base64.b64decode(signature, validate=True)

    def signed(text: str) -> tuple[bytes, ...]:
        try:
            public_key(text).verify(der, timestamp.encode() + sent.body, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return ()
        return (der,)

    return Claim((der,), signed, int(timestamp))


def _plain(sent: Sent) -> Claim | None:
    """The secret itself: in a header, bare or by Bearer or Basic auth, at the end of the address, or as ?token=."""
    written = sent.headers.get(sent.header or "Authorization", "").strip()
    scheme, _space, rest = written.partition(" ")
    given = [written, sent.token, sent.query.get("token", "")]
    if scheme.lower() == "bearer":
        given.append(rest.strip())
    elif scheme.lower() == "basic":
        user, _colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        given += [user, password]
    given = [one for one in given if one]
    return Claim(tuple(one.encode() for one in given), lambda secret: (secret.encode(),)) if given else None


SCHEMES: dict[str, Scheme] = {
    "standard": Scheme("Standard Webhooks", _standard),
    "plain": Scheme(_("A token, as it is"), _plain),
    "hmac": Scheme(_("HMAC of the body, as GitHub signs"), _github),
    "shopify": Scheme("Shopify", _of_body("X-Shopify-Hmac-Sha256", "sha256", encode=base64.b64encode), given_to_us=True),
    "woocommerce": Scheme("WooCommerce", _of_body("X-WC-Webhook-Signature", "sha256", encode=base64.b64encode)),
    "stripe": Scheme("Stripe", _stripe, given_to_us=True),
    "mailgun": Scheme("Mailgun", _mailgun, given_to_us=True),
    "mandrill": Scheme("Mandrill", _of_address("X-Mandrill-Signature"), given_to_us=True),
    "twilio": Scheme("Twilio", _of_address("X-Twilio-Signature"), given_to_us=True),
    "sendgrid": Scheme("SendGrid", _sendgrid, given_to_us=True),
    "wechat": Scheme(_("WeChat"), _wechat),
    "wechat_aes": Scheme(_("WeChat, encrypted"), _wechat_encrypted, given_to_us=True, open=_open_wechat),
}
