"""The machine around the GPUs: processors, memory, swap and disk as small bars with figures."""

from __future__ import annotations

from services.core.units import bytes_text
from services.gpu.readings import HostReading
from ui.gpus.bars import figure, gauge_html, memory_of, share
from ui.i18n import _, ngettext
from ui.text import html_text


def host_html(host: HostReading) -> str:
    """One panel of four gauges."""
    cores = ngettext("{n} core", "{n} cores", host.cpu_count) if host.cpu_count else ""
    load = _("load {load}", load=f"{host.load_1m:.1f}") if host.load_1m is not None else ""
    free = _("{free} free", free=bytes_text(host.disk_free_bytes)) if host.disk_free_bytes is not None else ""
    gauges = (
        gauge_html(
            _("Processors"), figure(host.cpu_percent, "%"), " · ".join(filter(None, (cores, load))), host.cpu_percent
        ),
        _memory(_("Memory"), host.memory_used_bytes, host.memory_total_bytes),
        _memory(_("Swap"), host.swap_used_bytes, host.swap_total_bytes)
        if host.swap_total_bytes != 0
        else gauge_html(_("Swap"), _("none"), "", None),
        _memory(_("Disk"), host.disk_used_bytes, host.disk_total_bytes, free),
    )
    title = _("Host")
    return f'<section class="host"><h3>{html_text(title)}</h3><div class="gauges">{"".join(gauges)}</div></section>'


def _memory(label: str, used: int | None, total: int | None, note: str = "") -> str:
    filled = share(used, total)
    return gauge_html(label, memory_of(used, total), note or figure(filled, "%"), filled)
