"""Flags of a command line as fields of an engine's spec; what no field is called goes to the engine as it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_origin

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.serving.spec import ManagedSpec


def choices_of(spec: type[ManagedSpec], arguments: Sequence[str]) -> dict[str, Any]:
    """The choices that arguments such as `--max-model-len 8192 --enforce-eager --env NCCL_DEBUG=INFO` make.

    Raises: InvalidValue where a field's value is missing.
    """
    choices: dict[str, Any] = {}
    further: list[str] = []
    words = iter(arguments)
    for word in words:
        name, field = _field(spec, word)
        if name is None:
            further.append(word)
        elif field is bool:
            choices[name] = not word.startswith("--no-")
        else:
            _take(choices, name, field, _value(word, name, words))
    if further:
        choices["extra_args"] = tuple(further)
    return choices


def _field(spec: type[ManagedSpec], word: str) -> tuple[str | None, Any]:
    flag = word.partition("=")[0]
    if not flag.startswith("--"):
        return None, None
    for name in (flag[2:], flag.removeprefix("--no-")):
        found = spec.model_fields.get(name.replace("-", "_"))
        if found and (name == flag[2:] or found.annotation is bool):
            return name.replace("-", "_"), found.annotation
    return None, None


def _value(word: str, name: str, words: Iterator[str]) -> str:
    value = word.partition("=")[2] if "=" in word else next(words, None)
    if value is None:
        raise InvalidValue(field=name, value="", reason=N_("it is missing"))
    return value


def _take(choices: dict[str, Any], name: str, field: Any, value: str) -> None:
    kind = get_origin(field)
    if kind is dict:
        variable, _, content = value.partition("=")
        choices[name] = {**choices.get(name, {}), variable: content}
    elif kind is tuple:
        choices[name] = [*choices.get(name, []), *(part for part in value.split(",") if part)]
    else:
        choices[name] = value


def numbers(text: str) -> list[int]:
    """Whole numbers, such as 0,1. Raises: InvalidValue."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InvalidValue(field="--gpus", value=text, reason=N_("it is no list of numbers"))
    return [int(part) for part in parts]
