"""Days and times as people say them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils.translation import override

from staff.models import Notice
from staff.moments import ago_words, day_words, moment_words
from taxonomy.expected import expected_text

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("back", "said"),
    [
        (timedelta(minutes=-3), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=119), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=1, minutes=50), "1 hour ago"),
        (timedelta(hours=23), "23 hours ago"),
        (timedelta(days=1, hours=5), "1 day ago"),
        (timedelta(days=17, hours=5), "17 days ago"),
        (timedelta(days=90), "1 Dec 2025"),
    ],
    ids=str,
)
def test_how_long_ago_is_said_in_one_unit(back, said):
    with override("en"):
        assert ago_words(NOW - back, NOW) == said


def test_a_day_reads_naturally_in_both_languages():
    for language, said in (("en", "31 Dec 2026"), ("zh-hans", "2026年12月31日")):
        with override(language):
            assert day_words("2026-12-31") == said
            assert day_words("soon") == "soon"
            assert said in str(Notice(text="%(item)s is enforced from %(day)s; until then what breaks its rules is only recorded.", values={"item": "x", "day": "2026-12-31"}))  # fmt: skip


def test_a_time_in_an_error_has_no_fractions_of_a_second():
    with override("en"):
        assert expected_text({"at_most": "2026-03-02T10:00:00.123456+00:00"}) == "not after 2 Mar 2026, 18:00"
        assert moment_words("tomorrow") == "tomorrow"
