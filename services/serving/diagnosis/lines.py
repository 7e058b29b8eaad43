"""One line of a log as its parts: who wrote it, how loudly, and what it says. Colours and progress bars are gone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LONGEST = 16_000
"""Characters of a line that are read; the rest of a longer one is cut off."""
_CODES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|\[\d{1,2}(?:;\d{1,3})*m")
_LEFTOVER = re.compile(r"\[\d{1,2}(?:;\d{1,3})*m")
"""What is left of a code where something has dropped its unprintable first character."""
_LEVELS = "DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL|TRACE|PANIC"
_LETTERS = {"D": "DEBUG", "I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL"}
_PREFIXES = [
    re.compile(pattern)
    for pattern in (
        r"(?P<source>[\w.]+(?:-[\w.]+)*-\d+) +\| ?",  # docker compose
        r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [\w./@-]+(?:\[\d+\])?: ",  # journald
        r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]? ?(?:std(?:err|out) [FP] )?",
        r"\((?P<source>[\w.:+-]+(?: \w+[=:]?\w*)*? ?pid=\d+[^)]*)\) ?",  # (EngineCore_DP0 pid=12)
        r"\[(?P<source>[Rr]ank ?\d+|[\w-]+:\d+)\]:? ?",  # [rank0]:
        rf"\[?(?P<level>{_LEVELS})\]? \d\d-\d\d \d\d:\d\d:\d\d \[?[\w./-]+:\d+\] ?",  # vLLM
        rf"\[(?P<level>{_LEVELS})\|[^\]]*\] ?(?:[\d:, -]+)?>> ?",  # transformers
        rf"(?P<level>{_LEVELS}):(?: +|[\w.]+:) ?",  # uvicorn, logging.basicConfig
        rf"(?:- )?(?:[\w.]+ - )?\[?(?P<level>{_LEVELS})\]? -+ ",
        r"\[(?P<letter>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ [^\]]*\] ?",  # torch
        r"\d+\.\d\d\.\d{3}\.\d{3} (?P<letter>[DIWE]) ",  # llama.cpp
        r"time=\S+ (?=level=)",  # ollama
        r"level=(?P<level>\w+) (?:source=\S+ )?(?=msg=)",
        rf"\w+\.go:\d+: (?:(?P<level>{_LEVELS}) )?",
    )
]
_MESSAGE_KEYS = ("message", "msg", "log", "event", "text", "MESSAGE")
_LEVEL_KEYS = ("level", "levelname", "severity", "lvl", "log_level")
_TRACE_KEYS = ("exc_info", "exception", "traceback", "stack_trace", "stack", "exc_text", "error")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log. `text` keeps its indentation, `shown` is the line as a person would quote it."""

    number: int
    shown: str
    source: str
    level: str
    text: str

    @property
    def quiet(self) -> bool:
        """Whether its writer thought that nothing is wrong, or only might be."""
        return self.level in ("DEBUG", "INFO", "NOTICE", "WARNING", "WARN", "TRACE")

    @property
    def loud(self) -> bool:
        """Whether its writer called it an error."""
        return self.level in ("ERROR", "CRITICAL", "FATAL", "PANIC")


def uncoloured(text: str) -> str:
    """A text without the codes that colour it on a terminal."""
    return _CODES.sub("", text) if "\x1b" in text or ("m" in text and _LEFTOVER.search(text)) else text


def read(number: int, raw: str) -> Iterator[Line]:
    """The lines that one line of a file holds: progress bars overwrite themselves, JSON may hold a traceback."""
    for part in raw[:LONGEST].split("\r"):
        shown = part.rstrip()
        if shown:
            yield from (
                _json(number, shown) if shown.startswith("{") and shown.endswith("}") else [_plain(number, shown)]
            )


def _plain(number: int, shown: str, level: str = "") -> Line:
    rest, source = shown, ""
    for _ in range(6):
        found = next((match for prefix in _PREFIXES if (match := prefix.match(rest))), None)
        if not found:
            break
        groups = found.groupdict()
        source = groups.get("source") or source
        level = groups.get("level") or _LETTERS.get(groups.get("letter") or "", "") or level
        rest = rest[found.end() :]
    return Line(number, shown, source, level.upper(), rest)


def _json(number: int, shown: str) -> Iterator[Line]:
    try:
        row = json.loads(shown)
    except ValueError:
        row = None
    message = _first(row, _MESSAGE_KEYS) if isinstance(row, dict) else None
    if message is None:
        yield _plain(number, shown)
        return
    level = _first(row, _LEVEL_KEYS) or ""
    for text in (message, _first(row, _TRACE_KEYS) or ""):
        for part in text.splitlines():
            if part.strip():
                yield _plain(number, _CODES.sub("", part).rstrip(), level.upper())


def _first(row: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((row[key] for key in keys if isinstance(row.get(key), str)), None)
