"""How errors meet the reader: message and remedy in her language; the unforeseen has an id that leads to the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from services.core.errors import AppError, Unexpected
from services.core.log import incident
from ui.i18n import language
from ui.text import html_text

_logger = logging.getLogger(__name__)
_LATER = "lectern.errors"


@contextmanager
def shown() -> Iterator[None]:
    """Show an error where it happens: for fragments and dialogs; `frame.page` does it for pages.

    `st.stop()` and `st.rerun()` pass through.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the page is the last gate: the reader gets the id, the log the rest
        show(error)


def show(error: Exception) -> None:
    """Draw an error: message and remedy as text."""
    foreseen = error if isinstance(error, AppError) else Unexpected(incident=incident(_logger, error, "page"))
    rendered = foreseen.render(language())
    st.html(
        '<div class="lectern-error" role="alert"><span class="lectern-icon" aria-hidden="true">error</span>'
        f"<div><p>{html_text(rendered.message)}</p><p>{html_text(rendered.remedy)}</p></div></div>"
    )


def report(error: Exception) -> bool:
    """Streamlit's hook for errors outside of a page's frame, such as in a callback: drawn instead of a traceback."""
    show(error)
    return True


def attempt(action: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    """A widget's callback that may fail: the error is shown at the top of the page, which is drawn as usual.

    `st.button(label, on_click=attempt, args=(services.knowledge.remove, base, document_id))`
    """
    try:
        action(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - as in `shown`
        st.session_state.setdefault(_LATER, []).append(error)


def show_remembered() -> None:
    """Show what callbacks have left."""
    for error in st.session_state.pop(_LATER, []):
        show(error)
