"""Trying a search of a knowledge base: what it finds, how well each way ranks it, and what it took."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import streamlit as st

from services.app import Services
from services.core.i18n import N_
from services.core.units import milliseconds_text
from services.knowledge.loaders.registry import format_name
from services.knowledge.notices import render as render_notice
from services.knowledge.search_types import EVERYTHING, Fusion, SearchFilter, SearchMode, SearchOptions
from services.knowledge.types import Hit, SearchResult
from services.store.bases import BaseRecord
from ui import errors
from ui.document_choice import MOST_DOCUMENTS
from ui.i18n import _, language, ngettext
from ui.widgets import facts_line, safe_text

MODES = {SearchMode.HYBRID: N_("both"), SearchMode.DENSE: N_("by meaning"), SearchMode.LEXICAL: N_("by words")}
FUSIONS = {Fusion.SCORE: N_("by scores"), Fusion.RRF: N_("by ranks")}
STEPS = {
    "embed": N_("embedding {time}"),
    "dense": N_("vectors {time}"),
    "lexical": N_("words {time}"),
    "fuse": N_("fusing {time}"),
    "rerank": N_("reranking {time}"),
    "mmr": N_("sorting out {time}"),
}
SHOWN_CHARACTERS = 700


def try_search(services: Services, base: BaseRecord) -> None:
    """A closed box with a question, the ways to search, and what was found."""
    with st.expander(_("Try a search"), icon=":material/search:", key="knowledge.try", on_change="rerun") as box:
        if not box.open:
            return
        with st.form("try-search", border=False):
            asked = st.text_input(_("Question"), placeholder=_("for example: error E-15"), key="try.question")
            with st.container(horizontal=True, vertical_alignment="bottom"):
                mode = st.selectbox(_("Search"), list(MODES), format_func=lambda key: _(MODES[key]), width=160)
                top_k = st.number_input(_("Hits"), 1, 100, services.product.top_k, width=120)
                fusion = st.selectbox(_("Join"), list(FUSIONS), format_func=lambda key: _(FUSIONS[key]), width=160)
                mmr = st.checkbox(_("Leave out repetitions"), key="try.mmr")
                rerank = st.checkbox(
                    _("Rerank"),
                    services.reranks,
                    key="try.rerank",
                    help=_("Let the reranker that is chosen on the Settings page put the best hits in order."),
                )
            wanted = _filter(services, base)
            if st.form_submit_button(_("Search"), type="primary"):
                options = SearchOptions(mode, int(top_k), fusion, mmr=mmr, filter=wanted, rerank=rerank)
                with errors.shown():
                    st.session_state["try.result"] = base.id, services.knowledge.search(base, asked, options)
        of, result = st.session_state.get("try.result", ("", None))
        if result is not None and of == base.id:
            _show(result)


def _filter(services: Services, base: BaseRecord) -> SearchFilter:
    rows = services.knowledge.listed(base, MOST_DOCUMENTS, answering=True).documents
    names = {row.document_id: row.name for row in rows}
    types = sorted({row.media_type for row in rows if row.media_type})
    with st.popover(_("Only some documents"), icon=":material/filter_alt:"):
        chosen = st.multiselect(_("Documents"), list(names), format_func=names.__getitem__, key="try.documents")
        kinds = st.multiselect(_("Types"), types, format_func=format_name, key="try.types")
        days: Any = st.date_input(_("Added on these days"), value=[], key="try.days")
    if not chosen and not kinds and not days:
        return EVERYTHING
    first, last = (days[0], days[-1]) if days else (None, None)
    return SearchFilter(tuple(chosen), tuple(kinds), _ms(first, time.min), _ms(last, time.max))


def _ms(day: date | None, moment: time) -> int | None:
    return None if day is None else int(datetime.combine(day, moment).timestamp() * 1000)


def _show(result: SearchResult) -> None:
    for notice in result.notices:
        safe_text(render_notice(notice, language()), muted=True)
    times = [_(STEPS[step], time=milliseconds_text(took)) for step, took in result.timings_ms.items()]
    facts_line(ngettext("{n} hit", "{n} hits", len(result.hits)), *times)
    for hit in result.hits:
        with st.container(border=True, gap="xsmall"):
            safe_text(f"{hit.rank}. {hit.chunk.document}")
            facts_line(*_facts(hit))
            text = hit.chunk.text
            safe_text(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " …", small=True)


def _facts(hit: Hit) -> list[str]:
    facts = [_("score {score}", score=f"{hit.score:.3f}")]
    if hit.rerank_score is not None:
        facts.insert(0, _("reranker {score}", score=f"{hit.rerank_score:.3f}"))
    if hit.dense_rank is not None:
        facts.append(_("place {n} by meaning", n=hit.dense_rank))
    if hit.lexical_rank is not None:
        facts.append(_("place {n} by words", n=hit.lexical_rank))
    if hit.chunk.page is not None:
        facts.append(_("page {page}", page=hit.chunk.page))
    return [*facts, hit.chunk.heading]
