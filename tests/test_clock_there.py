"""The time of day where a customer is: of the zones the number may be of, never of the reader's, and never a guess."""

from datetime import UTC, datetime

import pytest
from django.template.loader import render_to_string
from django.utils import timezone

from profiles.page import phone_facts

SUMMER, WINTER = datetime(2026, 7, 1, 16, 44, tzinfo=UTC), datetime(2026, 12, 1, 16, 44, tzinfo=UTC)
CASES = [
    ("+12025550123", SUMMER, "12:44"),
    ("+12025550123", WINTER, "11:44"),
    ("+8613800138000", SUMMER, "00:44"),
    ("+34612345678", WINTER, "16:44 to 17:44"),  # the Canaries are an hour behind
    ("+61412345678", WINTER, "23:14 to 03:44"),
    ("+18005550123", SUMMER, ""),  # anywhere from Guam to Bermuda
    ("+79161234567", SUMMER, ""),
    ("+870773111632", SUMMER, ""),  # a ship's
]


@pytest.mark.parametrize(("number", "now", "clock"), CASES)
def test_the_clock_is_that_of_every_place_the_number_may_be_of(number, now, clock):
    assert phone_facts(number, now=now, unmasked=True).clock == clock


def test_two_zones_whose_clocks_agree_are_one_time():
    assert phone_facts("+4915112345678", now=SUMMER, unmasked=True).clock == "18:44"


def test_the_page_shows_it_whatever_the_reader_s_zone():
    with timezone.override("Asia/Shanghai"):
        shown = render_to_string("profiles/_phone.html", {"phone": phone_facts("+12025550123", now=SUMMER, unmasked=True)})
    assert "<b>12:44</b>" in shown


def test_a_number_of_no_place_leaves_nothing_to_part():
    shown = render_to_string("profiles/_phone.html", {"phone": phone_facts("+870773111632", now=SUMMER, unmasked=True)})
    assert shown.count("<span>") == 0
