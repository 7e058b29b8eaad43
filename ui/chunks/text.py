"""A document's text with its chunks in alternating colours. The text is a stranger's: it is escaped, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.knowledge.types import Chunk
from ui.i18n import _
from ui.text import html_text

PAGE_CHARACTERS = 4_000
TINTS = 2
EXCERPT = 160


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of text that the same chunks hold."""

    start: int
    end: int
    chunks: tuple[Chunk, ...]
    begun: tuple[Chunk, ...]
    """Those among them that begin here."""

    @property
    def shared(self) -> bool:
        """Whether neighbouring chunks overlap here; statements about the same sentence do not count as such."""
        return len({(chunk.start, chunk.end) for chunk in self.chunks}) > 1 and not self.chunks[0].embed_text


def text_pages(text: str) -> list[tuple[int, int]]:
    """A text in stretches to be read at a time, ended at the end of a line where there is one."""
    pages, start = [], 0
    while start < len(text):
        end = min(start + PAGE_CHARACTERS, len(text))
        line = text.rfind("\n", start + PAGE_CHARACTERS // 2, end) + 1
        end = line if line and end < len(text) else end
        pages.append((start, end))
        start = end
    return pages or [(0, 0)]


def stretches(chunks: Sequence[Chunk], begin: int, finish: int) -> Iterator[Stretch]:
    """A text from `begin` to `finish`, cut wherever a chunk begins or ends; chunks come in the order of starts."""
    here = [chunk for chunk in chunks if chunk.start < finish and chunk.end > begin]
    edges = {offset for chunk in here for offset in (chunk.start, chunk.end) if begin < offset < finish}
    borders = sorted({begin, finish, *edges})
    active: list[Chunk] = []
    waiting = iter(here)
    coming = next(waiting, None)
    for start, end in pairwise(borders):
        active = [chunk for chunk in active if chunk.end > start]
        begun = []
        while coming and coming.start <= start:
            begun.append(coming)
            active.append(coming)
            coming = next(waiting, None)
        yield Stretch(start, end, tuple(active), tuple(begun))


def chunks_html(text: str, chunks: Sequence[Chunk], begin: int, finish: int, label: str) -> str:
    """The text from `begin` to `finish` as HTML, each chunk begun by its number."""
    inside = "".join(_stretch_html(text, stretch) for stretch in stretches(chunks, begin, finish))
    return f'<div class="lectern-chunks" role="group" tabindex="0" aria-label="{html_text(label)}">{inside}</div>'


def _stretch_html(text: str, stretch: Stretch) -> str:
    marks = "".join(_mark_html(chunk, continued=chunk.start < stretch.start) for chunk in stretch.begun)
    inside = html_text(text[stretch.start : stretch.end])
    if not stretch.chunks:
        return marks + inside
    if stretch.shared:
        numbers = ", ".join(str(chunk.ordinal + 1) for chunk in stretch.chunks)
        title = html_text(_("In several chunks: {numbers}", numbers=numbers))
        return f'{marks}<span class="shared" title="{title}">{inside}</span>'
    return f'{marks}<span class="tint{stretch.chunks[-1].ordinal % TINTS}">{inside}</span>'


def _mark_html(chunk: Chunk, *, continued: bool) -> str:
    number = f"…{chunk.ordinal + 1}" if continued else str(chunk.ordinal + 1)
    facts = [_("chunk {number}", number=chunk.ordinal + 1), _("{n} characters", n=f"{len(chunk.text):,}")]
    facts += [_("page {page}", page=chunk.page)] if chunk.page is not None else []
    facts += [chunk.heading] if chunk.heading else []
    if chunk.shown_start is not None and chunk.shown_end is not None:
        facts.append(_("shown with {n} characters around it", n=f"{chunk.shown_end - chunk.shown_start:,}"))
    title = html_text(" · ".join(facts))
    extra = "" if continued else _extra_html(chunk)
    return f'<span class="number" role="note" aria-label="{title}" title="{title}">{number}</span>{extra}'


def _extra_html(chunk: Chunk) -> str:
    """What is embedded in front of the chunk or in its place; where a parent begins, how long it is."""
    said = " ".join((chunk.context or chunk.embed_text or "").split())
    short = said if len(said) <= EXCERPT else said[:EXCERPT] + "…"
    word = _("with") if chunk.context else _("as")
    if chunk.shown_end is not None and chunk.shown_start == chunk.start:
        word, short = _("parent"), _("{n} characters", n=f"{chunk.shown_end - chunk.start:,}")
    if not short:
        return ""
    return f'<span class="extra"><b>{html_text(word)}</b> {html_text(short)}</span>'
