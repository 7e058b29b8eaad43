"""What holds a server up, or why it rests: codes in its row, words here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.core.phrases import fill

TURN, UNLOADED = "turn", "unloaded"
NOTES = {
    TURN: N_("It starts when “{name}” has come up, because both use the same GPU."),
    UNLOADED: N_("Unloaded after {minutes} minutes without a question. The next question starts it again."),
}


def note(code: str, **params: Any) -> dict[str, Any]:
    """A note as a row keeps it."""
    return {"code": code, "params": params}


def told(row: Mapping[str, Any], language: str = DEFAULT_LANGUAGE) -> str:
    """A row's note in a language."""
    return fill(NOTES.get(row["code"], row["code"]), row["params"], language)
