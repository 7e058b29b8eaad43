"""Beneath an answer: thumbs, a comment, and the way to keep a bad one as a golden question."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from services.app import Services
from services.chat.ports import Passage
from services.chat.turns import passages_of
from services.store.conversations import TurnRecord
from services.store.feedback import BAD, GOOD, UNSAID, GoldenRecord
from ui import errors
from ui.document_choice import offered, there
from ui.i18n import _, ngettext
from ui.widgets import icon_button, row, safe_text

THUMBS = (BAD, GOOD)
LOOK: Final = "thumbs"


def thumbs(services: Services, owner: str, turn: TurnRecord) -> bool:
    """Thumbs, and a button that opens the comment; whether something was said of the answer."""
    known, key = services.feedback.of(owner, turn.id), f"thumbs-{turn.id}"

    def rate() -> None:
        chosen = st.session_state.get(key)
        verdict = UNSAID if chosen is None else THUMBS[chosen]
        errors.attempt(services.feedback.rate, owner, turn.id, verdict, known.comment if known else "")

    default = THUMBS.index(known.verdict) if known and known.verdict else None
    st.feedback(LOOK, key=key, default=default, on_change=rate)
    if icon_button(_("Comment on this answer"), ":material/rate_review:", key=f"comment-{turn.id}"):
        _comment_dialog(services, owner, turn)
    return known is not None


def who_reads_it() -> None:
    """Say quietly who can read what was said of an answer."""
    safe_text(
        _("Whoever can open the Knowledge page can read the question, the answer and what you say of it."),
        muted=True,
        small=True,
    )


def golden_list(services: Services, base_id: str) -> None:
    """The golden questions of a base, folded away; nothing where there are none."""
    found = services.feedback.golden(base_id)
    if not found:
        return
    with st.expander(ngettext("{n} golden question", "{n} golden questions", len(found)), icon=":material/star:"):
        safe_text(_("Saved from bad answers, to measure retrieval with."), muted=True, small=True)
        for one in found:
            with row(one.question, [_expected(one), one.comment]):
                icon_button(
                    _("Remove"),
                    ":material/delete:",
                    key=f"golden-{one.id}",
                    on_click=errors.attempt,
                    args=(services.feedback.remove_golden, one.id),
                )


def _expected(one: GoldenRecord) -> str:
    names = dict.fromkeys(str(document["document"]) for document in one.expected)
    return _("should have found: {documents}", documents=", ".join(names) or _("n/a"))


def _comment_dialog(services: Services, owner: str, turn: TurnRecord) -> None:
    st.dialog(_("Comment on this answer"))(_comment_form)(services, owner, turn)


def _comment_form(services: Services, owner: str, turn: TurnRecord) -> None:
    with errors.shown():
        known = services.feedback.of(owner, turn.id)
        comment = st.text_area(
            _("What is good or wrong about it?"), value=known.comment if known else "", key=f"comment-text-{turn.id}"
        )
        who_reads_it()
        golden = False
        passages: list[int] = []
        documents: list[dict[str, Any]] = []
        if turn.bases:
            golden = st.checkbox(
                _("Keep it as a golden question"),
                help=_("With all that was retrieved, and what should have been: for measuring retrieval later."),
                key=f"golden-{turn.id}",
            )
        if golden:
            passages, documents = _right(services, turn)
        if st.button(_("Save"), type="primary", key=f"comment-save-{turn.id}"):
            services.feedback.rate(owner, turn.id, known.verdict if known else UNSAID, comment)
            if golden:
                services.feedback.save_golden(owner, turn.id, passages=passages, documents=documents, comment=comment)
            st.rerun()


def _right(services: Services, turn: TurnRecord) -> tuple[list[int], list[dict[str, Any]]]:
    """What should have been found: shown passages that are right, and other documents."""
    shown = {passage.number: _named(passage) for passage in passages_of(turn)}
    passages = st.multiselect(
        _("Passages that are right"),
        list(shown),
        format_func=shown.__getitem__,
        key=f"golden-passages-{turn.id}",
        placeholder=_("none of them"),
    )
    found = offered(services, there(services, turn.base_ids), f"golden-{turn.id}")
    known = {
        (base_id, row.document_id): {"base_id": base_id, "document_id": row.document_id, "document": row.name}
        for base_id, row in found
    }
    chosen = st.multiselect(
        _("Other documents that should have been found"),
        list(known),
        format_func=lambda key: str(known[key]["document"]),
        key=f"golden-documents-{turn.id}",
        placeholder=_("none"),
    )
    return passages, [known[key] for key in chosen]


def _named(passage: Passage) -> str:
    page = "" if passage.page is None else _(", page {page}", page=passage.page)
    return f"[{passage.number}] {passage.document}{page}"
