"""Ratios of two things done in turns in one run, so that a busy machine slows both alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles

# Seconds that one go at the first, or the second, thing took.
type Timer = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a benchmark's answer; `name` is unique among all benchmarks and stands in the README."""

    name: str
    value: str
    spread: str = ""  # first and third quartile, where there is one
    detail: str = ""  # what the figure was made from


def timed(action: Callable[[], object], *, times: int = 1) -> Timer:
    """A timer that does the action some times; gives seconds for one of them."""

    def one_go() -> float:
        began = time.perf_counter()
        for _ in range(times):
            action()
        return (time.perf_counter() - began) / times

    return one_go


def ratio(name: str, first: Timer, second: Timer, *, rounds: int, what: str = "") -> Figure:
    """How many times longer the first takes: the median of the rounds' own ratios, with quartiles.

    Every round does both, and the next round does them in the other order. One round goes before, uncounted.
    """
    pairs = []
    for number in range(rounds + 1):
        if number % 2:
            one = first()
            pairs.append((one, second()))
        else:
            other = second()
            pairs.append((first(), other))
    counted = pairs[1:]
    ratios = [one / other for one, other in counted]
    low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    one, other = (1000 * median(column) for column in zip(*counted, strict=True))
    detail = f"{one:.1f} ms to {other:.1f} ms" + (f", {what}" if what else "")
    return Figure(name, f"{median(ratios):.2f}", f"{low:.2f} to {high:.2f}", detail)
