"""Whether a text looks like a person's phone, e-mail address, identity card or bank card. Pure."""

import re

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_PHONE = re.compile(r"(?<![\d.])(?:(?:\+|00)86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?![\d.])|(?<![\d.])\+\d[\d -]{7,16}\d(?![\d.])")
_IDENTITY_CARD = re.compile(r"(?<!\w)[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\w)")
_BANK_CARD = re.compile(r"(?<![\w.])(?:62|4|5[1-5]|3[47])[\d -]{12,21}\d(?![\w.])")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def looks_personal(text: str) -> str | None:
    """What it looks like: "email", "identity_card", "bank_card" or "phone"; None for nothing of these."""
    if _EMAIL.search(text):
        return "email"
    if any(is_identity_card(found) for found in _IDENTITY_CARD.findall(text)):
        return "identity_card"
    if any(is_bank_card(found) for found in _BANK_CARD.findall(text)):
        return "bank_card"
    return "phone" if _PHONE.search(text) else None


def is_identity_card(text: str) -> bool:
    """Whether the last of 18 characters is right for the others. Source: GB 11643-1999, ISO 7064 MOD 11-2."""
    remainder = sum(int(digit) * weight for digit, weight in zip(text[:17], _WEIGHTS, strict=True)) % 11
    return text[17].upper() == "10X98765432"[remainder]


def is_bank_card(text: str) -> bool:
    """Whether 15 to 19 digits have the check digit of payment cards. Source: ISO/IEC 7812-1, Luhn."""
    digits = [int(one) for one in text if one.isdigit()]
    if not 15 <= len(digits) <= 19:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0
