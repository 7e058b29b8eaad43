"""Hugging Face's own server, `transformers serve`: slower than vLLM, but it runs every model that the library knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from services.core.i18n import N_
from services.serving.engines.protocol import LaunchCommand, Place, flags, program_of
from services.serving.spec import ADVANCED, ManagedSpec

SERVER = Path(__file__).with_name("transformers_server.py")
SILENT = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
OFFLINE = {"HF_HUB_OFFLINE": "1"}
NAMES = (
    *("device", "dtype", "quantization", "attn_implementation", "continuous_batching", "compile", "reasoning"),
    *("trust_remote_code", "default_seed"),
)


class TransformersSpec(ManagedSpec):
    """A model folder or hub id. The fields carry the names of `transformers serve`; others go into `extra_args`."""

    device: str = Field(
        "auto",
        description=N_(
            "where the model runs: cpu, cuda:0 …; auto: what a GPU cannot hold goes to the slow host memory"
        ),
    )
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        "auto", description=N_("number format of the weights; float16 for cards older than Ampere")
    )
    quantization: Literal["", "bnb-4bit", "bnb-8bit"] = Field(
        "", description=N_("pack the weights while loading, on an NVIDIA card; empty: as they are")
    )
    attn_implementation: str = Field(
        "",
        description=N_("how attention is computed: eager, sdpa, flash_attention_2 …; empty: the library's choice"),
        json_schema_extra=ADVANCED,
    )
    continuous_batching: bool = Field(
        False, description=N_("answer several requests at a time from a paged cache"), json_schema_extra=ADVANCED
    )
    compile: bool = Field(
        False, description=N_("compile the model: a slower start, faster answers"), json_schema_extra=ADVANCED
    )
    reasoning: Literal["auto", "on", "off"] = Field(
        "auto", description=N_("let a reasoning model think before it answers"), json_schema_extra=ADVANCED
    )
    default_seed: int | None = Field(
        None, description=N_("seed of the random choices; empty: another each time"), json_schema_extra=ADVANCED
    )
    trust_remote_code: bool = Field(
        False,
        description=N_("run the Python code that comes with the model: only for models that you trust"),
        json_schema_extra=ADVANCED,
    )
    allow_download: bool = Field(
        False, description=N_("let it fetch what it lacks of the model from its hub"), json_schema_extra=ADVANCED
    )
    program: str = Field(
        "",
        description=N_("path of a Python that has transformers; empty: the engine that Lectern installs"),
        json_schema_extra=ADVANCED,
    )


class Transformers:
    """Runs `transformers_server`, our few lines around `transformers serve`."""

    key = "transformers"
    name = "transformers"
    spec = TransformersSpec
    environment = "transformers"

    def launch(self, spec: Mapping[str, Any], place: Place) -> LaunchCommand:
        """How a model is served. Raises: InvalidValue, EngineNotInstalled."""
        chosen = TransformersSpec.of(spec)
        python = program_of(self.name, chosen.program, self.environment, "python", place)
        # -P: beside the script lie modules with the names of the libraries that it imports.
        argv = [python, "-P", str(SERVER), "--served-model-name", chosen.served_name, chosen.model]
        argv += ["--host", "127.0.0.1", "--port", str(place.port), *self._options(chosen), *chosen.extra_args]
        env = {**SILENT, **({} if chosen.allow_download else OFFLINE), **chosen.environment()}
        return LaunchCommand(argv, env, chosen.secrets())

    def _options(self, chosen: TransformersSpec) -> list[str]:
        """What differs from the program's own defaults."""
        fields = TransformersSpec.model_fields
        values = {name: getattr(chosen, name) for name in NAMES if getattr(chosen, name) != fields[name].default}
        # As text: a seed of 0 is a choice.
        return flags({name: value if isinstance(value, bool) else str(value) for name, value in values.items()})
