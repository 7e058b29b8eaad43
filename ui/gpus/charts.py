"""How it was: memory, utilisation, temperature, power and the host over time, on scales that never change."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.clock import now_ms
from services.core.i18n import N_
from services.core.units import GIB
from services.gpu.history import key_of
from services.gpu.readings import GpuReading, HostReading, Snapshot
from services.health import worker_status
from ui.gpus.past import Past, newest_ms, past
from ui.gpus.specs import COLOURS, Chart, domain_of, spec_of
from ui.i18n import _, clock_time
from ui.text import html_text

RANGES = {
    900: N_("15 min"),
    3_600: N_("1 h"),
    21_600: N_("6 h"),
    86_400: N_("24 h"),
    604_800: N_("7 d"),
    2_592_000: N_("30 d"),
}
"""Seconds, and what each range is called."""
FIRST_RANGE = 900
LATE_MS = 60_000
PERCENT = 100.0
BOILING_CELSIUS = 100.0
SOME_WATTS = 1_000.0
SOME_GIB = 100.0


def history(services: Services, snapshot: Snapshot) -> None:
    """The charts with their range."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(_("History"), anchor=False, width="content")
        seconds = st.segmented_control(
            _("Range"),
            list(RANGES),
            format_func=lambda seconds: _(RANGES[seconds]),
            default=FIRST_RANGE,
            required=True,
            key="gpus.range",
            label_visibility="collapsed",
        )
    _charts(services, snapshot, seconds or FIRST_RANGE)


def _charts(services: Services, snapshot: Snapshot, seconds: int) -> None:
    until_ms = newest_ms(now_ms(), seconds)
    names = tuple((_name(gpu), key_of(gpu)) for gpu in snapshot.gpus)
    known = past(services.gpus.history, seconds, until_ms, names, round(services.settings.sample_every_s * 1000))
    st.html(_legend_html(snapshot.gpus, _said(services, known, until_ms - seconds * 1000)))
    if known is None:
        return
    charts = [*(_gpu_charts(snapshot.gpus) if snapshot.gpus else ()), *_host_charts(snapshot.host)]
    with st.container(key="lectern-charts"):
        for chart in charts:
            st.vega_lite_chart(
                spec=spec_of(chart, seconds, known.tables[chart.figure]),
                key=f"gpus-{chart.figure}",
                alt=f"{chart.title}, {_(RANGES[seconds])}",
            )


def _said(services: Services, known: Past | None, since_ms: int) -> str:
    if known is None and worker_status(services).running:
        return _("Nothing was sampled in this time yet. The first points come in a few seconds.")
    if known is None:
        return _("Nothing was sampled in this time: the background worker samples, and it is not running.")
    if known.first_ms - since_ms > LATE_MS:
        return _("Sampled since {time}.", time=clock_time(known.first_ms))
    return ""


def _legend_html(gpus: tuple[GpuReading, ...], said: str) -> str:
    """What the lines are; without a GPU, the host's."""
    lines = [
        (f"g{place % COLOURS}{' dashed' if place >= COLOURS else ''}", _name(gpu)) for place, gpu in enumerate(gpus)
    ]
    names = "".join(
        f'<span><i class="line {look}"></i>{html_text(name)}</span>' for look, name in lines or [("own", _("Host"))]
    )
    return f'<div class="lectern-lines">{names}<span class="said">{html_text(said)}</span></div>'


def _gpu_charts(gpus: tuple[GpuReading, ...]) -> tuple[Chart, ...]:
    lines = tuple(_name(gpu) for gpu in gpus)
    memory = domain_of([gpu.total_bytes / GIB if gpu.total_bytes else None for gpu in gpus], SOME_GIB)
    power = domain_of([gpu.power_limit_watts for gpu in gpus], SOME_WATTS)
    return (
        Chart("used_mib", _("Memory, GiB"), memory, lines),
        Chart("utilization_percent", _("Utilisation, %"), PERCENT, lines),
        Chart("temperature_celsius", _("Temperature, °C"), BOILING_CELSIUS, lines),
        Chart("power_watts", _("Power, W"), power, lines),
    )


def _host_charts(host: HostReading) -> tuple[Chart, ...]:
    memory = domain_of([host.memory_total_bytes / GIB if host.memory_total_bytes else None], SOME_GIB)
    return (
        Chart("cpu_percent", _("Host processors, %"), PERCENT),
        Chart("memory_mib", _("Host memory, GiB"), memory),
    )


def _name(gpu: GpuReading) -> str:
    return f"GPU {gpu.index}"
