"""What a cause is: the signs by which it is known, the words for it, and the advice that can be worked out."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from services.core.errors import Rendered
from services.core.i18n import DEFAULT_LANGUAGE
from services.core.phrases import fill
from services.serving.diagnosis.lines import Line

Params = dict[str, Any]
Flags = dict[str, str | None]
"""What to change: options (`--…`) and environment variables, with their new values; None: a switch without a value."""

ROOT, LIKELY, CONSEQUENCE, NOTICE = 0.9, 0.6, 0.3, 0.1
"""How sure a cause is of being the first one: NOTICE is no failure unless the engine said nothing after it."""


@dataclass(frozen=True)
class Context:
    """What is known besides the log. Bytes are those of the fullest GPU that the server may use, without the server."""

    exit_code: int | None = None
    signal: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    gpu_count: int | None = None
    gpu_total_bytes: int | None = None
    gpu_free_bytes: int | None = None

    @property
    def died(self) -> bool:
        """Whether the process is known to have ended with a failure."""
        return bool(self.exit_code) or self.signal is not None


@dataclass(frozen=True)
class Sign:
    """Words that show a cause. `needle` is lower case and stands in every matching line; `pattern` ignores case."""

    needle: str
    pattern: str | None = None
    quiet: bool = False
    """Whether it also counts where its writer called it a warning or less."""

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern, made when it is first needed."""
        return re.compile(self.pattern or re.escape(self.needle), re.IGNORECASE)

    def find(self, line: Line) -> Params | None:
        """The named parts of a line with the needle that shows this sign; None where it does not."""
        if line.quiet and not self.quiet:
            return None
        match = self.compiled.search(line.text)
        return None if match is None else {key: value for key, value in match.groupdict().items() if value is not None}


@dataclass(frozen=True)
class Found:
    """A cause that a line shows, with what was known when the line was read."""

    params: Params
    line: Line
    functions: tuple[str, ...]
    """Functions of the traceback that led to the line, the innermost last."""
    stage: str
    options: Mapping[str, Any]
    figures: Mapping[str, float]
    """Numbers that the engine printed, by name."""
    engine: str
    context: Context

    def number(self, name: str) -> float | None:
        """A parameter or printed figure as a number; a decimal comma is one."""
        value = self.params.get(name, self.figures.get(name, self.options.get(name)))
        try:
            return None if value is None else float(str(value).replace(",", "."))
        except ValueError:
            return None

    def whole(self, name: str) -> int | None:
        """The same without what stands behind the point."""
        value = self.number(name)
        return None if value is None else int(value)


@dataclass(frozen=True)
class Advice:
    """What was worked out from a found cause: more parameters, flags, and a code that fits better."""

    params: Params = field(default_factory=dict)
    flags: Flags = field(default_factory=dict)
    code: str | None = None


def no_advice(_: Found) -> Advice:
    """Nothing can be worked out: the words say it all."""
    return Advice()


@dataclass(frozen=True)
class Cause:
    """One way to fail. Of several wordings the first one is used whose parameters are all known."""

    code: str
    cause: tuple[str, ...]
    remedy: tuple[str, ...]
    signs: tuple[Sign, ...] = ()
    weight: float = ROOT
    fatal: bool = False
    """Whether a server that was ready is dead once this is in its log."""
    advise: Callable[[Found], Advice] = no_advice

    def render(self, params: Mapping[str, Any], language: str = DEFAULT_LANGUAGE) -> Rendered:
        """Cause and remedy in a language."""
        return Rendered(self.code, _told(self.cause, params, language), _told(self.remedy, params, language))


def fixed(**flags: str | None) -> Callable[[Found], Advice]:
    """Advice that is always the same: `dtype="half"` stands for `--dtype half`, a name in capitals for a variable."""
    named: Flags = {name if name.isupper() else "--" + name.replace("_", "-"): value for name, value in flags.items()}
    return lambda _: Advice(flags=dict(named))


def _told(templates: tuple[str, ...], params: Mapping[str, Any], language: str) -> str:
    known = {key for key, value in params.items() if value is not None}
    fitting = (
        text for text in templates if {name for _, name, _, _ in string.Formatter().parse(text) if name} <= known
    )
    return fill(next(fitting, templates[-1]), params, language)
