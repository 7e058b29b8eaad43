"""Ollama, as it is installed on the machine: one server for all models that it has pulled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from services.core.i18n import N_
from services.llm.ollama import KEY
from services.serving.engines.protocol import LaunchCommand, Place, program_on_path
from services.serving.spec import ADVANCED, ManagedSpec

INSTALL = "curl -fsSL https://ollama.com/install.sh | sh"
"""Ollama's own way for Linux. Shown, never run."""
VARIABLES = {
    "models": "OLLAMA_MODELS",
    "keep_alive": "OLLAMA_KEEP_ALIVE",
    "context_length": "OLLAMA_CONTEXT_LENGTH",
    "num_parallel": "OLLAMA_NUM_PARALLEL",
    "max_loaded_models": "OLLAMA_MAX_LOADED_MODELS",
    "max_queue": "OLLAMA_MAX_QUEUE",
    "flash_attention": "OLLAMA_FLASH_ATTENTION",
    "kv_cache_type": "OLLAMA_KV_CACHE_TYPE",
    "load_timeout": "OLLAMA_LOAD_TIMEOUT",
    "sched_spread": "OLLAMA_SCHED_SPREAD",
    "gpu_overhead": "OLLAMA_GPU_OVERHEAD",
}


class OllamaSpec(ManagedSpec):
    """The fields are Ollama's variables without OLLAMA_; others go into `env`. Empty or 0: its own choice."""

    model: str = Field("", description=N_("name of the model to ask for, such as qwen3:8b; empty: the first it lists"))
    models: str = Field("", description=N_("folder that holds its models"))
    keep_alive: str = Field(
        "",
        pattern=r"^(-1|0|([0-9]+(\.[0-9]+)?(ms|s|m|h))*)$",
        description=N_("how long a model stays in memory without a question, such as 30m; -1: for ever"),
    )
    context_length: int = Field(0, ge=0, description=N_("context of one request, tokens"))
    num_parallel: int = Field(0, ge=0, description=N_("requests that are answered at a time"))
    max_loaded_models: int = Field(0, ge=0, description=N_("models in memory at a time"))
    max_queue: int = Field(
        0, ge=0, description=N_("requests that may wait; further ones are refused"), json_schema_extra=ADVANCED
    )
    flash_attention: bool = Field(
        False, description=N_("flash attention: less memory for long contexts"), json_schema_extra=ADVANCED
    )
    kv_cache_type: Literal["", "f16", "q8_0", "q4_0"] = Field(
        "",
        description=N_("number format of the context's memory; q8_0 halves it and wants flash attention"),
        json_schema_extra=ADVANCED,
    )
    load_timeout: str = Field(
        "",
        pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))*$",
        description=N_("how long a model may take to load, such as 10m"),
        json_schema_extra=ADVANCED,
    )
    sched_spread: bool = Field(False, description=N_("spread each model over all GPUs"), json_schema_extra=ADVANCED)
    gpu_overhead: int = Field(
        0, ge=0, description=N_("memory of each GPU that it leaves free, bytes"), json_schema_extra=ADVANCED
    )
    program: str = Field(
        "", description=N_("path of an ollama program; empty: that of PATH"), json_schema_extra=ADVANCED
    )


class OllamaEngine:
    """Runs `ollama serve`, which takes everything from its environment."""

    key = KEY
    name = "Ollama"
    spec = OllamaSpec
    environment = None

    def launch(self, spec: Mapping[str, Any], place: Place) -> LaunchCommand:
        """How the server is started. Raises: InvalidValue, EngineNotInstalled, with the command that installs it."""
        chosen = OllamaSpec.of(spec)
        program = program_on_path(self.name, chosen.program, "ollama", INSTALL)
        given = {variable: getattr(chosen, name) for name, variable in VARIABLES.items()}
        told = {variable: "1" if value is True else str(value) for variable, value in given.items() if value}
        env = {"OLLAMA_HOST": f"127.0.0.1:{place.port}", **told, **chosen.environment()}
        return LaunchCommand([program, "serve", *chosen.extra_args], env, chosen.secrets())
