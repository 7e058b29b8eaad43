"""The managed servers on the GPUs page: what was planned for each, what its engine reports, what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from services.app import Services
from services.core.units import bytes_text
from services.gpu.readings import Snapshot
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


def measured(snapshot: Snapshot, server_id: str) -> dict[int, int] | None:
    """What a server holds on each GPU, by index. None: a driver does not tell its processes, so nobody can know."""
    held: dict[int, int] = {}
    for gpu in snapshot.gpus:
        for holding in gpu.holdings or ():
            if holding.holder and holding.holder.server_id == server_id and holding.used_bytes is not None:
                held[gpu.index] = held.get(gpu.index, 0) + holding.used_bytes
    blind = any(gpu.holdings is None for gpu in snapshot.gpus)
    return None if blind and not held else held


def ledger_html(snapshot: Snapshot, server_id: str) -> str:
    """What was planned for a server, what its engine reports, and what is measured, by GPU."""
    held, where = measured(snapshot, server_id), ""
    if held:
        where = " · ".join(f"GPU {index}: {bytes_text(count)}" for index, count in sorted(held.items()))
    figures = (
        (_("Planned"), bytes_text(None), ""),
        (_("Reported by the engine"), bytes_text(None), ""),
        (_("Measured"), bytes_text(None if held is None else sum(held.values())), where),
    )
    return (
        '<div class="lectern-ledger">'
        + "".join(
            f'<div><span class="label">{html_text(label)}</span> <span class="value">{value}</span>'
            f'<span class="label">{html_text(note)}</span></div>'
            for label, value, note in figures
        )
        + "</div>"
    )


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
