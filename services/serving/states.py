"""What a server can be, and the only ways from one state to another."""

from __future__ import annotations

from services.core.errors import IllegalTransition

STARTING, READY, STOPPING, STOPPED, FAILED = "starting", "ready", "stopping", "stopped", "failed"
WAITING = "waiting"
"""It is to be started when another one on the same GPU has come up; its note says which."""
UNREACHABLE = "unreachable"
"""A server that is not ours and does not answer."""
RUN, REST = "running", "stopped"
"""The two wishes of people."""
AGAIN = "restarting"
"""Wished stopped, and then running."""
DEMAND = "on_demand"
"""Unloaded because nobody asked it anything: the next question wishes it running."""
COMING = (RUN, AGAIN)
"""The wishes under which a server is up, or on its way."""
AT_REST = (STOPPED, FAILED, WAITING)
"""The states without a process."""

LEGAL: dict[str, frozenset[str]] = {
    STOPPED: frozenset({STARTING, WAITING}),
    FAILED: frozenset({STARTING, WAITING, STOPPED}),
    WAITING: frozenset({STARTING, STOPPED}),
    STARTING: frozenset({READY, STOPPING, FAILED}),
    READY: frozenset({STOPPING, FAILED, UNREACHABLE}),
    STOPPING: frozenset({STOPPED, FAILED}),
    UNREACHABLE: frozenset({READY}),
}


def check_move(name: str, state: str, wanted: str) -> None:
    """Raise IllegalTransition where a server may not go from `state` to `wanted`."""
    if wanted not in LEGAL.get(state, frozenset()):
        raise IllegalTransition(name=name, state=state, wanted=wanted)
