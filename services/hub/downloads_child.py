"""Loading one model in a child process of its own: ending it ends the load at once, whatever the network does.

What the child tells its parent is JSON: where it is, and how it ended. With its parent the system ends the child.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from services.core.errors import AppError
from services.hub import files
from services.hub.downloads_choice import choose
from services.hub.local_models_places import MANIFEST
from services.hub.sources import ollama
from services.hub.sources.modelscope import SCRATCH
from services.hub.sources.protocol import Address, RemoteFile
from services.hub.sources.registry import SOURCES

NICENESS = 5
PR_SET_PDEATHSIG = 1
HIDDEN = "•••"

Tell = Callable[..., None]
_context = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be loaded, from where, and to which folder; `draft` holds what is not whole yet."""

    hub: str
    address: Address
    repository: str
    revision: str | None
    patterns: tuple[str, ...]
    draft: Path
    folder: Path


class Loading:
    """A load under way."""

    def __init__(self, order: Order) -> None:
        self._ours, theirs = _context.Pipe(duplex=False)
        self._process = _context.Process(target=_serve, args=(order, theirs), name="lectern-download", daemon=True)
        self._process.start()
        theirs.close()

    def hear(self, seconds: float) -> list[Any] | None:
        """What it tells next, waiting so long; None: nothing. Raises: EOFError when it has ended without a word."""
        try:
            if not self._ours.poll(seconds):
                return None
            told: list[Any] = json.loads(self._ours.recv_bytes())
        except OSError as error:
            raise EOFError from error
        return told

    def end(self) -> None:
        """End it at once; nothing of it stays."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._ours.close()


def fetch(order: Order, tell: Tell) -> None:
    """Load a model; it stands in its folder when every file was checked. Raises: AppError."""
    if order.hub == "ollama":
        ollama.pull(order.address, order.repository, lambda done, total, step: tell("pulled", done, total, step))
        return
    source = SOURCES[order.hub]
    remote = source.look(order.address, order.repository, order.revision)
    wanted = choose(remote.files, order.patterns)
    if _is_here(order, remote.revision, wanted):
        return
    order.draft.mkdir(mode=0o700, parents=True, exist_ok=True)
    total = sum(file.bytes or 0 for file in wanted)
    files.make_room(order.draft, total - bytes_below(order.draft), shutil.disk_usage)
    tell("begun", total, len(wanted))
    for number, file in enumerate(sorted(wanted, key=_weight), 1):
        if not _whole(order.draft / file.path, file):
            tell("file", number, file.path, file.bytes)
            source.load(order.address, remote, file, order.draft)
    _settle(order, {"repository": order.repository, "hub": order.hub, "revision": remote.revision}, remote.licence)


def bytes_below(folder: Path) -> int:
    """What lies in a folder, half-loaded files included."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).stat().st_size
            except FileNotFoundError:  # it is renamed while it is counted
                continue
    return total


def _weight(file: RemoteFile) -> tuple[bool, str]:
    """The small files first: they tell early whether the model may be loaded, and what it is."""
    return (file.bytes or 0) > files.RESERVE_BYTES // 10, file.path


def _whole(path: Path, file: RemoteFile) -> bool:
    """Whether an earlier try has loaded it: under its own name stands only what was checked."""
    return path.is_file() and (file.bytes is None or path.stat().st_size == file.bytes)


def _is_here(order: Order, revision: str, wanted: Sequence[RemoteFile]) -> bool:
    """Whether the same was loaded before: a server may use it, so it is not loaded anew."""
    try:
        told = json.loads((order.folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return told.get("revision") == revision and all(_whole(order.folder / file.path, file) for file in wanted)


def _settle(order: Order, told: dict[str, Any], licence: str | None) -> None:
    shutil.rmtree(order.draft / SCRATCH, ignore_errors=True)
    (order.draft / MANIFEST).write_text(json.dumps({**told, "licence": licence}, ensure_ascii=False), "utf-8")
    shutil.rmtree(order.folder, ignore_errors=True)
    order.draft.replace(order.folder)


def _serve(order: Order, told: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(NICENESS)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        # Libraries draw their bars and warnings there; the worker's own output is no place for them.
        sys.stdout = sys.stderr = nowhere
        _run(order, told)


def _run(order: Order, told: Connection) -> None:
    def tell(*words: Any) -> None:
        told.send_bytes(json.dumps(words).encode())

    try:
        fetch(order, tell)
        tell("done")
    except AppError as error:
        tell("failed", error.code, json.loads(_hidden(json.dumps(error.params), order.address.token)))
    except Exception:  # noqa: BLE001 - the parent logs it under an id
        tell("bug", _hidden(traceback.format_exc(), order.address.token))


def _hidden(text: str, token: str) -> str:
    return text.replace(token, HIDDEN) if token else text
