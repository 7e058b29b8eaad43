"""The managed servers on the GPUs page: what was planned for each, what its engine reports, what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from services.app import Services
from services.core.units import bytes_text
from services.gpu.readings import Snapshot
from services.serving.ledger import gpu_key
from services.serving.memory import Memory
from services.store.servers import ServerRecord
from ui import errors
from ui.i18n import _
from ui.text import html_text
from ui.widgets import row, safe_text


def managed(services: Services) -> list[ServerRecord]:
    """The servers that Lectern runs on this machine, oldest first."""
    return [record for record in services.servers.list() if record.managed and record.machine_id == services.machine_id]


def states(records: Sequence[ServerRecord]) -> tuple[tuple[str, ...], ...]:
    """What a row shows of each server, its id first: the page is drawn again when this has changed."""
    return tuple((record.id, record.name, record.model, record.state, record.wish) for record in records)


def server_rows(services: Services, records: Sequence[ServerRecord]) -> dict[str, Any]:
    """A row for each managed server; returns the place of its ledger, by id."""
    st.subheader(_("Servers"), anchor=False)
    return {record.id: _server(services, record) for record in records}


def _server(services: Services, record: ServerRecord) -> Any:
    with row(record.name, [record.engine, record.model], record.state) as beneath:
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
    told = " · ".join(f"{name}: {bytes_text(held)}" for name, held in by_gpu)
    where = f'<div class="label where">{html_text(told)}</div>' if len(snapshot.gpus) > 1 else ""
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
