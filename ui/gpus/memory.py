"""Who holds a GPU's memory: one bar from nothing to its capacity, and a legend that names every part of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.core.units import bytes_text
from services.gpu.readings import GpuReading, Holding, MigInstance, Snapshot
from ui.gpus.bars import bar_html, memory_of, share, swatch_html
from ui.i18n import _, ngettext
from ui.text import html_text

Looks = Mapping[str, str]
"""The look of each server, by its id: the same on every GPU."""

SERIES = 5
"""Colours for servers; the sixth of the series is a grey, and others' processes are grey."""
OTHERS, UNATTRIBUTED, DRIVER, FREE = "others", "unattributed", "driver", "free"
PLANNED, MISSING = "planned", "missing"
ESTIMATE = "estimate"
MISSING_ICON = '<span class="lectern-icon" aria-hidden="true">warning</span>'


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the memory: how it looks, whose it is, how much."""

    look: str
    name: str
    held_bytes: int | None
    model: str = ""
    estimated: bool = False


def looks(server_ids: Iterable[str]) -> dict[str, str]:
    """A look for each server, in the order given; after the fifth the colours come again, paler."""
    return {id: f"s{place % SERIES}" + (" pale" if place >= SERIES else "") for place, id in enumerate(server_ids)}


def all_looks(snapshot: Snapshot, server_ids: Sequence[str]) -> dict[str, str]:
    """Looks of the known servers, and of those that hold memory although nobody knows them any more."""
    holders = (holding.holder for gpu in snapshot.gpus for holding in gpu.holdings or ())
    unknown = {holder.server_id for holder in holders if holder and holder.server_id} - set(server_ids)
    return looks([*server_ids, *sorted(unknown)])


def memory_html(gpu: GpuReading, colours: Looks, planned: Part | None = None) -> str:
    """The bar of a GPU, its legend, and its MIG instances.

    Args:
        planned: what would be held as well if a server were started.
    """
    held = list(parts(gpu.holdings or (), colours))
    told = [*held, *_rest(gpu, planned)]
    figures = memory_of(gpu.used_bytes, gpu.total_bytes)
    title = _("GPU memory")
    bar = bar_html(f"{title}: {figures}", _widths(told, gpu.total_bytes), tall=True)
    legend = "".join(_legend_html(part) for part in told)
    return (
        f'<div class="line"><span class="label">{html_text(title)}</span>'
        f'<span class="value">{figures}</span></div>{bar}<ul class="legend">{legend}</ul>'
        f"{''.join(_mig_html(gpu, instance, colours) for instance in gpu.mig)}"
    )


def _widths(told: Iterable[Part], total: int | None) -> Iterator[tuple[str, float | None]]:
    """The parts of the bar; what is planned ends at the capacity."""
    room = 100.0
    for part in told:
        if part.look not in (FREE, MISSING):
            width = share(part.held_bytes, total)
            yield part.look, width if width is None or part.look != PLANNED else min(width, room)
            room = max(0.0, room - (width or 0.0))


def parts(holdings: Iterable[Holding], colours: Looks) -> Iterator[Part]:
    """What the servers hold, each as one part in the order of their looks, then all other processes as one."""
    servers: dict[str, Part] = {}
    others: list[Holding] = []
    for holding in holdings:
        holder = holding.holder
        if holder is None or holder.server_id is None:
            others.append(holding)
            continue
        known = servers.get(holder.server_id)
        if known is None:
            look = colours.get(holder.server_id, "s0")
            known = Part(look, holder.server or holder.server_id, None, holder.model or "", False)
        servers[holder.server_id] = replace(
            known,
            held_bytes=_sum(known.held_bytes, holding.used_bytes),
            estimated=known.estimated or holder.how == ESTIMATE,
        )
    yield from (servers[id] for id in [*colours, *servers.keys() - colours.keys()] if id in servers)
    if others:
        held = None
        for holding in others:
            held = _sum(held, holding.used_bytes)
        yield Part(OTHERS, ngettext("{n} other process", "{n} other processes", len(others)), held)


def _rest(gpu: GpuReading, planned: Part | None) -> Iterator[Part]:
    unattributed = gpu.used_bytes if gpu.holdings is None else gpu.unattributed_bytes
    if unattributed != 0:
        yield Part(UNATTRIBUTED, _("not attributed"), unattributed)
    if gpu.reserved_bytes:
        yield Part(DRIVER, _("kept by the driver"), gpu.reserved_bytes)
    left = gpu.free_bytes
    if planned:
        yield planned
        left = None if left is None or planned.held_bytes is None else left - planned.held_bytes
    yield Part(FREE, _("free"), left) if left is None or left >= 0 else Part(MISSING, _("missing"), -left)


def _legend_html(part: Part) -> str:
    model = f'<span class="model">{html_text(part.model)}</span>' if part.model else ""
    word = _("planned") if part.look == PLANNED else _("estimated") if part.estimated else ""
    tag = f'<span class="tag">{html_text(word)}</span>' if word else ""
    server = ' class="server"' if part.look[0] == "s" or part.look == PLANNED else ""
    return (
        f"<li{server}>{MISSING_ICON if part.look == MISSING else swatch_html(part.look)}"
        f'<span class="who"><span class="name">{html_text(part.name)}</span>{model}{tag}</span>'
        f'<span class="amount">{bytes_text(part.held_bytes)}</span></li>'
    )


def _mig_html(gpu: GpuReading, instance: MigInstance, colours: Looks) -> str:
    holdings = [holding for holding in gpu.holdings or () if holding.gpu_instance == instance.gpu_instance]
    held = list(parts(holdings, colours))
    attributed = sum(part.held_bytes or 0 for part in held)
    rest = None if instance.used_bytes is None else max(0, instance.used_bytes - attributed)
    name = instance.profile or "MIG"
    figures = memory_of(instance.used_bytes, instance.total_bytes)
    widths = [(part.look, share(part.held_bytes, instance.total_bytes)) for part in held]
    number = "" if instance.gpu_instance is None else f" #{instance.gpu_instance}"
    return (
        f'<div class="mig"><span class="name">{html_text(name)}{number}</span>'
        f"{bar_html(f'{name}: {figures}', [*widths, (UNATTRIBUTED, share(rest, instance.total_bytes))])}"
        f'<span class="amount">{figures}</span></div>'
    )


def _sum(first: int | None, second: int | None) -> int | None:
    return second if first is None else first + (second or 0)
