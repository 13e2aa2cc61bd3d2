"""What people see of personal data they may not see: enough to recognize it, not enough to use it."""

import re
from collections.abc import Callable
from typing import Any

import phonenumbers

from staff.personal import KINDS, is_bank_card

STARS = "****"

# A run of 7 to 15 digits as people write phones; not inside a code (SKU1234567), a longer number or a decimal.
# Chinese is written without spaces and `_` stands for one, so only Latin letters and digits belong to a code.
_SIGN = "[0-9０-９A-Za-zＡ-Ｚａ-ｚ]"
# With a plus, or as China's mobile numbers are, it is a phone whatever touches it.
_SURELY = r"[+＋]\d(?:[ \-]?\d){6,14}(?!\d)|(?<![\d.])1[3-9]\d{9}(?!\d)(?!\.\d)"
_PHONE = re.compile(rf"(?<![.+＋])(?<!{_SIGN})[+＋]?[(（]?\d(?:[ \u00a0\u3000().（）\-－/]{{0,3}}\d){{6,14}}(?!{_SIGN})(?!\.\d)|{_SURELY}")
_SURE_PHONE = re.compile(_SURELY)
# An id made of parts, such as m-898-202611019081: people write phones otherwise.
_PARTED_ID = re.compile(r"(?!tel|phone|mobile|call|fax)[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)+", re.IGNORECASE)
# Milliseconds since 1970 are 13 digits, which no phone that begins with 1 has; seconds are told by what the field is called.
_MILLISECONDS = re.compile(r"1[4-9]\d{11}")
_SECONDS = re.compile(r"1[4-9]\d{8}(?:\.\d+)?")
_TIME_KEY = re.compile(r"(?:\A|_)(?:ts|at|on|t|time|times?tamp|date|epoch)\Z|(?:Time|Date|At|Ts|Timestamp)\Z|\A(?:time|date)")
_EMAIL = re.compile(r"[^\s@\"'<>,;:]+@[\w\-]+(?:\.[\w\-]+)+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO_PHONE = re.compile(r"\A\d{4}([-/.])\d{1,2}\1\d{1,2}|\A(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\Z|\A\d{1,6}\.\d+\Z")


def mask_phone(value: str) -> str:
    """Keep the country, first and last digits: "+8613800138000" becomes "+86 138****8000".

    At least four digits stay hidden, so shorter numbers show fewer at the front: "+852 ****4567".
    """
    country, national = _country_and_national(value)
    if len(national) < 7:
        return f"{country}{STARS}{national[-2:]}"
    shown = min(3, max(0, len(national) - 8))
    return f"{country}{national[:shown]}{STARS}{national[-4:]}"


def _country_and_national(value: str) -> tuple[str, str]:
    if value.startswith("+"):
        try:
            number = phonenumbers.parse(value)
        except phonenumbers.NumberParseException:
            pass
        else:
            return f"+{number.country_code} ", phonenumbers.national_significant_number(number)
    return "", "".join(str(int(sign)) for sign in value if sign.isdecimal())


def mask_email(value: str) -> str:
    """Keep the first letter and the domain: "zhang@example.com" becomes "z***@example.com"."""
    name, at, domain = value.rpartition("@")
    return f"{name[:1]}***@{domain}" if at else "***"


def mask_identifier(kind: str, value: str) -> str:
    """Mask an identifier by its kind; ids of people and devices keep their first two and last two signs."""
    if kind == "phone":
        return mask_phone(value)
    if kind == "email":
        return mask_email(value)
    return f"{value[:2]}{STARS}{value[-2:]}" if len(value) >= 8 else f"{value[:1]}{STARS}"


def mask_in_text(text: str) -> str:
    """Mask every e-mail address, identity number, bank card and whatever may be a phone number in a text. Rather too much than too little."""
    masked = _EMAIL.sub(lambda found: mask_email(found[0]), text)
    # an identity number by its shape, right or mistyped; of what may be a card only what is one, as orders are numbered so too
    masked = KINDS["identity_card"].shape.sub(lambda found: f"{found[0][:2]}{STARS}{found[0][-2:]}", masked)
    masked = KINDS["bank_card"].shape.sub(lambda found: f"{STARS}{found[0][-4:]}" if is_bank_card(found[0]) else found[0], masked)
    between, ids = _UUID.split(masked), _UUID.findall(masked)
    phone = _SURE_PHONE if _PARTED_ID.fullmatch(text) else _PHONE
    between = [phone.sub(_mask_match, part) for part in between]
    return "".join(part for pair in zip(between, [*ids, ""], strict=True) for part in pair)


def _mask_match(found: re.Match[str]) -> str:
    written = found[0]
    return written if _NO_PHONE.match(written) or _MILLISECONDS.fullmatch(written) else mask_phone(written.replace("＋", "+"))


def is_time(key: str, value: Any) -> bool:
    """Whether a value under such a name is a time in seconds since 1970, which looks like a phone number."""
    return isinstance(value, int | str) and bool(_TIME_KEY.search(key) and _SECONDS.fullmatch(str(value)))


def mask_in_record(value: Any, *, hidden_keys: frozenset[str] = frozenset(), hidden_values: frozenset[str] = frozenset()) -> Any:
    """Mask texts and numbers at any depth of a decoded record; its keys stay.

    Whatever stands under a hidden key is hidden whole; a hidden value is masked wherever it is.
    """
    if isinstance(value, dict):
        return {
            key: STARS
            if str(key).lower() in hidden_keys and item not in (None, "")
            else item
            if is_time(str(key), item)
            else _masked(item, hidden_keys, hidden_values)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(item, hidden_keys, hidden_values) for item in value]
    if isinstance(value, str):
        masked = mask_identifier("", value) if value in hidden_values else mask_in_text(value)
        return value if masked == value else masked
    if isinstance(value, int) and not isinstance(value, bool) and 7 <= len(str(abs(value))) <= 19:
        return mask_in_text(str(value))
    return value


def _masked(value: Any, hidden_keys: frozenset[str], hidden_values: frozenset[str]) -> Any:
    return mask_in_record(value, hidden_keys=hidden_keys, hidden_values=hidden_values)


def shown_to(user: Any) -> Callable[[str], str]:
    """How this person sees a text that may hold a phone by mistake, such as an event's name or id."""
    return str if may_see_personal(user) else mask_in_text


def may_see_personal(user: Any) -> bool:
    return bool(user is not None and user.is_active and user.has_perm("staff.see_personal_data"))
