"""The words of what a violation expected: the core says it as data, such as {"minimum": "0"}."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from staff.moments import moment_words
from taxonomy.models import Attribute

Text = str | Promise

# Every key the core uses in `expected`, of events and of definitions, in the order in which they are said.
SAYINGS: dict[str, Text] = {
    "type": _("a value of the type “%(value)s”"),
    "keys": _("with the fields %(value)s"),
    "format": _("a time in the format %(value)s"),
    "days": _("a date that can be read in one way only, not as %(value)s"),
    "example": _("such as %(value)s"),
    "one_of": _("at least one of %(value)s"),
    "choices": _("one of %(value)s"),
    "pattern": _("text that matches %(value)s"),
    "currency": _("a currency of three letters, such as CNY"),
    "minimum": _("at least %(value)s"),
    "maximum": _("at most %(value)s"),
    "at_least": _("not before %(value)s"),
    "at_most": _("not after %(value)s"),
    "min_length": _("at least %(value)s characters"),
    "max_length": _("at most %(value)s characters"),
    "min_items": _("at least %(value)s entries"),
    "max_items": _("at most %(value)s entries"),
    "digits": _("at most %(value)s digits"),
    "divisor": _("a number other than 0 in %(value)s"),
    "kind": "%(value)s",
    "candidates": _("a region; it would be a number in %(value)s"),
    "region": _("of the region %(value)s"),
    "of": _("each of the type “%(value)s”"),
    "depth": _("at most %(value)s levels deep"),
    "syntax": _("in the syntax of %(value)s"),
}

# Why a text is no phone number, as the core's phone.py tells them apart.
PHONE_KINDS: dict[str, Text] = {
    "too_short": _("a phone number with more digits"),
    "too_long": _("a phone number with fewer digits"),
    "not_a_number": _("a phone number"),
    "letters": _("digits only: a letter may stand for a 0 or be a slip"),
    "several_numbers": _("one phone number"),
    "no_such_number": _("a phone number that can exist"),
    "no_such_country": _("a country code that exists"),
    "spreadsheet_exponent": _("all digits of the phone number: a spreadsheet turned it into a power of ten"),
    "spreadsheet_digits": _("all digits: a spreadsheet turned the number into a power of ten and lost the others"),
}


def expected_text(expected: Any) -> str:
    """A violation's own expectation as text, such as "at least 0, at most 100"; "" when it has none."""
    if not isinstance(expected, dict):
        return _listed(_type_label(expected)) if expected is not None else ""
    known = [_said(key, expected[key]) for key in SAYINGS if expected.get(key) not in (None, [])]
    return str(_(", ")).join([*known, *(f"{key} {_listed(value)}" for key, value in expected.items() if key not in SAYINGS)])


def _said(key: str, value: Any) -> str:
    if key in ("type", "of"):
        value = _type_label(value)
    elif key in ("at_least", "at_most"):
        value = moment_words(value)
    elif key == "format" and value == "iso":
        return str(_("a time such as 2026-03-01T10:00:00+08:00"))
    elif key == "kind":
        value = PHONE_KINDS.get(value, value)
    return str(SAYINGS[key]) % {"value": _listed(value)}


def _type_label(value: Any) -> Any:
    return dict(Attribute.Type.choices).get(value, value) if isinstance(value, str) else value


def _listed(value: Any) -> str:
    return " / ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
