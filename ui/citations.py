"""Answers whose citation marks can be pressed, and the passages that they lead to.

Model output is Markdown from a stranger: it keeps its lists and code, but no image; a link loads nothing by itself.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import streamlit as st

from services.chat.checking.answers import SentenceCheck
from services.chat.citations import markdown
from services.chat.ports import Passage
from ui.checks import SHOWN, words_of
from ui.flowing import is_typeset, one_line
from ui.i18n import _
from ui.readable import is_markdown, marked_html, plain_lines
from ui.text import html_text

Box = tuple[float, float, float, float]
BEGINNING = 240
"""Characters of a passage that are shown on hover."""
_KEY = re.compile(r"[A-Za-z0-9_-]+")

_LISTENER = """
let pressed = "";
let open = false;
let closing = false;
const giveFocusBack = (passage) => {
  const focused = document.activeElement;
  closing = passage === null && (open || closing);
  open = passage !== null;
  if (closing && focused === document.body) {
    closing = false;
    document.querySelector(`a[href="${pressed}"]`)?.focus({ preventScroll: true });
  } else if (!focused?.closest(".st-key-lectern-aside")) {
    closing = false;
  }
};
const reveal = (passage) => {
  const mark = passage?.querySelector("mark:not([data-revealed]), .box:not([data-revealed])");
  if (!mark) return;
  mark.dataset.revealed = "true";
  const frame = mark.closest(".text, .sheet");
  frame.scrollTop = mark.offsetTop - 48;
  frame.scrollLeft = Math.max(0, mark.offsetLeft - 24);
};
export default function (component) {
  const { setTriggerValue } = component;
  const onClick = (event) => {
    const link = event.target.closest?.('a[href^="#cite-"], a[href^="#check-"]');
    if (!link) return;
    event.preventDefault();
    event.stopPropagation();
    pressed = link.getAttribute("href");
    const passage = pressed.replace(/^#cite-|^#check-[a-z_]+-/, "");
    if (!passage.endsWith("-0")) setTriggerValue("clicked", passage);
  };
  const onChange = () => {
    const passage = document.querySelector(".lectern-passage.opened");
    reveal(passage);
    giveFocusBack(passage);
  };
  const watcher = new MutationObserver(onChange);
  watcher.observe(document.body, { childList: true, subtree: true });
  document.addEventListener("click", onClick, true);
  return () => {
    watcher.disconnect();
    document.removeEventListener("click", onClick, true);
  };
}
"""


@dataclass(frozen=True, slots=True)
class Click:
    """A citation mark that was just pressed: in which answer, and its number."""

    answer: str
    number: int


def clicked(key: str = "lectern-listener") -> Click | None:
    """The citation mark whose press caused this run. Call it once per page, before anything depends on it."""
    # Registered at each call: a component belongs to the runtime, and tests start several in one process.
    listener: Any = st.components.v2.component("lectern.citations", js=_LISTENER)
    with st.container(key="lectern-citations"):
        pressed = listener(key=key, on_clicked_change=_ignore).clicked
    answer, _dash, number = str(pressed or "").rpartition("-")
    return Click(answer, int(number)) if answer and number.isdigit() else None


def answer_markdown(
    text: str,
    key: str,
    titles: Mapping[int, str],
    *,
    growing: bool = False,
    checks: Sequence[SentenceCheck] = (),
) -> str:
    """A model's answer as Markdown whose marks `[n]` are links and that loads nothing.

    Args:
        key: names the answer in a `Click`; letters, digits, "_" and "-".
        titles: hover text for each known number; a mark of an unknown number stays plain text.
        growing: more will come; what may still become a mark is not shown yet.
        checks: what was found for its sentences; those that a reader should look at are underlined.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    targets = {number: f'#cite-{key}-{number} "{_quoted(title)}"' for number, title in titles.items()}
    wrapped = [
        (check.start, check.end, f'#check-{check.verdict}-{key}-{_leads_to(check)} "{_quoted(words_of(check))}"')
        for check in checks
        if check.verdict in SHOWN
    ]
    return markdown(text, targets, growing=growing, wrapped=wrapped)


def answer(
    text: str,
    key: str,
    titles: Mapping[int, str],
    *,
    growing: bool = False,
    checks: Sequence[SentenceCheck] = (),
) -> None:
    """Show a model's answer with marks that can be pressed; `clicked` tells which one was."""
    st.markdown(answer_markdown(text, key, titles, growing=growing, checks=checks))


def hover(passage: Passage) -> str:
    """What hovering over a mark tells: the document, its page, and how the passage begins."""
    page = "" if passage.page is None else _(", page {page}", page=passage.page)
    begin = one_line(plain_lines(passage.text, passage.document))
    return f"{passage.document}{page}: {begin[:BEGINNING]}{'…' if len(begin) > BEGINNING else ''}"


def passage_panel(
    document: str, page: int | None, heading: str, before: str, passage: str, after: str, *, number: int | None = None
) -> None:
    """Show where an answer comes from: the document, its page, and the passage marked in the text around it.

    The text scrolls by itself, to the passage at first. Markdown is shown without its signs, a PDF without the breaks
    of its lines.
    """
    text = marked_html(before, passage, after, markdown=is_markdown(document), typeset=is_typeset(document))
    _opened(document, page, heading, number, f'<div class="text" tabindex="0">{text}</div>')


def page_panel(
    document: str, page: int, heading: str, png: bytes, boxes: Sequence[Box], *, number: int, zoom: int
) -> None:
    """Show a page as it looks, with boxes around what was cited.

    Args:
        boxes: left, top, right and bottom as shares of the page.
        zoom: percent of the width that there is.
    """
    marks = "".join(
        f'<span class="box" style="left:{left:.3%};top:{top:.3%};width:{right - left:.3%};height:{bottom - top:.3%}">'
        "</span>"
        for left, top, right, bottom in boxes
    )
    source = "data:image/png;base64," + b64encode(png).decode("ascii")
    alt = html_text(_("page {page} of {document}", page=page, document=document))
    sheet = f'<div class="page" style="width:{zoom}%"><img alt="{alt}" src="{source}">{marks}</div>'
    _opened(document, page, heading, number, f'<div class="sheet" tabindex="0">{sheet}</div>')


def _opened(document: str, page: int | None, heading: str, number: int | None, body: str) -> None:
    name = f"[{number}] {document}" if number is not None else document
    facts = [_("page {page}", page=page)] if page is not None else []
    facts += [heading] if heading else []
    with st.container(border=True):
        st.html(
            f'<div class="lectern-passage opened"><div class="name">{html_text(name)}</div>'
            f'<div class="lectern-facts">{html_text(" · ".join(facts))}</div>{body}</div>'
        )


@contextmanager
def beside(*, sources: bool, opened: bool) -> Iterator[tuple[Any, Any]]:
    """Two places: for the answers, and for their sources beside them; the second takes no room without `sources`.

    On narrow screens the second stands beneath the first. While `opened` is True it is a drawer there that lies over
    the page, which itself does not move: draw a close button in it.
    """
    if not sources:
        yield st.container(key="lectern-alone"), st.container()
        return
    main, side = st.columns([3, 2], gap="large")
    aside = side.container(key="lectern-aside")
    if opened:
        aside.html('<span class="lectern-opened"></span>')
    yield main, aside


def _leads_to(check: SentenceCheck) -> int:
    """The passage that a marked sentence opens: the one that says it, else the one it cites; 0 for none."""
    return check.better or (check.numbers[0] if check.numbers else 0)


def _quoted(text: str) -> str:
    return re.sub(r'([\\"&<>`*_$~:\[\]!])', r"\\\1", " ".join(text.split()))


def _ignore() -> None:
    """A trigger needs a callback to exist."""
