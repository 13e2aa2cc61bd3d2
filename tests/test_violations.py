"""The words at the edge: every code has a sentence in both languages and an anchor in the docs."""

import re
from pathlib import Path

import pytest
from django.utils.translation import override
from test_core_cases import EVENTS, PLAN, read_all, record_of

from taxonomy.expected import PHONE_KINDS, SAYINGS, expected_text
from taxonomy.standardize import CODES, Violation, encode_json, standardize
from taxonomy.violations import WORDS, explain, message_for, title_for

DOCS = (Path(__file__).resolve().parent.parent / "docs" / "codes.md").read_text(encoding="utf-8")
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_words_and_its_anchor(code):
    said = explain(code)
    parts = [said.title, said.happened] if CODES[code].effect == "change" else [said.title, said.happened, said.expected, said.next]
    for language in ("en", "zh-hans"):
        with override(language):
            for part in parts:
                assert str(part)
                assert bool(CHINESE.search(str(part))) == (language == "zh-hans") or str(part).startswith("UTF-8"), part
            assert title_for(code) != code
    section = DOCS.split(f'<a id="{code}"></a>')
    assert len(section) == 2
    assert re.match(rf"\s+### {re.escape(code)}\n\n.+\n\nExample: .+\n\nNext: .+\n", section[1]), section[1][:300]


def test_there_are_no_words_and_no_anchors_without_a_code():
    assert WORDS.keys() == CODES.keys()
    assert set(re.findall(r'<a id="([^"]+)">', DOCS)) == CODES.keys()


def violations() -> list[Violation]:
    found = []
    for case in EVENTS:
        for raw in read_all(encode_json(record_of(case)), case["source"]):
            found += standardize(raw, PLAN).violations
    return found


def test_every_expectation_is_said_in_words():
    for one in violations():
        if isinstance(one.expected, dict):
            assert one.expected.keys() <= SAYINGS.keys(), one
            assert one.expected.get("kind") in {None, *PHONE_KINDS}
        for language in ("en", "zh-hans"):
            with override(language):
                assert message_for(one)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"type": "decimal"}, "a value of the type “decimal number”"),
        ({"minimum": "0"}, "at least 0"),
        ({"one_of": ["price", "amount"]}, "at least one of price / amount"),
        ({"kind": "too_short", "region": "CN"}, "a phone number with more digits, of the region CN"),
        ({"format": "iso"}, "a time such as 2026-03-01T10:00:00+08:00"),
        ({"format": "%d/%m/%Y"}, "a time in the format %d/%m/%Y"),
        ({"candidates": ["CN", "DE"]}, "a region; it would be a number in CN / DE"),
        ({"candidates": []}, ""),
        ("object", "object with fields"),
        ("product_view", "product_view"),
        (None, ""),
    ],
)
def test_what_was_expected(expected, said):
    with override("en"):
        assert expected_text(expected) == said


def test_a_message_says_what_where_seen_expected_and_next():
    one = Violation("attribute.wrong_type", "attributes.price", "12,50", {"type": "money"}, {"from": "sale_price"})
    with override("en"):
        assert message_for(one) == (
            "A value is not of the attribute's type and cannot be taken as such without guessing. "
            "Where: attributes.price, which the rule takes from sale_price. Seen: 12,50. "
            "Expected: a value of the type “money”. Correct the value, or add a transform to the rule of the source."
        )


def unknown(name: str) -> Violation:
    (raw,) = read_all(encode_json({"event": name, "phone": "+8613800138000"}), "website")
    return next(one for one in standardize(raw, PLAN).violations if one.code == "event.unknown")


@pytest.mark.parametrize(
    ("name", "plain", "english", "chinese"),
    [
        ("purchase\u00a0", "purchase", "a no-break space", "不间断空格"),
        ("pur\u200bchase", "purchase", "a space of no width", "零宽空格"),
        ("order\u3000paid", "order paid", "a space of full width", "全角空格"),
        ("ｌogin", "login", "“ｌ” of full width", "全角字符“ｌ”"),
        ("login ", "login", "a space at its end or beginning", "首尾的空格"),
        ("\tlogin\u202f", "login", "U+0009, a narrow no-break space", "U+0009，窄不间断空格"),
    ],
)
def test_a_name_that_looks_like_another_is_told_by_what_is_odd_in_it(name, plain, english, chinese):
    one = unknown(name)
    for language, said in (("en", english), ("zh-hans", chinese)):
        with override(language):
            assert said in message_for(one) and f"“{plain}”" in message_for(one)


@pytest.mark.parametrize("name", ["purchse", "log in", "购买（线上）", "加购"])
def test_a_name_of_plain_signs_is_only_unknown(name):
    assert unknown(name).values == {}
