"""How a running server does: its figures now and over the last quarter of an hour, in a dialog that refreshes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import streamlit as st

from services.app import Services
from services.core.clock import now_ms
from services.core.errors import ServerNotFound
from services.core.units import UNKNOWN, milliseconds_text
from services.serving.engine_metrics import Figures
from services.serving.figures import KEPT_MS, Moment
from services.store.servers import ServerRecord
from ui import errors
from ui.gpus.past import AT, HOST
from ui.gpus.specs import HOST_COLOUR, Chart, spec_of
from ui.i18n import _
from ui.widgets import Card, cards, safe_text

POLL_S = 2.0
GAP_MS = 10_000
SPAN_S = KEPT_MS // 1000
PERCENT = 100.0
LEGEND_HEIGHT = 38
SOME_REQUESTS, SOME_TOKENS, SOME_MS = 10.0, 100.0, 1_000.0
"""Where the scales of what has no capacity end at first; from there on they grow tenfold."""
Line = Callable[[Figures], float | None]


def dialog(services: Services, record: ServerRecord) -> None:
    """Open the figures of a server. They are read only while the dialog stands open."""

    @st.dialog(_("Live"), width="large", on_dismiss="rerun")  # the rerun ends the refreshing
    def show() -> None:
        safe_text(record.name, muted=True)
        st.fragment(run_every=POLL_S)(_figures)(services, record.id)

    show()


def _figures(services: Services, server_id: str) -> None:
    with errors.shown():
        try:
            record = services.servers.show(server_id)
        except ServerNotFound:
            safe_text(_("This server was removed."), muted=True)
            return
        told, past = services.servers.live(record), services.servers.live_past(record)
        cards(_cards(told or Figures()))
        if not told:
            safe_text(_silence(record, past), muted=True)
        if past:
            _charts(past)


def _silence(record: ServerRecord, past: Sequence[Moment]) -> str:
    if record.state != "ready":
        return _("The server is not ready: there are no figures of now.")
    if past:
        return _("No figures for some seconds: the server or the background worker does not answer.")
    return _("No figures yet. vLLM and llama.cpp tell them, within seconds; other engines have none.")


def _cards(told: Figures) -> list[Card]:
    p95 = "" if told.ttft_p95_ms is None else _("95% within {time}", time=milliseconds_text(told.ttft_p95_ms))
    return [
        Card(_("Requests running"), _count(told.running)),
        Card(_("Requests waiting"), _count(told.waiting)),
        Card(_("Prompt tokens"), _rate(told.prompt_tokens_per_second)),
        Card(_("Generated tokens"), _rate(told.generated_tokens_per_second)),
        Card(_("Time to first token"), None if told.ttft_ms is None else milliseconds_text(told.ttft_ms), p95),
        Card(_("KV cache in use"), None if told.kv_cache_percent is None else f"{told.kv_cache_percent:.1f} %"),
    ]


def _count(number: float | None) -> str:
    return UNKNOWN if number is None else f"{number:,.0f}"


def _rate(rate: float | None) -> str:
    return UNKNOWN if rate is None else _("{rate} tokens/s", rate=f"{rate:,.1f}")


def _charts(past: Sequence[Moment]) -> None:
    requests: dict[str, Line] = {_("running"): lambda one: one.running, _("waiting"): lambda one: one.waiting}
    tokens: dict[str, Line] = {
        _("prompt"): lambda one: one.prompt_tokens_per_second,
        _("generated"): lambda one: one.generated_tokens_per_second,
    }
    drawn: list[tuple[str, str, dict[str, Line], float]] = [
        ("requests", _("Requests"), requests, SOME_REQUESTS),
        ("tokens", _("Tokens per second"), tokens, SOME_TOKENS),
        ("ttft", _("Time to first token, ms"), {HOST: lambda one: one.ttft_ms}, SOME_MS),
        ("cache", _("KV cache, %"), {HOST: lambda one: one.kv_cache_percent}, PERCENT),
    ]
    for first in range(0, len(drawn), 2):
        for column, (key, title, lines, least) in zip(st.columns(2), drawn[first : first + 2], strict=True):
            values = {name: [line(moment.figures) for moment in past] for name, line in lines.items()}
            if any(value is not None for column_values in values.values() for value in column_values):
                chart = Chart(key, title, scale_end(values.values(), least), tuple(lines))
                spec = _spec(chart, table_of(past, values, gaps=key != "ttft"))
                column.vega_lite_chart(spec=spec, key=f"live-{key}", alt=title)


def scale_end(columns: Any, least: float) -> float:
    """Where a scale without a capacity ends: at a power of ten times its least end, above all that was seen."""
    highest = max((value for column in columns for value in column if value is not None), default=0.0)
    end = least
    while end < highest:
        end *= 10
    return end


def table_of(past: Sequence[Moment], values: dict[str, list[float | None]], *, gaps: bool) -> pa.Table:
    """The points of a chart, from 15 minutes ago until now.

    Args:
        gaps: whether missing values interrupt the line; else only the known ones are points of it.
    """
    until_ms = now_ms()
    empty = [None] * len(values)
    rows: list[tuple[float, Sequence[float | None]]] = [(float(until_ms - KEPT_MS), empty)]
    for moment, row in zip(past, zip(*values.values(), strict=True), strict=True):
        if gaps and moment.at_ms - rows[-1][0] > GAP_MS:
            rows.append((rows[-1][0] + 1, empty))
        if gaps or any(value is not None for value in row):
            rows.append((float(moment.at_ms), row))
    rows.append((float(until_ms), empty))
    lines = {name: [row[place] for _, row in rows] for place, name in enumerate(values)}
    return pa.table({AT: [at for at, _ in rows]} | {name: pa.array(line, pa.float64()) for name, line in lines.items()})


def _spec(chart: Chart, table: pa.Table) -> dict[str, Any]:
    """As on the GPUs page; two lines are named above them, and an answer that stands alone is a dot."""
    spec = spec_of(chart, SPAN_S, table)
    lines = spec["layer"][0]
    if len(chart.lines) > 1:
        lines["encoding"]["color"]["legend"] = {"orient": "top", "title": None}
        spec["height"] += LEGEND_HEIGHT
    dot = {"filled": True, "size": 12, "color": HOST_COLOUR}
    lines["mark"]["point"] = dot if chart.figure == "ttft" else False
    return spec
