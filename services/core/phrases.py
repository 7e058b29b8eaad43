"""Words of ours inside of messages: parameters that are translated together with the message that they fill.

A parameter may also be a `phrase`, which has parameters of its own and is rendered like a message. It is a JSON value,
so that a row may keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.i18n import DEFAULT_LANGUAGE, N_, translate

SPOKEN = ("reason", "state", "wanted", "field", "origin", "place")
"""Parameters that hold words of ours."""
STATES = ("state", "wanted")
"""Those among them that hold the code of a state."""
STATE_WORDS = {
    "ready": N_("ready"),
    "running": N_("running"),
    "indexing": N_("indexing"),
    "empty": N_("empty"),
    "queued": N_("queued"),
    "reading": N_("reading"),
    "splitting": N_("splitting"),
    "embedding": N_("embedding"),
    "waiting": N_("waiting"),
    "restarting": N_("restarting"),
    "on_demand": N_("on demand"),
    "starting": N_("starting"),
    "stopping": N_("stopping"),
    "downloading": N_("downloading"),
    "installing": N_("installing"),
    "not_installed": N_("not installed"),
    "deleting": N_("deleting"),
    "failed": N_("failed"),
    "unreachable": N_("not reachable"),
    "interrupted": N_("interrupted"),
    "stopped": N_("stopped"),
    "cancelled": N_("cancelled"),
    "paused": N_("paused"),
    "fits": N_("fits"),
    "fits_changed": N_("fits with changes"),
    "does_not_fit": N_("does not fit now"),
    "broken": N_("broken"),
    "absent": N_("not begun"),
    "unfinished": N_("unfinished"),
    "outdated": N_("outdated"),
    "wished": N_("queued"),
    "working": N_("under way"),
    "warning": N_("warning"),
    "critical": N_("critical"),
    "valid": N_("valid"),
    "revoked": N_("revoked"),
}
"""What each state is called, on every page and in the command line."""


def phrase(text: str, **params: Any) -> dict[str, Any]:
    """Words with parameters, as the parameter of an error: `size=phrase(N_("{count} pages"), count=12)`."""
    return {"text": text, "params": params}


def state_word(state: str, language: str = DEFAULT_LANGUAGE) -> str:
    """What a state is called; an unknown one goes by its own name."""
    return translate(STATE_WORDS.get(state, state), language)


def fill(template: str, params: Mapping[str, Any], language: str = DEFAULT_LANGUAGE) -> str:
    """A template in a language, filled in; a parameter that is not there is shown as "?"."""
    spoken = {key: _spoken(key, value, language) for key, value in params.items()}
    return translate(template, language).format_map(_Known(spoken))


def _spoken(key: str, value: Any, language: str) -> Any:
    if isinstance(value, Mapping) and value.keys() == {"text", "params"}:
        return fill(value["text"], value["params"], language)
    if key in STATES:
        return state_word(str(value), language)
    return translate(str(value), language) if key in SPOKEN else value


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
