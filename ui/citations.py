"""Answers whose citation marks can be pressed, and the passages that they lead to.

Model output is Markdown from a stranger: it keeps its lists and code, but no image; a link loads nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import streamlit as st

from services.chat.citations import markdown
from ui.i18n import _
from ui.text import html_text

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
  const mark = passage?.querySelector("mark:not([data-revealed])");
  if (!mark) return;
  mark.dataset.revealed = "true";
  mark.parentElement.scrollTop = mark.offsetTop - 48;
};
export default function (component) {
  const { setTriggerValue } = component;
  const onClick = (event) => {
    const link = event.target.closest?.('a[href^="#cite-"]');
    if (!link) return;
    event.preventDefault();
    event.stopPropagation();
    pressed = link.getAttribute("href");
    setTriggerValue("clicked", pressed.slice("#cite-".length));
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


def answer_markdown(text: str, key: str, titles: Mapping[int, str], *, growing: bool = False) -> str:
    """A model's answer as Markdown whose marks `[n]` are links and that loads nothing.

    Args:
        key: names the answer in a `Click`; letters, digits, "_" and "-".
        titles: hover text for each known number; a mark of an unknown number stays plain text.
        growing: more will come; what may still become a mark is not shown yet.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    targets = {number: f'#cite-{key}-{number} "{_quoted(title)}"' for number, title in titles.items()}
    return markdown(text, targets, growing=growing)


def answer(text: str, key: str, titles: Mapping[int, str], *, growing: bool = False) -> None:
    """Show a model's answer with marks that can be pressed; `clicked` tells which one was."""
    st.markdown(answer_markdown(text, key, titles, growing=growing))


def passage_panel(
    document: str, page: int | None, heading: str, before: str, passage: str, after: str, *, number: int | None = None
) -> None:
    """Show where an answer comes from: the document, its page, and the passage marked in the text around it.

    The text scrolls by itself, to the passage at first.
    """
    name = f"[{number}] {document}" if number is not None else document
    facts = [_("page {page}", page=page)] if page is not None else []
    facts += [heading] if heading else []
    with st.container(border=True):
        st.html(
            f'<div class="lectern-passage opened"><div class="name">{html_text(name)}</div>'
            f'<div class="lectern-facts">{html_text(" · ".join(facts))}</div>'
            f'<div class="text" tabindex="0">{html_text(before)}<mark>{html_text(passage)}</mark>'
            f"{html_text(after)}</div></div>"
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


def _quoted(text: str) -> str:
    return re.sub(r'([\\"&<>`*_$~:\[\]!])', r"\\\1", " ".join(text.split()))


def _ignore() -> None:
    """A trigger needs a callback to exist."""
