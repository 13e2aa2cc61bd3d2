"""Amounts are written alike on every page, as the reader's language writes them."""

from decimal import Decimal

import pytest
from django.utils.translation import override

from profiles.money import is_money, money

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
    (Decimal("1E+27"), "CNY", f"CN¥1{',000' * 9}.00", f"¥1{',000' * 9}.00"),
    (Decimal(f"1{'0' * 27}.125"), "", f"1{',000' * 9}.125", f"1{',000' * 9}.125"),
    (10**99, "", f"1{',000' * 33}", f"1{',000' * 33}"),
    (Decimal("1E-40"), "", f"0.{'0' * 39}1", f"0.{'0' * 39}1"),
]


@pytest.mark.parametrize(("amount", "currency", "english", "chinese"), CASES)
def test_an_amount_is_written_as_the_reader_s_language_does(amount, currency, english, chinese):
    for language, written in (("en", english), ("zh-hans", chinese)):
        with override(language):
            assert money(amount, currency).replace("\xa0", " ") == written


@pytest.mark.parametrize("currency", [156, None, True, ["CNY"], {"code": "CNY"}, "13800138000", "cny"])
def test_what_is_only_named_like_money_is_none(currency):
    assert is_money({"amount": Decimal("5"), "currency": "CNY"}) and is_money({"amount": 5, "currency": "USD"})
    assert not is_money({"amount": 5, "currency": currency})
    assert not is_money({"amount": "13800138000", "currency": "CNY"}) and not is_money({"amount": True, "currency": "CNY"})
