"""Secrets of others, kept so that a copy of the database does not tell them: sealed under the SECRET_KEY of this installation."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


def seal(text: str) -> bytes:
    return _fernets().encrypt(text.encode())


def unseal(sealed: bytes | memoryview) -> str | None:
    """The text again; None where it was sealed under another SECRET_KEY, or changed."""
    try:
        return _fernets().decrypt(bytes(sealed)).decode()
    except InvalidToken:
        return None


def _fernets() -> MultiFernet:
    """SECRET_KEY seals; its fallbacks open what was sealed before it."""
    return MultiFernet([_fernet(str(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


@lru_cache(maxsize=8)
def _fernet(secret_key: str) -> Fernet:
    """Its key is derived for this use alone: whoever learns it learns neither SECRET_KEY nor what else is made from it."""
    derived = HKDF(SHA256(), length=32, salt=None, info=b"tagline: sealed secrets").derive(secret_key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
