"""Checking a knowledge base and making its search indexes anew: wishes to the worker, and what became of them."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.errors import from_row
from services.core.i18n import N_
from services.core.units import percent_text
from services.knowledge.types import IndexState
from services.knowledge.upkeep import Upkeep, UpkeepKind, UpkeepState
from services.store.bases import BaseRecord
from ui import errors
from ui.i18n import _, language, ngettext
from ui.widgets import facts_line, progress_row, remark, safe_text

POLL_S = 1.0
KINDS = {
    "memory": N_("vectors in memory, all compared"),
    "flat": N_("snapshot on disk, all compared"),
    "ivf_fp16": N_("snapshot on disk, the nearest cells compared"),
}
STEPS = {
    "": N_("Waiting for the worker"),
    "checking": N_("Checking"),
    "words": N_("Finding the words"),
    "lexical": N_("Writing the index of words"),
    "snapshot": N_("Writing the snapshot"),
}


def upkeep(services: Services, base: BaseRecord) -> None:
    """A closed box with the state of the search index, two buttons, and what the last press has brought."""
    with st.expander(_("Search index"), icon=":material/build:", key="knowledge.upkeep", on_change="rerun") as box:
        if not box.open:
            return
        wish = services.knowledge.upkeep(base)
        running = wish is not None and not wish.settled
        st.fragment(run_every=POLL_S if running else None)(_inside)(services, base, running)


def _inside(services: Services, base: BaseRecord, was_running: bool) -> None:
    with errors.shown():
        wish = services.knowledge.upkeep(base)
        running = wish is not None and not wish.settled
        if running != was_running:
            st.rerun()
        facts_line(*_facts(services.knowledge.index_state(base)))
        with st.container(horizontal=True):
            _button(services, base, UpkeepKind.VERIFY, _("Check everything"), "fact_check", running)
            _button(services, base, UpkeepKind.REBUILD, _("Make the indexes anew"), "restart_alt", running)
        if wish is not None:
            _outcome(wish)


def _button(services: Services, base: BaseRecord, kind: UpkeepKind, label: str, icon: str, running: bool) -> None:
    st.button(
        label,
        key=f"upkeep-{kind}",
        icon=f":material/{icon}:",
        disabled=running,
        on_click=errors.attempt,
        args=(services.knowledge.wish_upkeep, base, kind),
    )


def _facts(state: IndexState) -> list[str]:
    facts = [ngettext("{n} vector", "{n} vectors", state.vectors), _(KINDS[state.kind])]
    if state.recall is not None and state.kind != "flat":
        facts.append(_("finds {share} of the ten nearest", share=percent_text(100 * state.recall)))
    if state.generation:
        facts.append(ngettext("{n} newer in memory", "{n} newer in memory", state.newer))
    if state.problem:
        facts.append(_("the snapshot is lost and is made again"))
    return facts


def _outcome(wish: Upkeep) -> None:
    if not wish.settled:
        progress_row(_(STEPS.get(wish.step, "")), wish.done, wish.total or None, _("chunks"))
    elif wish.state is UpkeepState.FAILED and wish.error:
        remark(from_row(*wish.error).render(language()))
    elif wish.report is not None:
        report = wish.report
        facts_line(
            ngettext("{n} document", "{n} documents", report.documents),
            ngettext("{n} chunk", "{n} chunks", report.chunks),
            ngettext("{n} vector", "{n} vectors", report.vectors),
            ngettext("{n} original", "{n} originals", report.originals),
        )
        if not report.problems:
            safe_text(_("Everything fits together."))
        for problem in report.problems:
            safe_text(problem, small=True)
        if report.mended:
            safe_text(ngettext("{n} problem was mended.", "{n} problems were mended.", len(report.mended)), muted=True)
