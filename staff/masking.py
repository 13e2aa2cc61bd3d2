"""What people see of personal data they may not see: enough to recognize it, not enough to use it."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

import phonenumbers

from staff.personal import KINDS, is_bank_card

STARS = "****"

# A run of 7 to 15 digits as people write phones; not inside a code (SKU1234567), a longer number or a decimal.
# Chinese is written without spaces and `_` stands for one, so only Latin letters and digits belong to a code.
_SIGN = "[0-9０-９A-Za-zＡ-Ｚａ-ｚ]"
# What may stand between a phone's digits, as libphonenumber has it. Dashes of all kinds are `-` by then, and nothing is unseen.
# Each gap fits one of both only, so that no text takes long.
_GAP = r"(?:[^\S\r\n]{4,12}|(?:[().（）\-ー/*~～]|[^\S\r\n]){1,3})"
_BETWEEN = f"{_GAP}?"
_BLANK = r"[ \-]?"
# With a plus, or as China's mobile numbers are, it is a phone whatever touches it: dialed abroad or by a carrier's code, two without a space.
_DIALED = r"(?:00[1-9]\d{0,2}0?|86|1(?:[12]\d|79)\d\d|0)"
_SURELY = rf"[+＋]\d(?:{_BLANK}\d){{6,14}}(?!\d)|(?<![\d.]){_DIALED}?(?:1[3-9]\d{{9}}){{1,3}}(?!\d)(?!\.\d)"
# Numbers advertised as words, 1-800-FLOWERS; and what spreadsheets make of long numbers, 1.38001380001E+10.
_WORDS = rf"(?<!{_SIGN})[+＋]?1[ .\-]\(?\d{{3}}\)?[ .\-](?:[A-Z]-?){{6,10}}(?!{_SIGN})"
_EXPONENT = rf"(?<![.\w])\d\.\d{{6,14}}[Ee]\+?\d\d(?!{_SIGN})"
# With what is dialed before it, a mobile number is longer than a phone may be.
_MOBILE = rf"(?<!{_SIGN})(?:\d{{1,5}}{_GAP}){{0,2}}1[3-9]\d{_BETWEEN}\d{{4}}{_BETWEEN}\d{{4}}(?!{_SIGN})(?!\.\d)"
_PHONE = re.compile(
    rf"{_MOBILE}|(?<![.+＋])(?<!{_SIGN})[+＋]?[(（]?\d(?:{_BETWEEN}\d){{6,14}}(?!{_SIGN})(?!\.\d)|{_SURELY}|{_WORDS}|{_EXPONENT}"
)
_SURE_PHONE, _IS_EXPONENT = re.compile(rf"{_SURELY}|(?<!\d)1[3-9]\d-\d{{4}}-\d{{4}}(?!\d)"), re.compile(_EXPONENT)
_SAME = (
    dict.fromkeys(map(ord, "‐‑‒–—―−－"), "-")
    | {ord("＠"): "@"}
    | dict.fromkeys([0xAD, 0x61C, 0x2060, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
)
# An id made of parts, such as m-898-202611019081 or w-10-202003709-cart_add: people write phones otherwise.
_PARTED_ID = re.compile(r"(?!tel|phone|mobile|call|fax)[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9_]+)+", re.IGNORECASE)
# Milliseconds since 1970 are 13 digits, which no phone that begins with 1 has; seconds are told by what the field is called.
_MILLISECONDS = re.compile(r"1[4-9]\d{11}")
_SECONDS = re.compile(r"1[4-9]\d{8}(?:\.\d+)?")
_TIME_KEY = re.compile(r"(?:\A|_)(?:ts|at|on|t|time|times?tamp|date|epoch)\Z|(?:Time|Date|At|Ts|Timestamp)\Z|\A(?:time|date)")
_EMAIL = re.compile(r"[^\s@\"'<>,;:]{1,254}@[\w\-]+(?:\.[\w\-]+)+")
_WHOLE = re.compile(r"-?(\d{7,19})(?:\.0*)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# A decimal is none, unless it is a mobile number with a slip: 138001.38000.
_NO_PHONE = re.compile(
    r"\A\d{4}([-/.])\d{1,2}\1\d{1,2}|\A(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\Z"
    r"|\A(?!1[3-9]\d{4}\.\d{5}\Z)\d{1,6}\.\d+\Z"
)


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
    """Mask every e-mail address, identity number, bank card and whatever may be a phone number in a text. Rather too much than too little.

    A text in which something is masked has plain dashes, and no signs that are not seen.
    """
    plain = text if text.isascii() else text.translate(_SAME)
    masked = _EMAIL.sub(lambda found: mask_email(found[0]), plain) if "@" in plain else plain
    # an identity number by its shape, right or mistyped; of what may be a card only what is one, as orders are numbered so too
    masked = KINDS["identity_card"].shape.sub(lambda found: f"{found[0][:2]}{STARS}{found[0][-2:]}", masked)
    masked = KINDS["bank_card"].shape.sub(lambda found: f"{STARS}{found[0][-4:]}" if is_bank_card(found[0]) else found[0], masked)
    between, ids = _UUID.split(masked), _UUID.findall(masked)
    phone = _SURE_PHONE if _PARTED_ID.fullmatch(plain) else _PHONE
    between = [phone.sub(_mask_match, part) for part in between]
    masked = "".join(part for pair in zip(between, [*ids, ""], strict=True) for part in pair)
    return text if masked == plain else masked


def _mask_match(found: re.Match[str]) -> str:
    written = found[0]
    if _NO_PHONE.match(written) or _MILLISECONDS.fullmatch(written):
        return written
    if _IS_EXPONENT.fullmatch(written):
        number = Decimal(written)
        return mask_phone(str(int(number))) if number == int(number) and 1e6 <= number < 1e15 else written
    return mask_phone(written.replace("＋", "+"))


def is_time(key: str, value: Any) -> bool:
    """Whether a value under such a name is a time in seconds since 1970, which looks like a phone number."""
    return isinstance(value, int | str) and bool(_TIME_KEY.search(key) and _SECONDS.fullmatch(str(value)))


class Places:
    """What is hidden by where it stands: {the last names that lead there: a kind of identifier, or "" for hidden whole}.

    `headings`: the same by names with dots between, however many of the dots are a name's own.
    """

    def __init__(self, kinds: Mapping[tuple[str, ...], str] | None = None, headings: Mapping[str, str] | None = None) -> None:
        self.kinds = {tuple(name.lower() for name in names): kind for names, kind in (kinds or {}).items()}
        self.headings = {heading.lower(): kind for heading, kind in (headings or {}).items()}
        self._longest = max(map(len, self.kinds), default=0)

    @classmethod
    def of_names(cls, names: Iterable[str]) -> "Places":
        return cls({(name,): "" for name in names})

    def kind_at(self, at: tuple[str, ...]) -> str | None:
        """How what stands there, by its names in small letters, is hidden; None where it is not."""
        found = [kind for length in range(1, self._longest + 1) if (kind := self.kinds.get(at[-length:])) is not None]
        if self.headings:
            joined = (".".join(at[start:]) for start in range(len(at)))
            found += [self.headings[heading] for heading in joined if heading in self.headings]
        return None if not found else "" if "" in found else found[0]

    def hides(self, name: str, text: str) -> bool:
        """Whether a value of this name is hidden, or, where its text is JSON's, something in it may be."""
        called = name.lower()
        return (called,) in self.kinds or (text[:1] in "[{" and any(called in names[:-1] for names in self.kinds))


