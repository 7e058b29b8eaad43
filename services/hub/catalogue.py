"""A short list of models to start from, and of ways to start one: data, which an installation may replace."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.errors import InvalidSetting
from services.core.i18n import N_
from services.core.validation import reason_of
from services.hub.local_models_facts import Use

PACKAGED = Path(__file__).with_name("catalogue.toml")
FILE = "catalogue.toml"
PRESETS = {
    "one_gpu": N_("One GPU"),
    "two_gpus": N_("Two GPUs, half precision, 8192 tokens, port 8000"),
    "long_context": N_("Long context, its memory in 8 bits"),
}
"""What the presets that come with Lectern are called; others go by their key."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Row):
    """A model, with what its own page says of it."""

    repository: str = Field(min_length=3)
    use: Use
    format: Literal["safetensors", "gguf"]
    billions: float = Field(gt=0, le=10_000)
    bits: float = Field(gt=0, le=64)
    context: int = Field(gt=0)
    licence: str
    source: str
    files: tuple[str, ...] = ()
    hub: Literal["hf", "modelscope"] = "hf"

    @property
    def bytes(self) -> int:
        """The rule of thumb: parameters × bits ÷ 8."""
        return int(self.billions * 1e9 * self.bits / 8)


class Preset(_Row):
    """A way to start a model: an engine and what is chosen about it. `gpus`: how many it takes; `port` 0: any."""

    key: str
    engine: str
    use: Use = "chat"
    gpus: int = Field(1, ge=0)
    port: int = Field(0, ge=0, le=65535)
    choices: dict[str, Any] = {}

    @property
    def title(self) -> str:
        """What it is called, to be translated."""
        return PRESETS.get(self.key, self.key)

    def for_model(self, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The choices for a model of this name, as far as the engine knows them."""
        told = self.choices.items()
        filled = {key: value.replace("{name}", name) if isinstance(value, str) else value for key, value in told}
        return {key: value for key, value in filled.items() if key in fields}


class Catalogue(_Row):
    """The list."""

    models: tuple[Entry, ...] = ()
    presets: tuple[Preset, ...] = ()


def catalogue(home: Path) -> Catalogue:
    """The catalogue of an installation: its own, or else the one that comes with Lectern. Raises: InvalidSetting."""
    own = home / FILE
    path = own if own.exists() else PACKAGED
    try:
        return Catalogue.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidSetting(key=FILE, origin="file", reason=str(error)) from error
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InvalidSetting(key=f"{FILE} ({place})", origin="file", reason=reason_of(error)) from error
