"""Brings a question into sight when a conversation is opened or asked; while an answer grows nothing moves.

It is the newest one, or the one that the address names.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

_SCRIPT = """
let shown = "";
export default function ({ data }) {
  if (!data.turn || data.turn === shown) return;
  shown = data.turn;
  const reveal = () => {
    const messages = [...document.querySelectorAll('[data-testid="stChatMessage"]')];
    const named = document.querySelector(`.st-key-lectern-actions-${CSS.escape(data.at)}`);
    const answer = named?.closest('[data-testid="stChatMessage"]') ?? messages.at(-1);
    const question = messages[messages.indexOf(answer) - 1];
    if (question && messages.length > 2) question.scrollIntoView({ block: "start" });
  };
  setTimeout(reveal, 60);
  setTimeout(reveal, 400);
}
"""


PARAMETER = "turn"


def reveal(turn_id: str) -> None:
    """Show the newest turn, or the one that the address names, once."""
    named = st.query_params.pop(PARAMETER, "")
    # Registered at each call: a component belongs to the runtime, and tests start several in one process.
    scroll: Any = st.components.v2.component("lectern.scroll", js=_SCRIPT)
    with st.container(key="lectern-scroll"):
        scroll(key="lectern-scroll-component", data={"turn": turn_id, "at": named})
