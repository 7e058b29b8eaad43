"""Beside the form of a server: whether it would fit now, and the command that would be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from services.app import Services
from services.core.errors import AppError, EngineNotInstalled
from services.core.units import UNKNOWN, bytes_text
from services.hub.plan_types import MemoryPlan
from services.hub.plan_wish import Fitting, choices_of
from services.serving.engines.registry import ENGINES
from services.store.servers import ServerRecord
from ui import i18n
from ui.gpus.bars import bar_html, share, swatch_html
from ui.i18n import _
from ui.servers import engines
from ui.text import html_text, markdown_text
from ui.widgets import remark, safe_text, state_html

STYLE = Path(__file__).parents[1] / "gpus" / "style.css"
WEIGHTS, CACHE, ACTIVATIONS, OVERHEAD, OTHERS, FREE = "s0", "s1", "s2", "s3", "others", "free"

Take = Callable[[Mapping[str, Any]], None]
"""Takes choices over into the form."""


def answer(services: Services, engine: str, choices: Mapping[str, Any], take: Take) -> None:
    """Whether it would fit into the memory that is free now.

    Raises: InvalidValue, where the choices are none.
    """
    st.subheader(_("Will it fit?"), anchor=False)
    try:
        found = services.fits(engine, choices)
    except AppError as error:
        rendered = error.render(i18n.language())
        safe_text(f"{UNKNOWN}. {rendered.message} {rendered.remedy}", muted=True)
        return
    plan = found.plan
    safe_text(
        _(
            "Rule of thumb: {billions} billion parameters × {bits} bits ÷ 8 = {size}.",
            billions=f"{plan.rule.parameters / 1e9:.2f}",
            bits=f"{plan.rule.bits:g}",
            size=bytes_text(plan.rule.bytes),
        ),
        muted=True,
    )
    verdict(plan)
    _suggestions(engine, plan, take)
    st.html(STYLE)
    st.html(memory_html(found))


def summary(services: Services, record: ServerRecord) -> str:
    """One line about a server that rests: what it would take, and whether that is free."""
    try:
        found = services.what_if(record).plan
    except AppError:
        return _("Its memory cannot be planned.")
    amount = bytes_text(found.claim_bytes)
    if found.place == "gpu":
        claims = ", ".join(_("{amount} on GPU {index}", amount=amount, index=index) for index in found.gpus)
    else:
        claims = _("{amount} on this machine", amount=amount)
    if found.fits:
        return _("Planned: {claims}; that is free now.", claims=claims)
    return _("Planned: {claims}; it does not fit now.", claims=claims)


def verdict(plan: MemoryPlan) -> None:
    """Whether it fits, and why or why not."""
    helped = any(suggestion.flags for suggestion in plan.suggestions)
    st.html(state_html("fits" if plan.fits else "fits_changed" if helped else "does_not_fit"))
    for reason in plan.reasons:
        safe_text(reason.words(_))
    if 0 < plan.max_model_len_that_fits < plan.max_model_len:
        safe_text(_("Longest context that fits: {tokens} tokens.", tokens=f"{plan.max_model_len_that_fits:,}"))


def command(services: Services, engine: str, choices: Mapping[str, Any]) -> None:
    """The command line of a start, to be copied; how the engine is installed where it is not.

    Raises: InvalidValue, where the choices are none.
    """
    st.subheader(_("The command"), anchor=False)
    try:
        text = services.servers.command(engine, choices)
    except EngineNotInstalled as error:
        remark(error.render(i18n.language()))
        reason = error.params.get("reason")
        install = reason["params"].get("command") if isinstance(reason, Mapping) else None
        if install:
            st.code(install, language="bash", wrap_lines=True)
        environment = ENGINES[engine].environment
        if environment and install:
            engines.offer(services, environment)
        return
    st.code(text, language="bash", wrap_lines=True)
    safe_text(_("It is given a free port at its start. Keys and passwords are masked."), muted=True, small=True)


def memory_html(found: Fitting) -> str:
    """The memory of the fullest GPU, or of the host, as one bar from nothing to its capacity, with its parts."""
    plan, card = found.plan, found.card
    held, total = plan.per_gpu, card.total_bytes
    fixed = held.weights_bytes + held.activation_bytes + held.overhead_bytes
    # vLLM makes all of its share into cache, however short the context is.
    cache = max(held.kv_bytes, held.reserved_bytes - fixed) if plan.fits else held.kv_bytes
    others = total - card.free_bytes
    left = total - others - fixed - cache
    parts = [
        (OTHERS, _("held by others"), others),
        (WEIGHTS, _("weights"), held.weights_bytes),
        (CACHE, _("KV cache"), cache),
        (ACTIVATIONS, _("activations"), held.activation_bytes),
        (OVERHEAD, _("graphs, buffers, context"), held.overhead_bytes),
    ]
    count = len(plan.gpus)
    if plan.place == "host":
        title = _("This machine")
    elif count > 1:
        title = _("GPU {index}, the fullest of {n}", index=card.index, n=count)
    else:
        title = _("GPU {index}", index=card.index)
    figures = f"{title}: {bytes_text(total)}"
    widths, room = [], 100.0
    for look, _name, size in parts:  # what is too much ends at the capacity
        width = min(room, share(size, total) or 0.0)
        widths.append((look, width))
        room -= width
    rest = (FREE, _("free"), left) if left >= 0 else ("", _("missing"), -left)
    legend = "".join(_legend_html(*part) for part in (*parts, rest))
    return (
        '<div class="lectern-gpus"><div class="gpu">'
        f'<div class="line"><span class="label">{html_text(title)}</span>'
        f'<span class="value">{bytes_text(total)}</span></div>'
        f'{bar_html(figures, widths, tall=True)}<ul class="legend">{legend}</ul></div></div>'
    )


def _legend_html(look: str, name: str, size: int) -> str:
    swatch = swatch_html(look) if look else '<span class="lectern-icon" aria-hidden="true">warning</span>'
    return (
        f'<li>{swatch}<span class="who"><span class="name">{html_text(name)}</span></span>'
        f'<span class="amount">{bytes_text(size)}</span></li>'
    )


def _suggestions(engine: str, plan: MemoryPlan, take: Take) -> None:
    for number, suggestion in enumerate(plan.suggestions):
        choices = choices_of(engine, suggestion.flags)
        safe_text(_("Try: {suggestion}", suggestion=suggestion.words(_)))
        if choices:
            told = ", ".join(f"{name} {_told(value)}" for name, value in choices.items())
            st.button(
                _("Take over {choices}", choices=markdown_text(told)),
                key=f"take-{number}",
                icon=":material/edit:",
                on_click=take,
                args=(choices,),
            )


def _told(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
