"""Brings the newest question into sight when a conversation is opened or asked; while an answer grows nothing moves."""

from __future__ import annotations

from typing import Any

import streamlit as st

_SCRIPT = """
let shown = "";
export default function ({ data }) {
  if (!data.turn || data.turn === shown) return;
  shown = data.turn;
  const reveal = () => {
    const messages = document.querySelectorAll('[data-testid="stChatMessage"]');
    const question = messages[messages.length - 2];
    if (question && messages.length > 2) question.scrollIntoView({ block: "start" });
  };
  setTimeout(reveal, 60);
  setTimeout(reveal, 400);
}
"""


def reveal(turn_id: str) -> None:
    """Show the newest turn, once."""
    # Registered at each call: a component belongs to the runtime, and tests start several in one process.
    scroll: Any = st.components.v2.component("lectern.scroll", js=_SCRIPT)
    with st.container(key="lectern-scroll"):
        scroll(key="lectern-scroll-component", data={"turn": turn_id})
