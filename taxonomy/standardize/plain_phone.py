"""A short way to the numbers that nearly all sources send: digits alone, in a country that has its calling code to itself.

Reading a number with libphonenumber takes 30 µs, this 3. It answers only where parsing could find nothing to strip
(no prefix abroad, no national prefix, no country code) and nothing to choose (one region per calling code), by the same
metadata; everything else is the library's. tests/test_core_phones.py holds the two against each other for every region.
"""

import re
from functools import cache
from typing import Any, NamedTuple

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

_PLAIN = re.compile(r"\+?[1-9][0-9]*(?:[ -][0-9]+)*")
_NO_SEPARATORS = str.maketrans("", "", " -")
_KINDS = (
    "mobile", "fixed_line", "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail",
)  # fmt: skip

# What one kind of number looks like: (possible lengths, none meaning any; pattern)
_Shape = tuple[frozenset[int], re.Pattern[str]]


class _Country(NamedTuple):
    code: str
    strips: re.Pattern[str]
    general: _Shape
    kinds: list[_Shape]


def read_plain(text: str, region: str) -> tuple[str, str] | None:
    """(E.164, region) of a valid number, or None where the library has to look. `region` is a code in capitals or ""."""
    if not _PLAIN.fullmatch(text):
        return None
    digits = text.translate(_NO_SEPARATORS)
    if digits[0] == "+":
        region = _region_of(digits)
    country = _country(region) if region else None
    if country is None:
        return None
    national = digits[1 + len(country.code) :] if digits[0] == "+" else digits
    if country.strips.match(national) or not _fits(national, country.general):
        return None
    if not any(_fits(national, kind) for kind in country.kinds):
        return None
    return f"+{country.code}{national}", region


def _fits(national: str, shape: _Shape) -> bool:
    lengths, pattern = shape
    return (not lengths or len(national) in lengths) and pattern.fullmatch(national) is not None


def _region_of(digits: str) -> str:
    for length in (1, 2, 3):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(digits[1 : 1 + length]))
        if regions is not None:
            return str(regions[0]) if len(regions) == 1 else ""
    return ""


@cache
def _country(region: str) -> _Country | None:
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or COUNTRY_CODE_TO_REGION_CODE.get(metadata.country_code or 0) != (region,):
        return None
    prefixes = ("0", metadata.international_prefix, metadata.national_prefix_for_parsing, str(metadata.country_code))
    kinds = [_shape(kind) for name in _KINDS if (kind := getattr(metadata, name)) is not None]
    return _Country(
        str(metadata.country_code),
        re.compile("|".join(f"(?:{prefix})" for prefix in prefixes if prefix)),
        _shape(metadata.general_desc) or (frozenset(), re.compile(r"[^\s\S]")),
        [kind for kind in kinds if kind is not None],
    )


def _shape(description: Any) -> _Shape | None:
    if not description.national_number_pattern:
        return None
    return frozenset(description.possible_length), re.compile(description.national_number_pattern)
