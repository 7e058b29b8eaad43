"""How long chunks are: a line of figures, and a histogram whose scale both sides share."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import streamlit as st

from services.knowledge.chunking.view import ChunkView
from ui.i18n import _, ngettext
from ui.text import html_text
from ui.widgets import facts_line

BARS = 20
ROUND = (1, 2, 2.5, 5, 10)


def scale_of(views: Sequence[ChunkView]) -> tuple[int, int]:
    """Where the scales end that hold all views: characters, and chunks in a bar."""
    longest = max((view.sizes.most for view in views if view.sizes), default=1)
    characters = rounded_up(longest)
    most = max((count for view in views for count in bars(view, characters)), default=1)
    return characters, rounded_up(most)


def bars(view: ChunkView, characters: int) -> list[int]:
    """How many chunks there are in each twentieth of the scale."""
    counts = [0] * BARS
    for chunk in view.chunks:
        counts[min(BARS - 1, len(chunk.text) * BARS // (characters + 1))] += 1
    return counts


def rounded_up(value: int) -> int:
    """The next number that ends a scale well: 1, 2, 2.5 or 5 times a power of ten."""
    power = 1
    while power * 10 < value:
        power *= 10
    return next(ceil(step * power) for step in ROUND if ceil(step * power) >= value)


def figures(view: ChunkView) -> None:
    """Count, least, middle and most characters, and what the longest takes of the embedder's window."""
    sizes = view.sizes
    if sizes is None:
        facts_line(_("no chunks"))
        return
    facts_line(
        ngettext("{n} chunk", "{n} chunks", sizes.count),
        _("{least}–{most} characters, median {middle}", least=sizes.least, most=sizes.most, middle=sizes.middle),
        _("at most {most} of {window} tokens", most=max(view.tokens), window=view.window_tokens),
    )


def histogram(view: ChunkView, scale: tuple[int, int]) -> None:
    """A bar for each twentieth of the scale, drawn as text that any reader can be told."""
    characters, most = scale
    counts = bars(view, characters)
    columns = "".join(
        f'<i style="height:{100 * count / most:.1f}%" title="{html_text(_bar_title(count, number, characters))}"></i>'
        for number, count in enumerate(counts)
    )
    top = html_text(ngettext("{n} chunk", "{n} chunks", most))
    unit = html_text(_("characters"))
    told = "; ".join(_bar_title(count, number, characters) for number, count in enumerate(counts) if count)
    st.html(
        f'<div class="lectern-sizes"><div class="top">{top}</div>'
        f'<div class="bars" role="img" aria-label="{html_text(told)}">{columns}</div>'
        f'<div class="axis"><span>0</span><span>{characters // 2:,}</span>'
        f"<span>{characters:,} {unit}</span></div></div>"
    )


def _bar_title(count: int, number: int, characters: int) -> str:
    first, last = characters * number // BARS, characters * (number + 1) // BARS
    return _("{first}–{last} characters: {count}", first=f"{first:,}", last=f"{last:,}", count=f"{count:,}")
