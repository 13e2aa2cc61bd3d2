import json
import re
import time
from decimal import Decimal
from pathlib import Path

import pytest

from staff.masking import Places, mask_email, mask_identifier, mask_in_record, mask_in_text, mask_phone

PHONES = [one["in"] for one in json.loads((Path(__file__).parent / "cases/phones.json").read_text()) if "out" in one]


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("+8613800138000", "+86 138****8000"),
        ("+12025550123", "+1 20****0123"),
        ("+85291234567", "+852 ****4567"),
        ("+4915123456789", "+49 151****6789"),
        ("13800138000", "138****8000"),
        ("１３８００１３８０００", "138****8000"),
        ("+", "****"),
        ("12", "****12"),
        ("not a phone", "****"),
        ("", "****"),
    ],
)
def test_a_masked_phone_keeps_country_first_and_last_digits(phone, masked):
    assert mask_phone(phone) == masked


@pytest.mark.parametrize("digits", range(1, 16))
def test_at_least_four_digits_stay_hidden_of_numbers_long_enough_to_be_dialled(digits):
    number = "1234567890123456"[:digits]
    shown = sum(sign.isdigit() for sign in mask_phone(number))
    assert shown <= max(2, digits - 3)
    assert mask_phone(number) != number


@pytest.mark.parametrize(
    ("email", "masked"),
    [("zhang@example.com", "z***@example.com"), ("@example.com", "***@example.com"), ("broken", "***")],
)
def test_a_masked_email_keeps_its_first_letter_and_domain(email, masked):
    assert mask_email(email) == masked


def test_other_identifiers_keep_their_ends():
    assert mask_identifier("openid", "oXy1234567890abc") == "oX****bc"
    assert mask_identifier("user_id", "u1") == "u****"
    assert mask_identifier("phone", "+8613800138000") == "+86 138****8000"
    assert mask_identifier("email", "zhang@example.com") == "z***@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "+8613800138000",
        "138 0013 8000",
        "138-0013-8000",
        "(138)0013-8000",
        "（138）0013－8000",
        "１３８００１３８０００",
        "008613800138000",
        "tel:13800138000",
        '{"tel": "13800138000"}',
        "电话：13800138000",
        "call 202.555.0123 now",
        "手机13800138000号",
        "电话13800138000",
        "联系人张三138-0013-8000收",
        "call_13800138000",
        "p_13800138000",
        "_202 555 0123_",
        "tel13800138000",
        "+8613800138000abc",
        "order-13800138000-1",
        "13800138000x",
        "138–0013–8000",
        "138−0013−8000",
        "138—0013‑8000",
        "138\u200b0013\u200b8000",
        "138\u00ad00138000",
        "138\u20090013\u20098000",
        "138*0013*8000",
        "138    0013    8000",
        "138001.38000",
        "1795113800138000",
        "12593 138 0013 8000",
        "1259313800138000",
        "0086013800138000",
        "1380013800013900139000",
        "+8613800138000+8613900139000",
        "+1 202*555*0123",
        "1.3800138E+10",
        "٠١٣٨٠٠١٣٨٠٠٠",
        "m-138-0013-8000",
    ],
)
def test_a_phone_in_a_text_is_masked_however_it_is_written(text):
    masked = mask_in_text(text)
    assert "0013" not in masked
    assert "００１３" not in masked
    assert "555" not in masked
    assert "****" in masked
    assert mask_in_text(masked) == masked


@pytest.mark.parametrize("phone", PHONES)
@pytest.mark.parametrize("around", ["%s", "call %s now", "电话：%s。"])
def test_every_way_a_phone_may_be_sent_is_masked_in_a_text_and_in_a_record(around, phone):
    written = around % phone
    digits = re.sub(r"\D", "", mask_phone(phone))
    for masked in (mask_in_text(written), mask_in_record({"note": [written]})["note"][0], *mask_in_record({written: 1})):
        assert "****" in masked
        assert len(re.sub(r"\D", "", re.split(r"ext|转|分机|x", masked)[0])) <= max(len(digits), 7) + 2


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-03T10:15:00Z",
        "2026-11-03 10:15:00",
        "20261103",
        "SKU12345678",
        "12.50",
        "199.9900000",
        "order 202611031015000012345",
        "4711",
        "550e8400-e29b-41d4-a716-446655440000",
        "m-898-202611019081",
        "1794612345123",
        "a1-20261101-0001234567",
        "SKU12345678号",
        "w-10-202003709-cart_add",
        "SKU-1-800-BLACK",
        "1-100-LARGE",
        "15000.000000",
        "139.69170000",
        "6.02214076E+23",
        "3.14159265E+00",
        "2026–11–03",
        "コーヒー",
        "——",
    ],
)
def test_what_is_no_phone_is_left_alone(text):
    assert mask_in_text(text) == text


