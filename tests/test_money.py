"""Amounts are written alike on every page, as the reader's language writes them."""

from decimal import Decimal

import pytest
from django.utils.translation import override

from profiles.money import money

CASES = [
    (Decimal("1234567.5"), "CNY", "CN¥1,234,567.50", "¥1,234,567.50"),
    (1234, "USD", "$1,234.00", "US$1,234.00"),
    (1234, "JPY", "¥1,234", "JP¥1,234"),
    ("0.125", "CNY", "CN¥0.125", "¥0.125"),
    (-5, "CNY", "-CN¥5.00", "-¥5.00"),
    (9.9, "CNY", "CN¥9.90", "¥9.90"),
    (1234.5, "", "1,234.5", "1,234.5"),
    (12, None, "12", "12"),
    (None, "CNY", "CNY", "CNY"),
    ("much", "CNY", "much CNY", "much CNY"),
]


@pytest.mark.parametrize(("amount", "currency", "english", "chinese"), CASES)
def test_an_amount_is_written_as_the_reader_s_language_does(amount, currency, english, chinese):
    for language, written in (("en", english), ("zh-hans", chinese)):
        with override(language):
            assert money(amount, currency).replace("\xa0", " ") == written
