"""Whether what used to arrive has stopped, judged against its own past. Pure; times are local and without a zone.

Three questions, each of streams that have such a rhythm: was it quiet in hours of the week in which it usually came,
on days of the week on which it usually came, and for longer than it ever was. One that came now and then only has the
third; one that comes every month on a day of its own is found by it too.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Literal

State = Literal["new", "alive", "stopped", "gone"]
Usual = Literal["hourly", "daily", "weekdays", "every_days", "sporadic", ""]

_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
# The past that counts: two months show a rhythm, and a changed one is learned in as long.
_WEEKS = 8
# A slot of the week counts once it saw events in half of the weeks.
_USUALLY = 0.5
# How improbable the silence must be. An hour may come late in one delivery with the next; a day hardly does.
_HOURLY_DOUBT, _DAILY_DOUBT = 0.001, 0.02
_GAPS = 12
_GONE_AFTER_DAYS = 90


@dataclass(frozen=True, slots=True)
class Rhythm:
    """`usual_days`: days between two active days, in the middle."""

    state: State
    usual: Usual
    usual_days: float


def judge(hours: Collection[datetime], now: datetime) -> Rhythm:
    """Judge by the hours in which something came, each by its beginning, over a year or so."""
    seen = sorted(set(hours))
    if not seen:
        return Rhythm("new", "", 0)
    last = seen[-1]
    days = sorted({hour.date() for hour in seen})
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    middle = float(median(gaps)) if gaps else 0.0
    hourly = _hour_slots(seen, last)
    daily = _day_slots(days, last.date())
    usual = _usual(days, gaps, hourly, daily)
    limit = _longest_quiet(gaps)
    quiet = now - (last + _HOUR)
    if quiet > timedelta(days=max(_GONE_AFTER_DAYS, 3 * (limit or 0))):
        return Rhythm("gone", usual, middle)
    stopped = (
        _improbable(hourly.get((hour.weekday(), hour.hour), 0) for hour in _hours_since(last, now)) < _HOURLY_DOUBT
        or _improbable(daily.get(day.weekday(), 0) for day in _days_since(last.date(), now.date())) < _DAILY_DOUBT
        or (limit is not None and (now.date() - days[-1]).days > limit)
    )
    if stopped:
        return Rhythm("stopped", usual, middle)
    return Rhythm("new" if limit is None and not hourly and not daily else "alive", usual, middle)


def _hour_slots(seen: list[datetime], last: datetime) -> dict[tuple[int, int], float]:
    """{(weekday, hour): how probably something comes}, of the hours in which it usually does; none in the first two weeks."""
    weeks = min(_WEEKS, (last - seen[0]) // _WEEK)
    if weeks < 2:
        return {}
    since = last - weeks * _WEEK
    found = Counter((hour.weekday(), hour.hour) for hour in seen if hour > since)
    return {slot: count / (weeks + 1) for slot, count in found.items() if count >= 2 and count / weeks >= _USUALLY}


def _day_slots(days: list[date], last: date) -> dict[int, float]:
    weeks = min(_WEEKS, ((last - days[0]).days + 1) // 7)
    if weeks < 2:
        return {}
    since = last - weeks * _WEEK
    found = Counter(day.weekday() for day in days if day > since)
    return {slot: count / (weeks + 1) for slot, count in found.items() if count >= 2 and count / weeks >= _USUALLY}


def _improbable(chances: Iterable[float]) -> float:
    """How probable it is that nothing came in any of these slots."""
    left = 1.0
    for chance in chances:
        left *= 1 - chance
    return left


def _hours_since(last: datetime, now: datetime) -> Iterator[datetime]:
    """The whole hours after the last one, a month of them at the most."""
    hour = last + _HOUR
    until = min(now, last + timedelta(days=31))
    while hour + _HOUR <= until:
        yield hour
        hour += _HOUR


def _days_since(last: date, today: date) -> Iterator[date]:
    """The whole days after the last one and before today, three months of them at the most."""
    for back in range(1, min((today - last).days, _GONE_AFTER_DAYS)):
        yield last + back * _DAY


def _longest_quiet(gaps: list[int]) -> float | None:
    """Days of silence that never were: beyond the longest of the last gaps, the more the less alike they are. None: too few to say."""
    lately = gaps[-_GAPS:]
    if len(lately) < 3 or (len(lately) < 6 and max(lately) < 7):
        return None
    longest = max(lately)
    return longest * 1.2 + 2 if longest <= 1.3 * median(lately) else longest * 1.5 + 1


def _usual(days: list[date], gaps: list[int], hourly: dict[tuple[int, int], float], daily: dict[int, float]) -> Usual:
    if daily and len(hourly) >= 6 * len(daily):
        return "hourly"
    if len(daily) >= 6:
        return "daily"
    if daily and set(daily) == {0, 1, 2, 3, 4}:
        return "weekdays"
    lately = gaps[-_GAPS:]
    if len(lately) >= 3 and max(lately) <= 1.5 * median(lately) + 1:
        return "every_days" if median(lately) > 1 else "daily"
    return "sporadic" if len(days) > 3 else ""