def test_an_email_in_a_text_is_masked():
    assert mask_in_text("write to zhang.wei@example.com.") == "write to z***@example.com."
    assert mask_in_text("写信到li＠example.com") == "写***@example.com"


def test_a_record_is_masked_at_any_depth():
    record = {"user": {"tel": 13800138000, "mail": "li@example.com"}, "rows": ["138 0013 8000", 12, True, None, 1.5]}
    assert mask_in_record(record) == {
        "user": {"tel": "138****8000", "mail": "l***@example.com"},
        "rows": ["138****8000", 12, True, None, 1.5],
    }


def test_a_time_in_seconds_is_told_by_the_name_of_its_field():
    record = {"ts": 1794612345, "createTime": "1794612345", "paid_at": 1794612345, "contact": 1794612345, "date": "13800138000"}
    masked = mask_in_record(record)
    assert {key: masked[key] == record[key] for key in record} == {
        "ts": True, "createTime": True, "paid_at": True, "contact": False, "date": False,
    }  # fmt: skip


def test_an_identity_number_is_masked():
    assert mask_in_text("id 11010519491231002X") == "id 11****2X"


def test_what_stands_under_a_personal_name_is_hidden_whole():
    record = {"full_name": "Wei Zhang", "openid": "oXy1234567890abc", "note": "oXy1234567890abc"}
    masked = mask_in_record(record, hidden=Places.of_names(["full_name"]), hidden_values=frozenset({"oXy1234567890abc"}))
    assert masked == {"full_name": "****", "openid": "oX****bc", "note": "oX****bc"}


def test_what_is_hidden_by_its_place_is_hidden_there_alone_whatever_it_is():
    hidden = Places({("fields", "fullName"): "", ("mobile",): "phone", ("ids", "memberNo"): "crm_id"})
    record = {
        "mobile": "1-800-FLOWERS", "fullName": "Red chair", "ids": [{"memberNo": "CRM-778899"}],
        "rows": [{"fields": {"FullName": {"first": "Wei"}, "sex": 1}}, {"mobile": ["138"]}, {"mobile": None}],
    }  # fmt: skip
    assert mask_in_record(record, hidden=hidden) == {
        "mobile": "****00", "fullName": "Red chair", "ids": [{"memberNo": "CR****99"}],
        "rows": [{"fields": {"FullName": "****", "sex": 1}}, {"mobile": "****"}, {"mobile": None}],
    }  # fmt: skip


def test_a_key_that_is_a_phone_is_masked_and_stays_one_of_its_own():
    assert mask_in_record({"13800138000": 1, "13811118000": 2, "price": 3}) == {"138****8000": 1, "138****8000*": 2, "price": 3}


@pytest.mark.parametrize(("number", "masked"), [(13800138000, True), (13800138000.0, True), (Decimal("13800138000.00"), True)])
def test_a_number_that_may_be_a_phone_is_masked_whatever_its_type(number, masked):
    assert (mask_in_record([number]) != [number]) == masked


@pytest.mark.parametrize("number", [12.5, Decimal("1299.50"), 1794612345123, True, Decimal("NaN"), float("inf"), 10**20])
def test_other_numbers_stay(number):
    assert str(mask_in_record([number])) == str([number])


@pytest.mark.parametrize("text", ["1" * 9_000, "1-" * 9_000, "(" * 9_000, "1    " * 2_000, ("1 " * 14 + "x") * 300, "+1" * 9_000])
def test_no_text_takes_long(text):
    started = time.process_time()
    mask_in_text(text)
    assert time.process_time() - started < 1
