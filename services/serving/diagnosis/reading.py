"""Reads a log once, from its first line to its last, and keeps what matters of its newest run. Memory is bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping

from services.serving.diagnosis import marks
from services.serving.diagnosis.causes import CONSEQUENCE, Cause, Context, Found
from services.serving.diagnosis.lines import LONGEST, Line, read, uncoloured
from services.serving.diagnosis.needles import Needles
from services.serving.diagnosis.registry import ORDER, SIGNS
from services.serving.diagnosis.tracebacks import Failure, Tracebacks

WINDOW = 2000
"""Lines before the death of a server in which its cause is looked for."""
MOST_FAILURES = 100
_SIGNS = Needles(SIGNS)
_STARTING = Needles({*SIGNS, *marks.NEEDLES, *marks.SERVING_NEEDLES})
_RUNNING = Needles({*SIGNS, *marks.NEEDLES})
"""A server that is known to be ready may answer a million times without being listened to."""
_COMPLAINT = re.compile(
    r"^(?:[\w.]+(?:Error|Exception)\b|(?:fatal |\w+: )?error:|fatal\b|panic:|terminate called|\s*what\(\):|aborted\b)"
    r"|\bCUDA error\b"
    r"|\bexited with (?:code|status|exit code) -?[1-9]",
    re.IGNORECASE,
)
_INTERRUPTED = (
    "KeyboardInterrupt",
    "SystemExit",
    "asyncio.exceptions.CancelledError",
    "CancelledError",
    "GeneratorExit",
)
_ENGINES = (("vllm", "vllm"), ("ollama", "ollama"), ("llama_", "llama.cpp"), ("ggml", "llama.cpp"))


class Reading:
    """What is known of the newest run after the lines that were given to `take`."""

    def __init__(self, engine: str | None, context: Context) -> None:
        self._given_engine = engine or ""
        self._context = context
        self.last: tuple[int, str] = (0, "")
        """Number and text of the last line that is not empty."""
        self._begin()

    def _begin(self) -> None:
        self.hits: dict[str, tuple[Cause, Found]] = {}
        self.failures: dict[str, Failure] = {}
        self.ready = self.closed = False
        self.died_at: int | None = None
        self._engine = self._given_engine
        self._stage = ""
        self._figures: dict[str, float] = {}
        self._options: dict[str, str] = {}
        self._tracebacks = Tracebacks()

    def take(self, number: int, raw: str) -> None:
        """Take the next line of the file."""
        raw = uncoloured(raw[:LONGEST])
        low = raw.lower()
        if self._tracebacks.waiting or (_RUNNING if self.ready else _STARTING).any_in(low):
            for line in read(number, raw):
                self._take(line)
        if not raw.isspace() and raw:
            self.last = (number, raw)

    def _take(self, line: Line) -> None:
        low = line.text.lower()
        if marks.begins(line.text, low) or ((self.closed or self.died_at) and marks.begins_again(low)):
            self._begin()
        if self.closed:
            return
        step = self._tracebacks.step(line)
        if step.inside:
            return
        self._note(line, low)
        found = self._cause(line, low)
        if found:
            self._hit(found[0], found[1], line, step.functions)
        if step.failure and not (found and found[0].weight > CONSEQUENCE):
            self._fail(step.failure)
        elif not found and not line.quiet and (line.loud or _COMPLAINT.search(line.text)):
            self._fail(Failure(line))

    def _note(self, line: Line, low: str) -> None:
        """What the line says of the engine's life and choices."""
        if not self._engine:
            self._engine = next((engine for word, engine in _ENGINES if word in low), "")
        self._stage = marks.stage(low) or self._stage
        self._figures.update(marks.figures(low))
        self._options.update(marks.options(line.text, low))
        if marks.is_ready(low) or (not self.ready and marks.is_serving(low)):
            self.hits.clear()  # whatever it was, the engine has got over it
            self.failures.clear()
            self.ready, self.died_at, self._stage = True, None, "running"
        elif self.ready and self.died_at is None and marks.is_closing(low):
            self.closed = True

    def _cause(self, line: Line, low: str) -> tuple[Cause, Mapping[str, str]] | None:
        """The surest cause that this line shows."""
        shown = [pair for needle in _SIGNS.all_in(low) for pair in SIGNS[needle]]
        shown.sort(key=lambda pair: (-pair[0].weight, ORDER[pair[0].code], pair[0].signs.index(pair[1])))
        found = ((cause, sign.find(line)) for cause, sign in shown)
        return next(((cause, params) for cause, params in found if params is not None), None)

    def _hit(self, cause: Cause, params: Mapping[str, str], line: Line, functions: tuple[str, ...]) -> None:
        if self.ready and cause.fatal and self.died_at is None:
            self.died_at = line.number
        known = self.hits.get(cause.code)
        # The first line is nearest to the cause, unless a server got over it long ago, or a later one says more.
        if known and line.number - known[1].line.number < WINDOW and (known[1].params or not params):
            return
        options = {**self._options, **self._context.options}
        found = Found(
            dict(params), line, functions, self._stage, options, dict(self._figures), self._engine, self._context
        )
        self.hits[cause.code] = (cause, found)

    def _fail(self, failure: Failure) -> None:
        text = failure.line.text.strip()
        if failure.line.quiet or text.startswith(_INTERRUPTED):
            return
        if text in self.failures:
            self.failures[text].secondary = self.failures[text].secondary or failure.secondary
            return
        self.failures[text] = failure
        if len(self.failures) > MOST_FAILURES:
            del self.failures[next(iter(self.failures))]
