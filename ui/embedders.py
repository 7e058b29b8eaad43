"""What makes the vectors of a base: choosing it, and saying what is not well with it."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.errors import AppError
from services.core.phrases import state_word
from services.core.vector_errors import EmbedderAway
from services.knowledge.embedders.probing import NO_WISH
from services.knowledge.embedders.protocol import SERVER, EmbedderSpec
from services.knowledge.embedders.registry import BUILT_IN
from services.llm.model_names import looks_like_embedder
from services.serving.engines.registry import EMBEDDERS, REMOTE
from services.serving.states import AT_REST, COMING, READY
from services.store.bases import BaseRecord
from services.store.servers import ServerRecord
from ui import errors
from ui.i18n import _, language
from ui.widgets import remark, safe_text

SERVERS_PAGE = "pages/4_Servers.py"
OF_ANY_KIND = (REMOTE, "ollama", "ssh")
"""Engines whose servers may make vectors or not: it shows when they are asked."""
POLL_S, LOOK_AGAIN_S = 2.0, 5.0


def choose(services: Services, key: str, now: EmbedderSpec | None = None) -> tuple[str, bool]:
    """Let the reader choose an embedder.

    Args:
        now: the one that is to be changed.

    Returns its key, and whether its server should be asked anew for the model that it serves.
    """
    rows = {SERVER + row.name: row for row in services.embedding_servers.offered() if _may_embed(row)}
    keys = list(dict.fromkeys([*BUILT_IN, *rows, *([now.key] if now else [])]))
    chosen = st.selectbox(
        _("Embedder"),
        keys,
        index=keys.index(now.key) if now else 0,
        format_func=lambda one: _title(one, rows.get(one)),
        help=_("It turns each passage and each question into a vector, so that passages are found by their meaning."),
        key=f"{key}.embedder",
    )
    if chosen in BUILT_IN:
        safe_text(_("English and Chinese, on this machine's processor; it needs no server."), muted=True, small=True)
    elif chosen in rows:
        _server(services, rows[chosen].id)
    if not any(row.engine not in OF_ANY_KIND for row in rows.values()):
        safe_text(
            _(
                "There is no embeddings server of Lectern yet. One with a larger model knows more languages or reads "
                "longer passages: start one with the engine “embeddings”."
            ),
            muted=True,
            small=True,
        )
        _to_servers()
    again = (
        now is not None
        and chosen == now.key
        and chosen in rows
        and st.checkbox(
            _("Take the model that it serves now"),
            help=_("Without this, the base stays with {model}.", model=now.asked_as or now.model),
            key=f"{key}.again",
        )
    )
    return chosen, again


def chosen_spec(services: Services, chosen: tuple[str, bool], now: EmbedderSpec | None = None) -> EmbedderSpec:
    """The spec of what was chosen; a server is asked for it unless nothing changes.

    Raises: InvalidValue, and what a server that cannot be asked raises.
    """
    key, again = chosen
    if now is not None and key == now.key and not again:
        return now
    return services.embedder_choices.spec(key, NO_WISH)


def trouble(services: Services, base: BaseRecord) -> None:
    """Say what keeps the embedder of a base from being asked, until it can be; nothing where all is well."""
    found = services.embedder_trouble(base)
    if found is not None:
        st.fragment(run_every=LOOK_AGAIN_S)(_trouble_until_over)(services, base, [found])


def _trouble_until_over(services: Services, base: BaseRecord, known: list[AppError]) -> None:
    """Args: known: what the page has just found; the first run takes it away, and later ones look again."""
    with errors.shown():
        found = known.pop() if known else services.embedder_trouble(base)
        if found is None:
            st.rerun()
        say(services, base, found)


def say(services: Services, base: BaseRecord, found: AppError) -> None:
    """What is not well with the embedder of a base, and how to help."""
    with st.container(border=True, gap="xsmall", key=f"lectern-embedder-{base.id}-{base.embedder}"):
        remark(found.render(language()))
        if not isinstance(found, EmbedderAway):
            means = _("Until then, questions are searched by words only, and new documents fail.")
            safe_text(means, muted=True, small=True)
        record = _server_of(services, base)
        with st.container(horizontal=True, vertical_alignment="center"):
            if record is not None:
                _start(services, record, f"start-embedder-{base.id}-{base.embedder}")
            _to_servers()


def title(base: BaseRecord) -> str:
    """An embedder as a fact of a base: its key, with the model where that is a server."""
    model = base.embedder_options.get("model")
    return f"{base.embedder.removeprefix(SERVER)} ({model})" if model else base.embedder


def _may_embed(row: ServerRecord) -> bool:
    """Whether a server makes vectors, as far as its engine and the name of its model tell."""
    return row.engine in EMBEDDERS or row.engine in OF_ANY_KIND or looks_like_embedder(row.model)


def _title(key: str, row: ServerRecord | None) -> str:
    if key in BUILT_IN:
        return _("{name} (comes with Lectern)", name=key)
    name = key.removeprefix(SERVER)
    if row is None:
        return _("{name} (there is no such server any more)", name=name)
    return " · ".join(part for part in (name, row.model, state_word(row.state, language())) if part)


def _server(services: Services, id: str) -> None:
    """How a server is now, until it is ready."""
    ready = services.servers.show(id).state == READY
    st.fragment(run_every=None if ready else POLL_S)(_state)(services, id)


def _state(services: Services, id: str) -> None:
    with errors.shown():
        record = services.servers.show(id)
        if record.state == READY:
            safe_text(
                _(
                    "Its vectors come from the server “{name}”, which is ready. While it does not run, questions are "
                    "searched by words only and new documents wait.",
                    name=record.name,
                ),
                muted=True,
                small=True,
            )
            return
        state = state_word(record.state, language())
        safe_text(
            _(
                "State of the server “{name}”: {state}. It must answer once before a base can use it.",
                name=record.name,
                state=state,
            ),
            muted=True,
            small=True,
        )
        _start(services, record, f"start-choice-{record.id}")


def _start(services: Services, record: ServerRecord, key: str) -> None:
    if record.managed and record.state in AT_REST and record.wish not in COMING:
        st.button(
            _("Start it"),
            icon=":material/play_arrow:",
            key=key,
            on_click=errors.attempt,
            args=(services.servers.start, record.id),
        )


def _server_of(services: Services, base: BaseRecord) -> ServerRecord | None:
    name = services.knowledge.embedder_spec(base).server
    return next((row for row in services.servers.list() if row.name == name), None)


def _to_servers() -> None:
    st.page_link(SERVERS_PAGE, label=_("Servers"), icon=":material/dns:")
