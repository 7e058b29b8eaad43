"""Home: what runs, what needs attention, and the next step for somebody new."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.errors import from_row
from services.core.units import bytes_text
from services.health import disk_free_bytes, worker_status
from services.knowledge.service import BaseSummary
from services.store.servers import ServerRecord
from ui import alerts, bases, embedded, errors, i18n
from ui.i18n import _, ngettext
from ui.widgets import Card, cards, empty_state, row

POLL_S = 3.0
ATTENTION_POLL_S = 5.0


def figures(services: Services) -> None:
    """What runs, as cards that refresh by themselves."""
    st.fragment(run_every=POLL_S)(_figures)(services)


def _figures(services: Services) -> None:
    with errors.shown():
        summaries, servers = services.knowledge.bases(), services.servers.list()
        worker = worker_status(services)
        ready = [server for server in servers if server.state == "ready"]
        documents = sum(summary.counts.documents for summary in summaries)
        chunks = sum(summary.counts.chunks for summary in summaries)
        cards(
            [
                Card(
                    _("Model servers ready"),
                    f"{len(ready)} / {len(servers)}",
                    ", ".join(server.name for server in ready) or _("none ready yet"),
                ),
                Card(_("Knowledge bases"), len(summaries), ngettext("{n} document", "{n} documents", documents)),
                Card(_("Chunks that can be found"), f"{chunks:,}"),
                Card(_("Background worker"), None, state="running" if worker.running else "stopped"),
                _gpu_card(services),
                Card(_("Free disk"), bytes_text(disk_free_bytes(services.settings)), str(services.settings.home)),
            ]
        )


def _gpu_card(services: Services) -> Card:
    found = services.gpus.now().gpus
    if not found:
        return Card(_("GPU"), _("none"), _("everything runs on the CPU"))
    used, total = ([getattr(card, name) for card in found] for name in ("used_bytes", "total_bytes"))
    known = all(value is not None for value in [*used, *total])
    memory = f"{bytes_text(sum(used))} / {bytes_text(sum(total))}" if known else None
    return Card(_("GPU memory"), memory, ngettext("{n} GPU", "{n} GPUs", len(found)))


def attention(services: Services) -> None:
    """What is not well, each with what to do; nothing where all is well. Refreshes by itself."""
    st.fragment(run_every=ATTENTION_POLL_S)(_attention)(services)
    if embedded.underway(services):
        with st.container(border=True):
            embedded.progress(services)


def _attention(services: Services) -> None:
    with errors.shown():
        silent = [server for server in services.servers.list() if server.state in ("failed", "unreachable")]
        flawed = [summary for summary in services.knowledge.bases() if summary.counts.failed]
        opened = alerts.beyond(services, {server.name for server in silent})
        if silent or flawed or opened:
            st.subheader(_("Needs attention"), anchor=False)
        for server in silent:
            with row(server.name, [_said(server)], server.state):
                st.page_link("pages/4_Servers.py", label=_("Servers"), icon=":material/dns:")
        for alert in opened:
            alerts.alert_row(services, alert)
        for summary in flawed:
            with row(summary.base.name, [_failures(summary)]):
                _documents_link(summary)


def next_step(services: Services) -> None:
    """One step that helps now: sample documents for somebody new, else the bases with a way to ask them."""
    summaries = services.knowledge.bases()
    if not summaries:
        tried = empty_state(
            _("Ask your own documents"),
            _(
                "One click makes a knowledge base of sample files, in English and Chinese, and asks it a question. "
                "Or begin with your own files on the Knowledge page."
            ),
            _("Try it with sample documents"),
            key="first-step",
        )
        if tried:
            bases.try_samples(services)
        return
    st.subheader(_("Knowledge bases"), anchor=False)
    for summary in summaries:
        state = {"ready": "ready", "indexing": "indexing"}.get(summary.state, "empty")
        with row(summary.base.name, bases.facts(summary)[:2], state):
            base = {"base": summary.base.id}
            st.page_link("pages/1_Chat.py", label=_("Ask"), icon=":material/forum:", query_params=base)
            _documents_link(summary)


def _documents_link(summary: BaseSummary) -> None:
    base = {"base": summary.base.id}
    st.page_link("pages/2_Knowledge.py", label=_("Documents"), icon=":material/library_books:", query_params=base)


def _said(server: ServerRecord) -> str:
    said = ""
    if server.error_code:
        rendered = from_row(server.error_code, server.error_params).render(i18n.language())
        said = f"{rendered.message} {rendered.remedy}"
    return said or _("The server “{name}” does not answer.", name=server.name)


def _failures(summary: BaseSummary) -> str:
    failed = ngettext("{n} document", "{n} documents", summary.counts.failed)
    return _(
        "“{name}”: {documents} could not be read; the Knowledge page says why.",
        name=summary.base.name,
        documents=failed,
    )
