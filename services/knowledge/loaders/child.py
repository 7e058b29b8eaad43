"""What happens inside a reader's child process: it gives up its rights, reads one file, and leaves a result file.

The result is JSON, checked against its types by the parent: a child that native code has taken over can at worst leave
a wrong text.
"""

from __future__ import annotations

import importlib
import logging
import math
import multiprocessing
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from services.core.document_errors import Damaged
from services.core.errors import AppError, TooLarge
from services.core.units import bytes_text
from services.knowledge.loaders.assembly import check_characters, check_pages
from services.knowledge.loaders.detect import check_archive, choose_loader
from services.knowledge.loaders.protocol import PAGE_S, Aids, HelpedLoader, Limits
from services.knowledge.types import Extracted

HEAVY = ("charset_normalizer", "docx", "email.policy", "lxml.html", "markdown_it", "openpyxl", "pptx", "pypdf")
"""Imported once in the fork server, so that a child starts in milliseconds."""
DENIED = ("socket.__new__", "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty")
CPU_GRACE_S = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a child leaves: the document, or the error and what the log should hold about it."""

    document: Extracted | None = None
    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""
    unread: tuple[int, ...] = ()
    """Pages whose text only text recognition could give."""


OUTCOME = TypeAdapter(Outcome)


def preload() -> None:
    """Import what children need."""
    for module in HEAVY:
        importlib.import_module(module)


def run(path: str, name: str, limits: Limits, result: str, aids: Aids) -> None:
    """Read the file at `path` and write the outcome to `result`; the body of a child process."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    confine(limits, limits.timeout_s + math.ceil(PAGE_S * limits.pages))
    logging.disable(logging.CRITICAL)  # reading libraries comment on every oddity; the outcome says what matters
    with pages_file(result).open("wb", buffering=0) as pages:

        def page_read() -> None:
            pages.write(b".")

        outcome = read_here(Path(path), name, limits, replace(aids, page_read=page_read))
    unfinished = Path(f"{result}.part")
    unfinished.write_bytes(OUTCOME.dump_json(outcome))
    unfinished.rename(result)


def pages_file(result: str) -> Path:
    """The file that grows by a byte with each page that was read, for the parent to see that it goes on."""
    return Path(f"{result}.pages")


def confine(limits: Limits, cpu_s: int) -> None:
    """Bound this process's memory and time, and take network and programs from it.

    The hook cannot be removed again. It binds Python code; the native readers have no code for networks.
    """
    _lower(resource.RLIMIT_AS, limits.memory_bytes)
    _lower(resource.RLIMIT_CPU, cpu_s + CPU_GRACE_S)
    _lower(resource.RLIMIT_CORE, 0)
    sys.addaudithook(_deny)


def read_here(path: Path, name: str, limits: Limits, aids: Aids | None = None) -> Outcome:
    """Read a file in this process; every exception of a reading library stops here."""
    helped = aids or Aids()
    outcome = _read(path, name, limits, helped)
    return replace(outcome, unread=tuple(helped.unread))


def _read(path: Path, name: str, limits: Limits, aids: Aids) -> Outcome:
    try:
        check_archive(path, name, limits)
        loader = choose_loader(path, name)
        if isinstance(loader, HelpedLoader):
            document = loader.load_with(path, name, limits, aids)
        else:
            document = loader.load(path, name, limits)
        check_pages(len(document.pages), name, limits)
        check_characters(len(document.text), name, limits)
        return Outcome(document)
    except AppError as error:
        return Outcome(code=error.code, params=error.params)
    except MemoryError:
        size, limit = bytes_text(path.stat().st_size), f"{bytes_text(limits.memory_bytes)} RAM"
        too_large = TooLarge(name=name, size=size, limit=limit, setting="read_memory_bytes")
        return Outcome(code=too_large.code, params=too_large.params)
    except Exception as error:  # noqa: BLE001 - whatever a reading library raises says that it cannot read the file
        damaged = Damaged(name=name, reason=type(error).__name__)
        return Outcome(code=damaged.code, params=damaged.params, detail=traceback.format_exc(limit=-8))


def _follow_parent() -> None:
    """End this process when the one that asked for it has died; the fork server lives on while a child does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _deny(event: str, _: tuple[Any, ...]) -> None:
    if event in DENIED:
        raise PermissionError(f"a document reader may not do this: {event} (process {os.getpid()})")
