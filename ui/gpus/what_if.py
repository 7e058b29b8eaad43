"""What if a server that rests were started: the bars of the GPUs show what it would take, and whether that is free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from services.app import Services
from services.core.errors import AppError
from services.core.units import UNKNOWN
from services.hub.plan_types import MemoryPlan
from services.hub.plan_wish import PLANNED
from services.serving.states import AT_REST, COMING
from services.store.servers import ServerRecord
from ui import errors, i18n
from ui.i18n import _
from ui.servers.plan import verdict
from ui.widgets import safe_text

CHOSEN = "gpus.what_if"
STEADY_S = 10.0
"""How often it is looked whether it still fits."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a server would take: bytes by the GPU's index."""

    name: str
    model: str
    gpus: tuple[tuple[int, int], ...]


def planned() -> Planned | None:
    """What this reader has put on GPUs; None: nothing."""
    found: Planned | None = st.session_state.get(CHOSEN)
    return found


def what_if(services: Services, records: Sequence[ServerRecord]) -> None:
    """Choose a server that rests, and GPUs for it."""
    resting = {record.id: record for record in records if _could_start(record)}
    if not resting:
        st.session_state.pop(CHOSEN, None)
        return
    st.fragment(run_every=STEADY_S)(_panel)(services, resting)


def _could_start(record: ServerRecord) -> bool:
    return record.engine in PLANNED and record.state in AT_REST and record.wish not in COMING


def _panel(services: Services, resting: dict[str, ServerRecord]) -> None:
    with errors.shown(), st.container(key="lectern-what-if", border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                _("What if this server were started?"),
                list(resting),
                index=None,
                format_func=lambda id: f"{resting[id].name} · {resting[id].model}",
                placeholder=_("choose one that rests"),
                key="gpus.what_if.server",
            )
            record = resting.get(chosen or "")
            gpus = _gpus(services, record) if record else []
        st.session_state[CHOSEN] = _answer(services, record, gpus) if record else None


def _gpus(services: Services, record: ServerRecord) -> list[int]:
    here = [gpu.index for gpu in services.gpus.now().gpus]
    own = [index for index in record.spec.get("gpus") or () if index in here]
    count = record.spec.get("tensor_parallel_size", len(here)) * record.spec.get("pipeline_parallel_size", 1)
    return st.pills(
        _("on these GPUs"),
        here,
        selection_mode="multi",
        default=own or here[:count],
        format_func=str,
        key=f"gpus.what_if.{record.id}",
    )


def _answer(services: Services, record: ServerRecord, gpus: list[int]) -> Planned | None:
    if not gpus:
        safe_text(_("Choose at least one GPU."), muted=True)
        return None
    try:
        plan = services.what_if(record, gpus).plan
    except AppError as error:
        told = error.render(i18n.language())
        safe_text(f"{UNKNOWN}. {told.message} {told.remedy}", muted=True)
        return None
    verdict(plan)
    for suggestion in plan.suggestions:
        safe_text(_("Try: {suggestion}", suggestion=suggestion.words(_)))
    with st.container(horizontal=True):
        for label, icon, start in (
            (_("Start it there"), ":material/play_circle:", True),
            (_("Keep these GPUs for it"), ":material/save:", False),
        ):
            args = (_take, services, record, gpus, start)
            st.button(label, icon=icon, key=f"what-if-{start}", on_click=errors.attempt, args=args)
    return _taken(record, plan)


def _take(services: Services, record: ServerRecord, gpus: list[int], start: bool) -> None:
    services.servers.change(record.id, {"gpus": gpus})
    if start:
        services.servers.start(record.id)


def _taken(record: ServerRecord, plan: MemoryPlan) -> Planned | None:
    if plan.place != "gpu":
        return None
    return Planned(
        record.name, record.model, tuple((index, plan.claim_bytes) for index in plan.gpus if index is not None)
    )
