"""Exact JSON, both ways: decimals keep their digits, and nothing ambiguous passes silently.

What is decided here, once, for every door:

- a number with a fraction or an exponent is a Decimal; a whole number is an int of any size;
  one beyond what a database numeric holds stays a text;
- a key that is there twice with different values: the last is taken, as everywhere, and the event is held;
- NUL and lone surrogates, which no database text can hold, become U+FFFD, noted;
- a byte order mark, control characters inside strings, and NaN and Infinity (kept as texts) are put up with;
- anything else that is not JSON, or not UTF-8, is refused, and so is what is nested so deep that reading it takes the
  whole stack of a thread: parsers written in C end the process there.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.structs import Refusal, Violation

# PostgreSQL's numeric ends at 131,072 digits before the point and 16,383 after it.
_MAX_EXPONENT = 1_000
# Python itself refuses to read longer whole numbers.
_MAX_DIGITS = 4_000

# Far more than an event may have (LIMITS), far less than a thread's stack takes.
_MOST_NESTED = 200
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\(?:.|\Z))*+(?:"|\Z)|([\[{])|([\]}])', re.DOTALL)

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class NotedRecord(dict[str, Any]):
    """A decoded record about which reading has something to say."""

    notes: list[Violation]


class NotedList(list[Any]):
    """A decoded list about which reading has something to say."""

    notes: list[Violation]


def decode_json(data: bytes) -> Any:
    """Decode one record, exactly. Returns a Refusal when it is not JSON."""
    if is_too_deep(data):
        return Refusal("limit.nesting", values={"limit": LIMITS.nesting})
    try:
        decoded = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_carefully(data)
    # find, not in: five times faster with bytes.
    if data.find(b"\\u0000") >= 0 or _may_repeat_a_key(data, decoded):
        return _decode_carefully(data)
    return decoded


def is_too_deep(data: bytes) -> bool:
    """Whether a parser had better not begin with it. Two counts for nearly everything; else the brackets outside strings."""
    if data.count(b"[") + data.count(b"{") <= _MOST_NESTED:
        return False
    depth = 0
    for token in _BRACKETS.finditer(data):
        if token[1]:
            depth += 1
            if depth > _MOST_NESTED:
                return True
        elif token[2]:
            depth -= 1
    return False


def encode_json(value: Any) -> bytes:
    """Encode, decimals as numbers with exactly their digits."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(storable(value))


def is_storable(text: str) -> bool:
    return _UNSTORABLE.search(text) is None


def storable(value: Any) -> Any:
    """The same value with every NUL and lone surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return value


def _decimal(text: str) -> Decimal | str:
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of nineteen digits or more
        return text
    if len(text) < 100 and "e" not in text and "E" not in text:
        return number
    return number if -_MAX_EXPONENT < number.adjusted() < _MAX_EXPONENT and len(text) < _MAX_DIGITS else text


_decoder = msgspec.json.Decoder(float_hook=_decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def _may_repeat_a_key(data: bytes, decoded: Any) -> bool:
    """Compare the keys written with the keys decoded. A string that holds `":` only costs the careful way."""
    return data.find(b"{") >= 0 and data.translate(None, b" \t\r\n").count(b'":') != _count_keys(decoded)


def _count_keys(decoded: Any) -> int:
    count = 0
    waiting = [decoded]
    for value in waiting:
        if type(value) is dict:
            count += len(value)
            for inner in value.values():
                if type(inner) is dict or type(inner) is list:
                    waiting.append(inner)
        elif type(value) is list:
            for inner in value:
                if type(inner) is dict or type(inner) is list:
                    waiting.append(inner)
    return count


def _decode_carefully(data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Refusal("record.not_utf8", values={"position": error.start})
    notes: list[Violation] = []

    def take_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for key, value in pairs:
            if key in taken and len(notes) <= LIMITS.violations and not _same(taken[key], value):
                notes.append(Violation("record.repeated_key", storable(key[:200])))
            taken[key] = value
        return taken

    try:
        decoded = json.loads(
            text,
            strict=False,
            parse_float=_decimal,
            parse_int=lambda digits: int(digits) if len(digits) < _MAX_DIGITS else digits,
            parse_constant=str,
            object_pairs_hook=take_pairs,
        )
        repaired = storable(decoded)
        if not _same(repaired, decoded):
            notes.append(Violation("text.repaired"))
    except json.JSONDecodeError as error:
        return Refusal("record.not_json", values={"problem": error.msg, "position": error.pos})
    except RecursionError:
        return Refusal("limit.nesting", values={"limit": LIMITS.nesting})
    if notes and isinstance(repaired, dict | list):
        noted = NotedRecord(repaired) if isinstance(repaired, dict) else NotedList(repaired)
        noted.notes = notes
        return noted
    return repaired


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same type all the way down: 1, 1.0 and true are three values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
