"""Knowledge bases: choosing one, making one, deleting one."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.i18n import LANGUAGES, N_, translate
from services.knowledge.chunking.registry import STRATEGIES
from services.knowledge.samples import SAMPLE_QUESTIONS
from services.knowledge.service import BaseSummary
from services.store.bases import BaseRecord
from ui import embedders, errors
from ui.chunks.choice import choose as choose_spec
from ui.i18n import _, language, ngettext
from ui.widgets import safe_text

CHOSEN = "knowledge.base"
PENDING_QUESTION = "chat.pending"
SAMPLES = N_("Sample documents")


def choose(services: Services, summaries: list[BaseSummary]) -> BaseSummary:
    """Let the reader choose one of several bases; the choice stands in the address."""
    ids = [summary.base.id for summary in summaries]
    names = {summary.base.id: summary.base.name for summary in summaries}
    wanted = st.session_state.get(CHOSEN) or st.query_params.get("base")
    if wanted not in ids:
        wanted = ids[0]
    st.session_state[CHOSEN] = wanted
    chosen = st.selectbox(
        _("Knowledge base"),
        ids,
        format_func=names.__getitem__,
        key=CHOSEN,
        label_visibility="collapsed",
        icon=":material/library_books:",
    )
    st.query_params["base"] = chosen
    return summaries[ids.index(chosen)]


def facts(summary: BaseSummary) -> list[str]:
    """A base in a few words."""
    base, counts = summary.base, summary.counts
    words = [
        ngettext("{n} document", "{n} documents", counts.documents),
        ngettext("{n} chunk", "{n} chunks", counts.chunks),
        _(
            "chunks: {strategy} {size}/{overlap}",
            strategy=_strategy(base),
            size=base.chunk_size,
            overlap=base.chunk_overlap,
        ),
        _("embedder {name}", name=embedders.title(base)),
    ]
    if counts.failed:
        words.append(ngettext("{n} failed", "{n} failed", counts.failed))
    return words


def _strategy(base: BaseRecord) -> str:
    known = STRATEGIES.get(base.chunker)
    return _(known.title) if known else base.chunker


def add_samples(services: Services) -> BaseRecord:
    """The base of sample documents, made if it is not there, with every sample file in it."""
    base = services.knowledge.add_samples(_(SAMPLES))
    st.session_state[CHOSEN] = base.id
    return base


def try_samples(services: Services) -> None:
    """One click: build the base of samples, go to the chat, and ask it the first question as soon as it can answer."""
    base = add_samples(services)
    st.session_state[PENDING_QUESTION] = sample_questions()[0]
    st.switch_page("pages/1_Chat.py", query_params={"base": base.id})


def is_sample(services: Services, base_id: str) -> bool:
    """Whether a base is the one of sample documents, in any language."""
    return services.knowledge.base(base_id).name in {translate(SAMPLES, spoken) for spoken in LANGUAGES}


def create_dialog(services: Services) -> None:
    """Ask for a name, the embedder and how documents are cut, and make the base."""

    @st.dialog(_("New knowledge base"))
    def ask() -> None:
        with errors.shown():
            name = st.text_input(_("Name"), max_chars=80, placeholder=_("for example: Handbook"))
            embedder = embedders.choose(services, "new-base")
            with st.expander(_("How documents are cut")):
                spec = choose_spec(services.product, None, "new-base", columns=1)
            if st.button(_("Create"), type="primary"):
                base = services.knowledge.create(name, spec, embedders.chosen_spec(services, embedder))
                st.session_state[CHOSEN] = base.id
                st.rerun()

    ask()


def delete_dialog(services: Services, summary: BaseSummary) -> None:
    """Ask once, naming what goes."""

    @st.dialog(_("Delete this knowledge base?"))
    def ask() -> None:
        with errors.shown():
            safe_text(summary.base.name)
            documents = ngettext("{n} document", "{n} documents", summary.counts.documents)
            safe_text(
                _("Its {documents} will be deleted with it. This cannot be undone.", documents=documents), muted=True
            )
            if st.button(_("Delete"), type="primary"):
                services.knowledge.delete(summary.base.id)
                st.session_state.pop(CHOSEN, None)
                st.query_params.pop("base", None)
                st.rerun()

    ask()


def sample_questions() -> list[str]:
    """Questions that the sample documents answer, in the reader's language first."""
    return [question for spoken, question in sorted(SAMPLE_QUESTIONS, key=lambda pair: pair[0] != language())]
