"""Python tracebacks in a log, also where several processes write theirs line by line between each other's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from services.serving.diagnosis.lines import Line

HEAD = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s*File "[^"]*", line \d+, in (\S+)')
_CONCLUSION = re.compile(r"^[A-Za-z_][\w.]*(?::|$)")
_CAUSE = "The above exception was the direct cause"
_CONTEXT = "During handling of the above exception"
_IGNORED = "Exception ignored in"
MOST_FUNCTIONS, MOST_LINES, MOST_AFTER = 200, 1000, 3


@dataclass
class Failure:
    """A line in which the engine says that something failed, with the place in the code that it names."""

    line: Line
    frame: Line | None = None
    after: list[Line] = field(default_factory=list)
    secondary: bool = False
    """Whether it followed from another failure that stands in the same log."""


@dataclass
class _Trace:
    functions: list[str] = field(default_factory=list)
    frame: Line | None = None
    lines: int = 0
    ignored: bool = False
    secondary: bool = False


@dataclass(frozen=True)
class Step:
    """What a line is to a traceback: a part of it (`inside`), or its last line, the exception (`failure`)."""

    inside: bool = False
    functions: tuple[str, ...] = ()
    failure: Failure | None = None


class Tracebacks:
    """Follows the tracebacks of every writer of a log by itself."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Trace] = {}
        self._last: dict[tuple[str, str], Failure] = {}
        self._chained: dict[tuple[str, str], str] = {}

    @property
    def waiting(self) -> bool:
        """Whether the next line may belong to a traceback, whatever stands in it."""
        return bool(self._open or self._last)

    def step(self, line: Line) -> Step:
        """Take the next line."""
        key = (line.source, line.level)
        if line.text.endswith(HEAD):
            self._begin(key)
            return Step(inside=True)
        trace = self._open.get(key)
        if trace is None:
            return self._afterwards(key, line)
        trace.lines += 1
        if trace.lines > MOST_LINES:
            del self._open[key]
            return Step()
        if match := _FRAME.match(line.text):
            trace.functions = [*trace.functions[-MOST_FUNCTIONS:], match.group(1)]
            trace.frame = line
            return Step(inside=True)
        if not line.text.strip() or line.text[0] in " \t":
            return Step(inside=True)
        if not _CONCLUSION.match(line.text):
            return Step()  # somebody else's line in between
        del self._open[key]
        return self._conclude(key, line, trace)

    def _begin(self, key: tuple[str, str]) -> None:
        chained, last = self._chained.pop(key, ""), self._last.pop(key, None)
        if chained == _CONTEXT and last:
            last.secondary = True  # what was raised while it was handled tells more
        self._open[key] = _Trace(ignored=chained == _IGNORED, secondary=chained == _CAUSE)

    def _conclude(self, key: tuple[str, str], line: Line, trace: _Trace) -> Step:
        if trace.ignored:
            return Step(inside=True)
        failure = Failure(line, trace.frame, secondary=trace.secondary)
        self._last[key] = failure
        return Step(functions=tuple(trace.functions), failure=failure)

    def _afterwards(self, key: tuple[str, str], line: Line) -> Step:
        mark = next((mark for mark in (_CAUSE, _CONTEXT, _IGNORED) if line.text.startswith(mark)), None)
        if mark:
            self._chained[key] = mark
            return Step(inside=True)
        last = self._last.get(key)
        if last is None or not line.text.strip():
            return Step()
        if line.text[0] in " \t" and len(last.after) < MOST_AFTER:
            last.after.append(line)
        else:
            del self._last[key]
        return Step()
