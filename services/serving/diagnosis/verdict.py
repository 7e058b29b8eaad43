"""From what was read to what is said: the causes of a failure, the surest first, or that nothing has failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from services.core.errors import Rendered
from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.serving.diagnosis.causes import CONSEQUENCE, NOTICE, Cause, Context, Flags, Found, Params
from services.serving.diagnosis.reading import WINDOW, Reading
from services.serving.diagnosis.registry import BY_CODE
from services.serving.diagnosis.tracebacks import Failure

UNKNOWN = "unknown"
MOST = 5
"""Diagnoses that are given of one log."""
LONGEST_EVIDENCE = 600
_UNKNOWN = Cause(
    UNKNOWN,
    (N_("The engine failed in a way that Lectern does not know: {line}"), N_("The engine ended and did not say why.")),
    (N_("The lines beside this are the last that tell something; the whole log is on the server's page."),),
)
_KILLED = "killed_for_memory"


@dataclass(frozen=True)
class Evidence:
    """The lines of the log that show it, and the number of the line that shows it best; 0: there is none."""

    line: str
    number: int


@dataclass(frozen=True)
class Diagnosis:
    """One cause of a failure, as a row keeps it: code and parameters, no sentences.

    `flags` are options (`--…`) and environment variables with their new values; None stands for a switch. `confidence`
    is between 0 and 1.
    """

    code: str
    params: Params
    evidence: Evidence
    flags: Flags = field(default_factory=dict)
    confidence: float = 0.0

    def render(self, language: str = DEFAULT_LANGUAGE) -> Rendered:
        """Cause (as `message`) and remedy in a language."""
        return BY_CODE.get(self.code, _UNKNOWN).render(self.params, language)

    def row(self) -> dict[str, Any]:
        """As it is stored: JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Diagnosis:
        """The diagnosis that a row holds."""
        return cls(**{**row, "evidence": Evidence(**row["evidence"])})


def diagnose(
    lines: Iterable[str], engine: str | None = None, context: Context | None = None, *, first: int = 1
) -> list[Diagnosis]:
    """Why the newest run in a log failed, the surest cause first; empty where nothing has failed.

    Args:
        lines: The log's lines, in any encoding that was decoded somehow; read once, never all kept.
        engine: The engine's key, if it is known.
        context: What is known besides the log, such as how the process ended.
        first: The number of the first line, where only the end of a file is read.
    """
    context = context or Context()
    reading = Reading(engine, context)
    for number, line in enumerate(lines, first):
        reading.take(number, line)
    if not _failed(reading, context):
        return []
    found = sorted(_kept(reading, context), key=lambda pair: (-pair[0].weight, pair[1].line.number))
    sure = [pair for pair in found if pair[0].weight > CONSEQUENCE + 0.2] or found
    if sure:
        return [_diagnosis(cause, what) for cause, what in sure[:MOST]]
    return list(_without_a_cause(reading, context))


def _failed(reading: Reading, context: Context) -> bool:
    if reading.ready:
        return reading.died_at is not None or (context.died and not reading.closed)
    return bool(reading.hits or reading.failures or context.died)


def _kept(reading: Reading, context: Context) -> Iterator[tuple[Cause, Found]]:
    """The hits that have to do with the end of the run."""
    end = reading.died_at or reading.last[0]
    others = bool(reading.failures) or context.died or any(c.weight > NOTICE for c, _ in reading.hits.values())
    for cause, found in reading.hits.values():
        if cause.weight <= NOTICE:
            if not reading.ready and not others and found.line.number == reading.last[0]:
                yield cause, found
        elif not reading.ready or found.line.number >= end - WINDOW:
            yield cause, found


def _diagnosis(cause: Cause, found: Found) -> Diagnosis:
    advice = cause.advise(found)
    params = {**found.params, **advice.params}
    evidence = Evidence(found.line.shown[:LONGEST_EVIDENCE], found.line.number)
    return Diagnosis(advice.code or cause.code, params, evidence, advice.flags, cause.weight)


def _without_a_cause(reading: Reading, context: Context) -> Iterator[Diagnosis]:
    number, last = reading.last
    if context.signal == 9 or context.exit_code == 137:
        yield Diagnosis(_KILLED, {}, Evidence(last.strip()[:LONGEST_EVIDENCE], number), {}, BY_CODE[_KILLED].weight / 2)
        return
    failure = _telling(reading.failures.values())
    if failure:
        yield Diagnosis(UNKNOWN, {"line": failure.line.text.strip()[:300]}, _lines_of(failure), {}, NOTICE)
    elif context.died:
        yield Diagnosis(UNKNOWN, {}, Evidence(last.strip()[:LONGEST_EVIDENCE], number), {}, NOTICE)


def _telling(failures: Iterable[Failure]) -> Failure | None:
    """The failure that tells most: the last traceback that did not follow from another, else the last complaint."""
    known = list(failures)
    first = [failure for failure in known if failure.frame and not failure.secondary]
    return next(reversed(first or [failure for failure in known if failure.frame] or known), None)


def _lines_of(failure: Failure) -> Evidence:
    lines = [failure.frame, failure.line, *failure.after]
    told = "\n".join(line.shown.strip() for line in lines if line)
    return Evidence(told[: LONGEST_EVIDENCE * 2], failure.line.number)
