"""Geometry of the product's own charts; templates/profiles/_stacked_bars.html draws it as SVG, CSS colors it."""

from dataclasses import dataclass
from math import log10
from typing import Any

HEIGHT = 160
SLOT = 40
BAR = 26
MOST_SERIES = 7


@dataclass(frozen=True)
class Segment:
    """One colored piece of a bar, in SVG units from the top left."""

    x: float
    y: float
    height: float
    color: int
    title: str


@dataclass(frozen=True)
class Series:
    label: str
    color: int
    total: int


@dataclass(frozen=True)
class StackedBars:
    width: int
    height: int
    bar_width: int
    segments: list[Segment]
    series: list[Series]
    labels: list[str]
    ticks: list[tuple[float, int]]
    rows: list[tuple[str, list[int], int]]


def stacked_bars(labels: list[str], values: dict[str, list[int]], *, other: Any, as_given: bool = False) -> StackedBars:
    """Stack each series' values, one per label, largest series at the bottom; beyond seven they join as `other`.

    `as_given`: the first at the bottom, so that charts side by side have one color for one thing.
    """
    ordered = list(values.items()) if as_given else sorted(values.items(), key=lambda item: (-sum(item[1]), str(item[0])))
    if len(ordered) > MOST_SERIES:
        rest = [sum(column) for column in zip(*(numbers for _, numbers in ordered[MOST_SERIES - 1 :]), strict=True)]
        ordered = [*ordered[: MOST_SERIES - 1], (str(other), rest)]
    totals = [sum(numbers[i] for _, numbers in ordered) for i in range(len(labels))]
    top = _round_up(max(totals, default=0))
    segments = []
    for i, label in enumerate(labels):
        floor = float(HEIGHT)
        for color, (name, numbers) in enumerate(ordered, start=1):
            height = numbers[i] / top * HEIGHT
            if height:
                floor -= height
                title = f"{label} · {name}: {numbers[i]:,}"
                segments.append(Segment(i * SLOT + (SLOT - BAR) / 2, round(floor, 2), round(height, 2), color, title))
    return StackedBars(
        width=len(labels) * SLOT,
        height=HEIGHT,
        bar_width=BAR,
        segments=segments,
        series=[Series(name, color, sum(numbers)) for color, (name, numbers) in enumerate(ordered, start=1)],
        labels=labels,
        ticks=[(HEIGHT - HEIGHT * part / 2, int(top * part / 2)) for part in (2, 1, 0)],
        rows=[(label, [numbers[i] for _, numbers in ordered], totals[i]) for i, label in enumerate(labels)],
    )


@dataclass(frozen=True)
class Trend:
    """A chart of a line's height: `path` draws bars in a box of `width` by TREND_HEIGHT; `said`: the numbers, as text."""

    width: int
    path: str
    said: str


TREND_HEIGHT, TREND_SLOT, TREND_BAR = 24, 6, 4


def trend(counts: list[int]) -> Trend:
    """Bars of counts, the highest as high as the box; what is not nothing is seen. One path: a page has dozens of these."""
    top = max(counts, default=0) or 1
    heights = [max(1.5, TREND_HEIGHT * count / top) if count > 0 else 0 for count in counts]
    bars = (f"M{at * TREND_SLOT} {TREND_HEIGHT}v{-height:.2f}h{TREND_BAR}v{height:.2f}z" for at, height in enumerate(heights) if height)
    return Trend(len(counts) * TREND_SLOT, "".join(bars), ", ".join(f"{count:,}" for count in counts))


def _round_up(number: int) -> int:
    """The next even round number, so that the half of it reads well too: 11,300 becomes 12,000."""
    if number <= 10:
        return max(2, number + number % 2)
    scale = 10 ** (int(log10(number)) - 1)
    return next(step * scale for step in (10, 12, 16, 20, 30, 40, 50, 60, 80, 100) if step * scale >= number)
