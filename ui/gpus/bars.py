"""Bars and figures that the GPUs page is made of, as HTML: every scale begins at zero and ends at the capacity."""

from __future__ import annotations

from collections.abc import Iterable

from services.core.units import GIB, UNKNOWN, bytes_text
from ui.text import html_text

THOUSANDS_BYTES = 1_000 * GIB


def share(part: float | None, whole: float | None) -> float | None:
    """How much of a whole that is, 0 to 100; None where either is unknown."""
    if part is None or not whole:
        return None
    return max(0.0, min(100.0, 100.0 * part / whole))


def figure(value: float | None, unit: str) -> str:
    """A figure with its unit."""
    return UNKNOWN if value is None else f"{value:,.0f} {unit}"


def memory_of(used: int | None, total: int | None) -> str:
    """Memory in use, and what there is; without decimals where there are thousands."""
    if total is None:
        return bytes_text(used)
    digits = 0 if total >= THOUSANDS_BYTES else 1
    known = UNKNOWN if used is None else f"{used / GIB:,.{digits}f}"
    return f"{known} / {total / GIB:,.{digits}f} GiB"


def bar_html(label: str, parts: Iterable[tuple[str, float | None]], *, tall: bool = False) -> str:
    """One bar, from 0 to the capacity.

    Args:
        label: what it shows, for those who hear the page.
        parts: the look of each part, and its share of the capacity in percent; an unknown share is not drawn.
    """
    drawn = "".join(f'<i class="{look}" style="width:{width:.2f}%"></i>' for look, width in parts if width)
    size = " tall" if tall else ""
    return f'<div class="bar{size}" role="img" aria-label="{html_text(label)}">{drawn}</div>'


def gauge_html(label: str, value: str, note: str, filled: float | None, *, warn: bool = False) -> str:
    """A figure with its name, a grey note, and a thin bar; `warn`: the figure has reached its limit."""
    look = "fill warn" if warn else "fill"
    word = " unknown" if value == UNKNOWN else ""
    return (
        f'<div class="gauge"><span class="label">{html_text(label)}</span>'
        f'<span class="value{word}">{html_text(value)}</span>{bar_html(f"{label}: {value}", [(look, filled)])}'
        f'<span class="note">{html_text(note)}</span></div>'
    )


def swatch_html(look: str) -> str:
    """The small square that says which part of a bar is meant."""
    return f'<i class="swatch {look}" aria-hidden="true"></i>'
