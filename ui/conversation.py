"""A conversation on the page: its turns, the one that grows, and what is asked next."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from services.app import Services
from services.chat.checking.answers import checks_of
from services.chat.conversations import Versions
from services.chat.judging import JUDGED
from services.chat.notes import told, words_only_text
from services.chat.ports import Passage
from services.chat.refusals import refuses
from services.chat.turns import ATTACHED, MOVED, passages_of
from services.core.clock import now_ms
from services.core.errors import from_row
from services.core.units import milliseconds_text
from services.store.conversations import JUDGING, TurnRecord
from ui import citations, errors, i18n
from ui.chat.actions import actions, question_editor
from ui.checks import summary
from ui.i18n import _, ngettext
from ui.nothing_found import nothing_found
from ui.sources import open_passage
from ui.widgets import facts_line, progress_row, remark, safe_text

POLL_S = 0.12
WAIT_S = 1.0
BEGUN = 100
"""Documents under way, which a list has first, that are looked at for their progress."""
UNFINISHED = ("failed", "interrupted", "stopped")
READER, MODEL = ":material/person:", ":material/menu_book:"


def past_turn(services: Services, owner: str, turn: TurnRecord, versions: Versions | None = None) -> None:
    """A turn that has ended, with what can be done with it."""
    with st.chat_message("user", avatar=READER):
        if not question_editor(services, owner, turn):
            safe_text(turn.question)
    with st.chat_message("assistant", avatar=MODEL):
        _said(turn)
        _ended(turn)
        if turn.state in UNFINISHED:
            st.button(
                _("Ask again"),
                icon=":material/refresh:",
                key=f"again-{turn.id}",
                on_click=errors.attempt,
                args=(services.chat.again, owner, turn.id),
            )
        _told(turn)
        actions(services, owner, turn, versions)


def read_turn(turn: TurnRecord) -> None:
    """A turn of somebody else's conversation, only to be read."""
    with st.chat_message("user", avatar=READER):
        safe_text(turn.question)
    with st.chat_message("assistant", avatar=MODEL):
        _said(turn)
        _ended(turn)
        _told(turn)


def live_turn(
    services: Services, owner: str | None, turn: TurnRecord, on_passages: Callable[[TurnRecord], None]
) -> None:
    """A turn that grows, until it has ended: then the page is drawn anew. Its passages are handed on when found.

    Args:
        owner: who may stop it; None where it is only to be read.
    """
    announced = bool(turn.passages)
    with st.chat_message("user", avatar=READER):
        safe_text(turn.question)
    with st.chat_message("assistant", avatar=MODEL):
        stop, status, body, beneath = st.empty(), st.empty(), st.empty(), st.empty()
        if owner is not None:
            stop.button(
                _("Stop"),
                icon=":material/stop_circle:",
                key=f"stop-{turn.id}",
                on_click=errors.attempt,
                args=(services.chat.stop, owner, turn.id),
            )
        drawn = ""
        while turn.live:
            if turn.state == JUDGING:
                with beneath.container():
                    progress_row(_("The sources are judged"), turn.progress_done, turn.progress_total, _("sentences"))
            elif turn.state == "answering" and turn.answer:
                status.empty()
            else:
                with status.container():
                    _status(turn)
            if turn.passages and not announced:
                announced = True
                on_passages(turn)
            if turn.answer != drawn:
                drawn = turn.answer
                with body.container():
                    titles = {p.number: citations.hover(p) for p in passages_of(turn)}
                    citations.answer(turn.answer, turn.id, titles, growing=True)
            time.sleep(POLL_S)
            turn = services.chat.turn(turn.id)
    st.rerun()


def ask_when_ready(services: Services, base_id: str, question: str, ask: Callable[[str], None]) -> None:
    """Show a fresh base's files and the server on their way, and ask as soon as both are ready."""
    st.fragment(run_every=WAIT_S)(_await)(services, base_id, question, ask)


def _await(services: Services, base_id: str, question: str, ask: Callable[[str], None]) -> None:
    with errors.shown(), st.container(border=True):
        safe_text(_("Next question: {question}", question=question))
        base = services.knowledge.base(base_id)
        counts = services.knowledge.summary(base).counts
        reading = counts.settled < counts.documents
        server = services.servers.default()
        if reading:
            progress_row(_("Reading the documents"), counts.settled, counts.documents, _("files"))
            begun = services.knowledge.listed(base, BEGUN).documents
            under_way = [row for row in begun if not row.state.settled]
            total = counts.chunks + sum(row.chunks or 0 for row in under_way)
            if total:
                done = counts.chunks + sum(row.chunks_done for row in under_way)
                progress_row(_("Embedding"), done, total, _("chunks"))
        if server is None:
            safe_text(_("Waiting for a model server to be ready."), muted=True)
        elif not reading:
            ask(question)


