"""`lectern gpus`: what the GPUs hold, and whose it is; once, or again each second."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services import health
from services.cli.output import console, failing_well, speaker
from services.core.clock import now_ms, ticks_ms
from services.core.i18n import N_
from services.core.units import UNKNOWN, bytes_text, milliseconds_text
from services.gpu.service import FRESH_MS

EVERY_MS = 1000
BAR_WIDTH = 20
NOBODY = "–"
"""In place of the server of a process that belongs to none."""
INDENT = (0, 0, 0, 3)
FULL, FAINT = "#4f46e5", "dim"


def gpus(
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="again each second until Ctrl-C; with --json or into a pipe: one JSON document a line (NDJSON)",
        ),
    ] = False,
) -> None:
    """Show the GPUs: memory, load, and whose processes hold the memory."""
    with failing_well():
        if watch:
            _watch()
        else:
            row = _look()
            speaker.emit(row, lambda: console().print(shown(row)))


def _look() -> dict[str, Any]:
    return health.gpus_row(speaker.services().gpus.now())


def _watch() -> None:
    try:
        if speaker.json or not sys.stdout.isatty():
            for row in _looks():
                typer.echo(json.dumps(row, ensure_ascii=False))
        else:
            with Live(console=console(), auto_refresh=False) as live:
                for row in _looks():
                    live.update(_fitting(row), refresh=True)
    except KeyboardInterrupt:
        return  # this is how one leaves


def _looks() -> Iterator[dict[str, Any]]:
    due_ms = ticks_ms()
    while True:
        yield _look()
        due_ms = max(due_ms + EVERY_MS, ticks_ms())
        time.sleep((due_ms - ticks_ms()) / 1000 if due_ms > ticks_ms() else 0)


def _fitting(row: dict[str, Any]) -> RenderableType:
    """What fits the terminal: many GPUs without their processes, rather than the first few with them."""
    whole = shown(row)
    return whole if len(console().render_lines(whole)) < console().height else shown(row, brief=True)


def shown(row: dict[str, Any], *, brief: bool = False) -> RenderableType:
    """The GPUs and the host as a person reads them; in brief without processes and empty lines."""
    parts: list[RenderableType] = [_headline(row)]
    for gpu in row["gpus"]:
        parts += [_title(gpu), Padding(_figures(gpu), INDENT)] if brief else [Text(), *_whole(gpu)]
    return Group(*parts, *([] if brief else [Text()]), _host(row["host"]))


def _whole(gpu: dict[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = [_title(gpu), Padding(_figures(gpu), INDENT)]
    return [*parts, Padding(_processes(gpu["processes"]), INDENT)] if gpu["processes"] else parts


def _headline(row: dict[str, Any]) -> Text:
    age_ms = now_ms() - row["taken_at_ms"]
    if row["driver"] is None:
        line = Text(speaker.say(N_("No GPU: no NVIDIA driver answers ({reason})."), reason=row["reason"] or UNKNOWN))
    elif not row["gpus"]:
        line = Text(speaker.say(N_("No GPU: the driver {version} shows none."), version=row["driver"]))
    else:
        line = Text(speaker.say(N_("NVIDIA driver {version}, CUDA {cuda}"), **_versions(row)))
    if age_ms > FRESH_MS:
        line.append("  " + speaker.say(N_("as it was {age} ago"), age=milliseconds_text(age_ms)), style=FAINT)
    return line


def _versions(row: dict[str, Any]) -> dict[str, str]:
    return {"version": row["driver"], "cuda": row["cuda_version"] or UNKNOWN}


def _title(gpu: dict[str, Any]) -> Text:
    return Text(f"GPU {gpu['index']}  {plain(gpu['name'])}", style="bold", overflow="ellipsis", no_wrap=True)


def _figures(gpu: dict[str, Any]) -> RenderableType:
    if gpu["error"]:
        return Text(speaker.say(gpu["error"]), style="red")
    used, total = gpu["memory"]["used_bytes"], gpu["memory"]["total_bytes"]
    bar: RenderableType = Text(UNKNOWN)
    if used is not None and total:
        bar = ProgressBar(total=total, completed=used, width=BAR_WIDTH, complete_style=FULL, finished_style=FULL)
    line = Table.grid(padding=(0, 2))
    line.add_column(min_width=BAR_WIDTH, max_width=BAR_WIDTH)
    for width in (20, 5, 5, 11):  # the same for every GPU, so that they stand under each other
        line.add_column(min_width=width, justify="right", no_wrap=True)
    line.add_row(
        bar,
        Text(speaker.say(N_("{used} of {total}"), used=bytes_text(used), total=bytes_text(total))),
        _with_unit(gpu["utilization_percent"], "%"),
        _with_unit(gpu["temperature_celsius"], "°C"),
        _with_unit(gpu["power_watts"], "W", gpu["power_limit_watts"]),
    )
    return line


def _processes(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=FAINT)
    for heading in (N_("memory"), N_("process")):
        table.add_column(speaker.say(heading), justify="right", no_wrap=True)
    for heading in (N_("server"), N_("model"), N_("user"), N_("command")):
        table.add_column(speaker.say(heading))  # these give way where it is narrow
    for row in sorted(rows, key=lambda row: -(row["used_bytes"] or 0)):
        process = speaker.say(N_("estimated")) if row["estimated"] else plain(row["pid"])
        words = [row["server"] or NOBODY, row["model"] or NOBODY, row["user"], row["command"]]
        cells = [Text(plain(word), no_wrap=True, overflow="ellipsis") for word in words]
        table.add_row(bytes_text(row["used_bytes"]), process, *cells)
    return table


def _host(host: dict[str, Any]) -> Text:
    cpu = UNKNOWN if host["cpu_percent"] is None else f"{host['cpu_percent']:.0f}"
    return Text(
        speaker.say(
            N_("Host: processors {cpu} % of {count}, memory {used} of {total}, disk {free} free"),
            cpu=cpu,
            count=UNKNOWN if host["cpu_count"] is None else host["cpu_count"],
            used=bytes_text(host["memory_used_bytes"]),
            total=bytes_text(host["memory_total_bytes"]),
            free=bytes_text(host["disk_free_bytes"]),
        )
    )


def plain(value: object) -> str:
    """A word that came from outside, without what a terminal would obey; what is None reads "n/a"."""
    if value is None:
        return UNKNOWN
    return "".join(character if character.isprintable() else "�" for character in str(value))


def _with_unit(value: float | None, unit: str, limit: float | None = None) -> Text:
    if value is None:
        return Text(UNKNOWN)
    return Text(f"{value:.0f} {unit}" if limit is None else f"{value:.0f} / {limit:.0f} {unit}")
