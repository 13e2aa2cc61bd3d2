"""An amount as the reader's language writes it."""

from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

from babel import Locale
from babel.numbers import format_currency, format_decimal
from django.utils.translation import get_language

from taxonomy.standardize.types.currencies import CURRENCIES


def money(amount: Any, currency: str | None = "") -> str:
    """With currency and thousands separators, such as CN¥1,234.50, and ¥1,234.50 in Chinese. Digits are never rounded away."""
    try:
        number = Decimal(str(amount))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        return f"{'' if amount is None else amount} {currency or ''}".strip()
    locale = Locale.parse((get_language() or "en").replace("-", "_"))
    with localcontext(prec=_digits(number)):  # babel divides and rounds within what the context allows
        if currency:
            return format_currency(number, currency, locale=locale, decimal_quantization=False)
        return format_decimal(number, locale=locale, decimal_quantization=False)


def is_money(value: Any) -> bool:
    """Whether it is a standard form of money: of what a source sent otherwise, only the names may be these."""
    return (
        isinstance(value, dict)
        and value.keys() == {"amount", "currency"}
        and isinstance(value["currency"], str)
        and value["currency"] in CURRENCIES
        and isinstance(value["amount"], int | float | Decimal)
        and not isinstance(value["amount"], bool)
    )


def _digits(number: Decimal) -> int:
    """As many as it has, written out, and room for those that a currency always shows."""
    _sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    return max(28, len(digits) + abs(exponent) + 4)
