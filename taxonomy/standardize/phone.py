"""Phone numbers to E.164, by libphonenumber's metadata (`phonenumbers`). Never a guess.

The region comes from the number itself where it says one, else from the caller. "Says one" is `+`, `tel:` with a
`phone-context`, or a leading `00` where the whole world agrees (see `_read_00`).
"""

import re
from functools import cache, lru_cache
from typing import Any

import msgspec
from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    ValidationResult,
    format_number,
    is_possible_number_with_reason,
    is_valid_number_for_region,
    parse,
    region_code_for_number,
)

from taxonomy.standardize.decode import storable
from taxonomy.standardize.faults import Fault
from taxonomy.standardize.plain_phone import read_plain
from taxonomy.standardize.spreadsheets import whole_digits

MAX_CHARACTERS = 100
# Reading one number takes 5 to 40 µs, finding it here 0.2 µs. About 25 MB when full.
CACHED_NUMBERS = 65_536

# Whose numbers digits without a region are tried as, to tell people what the number might be.
CANDIDATE_REGIONS = (
    "CN", "HK", "MO", "TW", "SG", "MY", "TH", "VN", "ID", "PH", "JP", "KR", "IN", "AU", "US",
    "GB", "DE", "FR", "IT", "ES", "NL", "CH", "BR", "MX", "RU", "AE",
)  # fmt: skip

# What systems write where they have no number. Zeros of any length count too.
PLACEHOLDERS = frozenset({
    "", "-", "--", "null", "(null)", "<null>", "none", "nil", "n/a", "na", "nan", "undefined", "unknown", "anonymous",
    "\\n", "无", "未知", "暂无", "匿名",
})  # fmt: skip

# "UK" is reserved in ISO 3166 for the country whose code is GB.
_REGION_ALIASES = {"UK": "GB"}
_ZEROS = re.compile(r"[\s()./-]*0[\s()./0-]*")
_EXPONENT = re.compile(r"[0-9](?:\.[0-9]+)?[eE][+-]?[0-9]{1,3}")


class PhoneReading(msgspec.Struct, frozen=True, gc=False):
    """A valid number. `region` is the number's own, such as "CN" ("001" where no country has it)."""

    e164: str
    region: str
    extension: str = ""


def parse_phone(text: str | None, region: str | None = None) -> PhoneReading | Fault:
    """Parse a phone number, e.g. "138 0013 8000" with region "CN" to "+8613800138000". Never raises.

    Faults: phone.missing (no number, or a placeholder), phone.region_unknown (expected.candidates: the regions where
    it would be a number), phone.invalid (expected.kind says why).
    """
    if text is None:
        return _MISSING
    if len(text) > MAX_CHARACTERS:
        return Fault("phone.invalid", seen=text, expected={"kind": "too_long", "max_length": MAX_CHARACTERS})
    return _read(text, region or "")


def normalize_region(region: str) -> str:
    """ISO 3166 code in capitals, or "" for what libphonenumber has no numbers of."""
    code = region.strip().upper()
    code = _REGION_ALIASES.get(code, code)
    return code if code in SUPPORTED_REGIONS else ""


@lru_cache(maxsize=CACHED_NUMBERS)
def _read(text: str, region: str) -> PhoneReading | Fault:
    code = normalize_region(region)
    plain = read_plain(text, code)
    if plain is not None:
        return PhoneReading(*plain)
    if text.strip().lower() in PLACEHOLDERS or _ZEROS.fullmatch(text):
        return Fault("phone.missing", seen=text or None)
    if digits := whole_digits(text.strip()):
        return _read(digits, region)
    if _EXPONENT.fullmatch(text.strip()):  # digits are lost
        return Fault("phone.invalid", seen=text, expected={"kind": "spreadsheet_exponent"})
    written = _EXTENSION_WORD.sub(" ext. ", text)
    number, error = _parse(written, code)
    if number is not None and (doubt := _doubt(written, number, code)):
        return Fault("phone.invalid", seen=text, expected={"kind": doubt})
    reading = _valid_reading(number)
    if reading is None and _begins_00(text):
        reading = _read_00(text)
    if reading is not None:
        return reading
    if number is None and not code and error == NumberParseException.INVALID_COUNTRY_CODE:
        return _region_unknown(text, region)
    kind = _PARSE_ERRORS[error] if number is None else _kind(number)
    return Fault("phone.invalid", seen=text, expected={"kind": kind, "region": code} if code else {"kind": kind})


_MISSING = Fault("phone.missing")
_PARSE_ERRORS: dict[int, str] = {
    NumberParseException.INVALID_COUNTRY_CODE: "no_such_country",
    NumberParseException.NOT_A_NUMBER: "not_a_number",
    NumberParseException.TOO_SHORT_AFTER_IDD: "too_short",
    NumberParseException.TOO_SHORT_NSN: "too_short",
    NumberParseException.TOO_LONG: "too_long",
}


