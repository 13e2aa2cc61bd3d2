"""The short way to plain numbers against libphonenumber: whatever it answers, the library answers too."""

import random

import phonenumbers
import pytest

from taxonomy.standardize import phone
from taxonomy.standardize.phone import PhoneReading
from taxonomy.standardize.plain_phone import read_plain

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def by_library(monkeypatch: pytest.MonkeyPatch, text: str, region: str) -> object:
    with monkeypatch.context() as patch:
        patch.setattr(phone, "read_plain", lambda text, region: None)
        return phone._read.__wrapped__(text, region)


def numbers_near(region: str, draw: random.Random, count: int) -> list[str]:
    """Example numbers of the region, some digits changed, added or left out, written in several ways."""
    code = str(phonenumbers.country_code_for_region(region))
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    examples = [phonenumbers.example_number_for_type(region, kind) for kind in range(11)]
    texts = []
    for example in filter(None, examples):
        for _ in range(count):
            digits = list(phonenumbers.national_significant_number(example))
            for _ in range(draw.choice([0, 1, 2, 4, 9])):
                digits[draw.randrange(len(digits))] = str(draw.randrange(10))
            text = "".join(digits[: len(digits) - (draw.random() < 0.1)]) + ("7" if draw.random() < 0.15 else "")
            text = draw.choice(["", "", "+" + code, "+" + code, code, metadata.national_prefix or "", "00" + code]) + text
            if draw.random() < 0.3 and len(text) > 5:
                at = draw.randrange(3, len(text) - 1)
                text = text[:at] + draw.choice(" -") + text[at:]
            texts.append(text)
    return texts


def test_the_short_way_never_differs_from_the_library(monkeypatch):
    draw = random.Random(20260301)
    taken = 0
    for region in REGIONS:
        for text in numbers_near(region, draw, count=8):
            for given in {region, "CN", ""}:
                short = read_plain(text, given)
                if short is not None:
                    taken += 1
                    assert by_library(monkeypatch, text, given) == PhoneReading(*short), (text, given)
    assert taken > 2_000


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("13800138000", "CN"), ("138 0013 8000", "CN"), ("138-0013-8000", "CN"), ("+8613800138000", ""), ("+86 138 0013 8000", "US"),
        ("612345678", "ES"), ("91234567", "SG"),
    ],
)  # fmt: skip
def test_what_most_sources_send_takes_it(text, region):
    assert read_plain(text, region) is not None


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("2025550123", "US"),  # one of 25 regions that share +1
        ("08613800138000", "CN"),
        ("8613800138000", "CN"),  # may be a country code
        ("13800138000", ""),
        ("13800138000", "XX"),
        ("１３８００１３８０００", "CN"),
        ("13800138000 ext 5", "CN"),
        ("138001380001", "CN"),
        ("1380013800", "CN"),
        ("+9991234567", "CN"),
        ("", "CN"),
    ],
)
def test_what_needs_thought_is_the_librarys(text, region):
    assert read_plain(text, region) is None
