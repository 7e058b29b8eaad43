"""What the model was sent, and what it will remember: exactly, with what each part costs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.app import Services
from services.chat.parts import KINDS, tokens_by_kind
from services.llm.estimate import estimated_tokens
from services.store.conversations import ConversationRecord, TurnRecord
from ui import errors
from ui.i18n import _, ngettext
from ui.widgets import facts_line, safe_text

ROLES = {"system": "system", "user": "user", "assistant": "assistant"}


def sent_dialog(services: Services, owner: str, turn: TurnRecord) -> None:
    """Show the prompt of a turn, part by part."""

    @st.dialog(_("What the model was sent"), width="large")
    def show() -> None:
        with errors.shown():
            rows = services.conversations.prompt(owner, turn.id)
            if not rows:
                safe_text(_("The model was sent nothing for this answer."), muted=True)
                return
            counts = tokens_by_kind(rows)
            parts = [f"{_(KINDS[kind])} {tokens:,}" for kind, tokens in counts.items()]
            counted = sum(counts.values())
            total = turn.prompt_tokens or counted
            if total > counted:
                parts.append(_("Chat template") + f" {total - counted:,}")
            facts_line(_("{n} tokens in all", n=f"{total:,}"), *parts)
            for number, row in enumerate(rows):
                _part(row, number)

    show()


def memory_dialog(services: Services, talk: ConversationRecord) -> None:
    """Show what the next chat turn will remember, and offer to clear it."""

    @st.dialog(_("What the chat remembers"), width="large")
    def show() -> None:
        with errors.shown():
            memory = services.conversations.memory(talk.owner_id, talk.id, services.product)
            if not memory.exchanges and not memory.summary:
                safe_text(_("Nothing: the next message begins anew."), muted=True)
                return
            texts = [memory.summary, *(text for each in memory.exchanges for text in (each.question, each.answer))]
            tokens = sum(estimated_tokens(text) for text in texts if text)
            turns = ngettext("{n} turn", "{n} turns", len(memory.exchanges))
            facts_line(turns, _("about {n} tokens", n=f"{tokens:,}"))
            if memory.summary:
                _text(_("Summary"), memory.summary)
            for each in memory.exchanges:
                _text(_("Question"), each.question)
                _text(_("Answer"), each.answer)
            if st.button(_("Clear the memory"), help=_("The turns stay to be read; the model is not told of them.")):
                services.conversations.forget(talk.owner_id, talk.id)
                st.rerun()

    show()


def _part(row: dict[str, Any], number: int) -> None:
    label = f"{ROLES[row['role']]} · {_(KINDS[row['kind']])} · " + _("{n} tokens", n=f"{row['tokens']:,}")
    with st.expander(label, expanded=row["kind"] in ("question", "system_prompt"), key=f"part-{number}"):
        st.code(row["text"], language=None, wrap_lines=True)


def _text(label: str, text: str) -> None:
    safe_text(label, muted=True, small=True)
    st.code(text, language=None, wrap_lines=True)
