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

from ui.i18n import _
from ui.text import html_text

_CODE = re.compile(
    r"(?P<fenced>^[ ]{0,3}(?P<fence>`{3,}|~{3,})[^\n]*$.*?(?:^[ ]{0,3}(?P=fence)[`~]*[ ]*$|\Z))"
    r"|(?P<inline>(?P<ticks>`+)(?!`)(?:(?!\n[ ]*\n).)+?(?<!`)(?P=ticks)(?!`))",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(r"(?<!\\)\[(\d{1,3})\](?!\()")
_KEY = re.compile(r"[A-Za-z0-9_-]+")

_LISTENER = """
export default function (component) {
  const { setTriggerValue } = component;
  const onClick = (event) => {
    const link = event.target.closest?.('a[href^="#cite-"]');
    if (!link) return;
    event.preventDefault();
    event.stopPropagation();
    setTriggerValue("clicked", link.getAttribute("href").slice("#cite-".length));
  };
  document.addEventListener("click", onClick, true);
  return () => document.removeEventListener("click", onClick, true);
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


def answer_markdown(text: str, key: str, titles: Mapping[int, str] | None = None) -> str:
    """A model's answer as Markdown whose marks `[n]` are links and that loads nothing.

    Args:
        key: names the answer in a `Click`; letters, digits, "_" and "-".
        titles: hover text for each known number; a mark of an unknown number stays plain text.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")

    def mark(match: re.Match[str]) -> str:
        number = int(match[1])
        if titles is not None and number not in titles:
            return f"\\[{number}\\]"
        title = _quoted((titles or {}).get(number, ""))
        return f'[\\[{number}\\]](#cite-{key}-{number} "{title}")'

    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts.append(_MARK.sub(mark, _prose(text[end : code.start()])))
        # Inside code an escape would be seen; a character without width parts the two that make an image.
        parts.append(code[0].replace("![", "!\u200b["))
        end = code.end()
    parts.append(_MARK.sub(mark, _prose(text[end:])))
    return "".join(parts)


def answer(text: str, key: str, titles: Mapping[int, str] | None = None) -> None:
    """Show a model's answer with marks that can be pressed; `clicked` tells which one was."""
    st.markdown(answer_markdown(text, key, titles))


def passage_panel(
    document: str, page: int | None, heading: str, before: str, passage: str, after: str, *, number: int | None = None
) -> None:
    """Show where an answer comes from: the document, its page, and the passage marked in the text around it."""
    name = f"[{number}] {document}" if number is not None else document
    facts = [_("page {page}", page=page)] if page is not None else []
    facts += [heading] if heading else []
    with st.container(border=True):
        st.html(
            f'<div class="lectern-passage"><div class="name">{html_text(name)}</div>'
            f'<div class="lectern-facts">{html_text(" · ".join(facts))}</div>'
            f'<div class="text">{html_text(before)}<mark>{html_text(passage)}</mark>{html_text(after)}</div></div>'
        )


@contextmanager
def beside(*, opened: bool) -> Iterator[tuple[Any, Any]]:
    """Two places: for the answers, and for their sources beside them.

    On narrow screens the second is a drawer that lies over the page while `opened` is True, and is not there otherwise;
    the page itself does not move. Draw a close button in it.
    """
    main, side = st.columns([3, 2], gap="large")
    aside = side.container(key="lectern-aside")
    if opened:
        aside.html('<span class="lectern-opened"></span>')
    yield main, aside


def _prose(text: str) -> str:
    # `![` would load an image; `$` before a figure is money, not a formula; a lone `~` means "about", not struck out.
    text = text.replace("![", "!\\[")
    text = re.sub(r"(?<!\\)\$(?=\d)", r"\\$", text)
    return re.sub(r"(?<![~\\])~(?!~)", r"\\~", text)


def _quoted(text: str) -> str:
    return re.sub(r'([\\"&<>`*_$~:\[\]!])', r"\\\1", " ".join(text.split()))


def _ignore() -> None:
    """A trigger needs a callback to exist."""
