"""The GPUs page as it is now, drawn each second; what changes more slowly stands in modules beside this one.

All sessions see the same snapshot: what is made of it is made once for each language, and shared.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from services.app import Services
from services.core.clock import now_ms, ticks_ms
from services.core.units import milliseconds_text
from services.gpu.readings import Snapshot
from services.gpu.service import FRESH_MS
from services.store.servers import ServerRecord
from ui import errors
from ui.gpus import charts
from ui.gpus.cards import card_html, no_gpu_html, stale_html, summary_html
from ui.gpus.estimates import estimates_html
from ui.gpus.host import host_html
from ui.gpus.memory import PLANNED, Part, all_looks
from ui.gpus.processes import Order, processes_html
from ui.gpus.servers import States, ledger_html, looked, states
from ui.gpus.what_if import Planned, planned
from ui.i18n import _, language, speaking

STYLE = Path(__file__).with_name("style.css")
TICK_S = 1.0
STEADY_S = 15.0
A_MINUTE_MS = 60_000
_drawing = threading.Lock()
_order = Order()


@dataclass(frozen=True, slots=True)
class View:
    """What a snapshot is drawn for. Two views of one moment are the same: a snapshot is too large to be compared."""

    taken_at_ms: int
    language: str
    server_ids: tuple[str, ...]
    planned: Planned | None
    snapshot: Snapshot = field(compare=False)


@dataclass(frozen=True, slots=True)
class Page:
    """What the page around the ticking part was drawn with, and when: where it has changed the page is drawn again."""

    drawn_at_ms: float
    states: States
    with_gpus: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    """A snapshot as HTML."""

    summary: str
    overview: str
    processes: str


@dataclass(frozen=True, slots=True)
class Ready:
    """HTML that Streamlit takes as it is: looking through a text for what could be dedented costs time."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def live(services: Services, records: Sequence[ServerRecord], processes: Any, *, with_gpus: bool) -> None:
    """The cards, the host and the processes, refreshed each second.

    Args:
        records: the managed servers as the page shows them; where they have changed the page is drawn again, and
            only then, so that nobody's button moves.
        processes: the place of the table of processes, further down on the page.
        with_gpus: whether the page was drawn for a machine with GPUs.
    """
    st.fragment(run_every=TICK_S)(_tick)(services, Page(ticks_ms(), states(records), with_gpus), processes)


def steady(services: Services, ledgers: Mapping[str, Any], plans: Any) -> None:
    """What need not be new each second: the servers' ledgers, in their places by id, and the history.

    Args:
        plans: the place that tells how good earlier plans were.
    """
    with st.container(key="lectern-history"):
        st.fragment(run_every=STEADY_S)(_steady)(services, ledgers, plans)


def _tick(services: Services, page: Page, processes: Any) -> None:
    with errors.shown():
        snapshot = services.gpus.now()
        if bool(snapshot.gpus) != page.with_gpus or looked(services).changed(page.drawn_at_ms, page.states):
            st.rerun()
        ids = tuple(id for id, *_rest in page.states)
        seen = drawing(View(snapshot.taken_at_ms, language(), ids, planned(), snapshot))
        told = f"{seen.summary}{_age_html(snapshot)}"
        summary = f'<div class="summary">{told}</div>' if told else ""
        st.html(Ready(f'<div class="lectern-gpus">{summary}{seen.overview}</div>'))
        if seen.processes:
            processes.html(Ready(seen.processes))


def _steady(services: Services, ledgers: Mapping[str, Any], plans: Any) -> None:
    with errors.shown():
        snapshot = services.gpus.now()
        for id, place in ledgers.items():
            place.html(ledger_html(services.servers.memory(id), snapshot))
        compared = estimates_html(services.estimates()) if ledgers else ""
        if compared:
            plans.html(compared)
        charts.history(services, snapshot)


def drawing(view: View) -> Drawn:
    """What is made of a snapshot: once, for all who look at the same moment in the same language. Thread-safe.

    Those who ask while it is made wait for it.
    """
    with _drawing:
        return drawn(view)


@lru_cache(maxsize=8)
def drawn(view: View) -> Drawn:
    """What is made of a snapshot, in the language of the view whoever asks."""
    with speaking(view.language):
        snapshot = view.snapshot
        colours = all_looks(snapshot, view.server_ids)
        put = _put(view.planned)
        cards = "".join(card_html(gpu, colours, put.get(gpu.index)) for gpu in snapshot.gpus)
        shown = f'<div class="cards">{cards}</div>' if cards else no_gpu_html(snapshot.driver)
        processes = processes_html(snapshot, colours, _order) if snapshot.gpus else ""
        return Drawn(
            summary_html(snapshot) if cards else "",
            f"{shown}{host_html(snapshot.host)}",
            processes and f'<div class="lectern-gpus">{processes}</div>',
        )


def _put(planned: Planned | None) -> dict[int, Part]:
    """What is planned, by the GPU that it was put on."""
    if planned is None:
        return {}
    return {index: Part(PLANNED, planned.name, amount, planned.model) for index, amount in planned.gpus}


def _age_html(snapshot: Snapshot) -> str:
    age_ms = abs(now_ms() - snapshot.taken_at_ms)
    if age_ms < FRESH_MS:
        return ""
    age = f"{age_ms // 1000} s" if age_ms < A_MINUTE_MS else milliseconds_text(age_ms)
    return stale_html(_("This reading is {age} old", age=age))