_PARSED = -1
# How extensions are written in Chinese; libphonenumber knows other languages' words only.
_EXTENSION_WORD = re.compile(r"[\s,，]*(?:转分机|轉分機|分机|分機|内线|內線|转|轉)(?:号|號)?[\s:：]*(?=[0-9０-９])")
# Countries where numbers are advertised as words: 1-800-FLOWERS. Elsewhere a letter is a slip, mostly O for 0.
_CODES_WITH_WORDS = frozenset({1, 61, 64})
_NOT_WORDS = re.compile(r"tel:|;(?:phone-context|isub|ext)=[^;]*|ext(?:ensi[oó]n?|n)?|[eｅ]?[xｘ][tｔ]?[nｎ]?|anexo|int|доб", re.IGNORECASE)
_LETTER = re.compile("[A-Za-zＡ-Ｚａ-ｚ]")
# The longest in use; what is longer may be a second number.
_EXTENSION_DIGITS = 7


def _parse(text: str, region: str) -> tuple[PhoneNumber | None, int]:
    try:
        return parse(text, region or None), _PARSED
    except NumberParseException as error:
        return None, error.error_type


def _doubt(text: str, number: PhoneNumber, region: str) -> str | None:
    """Why what libphonenumber reads is a guess: it takes letters for the digits on their keys, and ";" for an extension."""
    if len(number.extension or "") > _EXTENSION_DIGITS and _is_number(number.extension or "", region):
        return "several_numbers"
    if number.country_code not in _CODES_WITH_WORDS and _LETTER.search(_NOT_WORDS.sub("", text)):
        return "letters"
    return None


def _valid_reading(number: PhoneNumber | None) -> PhoneReading | None:
    if number is None:
        return None
    region = region_code_for_number(number)
    if region is None or not is_valid_number_for_region(number, region):
        return None
    extension = number.extension or ""
    number.extension = None
    return PhoneReading(format_number(number, PhoneNumberFormat.E164), region, extension)


def _kind(number: PhoneNumber) -> str:
    reason = is_possible_number_with_reason(number)
    if reason == ValidationResult.TOO_LONG:
        return "too_long"
    if reason in (ValidationResult.TOO_SHORT, ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        return "too_short"
    return "no_such_number"


def _digits(text: str) -> str:
    """The text as ASCII digits, empty unless it is digits and the punctuation of numbers only."""
    digits = [character for character in text if not (character.isspace() or character in "-().（）－‐‑–—/")]
    if not all(character.isdecimal() for character in digits):
        return ""
    return "".join(str(int(character)) for character in digits)


def _begins_00(text: str) -> bool:
    return _digits(text[:8]).startswith("00")


def _read_00(text: str) -> PhoneReading | None:
    """Read 00 as the international prefix (ITU-T E.164) where no country's way of dialing gives another number.

    Some countries dial abroad with longer prefixes (001 in Hong Kong, 0014 in Brazil), so 00… can mean two numbers
    there; then nothing is read. National numbers that begin with 00 exist, but are toll-free services only.
    """
    digits = _digits(text)
    plain = digits[2:]
    rests = {digits[found.end() :] for prefix in _prefixes_abroad() if (found := prefix.match(digits))}
    readings = {rest: reading for rest in rests | {plain} if (reading := _valid_reading(_parse("+" + rest, "")[0]))}
    return readings[plain] if len(readings) == 1 and plain in readings else None


@cache
def _prefixes_abroad() -> tuple[re.Pattern[str], ...]:
    prefixes = {_metadata(region).international_prefix for region in SUPPORTED_REGIONS}
    return tuple(re.compile(prefix) for prefix in sorted(filter(None, prefixes)))


def _region_unknown(text: str, region: str) -> Fault:
    expected: dict[str, Any] = {"candidates": _candidates(text)}
    if region.strip():
        expected["region"] = storable(region.strip()[:20])
    return Fault("phone.region_unknown", seen=text, expected=expected)


def _candidates(text: str) -> list[str]:
    """Regions where the digits would be a number, as written or with a `+` before them. About 0.1 ms."""
    digits = _digits(text)
    if not digits:
        return []
    found = [region for region in CANDIDATE_REGIONS if _is_plausible(digits, region) and _is_number(text, region)]
    abroad = _valid_reading(_parse("+" + digits, "")[0])
    return found if abroad is None or abroad.region in found else [*found, abroad.region]


def _is_number(text: str, region: str) -> bool:
    return _valid_reading(_parse(text, region)[0]) is not None


def _is_plausible(digits: str, region: str) -> bool:
    """Whether it is worth parsing: 1 µs instead of 40."""
    pattern, beginnings = _national_shape(region)
    return any(digits.startswith(begin) and pattern.fullmatch(digits, len(begin)) for begin in beginnings)


@cache
def _national_shape(region: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """The pattern of a region's numbers, and what may stand before them: nothing, national prefix, country code."""
    metadata = _metadata(region)
    country_code = str(metadata.country_code)
    beginnings = {"", metadata.national_prefix or "", country_code, "00" + country_code}
    return re.compile(metadata.general_desc.national_number_pattern), tuple(sorted(beginnings))


def _metadata(region: str) -> Any:
    return PhoneMetadata.metadata_for_region(region)
