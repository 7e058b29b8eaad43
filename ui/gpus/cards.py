"""One card for each GPU: its memory and who holds it, then how it works and what holds it back."""

from __future__ import annotations

from services.core.units import MIB, UNKNOWN
from services.gpu.nvml_codes import THROTTLE_REASONS
from services.gpu.readings import DriverState, Ecc, GpuReading, Pcie, Snapshot
from ui.gpus.bars import figure, gauge_html, memory_of, share
from ui.gpus.memory import Looks, Part, memory_html
from ui.i18n import _, ngettext
from ui.text import html_text

IDLE = "idle"


def summary_html(snapshot: Snapshot) -> str:
    """One line about the machine."""
    return f"<span>{' · '.join(html_text(fact) for fact in _facts(snapshot))}</span>"


def stale_html(age: str) -> str:
    """How old a reading is that is not fresh."""
    icon = '<span class="lectern-icon" aria-hidden="true">history</span>'
    return f'<span class="stale">{icon}{html_text(age)}</span>'


def _facts(snapshot: Snapshot) -> list[str]:
    driver, gpus = snapshot.driver, snapshot.gpus
    used, total = _total([gpu.used_bytes for gpu in gpus]), _total([gpu.total_bytes for gpu in gpus])
    power = [gpu.power_watts for gpu in gpus if gpu.power_watts is not None]
    return [
        ngettext("{n} GPU", "{n} GPUs", len(gpus)),
        *([memory_of(used, total)] if used is not None else []),
        *([figure(sum(power), "W")] if len(power) == len(gpus) else []),
        *([_("driver {version}", version=driver.version)] if driver.version else []),
        *([f"CUDA {driver.cuda_version}"] if driver.cuda_version else []),
    ]


def card_html(gpu: GpuReading, colours: Looks, planned: Part | None = None) -> str:
    """A GPU, with what is planned for it; one that does not answer says why."""
    name = gpu.name or _("unknown model")
    head = f'<header><span class="index">GPU {gpu.index}</span><span class="name">{html_text(name)}</span></header>'
    if gpu.error:
        return f'<article class="gpu lost">{head}{_lost_html(gpu.error)}</article>'
    return (
        f'<article class="gpu">{head}{memory_html(gpu, colours, planned)}'
        f'<div class="gauges">{_gauges_html(gpu)}</div><dl>{_details_html(gpu)}</dl></article>'
    )


def no_gpu_html(driver: DriverState) -> str:
    """Why there is no GPU to be seen, and what to do. It is no failure: everything runs on the CPU meanwhile."""
    reason = _("Reason: {reason}.", reason=_(driver.reason)) if driver.reason else _("The driver lists no GPU.")
    title = _("No GPU on this machine")
    remedy = _(
        "If this machine has an NVIDIA GPU, install NVIDIA's driver; the card appears here by itself. "
        "Until then everything runs on the CPU."
    )
    return (
        '<div class="none"><span class="lectern-icon" aria-hidden="true">memory</span>'
        f'<div><p class="title">{html_text(title)}</p>'
        f"<p>{html_text(reason)}</p><p>{html_text(remedy)}</p></div></div>"
    )


def _lost_html(reason: str) -> str:
    state, told = _("does not answer"), _("Reason: {reason}.", reason=_(reason))
    remedy = _("What ran on it has ended or hangs. Restarting the machine often brings the GPU back.")
    return (
        '<div class="lectern-badge failed"><span class="lectern-icon" aria-hidden="true">error</span>'
        f"{html_text(state)}</div><p>{html_text(told)}</p><p>{html_text(remedy)}</p>"
    )


def _gauges_html(gpu: GpuReading) -> str:
    temperature, limit = gpu.temperature_celsius, gpu.temperature_limit_celsius
    hot = temperature is not None and limit is not None and temperature >= limit
    return "".join(
        (
            gauge_html(
                _("Utilisation"),
                figure(gpu.utilization_percent, "%"),
                _("memory {share}", share=figure(gpu.memory_utilization_percent, "%")),
                gpu.utilization_percent,
            ),
            gauge_html(
                _("Temperature"),
                figure(temperature, "°C"),
                _("slows at {limit}", limit=figure(limit, "°C")),
                share(temperature, limit),
                warn=hot,
            ),
            gauge_html(
                _("Power"),
                figure(gpu.power_watts, "W"),
                _("of {limit}", limit=figure(gpu.power_limit_watts, "W")),
                share(gpu.power_watts, gpu.power_limit_watts),
            ),
            gauge_html(
                _("Clock"),
                figure(gpu.sm_clock_mhz, "MHz"),
                _("of {limit}", limit=figure(gpu.max_sm_clock_mhz, "MHz")),
                share(gpu.sm_clock_mhz, gpu.max_sm_clock_mhz),
            ),
        )
    )


def _details_html(gpu: GpuReading) -> str:
    held, ecc, link = _throttle(gpu.throttle_reasons), gpu.ecc, gpu.pcie
    broken = bool(ecc.uncorrected or ecc.uncorrected_lifetime)
    state = UNKNOWN if gpu.performance_state is None else f"P{gpu.performance_state}"
    return "".join(
        (
            _detail(_("Held back by"), held or _("nothing"), "long warn" if held and held != UNKNOWN else "long"),
            _detail("ECC", _ecc(ecc), "long bad" if broken else "long"),
            _detail(_("Memory clock"), _clock(gpu.memory_clock_mhz, gpu.max_memory_clock_mhz)),
            _detail(_("Performance state"), state),
            _detail("PCIe", _link(link)),
            _detail(_("PCIe traffic"), _traffic(link)),
        )
    )


def _detail(label: str, value: str, look: str = "") -> str:
    icon = '<span class="lectern-icon" aria-hidden="true">warning</span>' if look not in ("", "long") else ""
    shown = html_text(value)
    return f'<div class="{look}"><dt>{html_text(label)}</dt><dd title="{shown}">{icon}{shown}</dd></div>'


def _throttle(reasons: tuple[str, ...] | None) -> str:
    if reasons is None:
        return UNKNOWN
    return ", ".join(_(THROTTLE_REASONS.get(reason, reason)) for reason in reasons if reason != IDLE)


def _ecc(ecc: Ecc) -> str:
    if ecc.enabled is None:
        return UNKNOWN
    if not ecc.enabled:
        return _("off")
    counts = _(
        "{corrected} corrected, {uncorrected} uncorrected",
        corrected=_bare(ecc.corrected),
        uncorrected=_bare(ecc.uncorrected),
    )
    if ecc.uncorrected_lifetime:
        counts += " · " + _("{n} uncorrected ever", n=_bare(ecc.uncorrected_lifetime))
    return counts


def _clock(now: int | None, limit: int | None) -> str:
    return UNKNOWN if now is None else _("{now} of {limit}", now=_bare(now), limit=figure(limit, "MHz"))


def _link(link: Pcie) -> str:
    if link.generation is None or link.width is None:
        return UNKNOWN
    now = _("gen {generation} × {width}", generation=link.generation, width=link.width)
    return _("{now} of {limit}", now=now, limit=f"{_bare(link.max_generation)} × {_bare(link.max_width)}")


def _traffic(link: Pcie) -> str:
    if link.rx_bytes_per_s is None or link.tx_bytes_per_s is None:
        return UNKNOWN
    return f"↓ {link.rx_bytes_per_s / MIB:,.0f} ↑ {link.tx_bytes_per_s / MIB:,.0f} MiB/s"


def _bare(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _total(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
