"""How a chart of the GPUs page is drawn: the same specification at each refresh, so that only its points change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ui.gpus.past import AT, HOST

PAST = "past"
HEIGHT = 150
COLOURS = 6
TICKS = 4
HOST_COLOUR = "#7a849c"
A_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of one figure: from 0 to `top`, one line for each name."""

    figure: str
    title: str
    top: float
    lines: tuple[str, ...] = (HOST,)


def spec_of(chart: Chart, seconds: int, table: pa.Table) -> dict[str, Any]:
    """The chart for Vega-Lite. Its colours are those of the theme, its clock is the reader's.

    The points are a named table, which the page replaces in the chart that stands there.
    """
    return {
        "title": {"text": chart.title, "anchor": "start", "fontSize": 13, "fontWeight": 600, "offset": 8},
        "data": {"name": PAST},
        "datasets": {PAST: table},
        "height": HEIGHT,
        "padding": {"left": 4, "right": 8, "top": 6, "bottom": 0},
        "encoding": {"x": _time_axis(seconds)},
        "layer": [_lines(chart), _reading(chart)],
    }


def _time_axis(seconds: int) -> dict[str, Any]:
    form = "%H:%M" if seconds <= A_DAY_S else "%m-%d"
    axis = {"format": form, "title": None, "grid": False, "tickCount": 6, "labelOverlap": True, "labelFlush": True}
    return {"field": AT, "type": "temporal", "axis": axis}


def _lines(chart: Chart) -> dict[str, Any]:
    names = list(chart.lines)
    dashes = [[1, 0] if place < COLOURS else [5, 3] for place in range(len(names))]
    encoding: dict[str, Any] = {
        "y": {
            "field": "value",
            "type": "quantitative",
            "scale": {"domain": [0, chart.top], "nice": False, "zero": True},
            "axis": {
                "title": None,
                "format": ",.0f",
                "labelFlush": False,
                "values": [chart.top * part / TICKS for part in range(TICKS + 1)],
            },
        },
        "detail": {"field": "line", "type": "nominal"},
    }
    mark: dict[str, Any] = {"type": "line", "strokeWidth": 1.5, "strokeCap": "round", "clip": True}
    if names == [HOST]:
        mark["color"] = HOST_COLOUR
    else:
        encoding["color"] = {"field": "line", "type": "nominal", "scale": {"domain": names}, "legend": None}
        encoding["strokeDash"] = {
            "field": "line", "type": "nominal", "scale": {"domain": names, "range": dashes}, "legend": None,
        }  # fmt: skip
    return {"transform": [{"fold": names, "as": ["line", "value"]}], "mark": mark, "encoding": encoding}


def _reading(chart: Chart) -> dict[str, Any]:
    """A thin line under the pointer, with the values of that moment."""
    moment = {"field": AT, "type": "temporal", "format": "%m-%d %H:%M:%S", "title": " "}
    values = [
        {"field": name, "type": "quantitative", "format": ",.1f", "title": chart.title if name == HOST else name}
        for name in chart.lines
    ]
    shown = {"condition": {"param": "pointed", "empty": False, "value": 0.5}, "value": 0}
    return {
        "params": [
            {
                "name": "pointed",
                "select": {
                    "type": "point", "fields": [AT], "nearest": True, "on": "pointerover", "clear": "pointerout",
                },
            }
        ],
        "mark": {"type": "rule", "color": HOST_COLOUR},
        "encoding": {"opacity": shown, "tooltip": [moment, *values]},
    }  # fmt: skip


def domain_of(tops: Sequence[float | None], otherwise: float) -> float:
    """Where a scale ends: at the largest capacity that is known."""
    return max((top for top in tops if top), default=otherwise)
