"""A button that copies text to the reader's clipboard, also where the page is not served over https."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.i18n import _
from ui.text import html_text

_ICON = '<span class="icon" aria-hidden="true">content_copy</span>'
_SCRIPT = """
const byHand = (text) => {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
};
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  const icon = button.querySelector(".icon");
  button.onclick = async () => {
    try { await navigator.clipboard.writeText(data.text); } catch { byHand(data.text); }
    icon.textContent = "check";
    setTimeout(() => { icon.textContent = "content_copy"; }, 1500);
  };
}
"""
_STYLE = """
button {
  border: 0; background: none; color: var(--st-text-color); cursor: pointer; padding: 0.25rem 0.5rem; line-height: 1;
  border-radius: 0.5rem; min-height: 2rem; opacity: 0.75;
}
button:hover { color: var(--st-link-color); }
button:focus-visible { outline: 2px solid var(--st-link-color); outline-offset: 1px; }
.icon { font-family: "Material Symbols Rounded"; font-size: 1rem; width: 1rem; overflow: hidden; display: block; }
"""


def copy_button(text: str, key: str) -> None:
    """Draw the button."""
    label = html_text(_("Copy the answer"))
    # Registered at each call: a component belongs to the runtime, and tests start several in one process.
    button: Any = st.components.v2.component(
        "lectern.copy",
        html=f'<button type="button" title="{label}" aria-label="{label}">{_ICON}</button>',
        css=_STYLE,
        js=_SCRIPT,
    )
    button(key=f"copy-{key}", data={"text": text}, width="content", height="content")
