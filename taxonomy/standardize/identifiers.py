"""The one table of kinds of identifier, strongest first, and how each is normalized.

E-mail addresses become lower case as a whole: servers may tell Li@x.cn from li@x.cn, people never mean two by it.
Ids that are UUIDs become lower case for devices, because Apple writes them in capitals and Android not. All other ids
are only trimmed: their case may matter. Phones are read by phone.py, which needs a region.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from taxonomy.standardize.decode import is_storable
from taxonomy.standardize.types.texts import normalize_email

MAX_CHARACTERS = 512
_CACHED = 65_536

# What systems write where they have no identifier, or the same one for everybody. It would tie strangers together.
JUNK = frozenset({
    "null", "(null)", "<null>", "none", "nil", "undefined", "nan", "n/a", "na", "\\n", "anonymous", "anon", "unknown",
    "guest", "default", "true", "false", "not set", "(not set)", "not_set", "{}", "[]", "[object object]",
    "无", "未知", "匿名", "游客",
    "9774d56d682e549c",  # the id that one Android 2.2 build gave every phone
    "020000000000",  # the MAC address that phones give instead of their own
})  # fmt: skip
_NO_ID = re.compile(r"[\s0:._-]*")
_SEPARATORS = re.compile(r"[:.-]")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


def _same(text: str) -> str | None:
    return text


def _email(text: str) -> str | None:
    address = normalize_email(text)
    return None if address is None else address.lower()


def _device(text: str) -> str | None:
    return text.lower() if _UUID.fullmatch(text) else text


class IdentifierKind(NamedTuple):
    """`is_global`: unique in the world; else only within its source's namespace."""

    name: str
    is_global: bool
    normalize: Callable[[str], str | None]


KINDS: dict[str, IdentifierKind] = {
    kind.name: kind
    for kind in (
        IdentifierKind("phone", True, _same),
        IdentifierKind("user_id", False, _same),
        IdentifierKind("crm_id", False, _same),
        IdentifierKind("openid", True, _same),
        IdentifierKind("email", True, _email),
        IdentifierKind("device", False, _device),
        IdentifierKind("anonymous_id", False, _same),
    )
}


_ONLY_TRIMMED = frozenset(kind.name for kind in KINDS.values() if kind.normalize is _same)


def normalize_identifier(kind: str, text: str) -> str | None:
    """The identifier as it is compared; None for junk, for what is too long, and for an unknown kind."""
    if len(text) > MAX_CHARACTERS or kind not in KINDS:
        return None
    if text.isalnum() and text.isascii() and kind in _ONLY_TRIMMED:
        # Most ids: nothing to trim, no separators to look past. Ids are many, so that remembering them helps less.
        return text if text.lower() not in JUNK and text.strip("0") else None
    return _normalize(kind, text)


def is_junk(text: str) -> bool:
    lowered = text.strip().lower()
    return bool(_NO_ID.fullmatch(lowered)) or lowered in JUNK or _SEPARATORS.sub("", lowered) in JUNK


@lru_cache(maxsize=_CACHED)
def _normalize(kind: str, text: str) -> str | None:
    if is_junk(text) or not is_storable(text):
        return None
    return KINDS[kind].normalize(text.strip())
