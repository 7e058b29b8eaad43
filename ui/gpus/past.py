"""The history as tables for charts: one column for each line, missing time as missing values, shared by all readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import pyarrow as pa

from services.gpu.history import GPU_FIGURES, HOST_FIGURES, STEPS, Figure, History, Point

AT = "at"
HOST = "host"
MOST = 360
"""Points of a line: about as many as a chart has room for."""
MIB_A_GIB = 1024
SOONEST_MS, LATEST_MS = 15_000, 300_000


@dataclass(frozen=True, slots=True)
class Past:
    """A range of the history: a table for each figure, and when the first of its readings was taken."""

    first_ms: int
    tables: Mapping[str, pa.Table]


def newest_ms(now_ms: int, seconds: int) -> int:
    """Where a range ends: it moves on in steps, so that readers at the same time see the same and it is made once."""
    step_ms = max(SOONEST_MS, min(LATEST_MS, seconds * 1000 // MOST))
    return now_ms - now_ms % step_ms


@lru_cache(maxsize=12)
def past(
    history: History, seconds: int, until_ms: int, gpus: tuple[tuple[str, str], ...], every_ms: int
) -> Past | None:
    """The history of so many seconds; None where nothing is known of them.

    Args:
        gpus: name of the line and key in the history of each GPU.
        every_ms: how often a sample is taken; what is missing for three times as long is a gap.
    """
    since_ms = until_ms - seconds * 1000
    points = history.points(since_ms, until_ms, MOST)
    if not points:
        return None
    first_ms = points[0].at_ms
    points = _with_gaps(points, since_ms, until_ms, 3 * max(every_ms, _spacing_ms(seconds)))
    times = [float(point.at_ms) for point in points]
    tables = {
        name: pa.table({AT: times} | {label: [_gpu(point, key, place) for point in points] for label, key in gpus})
        for place, name in enumerate(GPU_FIGURES)
    }
    for place, name in enumerate(HOST_FIGURES):
        tables[name] = pa.table({AT: times, HOST: [_scaled(name, _at(point.host, place)) for point in points]})
    return Past(first_ms, tables)


def _with_gaps(points: Sequence[Point], since_ms: int, until_ms: int, longest_ms: int) -> list[Point]:
    """The points, with empty ones at both ends of the range and wherever time is missing."""
    told = [Point(since_ms, {}, ())]
    for before, after in pairwise([*points, Point(until_ms, {}, ())]):
        told.append(before)
        if after.at_ms - before.at_ms > longest_ms:
            told.append(Point(before.at_ms + 1, {}, ()))
    return [*told, Point(until_ms, {}, ())]


def _spacing_ms(seconds: int) -> int:
    step_s = next((step.seconds for step in STEPS if seconds <= step.kept_s), STEPS[-1].seconds)
    return max(step_s, round(seconds / MOST)) * 1000


def _gpu(point: Point, key: str, place: int) -> Figure:
    return _scaled(GPU_FIGURES[place], _at(point.gpus.get(key, ()), place))


def _at(figures: Sequence[Figure], place: int) -> Figure:
    return figures[place] if place < len(figures) else None


def _scaled(name: str, figure: Figure) -> Figure:
    return None if figure is None else figure / MIB_A_GIB if name.endswith("_mib") else float(figure)
