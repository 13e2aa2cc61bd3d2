"""Signatures of webhooks. Pure. Source: Standard Webhooks, "Signature scheme" (symmetric, v1)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

SECRET_PREFIX = "whsec_"


def secret_text(key: bytes) -> str:
    """A key as people pass it on."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def key_of(text: str) -> bytes:
    """A key from how people pass it on: base64, with or without prefix and padding. Raises ValueError when it is neither."""
    written = text.strip().removeprefix(SECRET_PREFIX).rstrip("=")
    return base64.b64decode(written + "=" * (-len(written) % 4), validate=True)


def sign(keys: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature: "v1,<base64>", one for each key, with spaces between. `timestamp`: seconds since 1970."""
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)


def headers(keys: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(keys, message_id, timestamp, body),
    }
