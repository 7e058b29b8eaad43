"""A conversation on the page: its turns, the one that grows, and what is asked next."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from services.app import Services
from services.chat.checking.answers import checks_of
from services.chat.ports import Passage
from services.chat.turns import ATTACHED, passages_of
from services.core.clock import now_ms
from services.core.errors import from_row
from services.core.phrases import state_word
from services.core.units import milliseconds_text
from services.serving.engines.registry import EMBEDDERS
from services.store.conversations import TurnRecord
from ui import citations, errors, i18n
from ui.checks import summary
from ui.i18n import _, ngettext
from ui.widgets import facts_line, progress_row, remark, safe_text

POLL_S = 0.12
WAIT_S = 1.0
READER, MODEL = ":material/person:", ":material/menu_book:"
PLAIN = ""


def composer(
    services: Services, base_id: str | None, server_id: str | None
) -> tuple[str | None, str | None, str | None]:
    """What to ask, of what, of whom: question, base id and server id; the question is None until one is sent."""
    names = {PLAIN: _("No documents: plain chat")} | {
        summary.base.id: summary.base.name for summary in services.knowledge.bases()
    }
    servers = {record.id: record for record in services.servers.list() if record.engine not in EMBEDDERS}
    with st.bottom:
        with st.container(horizontal=True, wrap=False, key="lectern-composer"):
            wanted = base_id if base_id in names else list(names)[-1] if base_id is None else PLAIN
            base = st.selectbox(
                _("Ask about"),
                list(names),
                index=list(names).index(wanted or PLAIN),
                format_func=names.__getitem__,
                label_visibility="collapsed",
                icon=":material/library_books:",
            )
            server = st.selectbox(
                _("Server"),
                list(servers),
                index=list(servers).index(server_id) if server_id in servers else 0,
                format_func=lambda id: f"{servers[id].name} · {state_word(servers[id].state, i18n.language())}",
                placeholder=_("no server yet"),
                disabled=not servers,
                label_visibility="collapsed",
                icon=":material/dns:",
            )
        placeholder = _("Ask “{base}” a question", base=names[base or PLAIN]) if base else _("Write a message")
        question = st.chat_input(placeholder, key="chat.input")
    return question, base or None, server


def last_base(turns: list[TurnRecord]) -> str | None:
    """The base that a conversation was last asked about, "" for none; None before its first question."""
    return ((turns[-1].base_ids or (PLAIN,))[0]) if turns else None


def past_turn(services: Services, owner: str, turn: TurnRecord) -> None:
    """A turn that has ended."""
    _question(turn)
    with st.chat_message("assistant", avatar=MODEL):
        passages = passages_of(turn)
        if turn.answer.strip():
            checks = checks_of(turn.settings)
            citations.answer(turn.answer, turn.id, {p.number: citations.hover(p) for p in passages}, checks=checks)
            summary(checks)
        _outcome(services, owner, turn)
        facts_line(*_facts(turn, passages))


def live_turn(services: Services, turn: TurnRecord, on_passages: Callable[[TurnRecord], None]) -> None:
    """A turn that grows, until it has ended: then the page is drawn anew. Its passages are handed on when found."""
    announced = bool(turn.passages)
    _question(turn)
    with st.chat_message("assistant", avatar=MODEL):
        stop, status, body = st.empty(), st.empty(), st.empty()
        stop.button(
            _("Stop"),
            icon=":material/stop_circle:",
            key=f"stop-{turn.id}",
            on_click=errors.attempt,
            args=(services.chat.stop, turn.id),
        )
        while turn.live:
            if turn.state == "answering":
                status.empty()
            else:
                with status.container():
                    _status(turn)
            if turn.passages and not announced:
                announced = True
                on_passages(turn)
            if turn.answer:
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
        rows = services.knowledge.documents(services.knowledge.base(base_id))
        settled = sum(row.state.settled for row in rows)
        server = services.servers.default()
        if settled < len(rows):
            progress_row(_("Reading the documents"), settled, len(rows), _("files"))
            total = sum(row.chunks or 0 for row in rows)
            if total:
                progress_row(_("Embedding"), sum(row.chunks_done for row in rows), total, _("chunks"))
        if server is None:
            safe_text(_("Waiting for a model server to be ready."), muted=True)
        elif settled == len(rows):
            ask(question)


def _question(turn: TurnRecord) -> None:
    with st.chat_message("user", avatar=READER):
        safe_text(turn.question)


def _status(turn: TurnRecord) -> None:
    if turn.state == "retrieving":
        safe_text(_("Searching the documents…"), muted=True)
    elif turn.state == "reading" and turn.progress_total:
        progress_row(_("The model reads the passages"), turn.progress_done, turn.progress_total, _("tokens"))
    elif turn.state == "starting":
        waited = milliseconds_text((now_ms() - turn.created_at_ms) // 1000 * 1000)
        safe_text(_("Starting the server {server} ({time})", server=turn.server_name, time=waited), muted=True)
    elif turn.state in ("waiting", "reading"):
        waited = milliseconds_text((now_ms() - turn.created_at_ms) // 1000 * 1000)
        safe_text(_("Waiting for {server} ({time})", server=turn.server_name, time=waited), muted=True)


def _outcome(services: Services, owner: str, turn: TurnRecord) -> None:
    if turn.state == "failed" and turn.error_code:
        remark(from_row(turn.error_code, turn.error_params).render(i18n.language()))
    elif turn.state == "interrupted":
        safe_text(_("Interrupted: the process that was answering ended. What was said is kept."), muted=True)
    elif turn.state == "stopped":
        safe_text(_("Stopped. What was said is kept."), muted=True, small=True)
    if turn.state in ("failed", "interrupted", "stopped"):
        st.button(
            _("Ask again"),
            icon=":material/refresh:",
            key=f"again-{turn.id}",
            on_click=errors.attempt,
            args=(services.chat.again, owner, turn.id),
        )


def _facts(turn: TurnRecord, passages: list[Passage]) -> list[str]:
    facts = [turn.base_name, turn.server_name]
    if passages:
        facts.append(ngettext("{n} passage", "{n} passages", len(passages)))
    if turn.settings.get(ATTACHED):
        facts.append(_("sources attached by likeness, not named by the model"))
    first, generate = turn.timings_ms.get("first_token"), turn.timings_ms.get("generate")
    if turn.answer and first:
        facts.append(_("first word after {time}", time=milliseconds_text(first)))
    if turn.completion_tokens and generate:
        facts.append(_("{rate} tokens/s", rate=f"{turn.completion_tokens / generate * 1000:.1f}"))
    return facts
