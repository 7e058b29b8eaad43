"""A diagnosis' flags as choices of a server's spec: what "start with …" changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.core.i18n import DEFAULT_LANGUAGE
from services.serving.diagnosis import Diagnosis
from services.serving.diagnosis.causes import Flags
from services.serving.spec import ManagedSpec

OURS = ("--port", "--host")
"""The supervisor chooses these itself."""
CARDS = "CUDA_VISIBLE_DEVICES"
NAMES = {"n_gpu_layers": "gpu_layers"}
"""Fields that go by another name than their flag."""


def usable(flags: Flags) -> Flags:
    """The flags that are a person's to choose."""
    return {flag: value for flag, value in flags.items() if flag not in OURS}


def choices(spec: ManagedSpec, flags: Flags) -> dict[str, Any]:
    """What to change of a spec so that its server is started with these flags.

    A flag that is no field becomes one of the further options and takes the place of an earlier same one.
    """
    chosen: dict[str, Any] = {}
    further, env = list(spec.extra_args), dict(spec.env)
    for flag, value in usable(flags).items():
        if not flag.startswith("-"):
            if flag == CARDS and value and all(part.isdigit() for part in value.split(",")):
                chosen["gpus"] = value.split(",")
                env.pop(CARDS, None)
            elif variable := _field_of_variable(spec, flag):
                chosen[variable] = value
                env.pop(flag, None)
            else:
                env[flag] = value or ""
            continue
        further = _without(further, flag)
        field = _field(spec, flag)
        if field == "context":
            chosen[field] = int(value or 0) // int(getattr(spec, "parallel", 1))
        elif field:
            chosen[field] = True if value is None else value
        else:
            further += [flag] if value is None else [flag, value]
    if env != spec.env:
        chosen["env"] = env
    if further != list(spec.extra_args):
        chosen["extra_args"] = further
    return chosen


def _field_of_variable(spec: ManagedSpec, name: str) -> str | None:
    """Ollama's fields are its variables without their beginning."""
    field = name.removeprefix("OLLAMA_").lower()
    return field if name.startswith("OLLAMA_") and field in type(spec).model_fields else None


def flags_text(flags: Flags) -> str:
    """Flags as on a command line."""
    return " ".join(
        flag if value is None else f"{flag} {value}" if flag.startswith("-") else f"{flag}={value}"
        for flag, value in usable(flags).items()
    )


def told(diagnosis: Diagnosis, language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
    """A diagnosis as JSON values, in a language."""
    rendered = diagnosis.render(language)
    return {
        "code": diagnosis.code,
        "cause": rendered.message,
        "evidence": diagnosis.evidence.line,
        "line": diagnosis.evidence.number or None,
        "remedy": rendered.remedy,
        "flags": diagnosis.flags,
        "confidence": diagnosis.confidence,
    }


def diagnoses(rows: Sequence[Mapping[str, Any]] | None) -> list[Diagnosis]:
    """The diagnoses that a server's row holds."""
    return [Diagnosis.of(row) for row in rows or ()]


def _field(spec: ManagedSpec, flag: str) -> str | None:
    name = flag.lstrip("-").replace("-", "_")
    fields = type(spec).model_fields
    if name == "ctx_size" and "context" in fields:
        return "context"  # of one request; the flag is that of all together
    name = NAMES.get(name, name)
    return name if name in fields else None


def _without(arguments: Sequence[str], flag: str) -> list[str]:
    """Arguments without a flag and its value."""
    kept: list[str] = []
    dropping = False
    for word in arguments:
        if word == flag or word.startswith(flag + "="):
            dropping = word == flag
        elif dropping and not word.startswith("--"):
            dropping = False
        else:
            dropping = False
            kept.append(word)
    return kept
