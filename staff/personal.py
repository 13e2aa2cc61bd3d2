"""The one table of what personal data looks like in a text: how it is found, and how it is told from what only looks like it. Pure."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

# A number inside a longer one, a decimal or a Latin code is none. Chinese is written without spaces, so its signs may touch it.
_BEFORE, _AFTER = r"(?<![0-9A-Za-z.])", r"(?![0-9A-Za-z])(?!\.\d)"
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
# China's mobile numbers, and whatever has a country code before it. A name may touch it: tel13800138000.
_OPENS = r"(?:(?<![0-9A-Za-z.])|(?<=tel)|(?<=phone)|(?<=mobile)|(?<=call))"
_MOBILE = r"1(?:3\d|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|[89]\d)"
_PHONE = re.compile(
    rf"{_OPENS}(?:(?:\+|00)86[ -]?)?{_MOBILE}[ -]?\d{{4}}[ -]?\d{{4}}{_AFTER}|(?<![\d.])\+[1-9][\d -]{{7,16}}\d(?![\d.])",
    re.IGNORECASE,
)
_IDENTITY_CARD = re.compile(rf"{_BEFORE}[1-9]\d{{5}}(?:19|20)\d{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{{3}}[\dXx]{_AFTER}")
# In groups, the groups are of four; American Express writes 4-6-5. More groups than a card has are another number.
_BANK_CARD = re.compile(
    rf"{_BEFORE}(?:\d{{13,19}}|(?<![ -]\d{{4}}[ -])(?:\d{{4}}([ -])\d{{4}}\1\d{{4}}\1\d{{1,4}}(?:\1\d{{1,3}})?"
    rf"|\d{{4}}([ -])\d{{6}}\2\d{{5}})(?![ -]\d{{1,4}}(?!\d))){_AFTER}"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
# The first two digits of every region. Source: GB/T 2260.
_REGIONS = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
    ]
)
# Prefixes and lengths of the networks: Visa, Mastercard, American Express, UnionPay, Discover, JCB, Diners Club.
_CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|(?:62|81)\d{14,17}"
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}"
)


def is_identity_card(text: str) -> bool:
    """Whether region and birthday exist, and the last of 18 characters is right for the others. Source: GB 11643-1999, ISO 7064 MOD 11-2."""
    remainder = sum(int(digit) * weight for digit, weight in zip(text[:17], _WEIGHTS, strict=True)) % 11
    return text[:2] in _REGIONS and _is_day(text[6:14]) and text[17].upper() == "10X98765432"[remainder]


def _is_day(text: str) -> bool:
    try:
        return bool(date(int(text[:4]), int(text[4:6]), int(text[6:])))
    except ValueError:
        return False


def is_bank_card(text: str) -> bool:
    """Whether 13 to 19 digits of a known network have the check digit of payment cards. Source: ISO/IEC 7812-1, Luhn."""
    digits = re.sub("[ -]", "", text)
    return bool(_CARDS.fullmatch(digits)) and _luhn(digits) and not _is_ean(digits)


def _luhn(digits: str) -> bool:
    doubled = [int(one) * 2 - 9 * (one > "4") for one in digits[-2::-2]]
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0


def _is_ean(digits: str) -> bool:
    """Whether it is an article's number: those of Germany and Japan begin with 4, as Visa's old cards of 13 digits do. Source: GS1."""
    return len(digits) == 13 and (sum(map(int, digits[::2])) + 3 * sum(map(int, digits[1::2]))) % 10 == 0


class Kind(NamedTuple):
    """`attribute`: what an attribute that holds it is declared as. `is_one`: of what has the shape, what it truly is."""

    attribute: str
    shape: re.Pattern[str]
    is_one: Callable[[str], bool] = lambda text: True


# What is surer comes first: a card's digits may look like a phone number.
KINDS: dict[str, Kind] = {
    "email": Kind("contact", _EMAIL),
    "identity_card": Kind("identity", _IDENTITY_CARD, is_identity_card),
    "bank_card": Kind("sensitive", _BANK_CARD, is_bank_card),
    "phone": Kind("contact", _PHONE),
}


class Found(NamedTuple):
    """`sure` False: it has the shape alone, as an order number may."""

    kind: str
    text: str
    sure: bool


def personal_in(text: str) -> Iterator[Found]:
    """All that has the shape of a kind; what one kind is sure of is no other's."""
    for name, kind in KINDS.items():
        taken = []
        for match in kind.shape.finditer(text):
            if name == "bank_card" and not _CARDS.fullmatch(re.sub("[ -]", "", match[0])):
                continue
            found = Found(name, match[0], kind.is_one(match[0]))
            yield found
            if found.sure:
                taken.append(match.span())
        for start, end in taken:
            text = f"{text[:start]}{'*' * (end - start)}{text[end:]}"


def looks_personal(text: str) -> str | None:
    """What it looks like: "email", "identity_card", "bank_card" or "phone"; None for nothing of these."""
    return next((found.kind for found in personal_in(text) if found.sure), None)
