"""The documents of a knowledge base: dropping files in, and seeing what becomes of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from services.app import Services
from services.core.clock import now_ms
from services.core.document_errors import PasswordWrong
from services.core.errors import AppError, Encrypted, from_row
from services.core.i18n import N_
from services.core.units import bytes_text, milliseconds_text
from services.knowledge.notices import render as render_notice
from services.knowledge.service import BaseSummary
from services.knowledge.transfer.zips import is_zip
from services.knowledge.types import DocumentRow, DocumentState
from services.store.bases import BaseRecord
from ui import errors, i18n
from ui.chunks.view import open_chunks
from ui.i18n import _, ngettext
from ui.widgets import icon_button, progress_row, remark, row, safe_text

PAGE_SIZE = 20
STALLED_MS = 120_000
AT_WORK = (DocumentState.SPLITTING, DocumentState.EMBEDDING)
"""Reading has a limit of its own, and says so."""
POLL_S = 1.0
FORMATS = N_(
    "PDF, Word, PowerPoint, Excel, EPUB, e-mail (.eml), Markdown, text, HTML, CSV and pictures, in English and Chinese;"
    " or a zip of them."
)
_WORDS = """
[data-testid="stFileUploaderDropzone"] button p, [data-testid="stFileUploaderDropzoneInstructions"] span {{
  font-size: 0; white-space: normal;
}}
[data-testid="stFileUploaderDropzone"] button p::after {{ content: "{button}"; font-size: 0.93rem; }}
[data-testid="stFileUploaderDropzoneInstructions"] span::after {{ content: "{formats}"; font-size: 0.87rem; }}
"""
"""Streamlit's own words in the field are English and cannot be set."""
LOCKED = (Encrypted.code, PasswordWrong.code)
PAGE, FILTER = "knowledge.page", "knowledge.filter"


def upload(services: Services, base: BaseRecord) -> None:
    """A place to drop files in; each goes in as soon as it has arrived, and the place is empty again."""
    st.html(f"<style>{_WORDS.format(button=_('Add files'), formats=_(FORMATS))}</style>")
    turn = st.session_state.setdefault("knowledge.upload", 0)
    files: Any = st.file_uploader(
        _("Add files"),
        accept_multiple_files=True,
        key=f"knowledge.upload.{turn}",
        label_visibility="collapsed",
    )
    if not files:
        return
    refused: list[AppError] = []
    for file in files:
        try:
            refused += _taken(services, base, file)
        except AppError as error:
            refused.append(error)
    st.session_state["knowledge.refused"] = refused
    st.session_state["knowledge.upload"] = turn + 1
    st.rerun()


def _taken(services: Services, base: BaseRecord, file: Any) -> list[AppError]:
    """Add a file, or all that a zip holds; what was refused of those."""
    if is_zip(file.name):
        outcomes = services.transfer.add_zip(base, file.name, file)
        return [outcome for _label, outcome in outcomes if isinstance(outcome, AppError)]
    services.knowledge.add(base, file.name, file)
    return []


def refused_files() -> None:
    """Say which of the last files were not taken, and why."""
    for error in st.session_state.pop("knowledge.refused", []):
        errors.show(error)


def document_list(services: Services, summary: BaseSummary) -> None:
    """Every document with its state, in pages; it refreshes by itself while something is under way."""
    pending = summary.counts.settled < summary.counts.documents
    st.fragment(run_every=POLL_S if pending else None)(_list)(services, summary.base, pending)


def _list(services: Services, base: BaseRecord, was_pending: bool) -> None:
    with errors.shown():
        counts = services.knowledge.summary(base).counts
        pending = counts.settled < counts.documents
        if was_pending and not pending:
            st.rerun()
        if pending:
            progress_row(_("Working on your files"), counts.settled, counts.documents, _("files"))
        with st.container(horizontal=True, vertical_alignment="center"):
            shown = _page(services, base, counts.documents)
        with st.container(gap="xsmall"):
            for document in shown:
                _document(services, base, document)


