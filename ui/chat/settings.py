"""The settings of a conversation: how it is answered, what it remembers, which documents it may search."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import streamlit as st

from services.app import Services
from services.chat.choices import MEMORIES, PRESET, Choices, settle
from services.chat.turns import KNOWLEDGE
from services.core.i18n import N_
from services.knowledge.loaders.registry import format_name
from services.store.conversations import ConversationRecord
from ui import errors
from ui.chat import popovers
from ui.document_choice import offered, there
from ui.i18n import _, ngettext
from ui.presets import escaped
from ui.text import markdown_text
from ui.widgets import safe_text

NEW = "chat.choices"
"""In the session: what was chosen for a conversation that has not begun."""
ROOM_PX = 420
"""What the form will take, kept while it is not drawn: a popover is placed once, by what is in it when it opens."""
MEMORY_WORDS = {
    "everything": N_("Everything, as long as it fits"),
    "last_turns": N_("The last turns"),
    "token_budget": N_("The last tokens"),
    "summary": N_("A running summary"),
    "summary_recent": N_("A summary and the last turns"),
}


def chosen(talk: ConversationRecord | None) -> Choices:
    """What was chosen for a conversation, or for the one that begins next."""
    return Choices.stored(talk.settings if talk else st.session_state.get(NEW))


def begun() -> None:
    """The conversation has begun and keeps its choices: the next one begins without any."""
    st.session_state.pop(NEW, None)


def popover(
    services: Services, talk: ConversationRecord | None, key: str, mode: str, base_ids: Sequence[str]
) -> Choices:
    """Draw the button, and the form behind it while that is open; returns what is chosen."""
    now = chosen(talk)
    st.fragment(_popover)(services, talk, now, key, mode, base_ids)
    return now


def _popover(
    services: Services, talk: ConversationRecord | None, now: Choices, key: str, mode: str, base_ids: Sequence[str]
) -> None:
    filters = sum(map(bool, (now.documents, now.types, now.since, now.until))) if mode == KNOWLEDGE else 0
    label = ngettext("{n} filter", "{n} filters", filters) if filters else ""
    name = f"settings-{key}"
    about = _("Settings of this conversation")
    with (
        st.popover(label, icon=":material/tune:", help=about, key=popovers.key(name), on_change="rerun") as drawn,
        st.container(key=f"tall-{name}"),
        errors.shown(),
    ):
        if not drawn.open:
            st.space(ROOM_PX)
            return
        bases = there(services, base_ids) if mode == KNOWLEDGE else []
        documents = [row.name for _base_id, row in offered(services, bases, f"settings-{key}")]
        types = [kind for base in bases for kind in services.knowledge.media_types(base)]
        # No form: what was chosen in one would be lost when other documents are offered.
        values = _fields(services, now, mode, base_ids, key, documents, types)
        with st.container(gap="xxsmall"):
            if mode == KNOWLEDGE:
                names = ", ".join(services.knowledge.base(base_id).name for base_id in base_ids)
                safe_text(_("Defaults of: {bases}", bases=names), muted=True, small=True)
            with st.container(horizontal=True):
                if st.button(_("Apply"), type="primary", key=f"apply-{key}"):
                    errors.attempt(_apply, services, talk, now, values)
                    popovers.close(name)
                    st.rerun()
                preset = mode == KNOWLEDGE and st.button(
                    _("Make these the defaults of the bases"),
                    help=_("What is set under Answer, for everybody who asks them; other defaults of theirs stay."),
                    key=f"preset-{key}",
                )
        if preset:
            errors.attempt(_preset, services, base_ids, values)


def _fields(
    services: Services,
    now: Choices,
    mode: str,
    base_ids: Sequence[str],
    key: str,
    documents: Sequence[str],
    types: Sequence[str],
) -> dict[str, Any]:
    """What can be chosen, by what it concerns; which documents first, as that is chosen most often."""
    words = [_("Documents"), _("Answer"), _("What is remembered")]
    *filters, answer, memory = st.tabs(words if mode == KNOWLEDGE else words[1:])
    values: dict[str, Any] = {}
    for tab in filters:
        with tab:
            values |= _filter_fields(now, documents, types, key)
    with answer:
        values |= _answer_fields(services, now, mode, base_ids, key)
    with memory:
        values |= _memory_fields(services, now, mode, key)
    return values


def _answer_fields(services: Services, now: Choices, mode: str, base_ids: Sequence[str], key: str) -> dict[str, Any]:
    inherited = settle(services.presets.of(base_ids if mode == KNOWLEDGE else ()), services.product, mode)
    system_prompt = st.text_area(
        _("System prompt"), now.system_prompt or "", placeholder=inherited.system_prompt, key=f"system-{key}", height=68
    )
    left, right = st.columns(2)
    temperature = left.number_input(
        _("Temperature"), 0.0, 2.0, now.temperature, 0.1, placeholder=f"{inherited.temperature:g}", key=f"warm-{key}"
    )
    top_p = right.number_input(
        _("Share of likely words (top_p)"),
        0.01,
        1.0,
        now.top_p,
        0.05,
        placeholder=f"{inherited.top_p:g}",
        key=f"p-{key}",
    )
    max_tokens = left.number_input(
        _("Most tokens of an answer"),
        16,
        131_072,
        now.max_tokens,
        placeholder=str(inherited.max_tokens),
        key=f"tokens-{key}",
    )
    stop = right.text_area(
        _("Stop at"),
        "\n".join(map(escaped, now.stop or ())),
        help=_("Texts that end the answer, one in each line; \\\\n stands for a line break, \\\\t for a tab."),
        key=f"stop-{key}",
        height=68,
    )
    return {
        "system_prompt": system_prompt.strip() or None,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "stop": [_unescaped(line) for line in stop.split("\n") if line] or None,
    }


def _memory_fields(services: Services, now: Choices, mode: str, key: str) -> dict[str, Any]:
    inherited = settle(Choices(), services.product, mode)
    memory = st.selectbox(
        _("What the chat remembers"),
        MEMORIES,
        index=MEMORIES.index(now.memory) if now.memory else None,
        format_func=lambda memory: _(MEMORY_WORDS[memory]),
        placeholder=_(MEMORY_WORDS[inherited.memory]),
        key=f"memory-{key}",
    )
    left, right = st.columns(2)
    turns = left.number_input(
        _("Turns"), 1, 200, now.memory_turns, placeholder=str(inherited.memory_turns), key=f"turns-{key}"
    )
    tokens = right.number_input(
        _("Tokens"), 64, 1_000_000, now.memory_tokens, placeholder=str(inherited.memory_tokens), key=f"budget-{key}"
    )
    return {"memory": memory, "memory_turns": turns, "memory_tokens": tokens}


def _filter_fields(now: Choices, documents: Sequence[str], types: Sequence[str], key: str) -> dict[str, Any]:
    place, kept = f"documents-{key}", now.documents or ()
    # What was chosen stays on offer when the names that are offered change.
    names = sorted({*documents, *kept, *st.session_state.get(place, ())})
    kinds = sorted({*types, *(now.types or ())})
    chosen_documents = st.multiselect(_("Only these documents"), names, kept, placeholder=_("all"), key=place)
    chosen_types = st.multiselect(
        _("Only these types"), kinds, now.types or (), format_func=_ending, placeholder=_("all"), key=f"types-{key}"
    )
    left, right = st.columns(2)
    since = left.date_input(_("Added from"), now.since, key=f"since-{key}")
    until = right.date_input(_("Added until"), now.until, key=f"until-{key}")
    return {
        "documents": tuple(chosen_documents) or None,
        "types": tuple(chosen_types) or None,
        "since": since,
        "until": until,
    }


def _ending(media_type: str) -> str:
    return markdown_text(format_name(media_type))


def _apply(services: Services, talk: ConversationRecord | None, now: Choices, values: dict[str, Any]) -> None:
    wanted = Choices.of({**now.row(), **values})
    if talk:
        services.conversations.choose(talk.owner_id, talk.id, wanted)
    else:
        st.session_state[NEW] = wanted.row()


def _preset(services: Services, base_ids: Sequence[str], values: dict[str, Any]) -> None:
    wanted = Choices.of({name: values[name] for name in PRESET if name in values})
    for base_id in base_ids:
        services.presets.choose(base_id, wanted)
    st.toast(_("Saved as the defaults of these bases."))


def _unescaped(line: str) -> str:
    meant = {"\\\\": "\\", "\\n": "\n", "\\t": "\t"}
    return re.sub(r"\\[\\nt]", lambda found: meant[found[0]], line)
