"""vLLM's OpenAI server, in an environment of its own or wherever a person has installed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SecretStr, field_serializer

from services.core.i18n import N_
from services.serving.engines.protocol import LaunchCommand, Place, flags, program_of
from services.serving.spec import ADVANCED, ManagedSpec

SILENT = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
"""vLLM would report to its makers otherwise."""
OFFLINE = {"HF_HUB_OFFLINE": "1"}


class VllmSpec(ManagedSpec):
    """A model folder or hub id served by vLLM. The fields carry vLLM's own names; others go into `extra_args`."""

    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] = Field(
        "auto", description=N_("number format of the weights; half for cards older than Ampere")
    )
    max_model_len: int = Field(
        0, ge=0, description=N_("longest prompt and answer together, tokens; 0: what the model was made for")
    )
    tensor_parallel_size: int = Field(1, ge=1, description=N_("GPUs that share each layer of the model"))
    pipeline_parallel_size: int = Field(1, ge=1, description=N_("groups of GPUs that each hold some of the layers"))
    gpu_memory_utilization: float = Field(
        0.9, gt=0, le=1, description=N_("share of each GPU's memory that vLLM may use; larger takes more")
    )
    quantization: str = Field(
        "", description=N_("how the weights are packed: awq, gptq, fp8 …; empty: what the model says")
    )
    kv_cache_dtype: str = Field(
        "auto", description=N_("number format of the context's memory; fp8 halves it"), json_schema_extra=ADVANCED
    )
    max_num_seqs: int = Field(
        0,
        ge=0,
        description=N_("requests that are answered at a time; 0: vLLM's own choice"),
        json_schema_extra=ADVANCED,
    )
    enforce_eager: bool = Field(
        False, description=N_("no CUDA graphs: less memory, slower answers"), json_schema_extra=ADVANCED
    )
    trust_remote_code: bool = Field(
        False,
        description=N_("run the Python code that comes with the model: only for models that you trust"),
        json_schema_extra=ADVANCED,
    )
    api_key: SecretStr = Field(
        SecretStr(""), description=N_("key that every request must bring; empty: none"), json_schema_extra=ADVANCED
    )
    allow_download: bool = Field(
        False, description=N_("let vLLM fetch what it lacks of the model from its hub"), json_schema_extra=ADVANCED
    )
    program: str = Field(
        "",
        description=N_("path of a vllm program; empty: the engine that Lectern installs"),
        json_schema_extra=ADVANCED,
    )

    @field_serializer("api_key")
    def _stored(self, key: SecretStr) -> str:
        return key.get_secret_value()


class Vllm:
    """Runs `vllm serve`."""

    key = "vllm"
    name = "vLLM"
    spec = VllmSpec
    environment = "vllm"

    def launch(self, spec: Mapping[str, Any], place: Place) -> LaunchCommand:
        """How a model is served. Raises: InvalidValue, EngineNotInstalled."""
        chosen = VllmSpec.of(spec)
        program = program_of(self.name, chosen.program, self.environment, "vllm", place)
        argv = [program, "serve", chosen.model, "--host", "127.0.0.1", "--port", str(place.port)]
        argv += flags({"served_model_name": chosen.served_name, **self._options(chosen)})
        key = chosen.api_key.get_secret_value()
        # The environment, not the command line: that one every user of the machine can read.
        env = {**SILENT, **({} if chosen.allow_download else OFFLINE), **({"VLLM_API_KEY": key} if key else {})}
        return LaunchCommand([*argv, *chosen.extra_args], {**env, **chosen.environment()}, chosen.secrets())

    def _options(self, chosen: VllmSpec) -> dict[str, object]:
        """What differs from vLLM's own defaults, so that the command stays one that people can read.

        The share of the memory is always told: its default is not the same in every version, and plans rest on it.
        """
        names = (
            *("dtype", "max_model_len", "tensor_parallel_size", "pipeline_parallel_size"),
            *("quantization", "kv_cache_dtype", "max_num_seqs", "enforce_eager", "trust_remote_code"),
        )
        fields = VllmSpec.model_fields
        told = {name: getattr(chosen, name) for name in names if getattr(chosen, name) != fields[name].default}
        return {"gpu_memory_utilization": chosen.gpu_memory_utilization, **told}
