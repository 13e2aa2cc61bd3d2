"""Versions of apps and systems, compared as people mean them: 4.10 is above 4.9, 4.2-beta below 4.2."""

import re

_VERSION = re.compile(r"[^0-9]{0,3}([0-9]{1,9}(?:[._][0-9]{1,9})*)(.*)", re.DOTALL)
_BEFORE = re.compile(r"[\s._-]*(?:alpha|beta|rc|pre|preview|dev|snapshot|a|b)(?![a-z])", re.IGNORECASE)


def is_below(version: str | None, bound: str) -> bool:
    """Whether a version is below the bound. What has no version, or none that can be read, is not."""
    first, second = _read(version or ""), _read(bound)
    return first is not None and second is not None and first < second


def is_version(text: str) -> bool:
    return _read(text) is not None


def _read(text: str) -> tuple[tuple[int, ...], bool] | None:
    """(its numbers without closing zeros, whether it is the version itself and not one before it)."""
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        return None
    numbers = [int(part) for part in re.split("[._]", found[1])]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), _BEFORE.match(found[2]) is None
