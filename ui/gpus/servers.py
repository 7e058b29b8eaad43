"""The managed servers on the GPUs page: what was planned for each, what its engine reports, what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import streamlit as st

from services.app import Services
from services.core.clock import ticks_ms
from services.core.units import bytes_text
from services.gpu.readings import Snapshot
from services.serving.ledger import gpu_key
from services.serving.memory import Memory
from services.serving.service import ServerService
from services.store.servers import ServerRecord
from ui import errors
from ui.i18n import _
from ui.text import html_text
from ui.widgets import Code, row, safe_text

States = tuple[tuple[str, ...], ...]
"""What a row shows of each server, its id first: the page is drawn again when this has changed."""
LOOK_MS = 3_000
"""How often it is looked whether the servers have changed."""


@dataclass(frozen=True, slots=True)
class Look:
    """The servers as they were at a time of this process."""

    at_ms: float
    states: States

    def changed(self, drawn_at_ms: float, drawn: States) -> bool:
        """Whether they have changed since a page was drawn; a look that is older than the page tells nothing."""
        return self.at_ms > drawn_at_ms and self.states != drawn


def managed(services: Services) -> list[ServerRecord]:
    """The servers that Lectern runs on this machine, oldest first."""
    return _managed(services.servers, services.machine_id)


def states(records: Sequence[ServerRecord]) -> States:
    """What a row shows of each of these servers."""
    return tuple((record.id, record.name, record.model, record.state, record.wish) for record in records)


def looked(services: Services) -> Look:
    """The servers as somebody has seen them in the last seconds: one look at the database serves all sessions."""
    return _look(services.servers, services.machine_id, int(ticks_ms() // LOOK_MS))


@lru_cache(maxsize=1)
def _look(servers: ServerService, machine_id: str, _moment: int) -> Look:
    at_ms = ticks_ms()
    return Look(at_ms, states(_managed(servers, machine_id)))


def _managed(servers: ServerService, machine_id: str) -> list[ServerRecord]:
    return [record for record in servers.list() if record.managed and record.machine_id == machine_id]


def server_rows(services: Services, records: Sequence[ServerRecord]) -> dict[str, Any]:
    """A row for each managed server; returns the place of its ledger, by id."""
    st.subheader(_("Servers"), anchor=False)
    return {record.id: _server(services, record) for record in records}


def _server(services: Services, record: ServerRecord) -> Any:
    with row(record.name, [record.engine, Code(record.model)], record.state) as beneath:
        if st.button(
            _("Stop"), key=f"stop-{record.id}", icon=":material/stop_circle:", disabled=record.wish != "running"
        ):
            _confirm(services, record)
    return beneath.empty()


def ledger_html(memory: Memory, snapshot: Snapshot) -> str:
    """What was planned for a server, what its engine reports, and what is measured, by GPU."""
    whole, names = memory.whole, {gpu_key(gpu): f"GPU {gpu.index}" for gpu in snapshot.gpus}
    by_gpu = sorted(
        (names.get(gpu, gpu), share.measured_bytes)
        for gpu, share in memory.gpus.items()
        if share.measured_bytes is not None
    )
    told = " · ".join(f"<span>{html_text(name)}: {bytes_text(held)}</span>" for name, held in by_gpu)
    where = f'<div class="label where">{told}</div>' if len(snapshot.gpus) > 1 else ""
    figures = (
        (_("Planned"), whole.planned_bytes, ""),
        (_("Reported by the engine"), whole.reported_bytes, ""),
        (_("Measured"), whole.measured_bytes, _("estimated") if whole.estimated else ""),
        (_("Peak"), whole.peak_bytes, ""),
    )
    shown = "".join(
        f'<div><span class="label">{html_text(label)}</span><span class="value">{bytes_text(held)}</span>'
        f'<span class="label">{html_text(note)}</span></div>'
        for label, held, note in figures
    )
    return f'<div class="lectern-ledger">{shown}{where}</div>'


def _confirm(services: Services, record: ServerRecord) -> None:
    @st.dialog(_("Stop this server?"))
    def ask() -> None:
        with errors.shown():
            safe_text(record.name)
            safe_text(_("Its memory comes free. Answers that it is writing end here."), muted=True)
            if st.button(_("Stop"), type="primary", key="stop-confirmed"):
                services.servers.stop(record.id)
                st.rerun()

    ask()
