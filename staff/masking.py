"""What people see of personal data they may not see: enough to recognize it, not enough to use it."""

import re
from typing import Any

import phonenumbers

STARS = "****"

# A run of 7 to 15 digits as people write phones; not inside a word (SKU1234567), a longer number or a decimal.
_PHONE = re.compile(r"(?<![\w.+＋])[+＋]?[(（]?\d(?:[ \u00a0\u3000().（）\-－/]{0,3}\d){6,14}(?![\w])(?!\.\d)")
_EMAIL = re.compile(r"[^\s@\"'<>,;:]+@[\w\-]+(?:\.[\w\-]+)+")
# China's resident identity numbers: region, date of birth, order, check sign.
_IDENTITY = re.compile(r"(?<!\w)[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\w)")
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
    """Mask every e-mail address, identity number and whatever may be a phone number in a text. Rather too much than too little."""
    masked = _EMAIL.sub(lambda found: mask_email(found[0]), text)
    masked = _IDENTITY.sub(lambda found: f"{found[0][:2]}{STARS}{found[0][-2:]}", masked)
    between, ids = _UUID.split(masked), _UUID.findall(masked)
    between = [_PHONE.sub(_mask_match, part) for part in between]
    return "".join(part for pair in zip(between, [*ids, ""], strict=True) for part in pair)


def _mask_match(found: re.Match[str]) -> str:
    written = found[0]
    return written if _NO_PHONE.match(written) else mask_phone(written.replace("＋", "+"))


def mask_in_record(value: Any, *, hidden_keys: frozenset[str] = frozenset(), hidden_values: frozenset[str] = frozenset()) -> Any:
    """Mask texts and numbers at any depth of a decoded record; its keys stay.

    Whatever stands under a hidden key is hidden whole; a hidden value is masked wherever it is.
    """
    if isinstance(value, dict):
        return {
            key: STARS if str(key).lower() in hidden_keys and item not in (None, "") else _masked(item, hidden_keys, hidden_values)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(item, hidden_keys, hidden_values) for item in value]
    if isinstance(value, str):
        masked = mask_identifier("", value) if value in hidden_values else mask_in_text(value)
        return value if masked == value else masked
    if isinstance(value, int) and not isinstance(value, bool) and 7 <= len(str(abs(value))) <= 15:
        return mask_in_text(str(value))
    return value


def _masked(value: Any, hidden_keys: frozenset[str], hidden_values: frozenset[str]) -> Any:
    return mask_in_record(value, hidden_keys=hidden_keys, hidden_values=hidden_values)


def may_see_personal(user: Any) -> bool:
    return bool(user is not None and user.is_active and user.has_perm("staff.see_personal_data"))
