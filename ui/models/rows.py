"""Models on the page: what is on this machine, whether it would run now, starting a server with it, deleting it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import streamlit as st

from services.app import Services
from services.core.i18n import N_
from services.core.units import MIB, bytes_text
from services.hub.cards import Card
from services.hub.catalogue import catalogue
from services.hub.local_models import LocalModel
from services.hub.local_models_fit import Fit, of_model
from ui import errors, i18n
from ui.i18n import _
from ui.widgets import icon_button, mono, remark, row, safe_text

PAGE_SIZE = 20
STEP_BYTES = 256 * MIB
"""Free memory is counted in such steps, so that a model is not planned again for each megabyte."""
BADGES = {"fits": "fits", "changed": "fits_changed", "no": "does_not_fit", "unknown": ""}
SOURCES = {
    "lectern": N_("downloaded here"),
    "folder": N_("in a chosen folder"),
    "hf": N_("in the cache of Hugging Face"),
    "modelscope": N_("in the cache of ModelScope"),
    "ollama": N_("in Ollama's store"),
}
USES = {"chat": N_("chat"), "embedder": N_("embedder"), "reranker": N_("reranker")}
AUTOMATIC = ""

Room = tuple[tuple[Card, ...], Card | None]


def room(services: Services) -> Room:
    """The memory that is free now, in steps."""
    cards, host = services.room()
    return tuple(map(_stepped, cards)), _stepped(host) if host else None


def model_list(services: Services, models: Sequence[LocalModel], free: Room) -> None:
    """Every model on this machine as a row."""
    st.subheader(_("On this machine"), anchor=False)
    wanted = ""
    if len(models) > PAGE_SIZE:
        wanted = st.text_input(
            _("Find a model"), key="models.filter", placeholder=_("part of its name"), label_visibility="collapsed"
        )
    found = [model for model in models if wanted.casefold() in model.name.casefold()]
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = st.pagination(pages, key="models.page") if pages > 1 else 1
    with st.container(gap="xsmall", key="lectern-models"):
        for model in found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]:
            _model(services, model, free)


def size_text(parameters: float | None) -> str | None:
    """A number of parameters as people say it: 8.2B, 494M."""
    if parameters is None:
        return None
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"


def _model(services: Services, model: LocalModel, free: Room) -> None:
    facts, fit, key = model.facts, _fit(model, *free), str(model.path)
    told = [
        _(USES[facts.use]) if facts.use else None,
        facts.family,
        size_text(facts.parameters),
        facts.quantisation,
        facts.format,
        _("{tokens} tokens of context", tokens=f"{facts.context:,}") if facts.context else None,
        bytes_text(model.bytes),
        model.licence,
        _(SOURCES[model.source]),
    ]
    with row(model.name, told, "broken" if facts.error else BADGES[fit.verdict], code=True) as beneath:
        if not facts.error and st.button(_("Start a server"), key=f"word-serve-{key}", icon=":material/play_circle:"):
            _serve(services, model, fit)
        label = _("Delete {name}", name=model.name)
        if model.source != "ollama" and icon_button(label, ":material/delete:", key=f"delete-{key}"):
            _confirm(services, model)
    with beneath:
        if facts.error:
            remark(facts.error.render(i18n.language()))
        elif fit.verdict == "changed":
            safe_text(_("Fits with {changes}.", changes=_changes(fit)), muted=True, small=True)


def _changes(fit: Fit) -> str:
    return ", ".join(f"{key} {value}" for key, value in fit.choices.items())


def _serve(services: Services, model: LocalModel, fit: Fit) -> None:
    @st.dialog(_("Start a server"))
    def ask() -> None:
        with errors.shown():
            mono(model.name)
            titles = {AUTOMATIC: _("By the model and the free memory")}
            if model.facts.use == "chat" and model.facts.format != "gguf":
                titles |= {preset.key: _(preset.title) for preset in catalogue(services.settings.home).presets}
            preset = st.radio(_("Way to start"), list(titles), format_func=titles.__getitem__)
            if preset == AUTOMATIC and fit.verdict == "changed":
                safe_text(_("It takes {changes}, with which it fits now.", changes=_changes(fit)), muted=True)
            if fit.verdict == "no":
                safe_text(_("The memory that is free now will not do: stop another server first."), muted=True)
            safe_text(_("It is added stopped: look at its settings on the Servers page, then start it."), muted=True)
            if st.button(_("Add the server"), type="primary", key="serve-confirmed"):
                services.serve(str(model.path), preset=preset)
                st.switch_page("pages/4_Servers.py")

    ask()


def _confirm(services: Services, model: LocalModel) -> None:
    @st.dialog(_("Delete this model?"))
    def ask() -> None:
        with errors.shown():
            mono(model.path)
            safe_text(_("{size} come free. It can be downloaded again.", size=bytes_text(model.bytes)), muted=True)
            if model.source != "lectern":
                safe_text(_("Lectern has not downloaded it: other programs may need it."), muted=True)
            if st.button(_("Delete"), type="primary", key="delete-confirmed"):
                services.models.remove(str(model.path))
                st.rerun()

    ask()


def _stepped(card: Card) -> Card:
    return replace(card, free_bytes=card.free_bytes // STEP_BYTES * STEP_BYTES)


@lru_cache(maxsize=512)
def _fit(model: LocalModel, cards: tuple[Card, ...], host: Card | None) -> Fit:
    return of_model(model, cards, host)
