"""An amount as the reader's language writes it."""

from decimal import Decimal, InvalidOperation
from typing import Any

from babel import Locale
from babel.numbers import format_currency, format_decimal
from django.utils.translation import get_language


def money(amount: Any, currency: str | None = "") -> str:
    """With currency and thousands separators, such as CN¥1,234.50, and ¥1,234.50 in Chinese. Digits are never rounded away."""
    try:
        number = Decimal(str(amount))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        return f"{'' if amount is None else amount} {currency or ''}".strip()
    locale = Locale.parse((get_language() or "en").replace("-", "_"))
    if currency:
        return format_currency(number, currency, locale=locale, decimal_quantization=False)
    return format_decimal(number, locale=locale, decimal_quantization=False)


def is_money(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"amount", "currency"}
