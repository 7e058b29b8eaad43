"""Text that people or models wrote, made harmless: for HTML of our own, and for Streamlit's Markdown labels."""

from __future__ import annotations

import html
import re

_MARKDOWN = re.compile(r"[\\`*_{}\[\]()<>#+\-.!|~$:^=&@]")


def html_text(text: object) -> str:
    """Text for HTML: every character that HTML knows is escaped."""
    return html.escape(str(text), quote=True)


def markdown_text(text: object) -> str:
    """Text for a label that Streamlit reads as Markdown (buttons, expanders, captions): as it stands, on one line."""
    return _MARKDOWN.sub(lambda match: "\\" + match[0], " ".join(str(text).split()))
