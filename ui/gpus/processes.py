"""Every process that holds GPU memory, the largest first."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from services.core.i18n import N_
from services.core.units import bytes_text
from services.gpu.readings import GpuReading, Holding, Snapshot
from ui.gpus.bars import swatch_html
from ui.gpus.memory import OTHERS, Looks
from ui.i18n import _
from ui.text import html_text

HOW = {
    "token": N_("launch token"),
    "session": N_("process group"),
    "ancestry": N_("parent process"),
    "estimate": N_("estimated from the launch"),
}
"""How a process was recognised as one of a server's."""


Held = tuple[GpuReading, Holding]
MOVES_AT = 1.2
"""How many times as much memory, or as little, moves a process to another place."""


class Order:
    """The places of the processes, by what each held when it was put there.

    Memory moves all the time: two processes of nearly the same size would change places under the reader's eyes.
    Not thread-safe.
    """

    def __init__(self) -> None:
        self._placed: dict[Hashable, int] = {}

    def of(self, held: Iterable[Held]) -> list[Held]:
        """The processes that there are now, in their places. Those that are gone are forgotten."""
        now = [(_key(*one), one) for one in held]
        self._placed = {key: self._size(key, holding.used_bytes or 0) for key, (_gpu, holding) in now}
        now.sort(key=lambda one: (-self._placed[one[0]], one[1][0].index, one[1][1].pid or 0))
        return [one for _known_as, one in now]

    def _size(self, key: Hashable, used: int) -> int:
        placed = self._placed.get(key, used)
        return placed if placed <= used * MOVES_AT and used <= placed * MOVES_AT else used


def _key(gpu: GpuReading, holding: Holding) -> Hashable:
    server = holding.holder.server_id if holding.holder else None
    return gpu.index, holding.gpu_instance, holding.pid, holding.kind, server


def processes_html(snapshot: Snapshot, colours: Looks, order: Order) -> str:
    """The table of processes; where it is narrow each is a block."""
    held = order.of((gpu, holding) for gpu in snapshot.gpus for holding in gpu.holdings or ())
    silent = [gpu for gpu in snapshot.gpus if gpu.holdings is None and not gpu.error]
    notes = [
        _("GPU {index}: the driver does not tell which processes hold its memory.", index=gpu.index) for gpu in silent
    ]
    if held:
        notes.append(_("Lectern ends only what it has started; to end another process, ask its user."))
    elif not silent:
        notes.append(_("No process holds GPU memory."))
    said = "".join(f'<p class="lectern-facts">{html_text(note)}</p>' for note in notes)
    title = _("Processes")
    return f"<section><h3>{html_text(title)}</h3>{_table_html(held, colours) if held else ''}{said}</section>"


def _table_html(held: list[Held], colours: Looks) -> str:
    titles = ("GPU", "PID", _("Who"), _("Command"), _("GPU memory"), _("Recognised by"))
    head = "".join(f'<th scope="col">{html_text(title)}</th>' for title in titles)
    rows = "".join(_row_html(gpu, holding, colours) for gpu, holding in held)
    return f'<table class="processes"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row_html(gpu: GpuReading, holding: Holding, colours: Looks) -> str:
    holder = holding.holder
    if holder and holder.server_id:
        look, who = colours.get(holder.server_id, "s0"), holder.server or holder.server_id
        how = _(HOW[holder.how]) if holder.how in HOW else holder.how or ""
    else:
        look, who, how = OTHERS, (holder.user if holder else None) or _("unknown"), ""
    instance = "" if holding.gpu_instance is None else f'<span class="instance">#{holding.gpu_instance}</span>'
    command = (holder.command if holder else None) or ""
    return (
        f'<tr><td class="on">{gpu.index}{instance}</td>'
        f'<td class="pid">{"" if holding.pid is None else holding.pid}</td>'
        f'<td class="who">{swatch_html(look)}<span>{html_text(who)}</span></td>'
        f'<td class="command">{html_text(command)}</td>'
        f'<td class="amount">{bytes_text(holding.used_bytes)}</td>'
        f'<td class="how">{html_text(how)}</td></tr>'
    )
