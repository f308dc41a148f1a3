"""Charts of the controls page, drawn as SVG without a script."""

from __future__ import annotations

from datetime import date, timedelta

from audit.controls.charts import HEIGHT, TOP, spread_chart
from audit.controls.measuring import Part, Spread
from audit.controls.periods import Period


def test_a_chart_keeps_its_points_inside_and_leaves_gaps_where_nothing_was() -> None:
    period = Period(date(2026, 1, 1), date(2026, 1, 5))
    spans = [None, 3_700, 0, None, 90_000]
    parts = [
        Part(day) if took is None else Part(day, 1, timedelta(seconds=took), timedelta(seconds=took))
        for day, took in zip(period.parts(), spans, strict=True)
    ]
    chart = spread_chart("x", "X", "", Spread(3, None, None, None, parts), period)
    line = chart.lines[0]
    assert [len(run) for run in line.runs] == [2, 1]
    assert len(line.paths) == 1
    assert all(TOP <= point.y <= HEIGHT - 30 for point in line.points)
    assert [mark.words for mark in chart.heights] == ["0", "12 h", "1 day", "1 day 12 h"]
    assert spread_chart("x", "X", "", Spread(0, None, None, None, [Part(period.first)]), period).empty
