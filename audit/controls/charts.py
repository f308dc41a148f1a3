"""Charts as geometry: points and lines that a template draws as SVG, with a table of the same figures beside them.

No colour alone tells two lines apart: the slow one is dashed and has squares. All coordinates are in the viewBox.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from audit.controls.measuring import Part, Spread
from audit.controls.periods import Period
from requests_app.estimates import short_words

WIDTH, HEIGHT = 480, 230
LEFT, RIGHT, TOP, BOTTOM = 92, 12, 12, 30
_MOST_MARKS = 4
# Steps that people read durations in, in seconds.
_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One value at its place, with what it says."""

    x: float
    y: float
    words: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of the grid, or one label below it, at its place."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series: runs of neighbouring points, with gaps where nothing was measured."""

    name: str
    kind: str  # "typical" or "slow": how it is drawn
    runs: Sequence[Sequence[Point]]

    @property
    def paths(self) -> list[str]:
        """Each run of more than one point, as SVG's `points`."""
        return [" ".join(f"{p.x:g},{p.y:g}" for p in run) for run in self.runs if len(run) > 1]

    @property
    def points(self) -> list[Point]:
        return [point for run in self.runs for point in run]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over a period's parts; `rows` are its table."""

    key: str
    title: str
    about: str
    part_words: str
    lines: Sequence[Line]
    heights: Sequence[Mark]
    days: Sequence[Mark]
    rows: Sequence[Part]

    @property
    def empty(self) -> bool:
        return not any(line.runs for line in self.lines)

    @property
    def view_box(self) -> str:
        return f"0 0 {WIDTH} {HEIGHT}"

    @property
    def right(self) -> int:
        return WIDTH - RIGHT

    @property
    def left(self) -> int:
        return LEFT

    @property
    def below(self) -> int:
        return HEIGHT - 8


def spread_chart(key: str, title: str, about: str, spread: Spread, period: Period) -> Chart:
    """Median and 95th percentile of each part of the period."""
    top = max((part.slow or timedelta(0) for part in spread.parts), default=timedelta(0)).total_seconds()
    step = next(
        (each for each in _STEPS if top <= each * _MOST_MARKS), _STEPS[-1] * (1 + int(top // _STEPS[-1]))
    )
    ceiling = step * max(1, -(-int(top + 0.999) // step))
    count = len(spread.parts)
    inner, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(place: int) -> float:
        return round(LEFT + inner * (place + 0.5) / count, 1)

    def y(seconds: float) -> float:
        return round(TOP + tall * (1 - seconds / ceiling), 1)

    def runs(name: str, kind: str) -> Sequence[Sequence[Point]]:
        placed = [(place, part.day, getattr(part, kind)) for place, part in enumerate(spread.parts)]
        return [
            [
                Point(x(place), y(took.total_seconds()), f"{name} from {day:%Y-%m-%d}: {short_words(took)}")
                for place, day, took in neighbours
            ]
            for measured, neighbours in groupby(placed, key=lambda each: each[2] is not None)
            if measured
        ]

    return Chart(
        key,
        title,
        about,
        period.step_words,
        [
            Line("Median", "typical", runs("Median", "typical")),
            Line("95th percentile", "slow", runs("95th percentile", "slow")),
        ],
        [
            Mark(y(height), short_words(timedelta(seconds=height)) if height else "0")
            for height in range(0, int(ceiling) + 1, int(step))
        ],
        [Mark(x(place), f"{spread.parts[place].day:%d %b}") for place in _few(count)],
        spread.parts,
    )


def _few(count: int) -> Sequence[int]:
    """At most five places, evenly apart."""
    every = max(1, -(-count // 5))
    return range(0, count, every)