NOWHERE = Places()


def mask_as(kind: str, value: Any) -> Any:
    """A value that is hidden because of where it stands; nothing stays nothing."""
    if value in (None, ""):
        return value
    return STARS if not kind or isinstance(value, dict | list | tuple) else mask_identifier(kind, str(value))


def mask_in_record(value: Any, *, hidden: Places = NOWHERE, hidden_values: frozenset[str] = frozenset(), at: tuple[str, ...] = ()) -> Any:
    """Mask keys, texts and numbers at any depth of a decoded record, which stands `at` these names.

    Whatever stands in a hidden place is hidden; a hidden value is masked wherever it is.
    """
    if isinstance(value, dict):
        shown: dict[str, Any] = {}
        for key, item in value.items():
            place = (*at, str(key).lower())
            if (kind := hidden.kind_at(place)) is not None:
                item = mask_as(kind, item)
            elif not is_time(str(key), item):
                item = mask_in_record(item, hidden=hidden, hidden_values=hidden_values, at=place)
            shown[_masked_key(key, shown)] = item
        return shown
    if isinstance(value, list | tuple):
        return [mask_in_record(item, hidden=hidden, hidden_values=hidden_values, at=at) for item in value]
    if isinstance(value, str):
        masked = mask_identifier("", value) if value in hidden_values else mask_in_text(value)
        return value if masked == value else masked
    if isinstance(value, int | float | Decimal) and (whole := _WHOLE.fullmatch(f"{value:f}" if isinstance(value, Decimal) else str(value))):
        return value if (masked := mask_in_text(whole[1])) == whole[1] else masked
    return value


def _masked_key(key: Any, taken: Collection[str]) -> Any:
    """Two keys that are masked to the same stay two."""
    masked = mask_in_text(key) if isinstance(key, str) else key
    while masked != key and masked in taken:
        masked += "*"
    return masked


def shown_to(user: Any) -> Callable[[str], str]:
    """How this person sees a text that may hold a phone by mistake, such as an event's name or id."""
    return str if may_see_personal(user) else mask_in_text


def may_see_personal(user: Any) -> bool:
    return bool(user is not None and user.is_active and user.has_perm("staff.see_personal_data"))
