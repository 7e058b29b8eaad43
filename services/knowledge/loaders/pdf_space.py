"""The space that a PDF's page is written in, and how it comes to lie on the page as it is shown, turned and cut."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from services.knowledge.positions import Edges

Point = tuple[float, float]

_FINE = 1 << 20


class Matrix(NamedTuple):
    """An affine map as PDF writes it."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def of(self, x: float, y: float) -> Point:
        """Where a point goes."""
        return self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f

    def around(self, rectangles: Sequence[tuple[float, ...]]) -> Edges:
        """The box around rectangles, each two corners, where they go; a page is turned by right angles only."""
        x, upper, to_x, lower = zip(*rectangles, strict=True)
        one = self.of(min(*x, *to_x), min(*upper, *lower))
        other = self.of(max(*x, *to_x), max(*upper, *lower))
        return min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1])

    def within(self, outer: Matrix) -> Matrix:
        """This map, then the outer one."""
        a, b = outer.a * self.a + outer.c * self.b, outer.b * self.a + outer.d * self.b
        c, d = outer.a * self.c + outer.c * self.d, outer.b * self.c + outer.d * self.d
        return Matrix(a, b, c, d, *outer.of(self.e, self.f))


def as_shown(page: Any) -> Matrix:
    """The page's own space in fractions of the page as it is shown, from its top left corner."""
    x, y = ctypes.c_int(), ctypes.c_int()

    def shown(across: float, up: float) -> Point:
        pdfium.FPDF_PageToDevice(page.raw, 0, 0, _FINE, _FINE, 0, across, up, ctypes.byref(x), ctypes.byref(y))
        return x.value / _FINE, y.value / _FINE

    zero, right, up = shown(0, 0), shown(1000, 0), shown(0, 1000)
    a, b = ((there - here) / 1000 for there, here in zip(right, zero, strict=True))
    c, d = ((there - here) / 1000 for there, here in zip(up, zero, strict=True))
    return Matrix(a, b, c, d, *zero)
