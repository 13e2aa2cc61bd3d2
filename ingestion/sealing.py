"""Secrets of others, kept so that a copy of the database does not tell them: sealed under the SECRET_KEY of this installation.

Encrypt-then-MAC: HMAC-SHA256 in counter mode makes the key stream, and HMAC-SHA256 with another key the seal.
"""

import hashlib
import hmac
import secrets

from django.conf import settings

_NONCE, _SEAL = 16, 32


def seal(text: str) -> bytes:
    nonce, plain = secrets.token_bytes(_NONCE), text.encode()
    hidden = nonce + _crypt(settings.SECRET_KEY, nonce, plain)
    return hidden + _seal_of(settings.SECRET_KEY, hidden)


def unseal(sealed: bytes | memoryview) -> str | None:
    """The text again; None where it was sealed under another SECRET_KEY, or changed."""
    hidden, found = bytes(sealed)[:-_SEAL], bytes(sealed)[-_SEAL:]
    keys: list[str] = [settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS)]
    for key in keys:
        if hmac.compare_digest(_seal_of(key, hidden), found):
            return _crypt(key, hidden[:_NONCE], hidden[_NONCE:]).decode()
    return None


def _key(secret_key: str, use: bytes) -> bytes:
    return hmac.digest(secret_key.encode(), b"tagline sealing: " + use, hashlib.sha256)


def _seal_of(secret_key: str, hidden: bytes) -> bytes:
    return hmac.digest(_key(secret_key, b"seal"), hidden, hashlib.sha256)


def _crypt(secret_key: str, nonce: bytes, text: bytes) -> bytes:
    key, blocks = _key(secret_key, b"stream"), range(-(-len(text) // 32))
    stream = b"".join(hmac.digest(key, nonce + block.to_bytes(8), hashlib.sha256) for block in blocks)
    return bytes(one ^ other for one, other in zip(text, stream, strict=False))
