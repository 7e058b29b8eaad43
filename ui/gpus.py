"""The GPUs page: what is seen now, each second; the parts that change more slowly stand in modules beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from services.app import Services
from services.core.clock import now_ms
from services.core.units import milliseconds_text
from services.gpu.readings import Snapshot
from services.gpu.service import FRESH_MS
from ui import errors
from ui.gpus_cards import card_html, no_gpu_html, summary_html
from ui.gpus_host import host_html
from ui.gpus_memory import all_looks
from ui.gpus_processes import processes_html
from ui.i18n import _

STYLE = Path(__file__).with_name("gpus.css")
TICK_S = 1.0


def live(services: Services, server_ids: Sequence[str], processes: Any) -> None:
    """The cards and the host, refreshed each second.

    Args:
        server_ids: the managed servers, in the order in which they get their colours.
        processes: the place of the table of processes, further down on the page.
    """
    st.fragment(run_every=TICK_S)(_tick)(services, server_ids, processes)


def _tick(services: Services, server_ids: Sequence[str], processes: Any) -> None:
    with errors.shown():
        snapshot = services.gpus.now()
        st.html(_overview(snapshot, server_ids))
        processes.html(_processes(snapshot, server_ids))


def _overview(snapshot: Snapshot, server_ids: Sequence[str]) -> str:
    colours = all_looks(snapshot, server_ids)
    cards = "".join(card_html(gpu, colours) for gpu in snapshot.gpus)
    shown = f'<div class="cards">{cards}</div>' if cards else no_gpu_html(snapshot.driver)
    return f'<div class="lectern-gpus">{summary_html(snapshot, _age(snapshot))}{shown}{host_html(snapshot.host)}</div>'


def _processes(snapshot: Snapshot, server_ids: Sequence[str]) -> str:
    shown = processes_html(snapshot, all_looks(snapshot, server_ids)) if snapshot.gpus else ""
    return f'<div class="lectern-gpus">{shown}</div>'


def _age(snapshot: Snapshot) -> str:
    age_ms = abs(now_ms() - snapshot.taken_at_ms)
    if age_ms < FRESH_MS:
        return ""
    return _("This reading is {age} old", age=milliseconds_text(age_ms // 1000 * 1000))
