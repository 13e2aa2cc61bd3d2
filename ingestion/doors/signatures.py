"""The one table of how senders of webhooks prove themselves. Pure: the clock is passed in, secrets come as texts.

A scheme looks at the request as it came, before anything in it is believed; several secrets may be good at once.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from django.utils.translation import gettext_lazy as _

from ingestion import signing
from taxonomy.standardize import decode_json

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
    """What a request says to prove itself. `signed(secret)`: what its signatures must be one of; `at`: the time signed, if any."""

    given: tuple[bytes, ...]
    signed: Callable[[str], tuple[bytes, ...]]
    at: int | None = None


# None: nothing came that could prove anything.
Reader = Callable[[Sent], Claim | None]


class Scheme(NamedTuple):
    """`given_to_us`: the vendor makes the secret."""

    label: Any
    read: Reader
    given_to_us: bool = False


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
        said = body.get("signature") if isinstance(body, dict) else None
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

    Of a JSON body Twilio signs the address alone, which holds the body's hash.
    """

    def read(sent: Sent) -> Claim | None:
        given = sent.headers.get(header, "").strip()
        if not given:
            return None
        fields = ""
        if hashed := sent.query.get("bodySHA256", ""):
            if not hmac.compare_digest(hashlib.sha256(sent.body).hexdigest(), hashed.lower()):
                raise ValueError
        else:
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
    "wechat": Scheme(_("WeChat"), _wechat),
}
