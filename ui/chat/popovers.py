"""Popovers that close when what stands behind them was chosen.

Streamlit has no call that closes one: it is drawn under another key, and so begins anew, closed.
"""

from __future__ import annotations

import streamlit as st


def key(name: str) -> str:
    """The key under which a popover is drawn now."""
    return f"{name}-{st.session_state.get(_place(name), 0)}"


def close(name: str) -> None:
    """Let a popover be closed when it is drawn next; to be called in a callback, or before a rerun."""
    st.session_state[_place(name)] = st.session_state.get(_place(name), 0) + 1


def _place(name: str) -> str:
    return f"popover.{name}"
