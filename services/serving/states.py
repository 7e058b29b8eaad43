"""What a server can be, and the only ways from one state to another."""

from __future__ import annotations

from services.core.errors import IllegalTransition

STARTING, READY, STOPPING, STOPPED, FAILED = "starting", "ready", "stopping", "stopped", "failed"
UNREACHABLE = "unreachable"
"""A server that is not ours and does not answer."""
RUN, REST = "running", "stopped"
"""The two wishes."""
HOLDS_PORT = (STARTING, READY, STOPPING)

LEGAL: dict[str, frozenset[str]] = {
    STOPPED: frozenset({STARTING}),
    FAILED: frozenset({STARTING, STOPPED}),
    STARTING: frozenset({READY, STOPPING, FAILED}),
    READY: frozenset({STOPPING, FAILED, UNREACHABLE}),
    STOPPING: frozenset({STOPPED, FAILED}),
    UNREACHABLE: frozenset({READY}),
}


def check_move(name: str, state: str, wanted: str) -> None:
    """Raise IllegalTransition where a server may not go from `state` to `wanted`."""
    if wanted not in LEGAL.get(state, frozenset()):
        raise IllegalTransition(name=name, state=state, wanted=wanted)
