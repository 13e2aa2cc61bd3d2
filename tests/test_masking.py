import pytest

from staff.masking import mask_email, mask_identifier, mask_in_record, mask_in_text, mask_phone


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
    ],
)
def test_a_phone_in_a_text_is_masked_however_it_is_written(text):
    masked = mask_in_text(text)
    assert "0013" not in masked
    assert "００１３" not in masked
    assert "555" not in masked
    assert "****" in masked


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
    ],
)
def test_what_is_no_phone_is_left_alone(text):
    assert mask_in_text(text) == text


def test_an_email_in_a_text_is_masked():
    assert mask_in_text("write to zhang.wei@example.com.") == "write to z***@example.com."


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
    masked = mask_in_record(record, hidden_keys=frozenset({"full_name"}), hidden_values=frozenset({"oXy1234567890abc"}))
    assert masked == {"full_name": "****", "openid": "oX****bc", "note": "oX****bc"}