def _page(services: Services, base: BaseRecord, documents: int) -> Sequence[DocumentRow]:
    """The documents of the page that the reader is at; only those whose name contains what was typed."""
    part, wanted = "", st.session_state.get(PAGE, 1)
    if documents > PAGE_SIZE:
        part = st.text_input(
            _("Find a document"), key=FILTER, placeholder=_("part of its name"), label_visibility="collapsed"
        )
    listing = services.knowledge.listed(base, PAGE_SIZE, (wanted - 1) * PAGE_SIZE, part)
    pages = max(1, -(-listing.found // PAGE_SIZE))
    page = st.pagination(pages, key=PAGE) if pages > 1 else 1
    if page != wanted:  # there are fewer pages than there were
        listing = services.knowledge.listed(base, PAGE_SIZE, (page - 1) * PAGE_SIZE, part)
    return listing.documents


def _document(services: Services, base: BaseRecord, document: DocumentRow) -> None:
    with row(document.name, _facts(document), document.state.value) as beneath:
        _go_on_or_stop(services, base, document)
        if document.chunks:
            see = _("See the chunks of {name}", name=document.name)
            if icon_button(see, ":material/content_cut:", key=f"chunks-{document.document_id}"):
                open_chunks(document.document_id)
                st.rerun()
        remove = _("Remove {name}", name=document.name)
        if icon_button(remove, ":material/delete:", key=f"remove-{document.document_id}"):
            _confirm_removal(services, base, document)
    with beneath:
        if document.state is DocumentState.EMBEDDING:
            rate, left_ms = _pace(document)
            progress_row(_("Embedding"), document.chunks_done, document.chunks, _("chunks"), rate, left_ms)
        still_ms = now_ms() - document.updated_at_ms
        if document.state in AT_WORK and still_ms > STALLED_MS:
            waited = _("Nothing has happened here for {time}.", time=milliseconds_text(still_ms))
            safe_text(waited + " " + _("If it stays so, cancel it and try again, or look into the log of the worker."))
        if document.error and document.state is DocumentState.WAITING:
            waits = from_row(document.error.code, document.error.params).render(i18n.language())
            safe_text(waits.message, muted=True, small=True)
        elif document.error:
            remark(from_row(document.error.code, document.error.params).render(i18n.language()))
            if document.error.code in LOCKED and document.name.lower().endswith(".pdf"):
                st.text_input(_("Password"), type="password", key=_password_key(document.document_id), width=320)
        for notice in document.notices:
            safe_text(render_notice(notice, i18n.language()), muted=True, small=True)


def _retry(services: Services, base: BaseRecord, document_id: str) -> None:
    """Try again, with the password that was typed, which the page then forgets."""
    password = st.session_state.get(_password_key(document_id), "")
    services.knowledge.retry(base, document_id, password)
    st.session_state.pop(_password_key(document_id), None)


def _password_key(document_id: str) -> str:
    return f"password-{document_id}"


def _go_on_or_stop(services: Services, base: BaseRecord, document: DocumentRow) -> None:
    if document.state in (DocumentState.FAILED, DocumentState.CANCELLED):
        st.button(
            _("Try again"),
            key=f"retry-{document.document_id}",
            on_click=errors.attempt,
            args=(_retry, services, base, document.document_id),
        )
    elif not document.state.settled:
        st.button(
            _("Cancel"),
            key=f"cancel-{document.document_id}",
            on_click=errors.attempt,
            args=(services.knowledge.cancel, base, document.document_id),
        )


def _pace(document: DocumentRow) -> tuple[float | None, float | None]:
    """Chunks each second since this reader saw the document being embedded, and the time that remains."""
    now, done = now_ms(), document.chunks_done
    place = f"pace-{document.document_id}-{document.revision}-{document.attempt}"
    begun_ms, begun_with = st.session_state.setdefault(place, (now, done))
    if done <= begun_with or now - begun_ms < POLL_S * 1000:
        return None, None
    rate = (done - begun_with) / (now - begun_ms) * 1000
    return rate, ((document.chunks or done) - done) / rate * 1000


def _facts(document: DocumentRow) -> list[str]:
    facts = [bytes_text(document.size_bytes)]
    if document.pages is not None:
        facts.append(ngettext("{n} page", "{n} pages", document.pages))
    if document.chunks:
        facts.append(ngettext("{n} chunk", "{n} chunks", document.chunks))
    others = [name for name in document.names if name != document.name]
    if others:
        facts.append(_("also as {names}", names=", ".join(others)))
    if document.answering_revision is not None and document.answering_revision != document.revision:
        facts.append(_("an older version answers meanwhile"))
    return facts


def _confirm_removal(services: Services, base: BaseRecord, document: DocumentRow) -> None:
    @st.dialog(_("Remove this document?"))
    def ask() -> None:
        with errors.shown():
            safe_text(document.name)
            if document.chunks:
                chunks = ngettext("{n} chunk", "{n} chunks", document.chunks)
                stays = _("Its {chunks} will be removed with it; the file on your computer stays.", chunks=chunks)
            else:
                stays = _("The file on your computer stays.")
            safe_text(stays, muted=True)
            if st.button(_("Remove"), type="primary"):
                services.knowledge.remove(base, document.document_id)
                st.rerun()

    ask()