def _said(turn: TurnRecord) -> None:
    """What was searched for, what was thought, and the answer."""
    if turn.bases and turn.standalone and turn.standalone != turn.question:
        safe_text(_("Asked as: {question}", question=turn.standalone), muted=True, small=True)
    if turn.reasoning:
        with st.expander(_("What the model thought"), icon=":material/psychology:", key=f"thoughts-{turn.id}"):
            safe_text(turn.reasoning, muted=True, small=True)
    if turn.answer.strip():
        checks = checks_of(turn.settings)
        titles = {passage.number: citations.hover(passage) for passage in passages_of(turn)}
        citations.answer(turn.answer, turn.id, titles, checks=checks)
        summary(checks, turn.answer)


def _told(turn: TurnRecord) -> None:
    """What is to be said about it: how the question was understood, what was not searched yet, the figures."""
    for note in turn.notes:
        safe_text(told(note, i18n.language()), muted=True, small=True)
    for base in turn.bases:
        if base.get("words_only"):
            safe_text(words_only_text(base, i18n.language()), muted=True, small=True)
        if base.get("pending"):
            safe_text(
                _(
                    "{base} is still being read: {pending} of {documents} documents were not searched.",
                    base=base["name"],
                    pending=base["pending"],
                    documents=base["documents"],
                ),
                muted=True,
                small=True,
            )
    facts_line(*_facts(turn, passages_of(turn)))


def _status(turn: TurnRecord) -> None:
    if turn.queue_place:
        waiting = _("Waiting for {server}: {n} before you", server=turn.server_name, n=turn.queue_place)
        safe_text(waiting, muted=True)
    elif turn.state == "rewriting":
        safe_text(_("Understanding the question…"), muted=True)
    elif turn.state == "answering":
        safe_text(_("The model is thinking ({n} words so far)", n=len(turn.reasoning.split())), muted=True)
    elif turn.state == "retrieving":
        safe_text(_("Searching the documents…"), muted=True)
    elif turn.state == "reading" and turn.progress_total:
        progress_row(_("The model reads the passages"), turn.progress_done, turn.progress_total, _("tokens"))
    elif turn.state == "starting":
        waited = milliseconds_text((now_ms() - turn.created_at_ms) // 1000 * 1000)
        safe_text(_("Starting the server {server} ({time})", server=turn.server_name, time=waited), muted=True)
    elif turn.state in ("waiting", "reading"):
        waited = milliseconds_text((now_ms() - turn.created_at_ms) // 1000 * 1000)
        safe_text(_("Waiting for {server} ({time})", server=turn.server_name, time=waited), muted=True)


def _ended(turn: TurnRecord) -> None:
    """What was searched where nothing was found, and how an answer ended that did not come to its end."""
    if turn.bases and refuses(turn.answer):
        nothing_found(turn, open_passage)
    if turn.state == "failed" and turn.error_code:
        remark(from_row(turn.error_code, turn.error_params).render(i18n.language()))
    elif turn.state == "interrupted":
        safe_text(_("Interrupted: the process that was answering ended. What was said is kept."), muted=True)
    elif turn.state == "stopped":
        safe_text(_("Stopped. What was said is kept."), muted=True, small=True)


def _facts(turn: TurnRecord, passages: list[Passage]) -> list[str]:
    facts = [turn.base_name, turn.server_name]
    if passages:
        facts.append(ngettext("{n} passage", "{n} passages", len(passages)))
    if turn.settings.get(ATTACHED):
        facts.append(_("sources attached by likeness, not named by the model"))
    if turn.settings.get(MOVED):
        facts.append(_("a source was corrected: the model had named a passage that does not say it"))
    if judged := turn.settings.get(JUDGED):
        facts.append(_judged(judged["server"], judged["sentences"], judged["told"]))
    first, generate = turn.timings_ms.get("first_token"), turn.timings_ms.get("generate")
    if turn.answer and first:
        facts.append(_("first word after {time}", time=milliseconds_text(first)))
    if turn.completion_tokens and generate:
        facts.append(_("{rate} tokens/s", rate=f"{turn.completion_tokens / generate * 1000:.1f}"))
    return facts


def _judged(server: str, asked: int, told: int) -> str:
    sentences = ngettext("{n} sentence", "{n} sentences", asked)
    if told < asked:
        return _(
            "judged by {server}: {told} of {sentences} got a verdict", server=server, told=told, sentences=sentences
        )
    return _("judged by {server}: {sentences}", server=server, sentences=sentences)
