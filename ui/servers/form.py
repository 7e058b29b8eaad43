"""The operator's form: what a server that Lectern runs is to be, whether that fits, and what would be run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from services.app import Services
from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import fill
from services.serving.engines.registry import ENGINES
from services.store.servers import ServerRecord
from ui import errors, i18n
from ui.i18n import _
from ui.servers import plan
from ui.servers.form_fields import Fields, Form
from ui.text import html_text
from ui.widgets import safe_text

OPEN, COUNT = "servers.form", "servers.forms"
USES = {
    "vllm": N_("chat models on GPUs, for many people at a time"),
    "llama.cpp": N_("GGUF files, with or without a GPU"),
    "ollama": N_("Ollama's own models"),
    "transformers": N_("any model that the library knows, more slowly"),
    "embeddings": N_("embedders and rerankers"),
    "ssh": N_("a server on another machine, through SSH"),
}


def begin(record: ServerRecord | None = None) -> None:
    """Open the form: for a new server, or to change one that is stopped."""
    # Each form has widgets of its own, so that none begins with what another one held.
    number = st.session_state[COUNT] = st.session_state.get(COUNT, 0) + 1
    st.session_state[OPEN] = (number, record.id if record else "")


def is_open() -> bool:
    """Whether the page shows the form instead of its list."""
    return OPEN in st.session_state


def form(services: Services) -> None:
    """Draw the form; it is shut when the server was added or changed, or the reader goes back."""
    number, server_id = st.session_state[OPEN]
    known = [record for record in services.servers.list() if record.id == server_id]
    if server_id and not known:  # removed elsewhere meanwhile
        _shut()
        st.rerun()
    record = known[0] if known else None
    with st.container(horizontal=True, vertical_alignment="center"):
        title = _("Change “{name}”", name=record.name) if record else _("Run a server on this machine")
        st.html(f"<h2 class='lectern-form-title'>{html_text(title)}</h2>", width="stretch")
        st.button(_("Back"), icon=":material/arrow_back:", on_click=_shut)
    left, right = st.columns([3, 2], gap="large")
    with left:
        engine = record.engine if record else _engine(services, number)
        name = record.name if record else st.text_input(_("Name"), key=f"form.{number}.name", max_chars=80)
        about = Form(services, engine, ENGINES[engine].spec, record.spec if record else {}, f"form.{number}")
        drawn = about.draw()
        pressed = _buttons(record)
        fault = _fault(about, drawn, told=bool(pressed))
        if pressed and fault is None:
            with errors.shown():
                _keep(services, about, name, drawn, record, start="start" in pressed)
    with right:
        _beside(services, about, drawn, fault)


def _beside(services: Services, about: Form, drawn: Fields, fault: InvalidValue | None) -> None:
    if fault is not None:
        st.subheader(_("Will it fit?"), anchor=False)
        safe_text(_("This is told as soon as a model is chosen and all fields can be used."), muted=True)
        return
    choices = {**about.stored, **drawn.choices}

    def take(flags: Mapping[str, Any]) -> None:
        for name, value in flags.items():
            st.session_state[about.key(name)] = value

    plan.answer(services, about.engine, choices, take)
    plan.command(services, about.engine, choices)


def _engine(services: Services, number: int) -> str:
    key = f"form.{number}.engine"
    st.session_state.setdefault(key, "vllm" if services.gpus.now().gpus else "llama.cpp")
    titles = {engine: f"{ENGINES[engine].name} · {_(USES[engine])}" for engine in ENGINES}
    return str(st.selectbox(_("Engine"), list(titles), format_func=titles.__getitem__, key=key))


def _buttons(record: ServerRecord | None) -> str:
    """The button that was pressed; empty where none was."""
    with st.container(horizontal=True):
        if record:
            kept = st.button(_("Save"), type="primary", key="form-keep")
            started = st.button(_("Save and start"), key="form-keep-start")
        else:
            kept = st.button(_("Add"), key="form-keep")
            started = st.button(_("Add and start"), type="primary", key="form-keep-start")
    return "start" if started else "keep" if kept else ""


def _fault(about: Form, drawn: Fields, *, told: bool) -> InvalidValue | None:
    """What cannot be used, said at its field; an empty field is faulty only once a button was pressed."""
    fault = next(iter(drawn.faults.values()), None)
    if fault is None:
        try:
            about.spec.of({**about.stored, **drawn.choices})
        except InvalidValue as error:
            fault = error
    if fault is None:
        return None
    name = str(fault.params["field"]).partition(".")[0]
    empty = not drawn.choices.get(name) and name not in drawn.faults and name in about.spec.model_fields
    reason = N_("it is empty") if empty else fault.params["reason"]
    if told or not empty:
        with drawn.places.get(name, st.container()):
            words = fill(N_("This cannot be used: {reason}."), {"reason": reason}, i18n.language())
            st.html(f'<div class="lectern-remark" role="alert"><span class="message">{html_text(words)}</span></div>')
    if told and name in drawn.places:
        safe_text(_("Look at {field}.", field=name), muted=True)
    return fault


def _keep(
    services: Services, about: Form, name: str, drawn: Fields, record: ServerRecord | None, *, start: bool
) -> None:
    if record:
        kept = services.servers.change(record.id, drawn.choices)
    else:
        kept = services.servers.create(name, about.engine, drawn.choices)
    if start:
        services.servers.start(kept.id)
    _shut()
    st.rerun()


def _shut() -> None:
    st.session_state.pop(OPEN, None)
