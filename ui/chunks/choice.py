"""Choosing how documents are cut: the strategy with a plain sentence, and its own parameters."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.core.i18n import N_
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.chunking.registry import STRATEGIES, chunker_spec, wished_spec
from services.store.product import ProductSettings
from ui.i18n import _
from ui.widgets import safe_text

SIZE_LABELS = {
    "tokens": N_("Tokens of a chunk"),
    "propositions": N_("Characters that are rewritten at a time"),
    "parent_child": N_("Characters of a child"),
    "markdown": N_("Most characters of a section"),
}
OVERLAP_LABELS = {"tokens": N_("Tokens that neighbouring chunks share")}
OPTION_LABELS = {
    "parent_size": N_("Characters of a parent"),
    "heading_level": N_("Lowest heading that begins a chunk"),
    "rows": N_("Most rows of a chunk"),
    "breakpoint_percentile": N_("Percentage of distances that end no chunk"),
}
STEPS = {"size": 50, "overlap": 10, "parent_size": 100}


def choose(product: ProductSettings, start: ChunkerSpec | None, key: str, *, columns: int) -> ChunkerSpec:
    """Let the reader choose a spec.

    Args:
        start: what the fields show at first; None: what is usual here.
        columns: fields beside each other.

    Raises: InvalidValue.
    """
    keys = list(STRATEGIES)
    strategy = st.selectbox(
        _("Strategy"),
        keys,
        index=keys.index(start.key) if start else 0,
        format_func=lambda one: _(STRATEGIES[one].title),
        help="\n\n".join(f"**{_(one.title)}**: {_(one.summary)}" for one in STRATEGIES.values()),
        key=f"{key}.strategy",
    )
    safe_text(_(STRATEGIES[strategy].summary), muted=True, small=True)
    shown = start if start and start.key == strategy else wished_spec(product, strategy)
    names = ["size", "overlap", *shown.options]
    fields = [name for name in names if bounds(type(shown), name)[1] != 0]
    places = st.columns(columns) if columns > 1 else [st.container()]
    given = {
        name: _field(places[number % columns], shown, name, f"{key}.{strategy}") for number, name in enumerate(fields)
    }
    return chunker_spec(strategy, **given)


def bounds(kind: type[ChunkerSpec], name: str) -> tuple[int | None, int | None]:
    """The least and the most that a parameter may be."""
    limits = kind.model_fields[name].metadata
    least = next((limit.ge for limit in limits if hasattr(limit, "ge")), None)
    most = next((limit.le for limit in limits if hasattr(limit, "le")), None)
    return least, most


def _field(place: Any, spec: ChunkerSpec, name: str, key: str) -> int:
    label = {
        "size": SIZE_LABELS.get(spec.key, N_("Characters of a chunk")),
        "overlap": OVERLAP_LABELS.get(spec.key, N_("Characters that neighbouring chunks share")),
    }.get(name) or OPTION_LABELS[name]
    least, most = bounds(type(spec), name)
    value = place.number_input(_(label), least, most, getattr(spec, name), step=STEPS.get(name, 1), key=f"{key}.{name}")
    return int(value)
