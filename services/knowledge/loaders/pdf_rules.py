"""The ruling lines on a PDF's page: strokes, edges of filled rectangles, and rectangles so thin that they are lines."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from math import isfinite
from typing import Any

import pypdfium2.raw as pdfium

from services.knowledge.loaders.grids import LEAST, Rule
from services.knowledge.loaders.pdf_space import Matrix, Point

STRAIGHT = 1.0
"""Points: a line whose ends differ by less in height is level."""
THIN = 3.0
"""Points: a filled rectangle that is no thicker is a line."""
MOST_POINTS = 10_000
"""Of a page; one that has more is a drawing."""
MOST_OF_A_PATH = 2_000
SLANTED = 12
"""Curves and slanted lines of a path; one that has more is a drawing, no frame with round corners."""
DEPTH = 4
PATH, FORM = pdfium.FPDF_PAGEOBJ_PATH, pdfium.FPDF_PAGEOBJ_FORM


def rules(page: Any, shown: Matrix) -> list[Rule]:
    """The level and the upright lines of a page; none where it has so many that it is a drawing.

    Args:
        shown: how the page's own space becomes points from its top left corner as it is shown.

    Cost: less than a microsecond for each object of the page where nothing is drawn.
    """
    found: list[Rule] = []
    points = 0
    for thing, matrix in _paths(page.raw, pdfium.FPDFPage_CountObjects, pdfium.FPDFPage_GetObject, shown, 0):
        count = pdfium.FPDFPath_CountSegments(thing)
        if 2 <= count <= MOST_OF_A_PATH:
            points += count
            if points > MOST_POINTS:
                return []
            found += _of_path(thing, count, matrix)
    return found


def _paths(
    parent: Any, count: Callable[[Any], int], item: Callable[[Any, int], Any], outer: Matrix, depth: int
) -> Iterator[tuple[Any, Matrix]]:
    """The drawn paths with the map that puts their points on the page, those inside form objects included."""
    for number in range(count(parent)):
        thing = item(parent, number)
        kind = pdfium.FPDFPageObj_GetType(thing)
        if kind == PATH:
            yield thing, _matrix(thing).within(outer)
        elif kind == FORM and depth < DEPTH:
            inner = _matrix(thing).within(outer)
            yield from _paths(thing, pdfium.FPDFFormObj_CountObjects, pdfium.FPDFFormObj_GetObject, inner, depth + 1)


def _matrix(thing: Any) -> Matrix:
    raw = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(thing, ctypes.byref(raw))
    return Matrix(raw.a, raw.b, raw.c, raw.d, raw.e, raw.f)


def _of_path(thing: Any, count: int, matrix: Matrix) -> Iterator[Rule]:
    filled, stroked = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(thing, ctypes.byref(filled), ctypes.byref(stroked))
    if not filled.value and not stroked.value:
        return
    for outline in _outlines(thing, count, matrix):
        xs, ys = zip(*outline, strict=True)
        left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
        if bottom - top <= THIN < LEAST <= right - left:
            yield Rule(True, (top + bottom) / 2, left, right)
        elif right - left <= THIN < LEAST <= bottom - top:
            yield Rule(False, (left + right) / 2, top, bottom)
        elif max(right - left, bottom - top) >= LEAST and (stroked.value or not _white(thing)):
            yield from _straight([*outline, outline[0]] if filled.value else outline)


def _straight(outline: list[Point]) -> Iterator[Rule]:
    """The sides of an outline that are level or upright."""
    for (x, y), (to_x, to_y) in pairwise(outline):
        if abs(y - to_y) < STRAIGHT and abs(x - to_x) >= LEAST:
            yield Rule(True, (y + to_y) / 2, min(x, to_x), max(x, to_x))
        elif abs(x - to_x) < STRAIGHT and abs(y - to_y) >= LEAST:
            yield Rule(False, (x + to_x) / 2, min(y, to_y), max(y, to_y))


def _outlines(thing: Any, count: int, matrix: Matrix) -> list[list[Point]]:
    """The stretches of a path, each drawn in one go; none of a drawing."""
    x, y = ctypes.c_float(), ctypes.c_float()
    at_x, at_y = ctypes.byref(x), ctypes.byref(y)
    outlines: list[list[Point]] = []
    across = up = 0.0
    slanted, last = 0, None
    for number in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(thing, number)
        pdfium.FPDFPathSegment_GetPoint(segment, at_x, at_y)
        before_across, before_up = across, up
        across, up = point = matrix.of(x.value, y.value)
        if pdfium.FPDFPathSegment_GetType(segment) == pdfium.FPDF_SEGMENT_MOVETO or not outlines:
            _close(outlines, last)
            outlines.append([point])
        else:
            slanted += abs(across - before_across) >= STRAIGHT and abs(up - before_up) >= STRAIGHT
            if slanted > SLANTED:
                return []
            outlines[-1].append(point)
        last = segment
    _close(outlines, last)
    return [outline for outline in outlines if len(outline) > 1 and all(map(isfinite, chain(*outline)))]


def _close(outlines: list[list[Point]], last: Any) -> None:
    """Lead the last outline back to where it began, if it is closed."""
    if last is not None and pdfium.FPDFPathSegment_GetClose(last):
        outlines[-1].append(outlines[-1][0])


def _white(thing: Any) -> bool:
    """Whether a path is filled with what does not show on paper."""
    colour = [ctypes.c_uint() for _ in range(4)]
    pdfium.FPDFPageObj_GetFillColor(thing, *map(ctypes.byref, colour))
    return colour[3].value == 0 or all(part.value > 250 for part in colour[:3])
