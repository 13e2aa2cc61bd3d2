"""What kind of value was sent, and which attribute type that would suggest. Pure.

A number is only what can be counted with: phones, cards, order numbers and anything with leading zeros are digits.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from staff.personal import looks_personal

# Kinds that are never numbers, whatever else was seen of the attribute.
_PERSONAL = {"phone": "contact", "email": "contact", "identity_card": "identity", "bank_card": "sensitive"}
# More digits than this count nothing in a shop: they name something.
_LONGEST_COUNT = 9
_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d*)")
_DECIMAL = re.compile(r"[+-]?(?:0|[1-9]\d*)\.\d+")
_DIGITS = re.compile(r"[+-]?\d[\d -]*")
_DATE = re.compile(r"(?:19|20)\d\d([-/.])\d{1,2}\1\d{1,2}")
_DATETIME = re.compile(r"(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}[T ]\d{1,2}:\d\d.*")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_BOOLEANS = frozenset({"true", "false", "yes", "no", "是", "否"})
# By its name: orderNo and order_no, and not what only ends alike, such as paid.
_NAMES_SOMETHING = re.compile(
    r"(?i:(?:phone|mobile|tel|order|card|account|zip|postcode)[_\W]?(?:id|no|num|number|code|sn)?$)"
    r"|(?i:(?:^|[_\W])(?:id|no|number|code|sn|sku)$)|(?:Id|ID|No|NO|Code|Number)$|(?:手机|电话|订单|卡)号?码?$|[单编卡账]号$|编码$|号码$"
)
_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A type for an attribute, whether it holds personal data, and why: a key of ingestion/discovery/seen_words.py."""

    type: str
    personal: str
    why: str

    @property
    def may_count(self) -> bool:
        """Whether a person may choose a number after all."""
        return self.personal == "none" and self.why != "digits"


def kind_of(value: Any) -> str:
    """The kind of one decoded JSON value, such as "integer"; texts are looked at for what they hold."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "object"
    return _kind_of_text(str(value)[:_SAMPLE].strip())


def _kind_of_text(text: str) -> str:
    if _DATETIME.fullmatch(text):
        return "datetime"
    if _DATE.fullmatch(text):
        return "date"
    if personal := looks_personal(text):
        return personal
    if _INTEGER.fullmatch(text):
        return "integer" if len(text.lstrip("+-")) <= _LONGEST_COUNT else "digits"
    if _DECIMAL.fullmatch(text):
        return "decimal"
    if _DIGITS.fullmatch(text):
        return "digits"
    if text.lower() in _BOOLEANS:
        return "boolean"
    return "url" if _URL.fullmatch(text) else "text"


def suggest_type(kinds: Mapping[str, int], name: str = "") -> Suggestion:
    """What the values seen suggest, {kind: how many}; `name` is the attribute's as sent. Text, where they disagree."""
    seen = {kind for kind, count in kinds.items() if count and kind != "empty"}
    total = sum(kinds[kind] for kind in seen)
    found = max((kind for kind in _PERSONAL if kind in seen), key=lambda kind: kinds[kind], default=None)
    if found:
        whole = kinds[found] >= 0.9 * total and found in ("phone", "email")
        return Suggestion(found if whole else "text", _PERSONAL[found], f"personal.{found}")
    if not seen:
        return Suggestion("text", "none", "nothing")
    if "digits" in seen or (seen <= {"integer", "decimal"} and _NAMES_SOMETHING.search(name)):
        return Suggestion("text", "none", "digits")
    if len(seen) == 1 and seen != {"text"}:
        return Suggestion(seen.pop(), "none", "all_alike")
    for wider in ({"integer", "decimal"}, {"date", "datetime"}):
        if seen == wider:
            return Suggestion(max(wider, key=("integer", "decimal", "date", "datetime").index), "none", "wider")
    return Suggestion("text", "none", "text" if seen == {"text"} else "mixed")
