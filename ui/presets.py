"""The defaults of questions to a base, where its documents are looked after."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.app import Services
from services.core.i18n import N_
from services.store.bases import BaseRecord
from ui import errors
from ui.i18n import _
from ui.widgets import safe_text

WORDS = {
    "system_prompt": N_("System prompt"),
    "temperature": N_("Temperature"),
    "top_p": N_("Share of likely words (top_p)"),
    "max_tokens": N_("Most tokens of an answer"),
    "stop": N_("Stop at"),
    "top_k": N_("Passages that are searched for"),
}


def escaped(text: str) -> str:
    """A text in one line, whatever stands in it."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def preset_box(services: Services, base: BaseRecord) -> None:
    """A closed box with what was set for everybody who asks this base, and a button that clears it."""
    with st.expander(_("Defaults for questions"), icon=":material/tune:", key="knowledge.preset"):
        chosen = services.presets.of([base.id]).row()
        if not chosen:
            safe_text(
                _("None: Settings count. The settings of a conversation that asks this base can be made its defaults."),
                muted=True,
            )
            return
        safe_text(_("For everybody who asks this base and has not chosen otherwise."), muted=True, small=True)
        for name, value in chosen.items():
            safe_text(f"{_(WORDS[name])}: {_told(value)}")
        st.button(
            _("Clear these defaults"),
            icon=":material/delete:",
            key=f"clear-preset-{base.id}",
            on_click=errors.attempt,
            args=(services.presets.clear, base.id),
        )


def _told(value: Any) -> str:
    return " · ".join(map(escaped, value)) if isinstance(value, list) else str(value)
