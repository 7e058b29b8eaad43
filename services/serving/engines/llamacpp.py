"""llama.cpp, as the server inside the xllamacpp package."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from services.core.i18n import N_
from services.serving.engines.protocol import LaunchCommand, Place, program_at
from services.serving.spec import ADVANCED, ManagedSpec


class LlamaCppSpec(ManagedSpec):
    """A GGUF file served by llama.cpp."""

    context: int = Field(4096, ge=256, description=N_("context of one request, tokens"))
    parallel: int = Field(2, ge=1, description=N_("requests that are answered at a time"))
    gpu_layers: int = Field(-1, ge=-1, description=N_("layers that go to the GPU; -1: as many as fit"))
    reranking: bool = Field(
        False, description=N_("give scores of a question with each text instead of answers: for a reranker's file")
    )
    threads: int = Field(
        0, ge=0, description=N_("threads that write answers; 0: all cores but one"), json_schema_extra=ADVANCED
    )
    program: str = Field(
        "",
        description=N_("path of a llama-server program; empty: the one that comes along"),
        json_schema_extra=ADVANCED,
    )

    @model_validator(mode="after")
    def _options_need_a_program(self) -> LlamaCppSpec:
        if self.extra_args and not self.program:
            raise ValueError(N_("further options need a llama-server program of your own"))
        return self


class LlamaCpp:
    """Runs `llamacpp_server`, our few lines around xllamacpp, or a llama-server that is installed."""

    key = "llama.cpp"
    name = "llama.cpp"
    spec = LlamaCppSpec
    environment = None

    def launch(self, spec: Mapping[str, Any], place: Place) -> LaunchCommand:
        """How a GGUF file is served. Raises: InvalidValue, EngineNotInstalled."""
        chosen = LlamaCppSpec.of(spec)
        argv = self._installed(chosen, place) if chosen.program else self._packaged(chosen, place)
        return LaunchCommand(argv, chosen.environment(), chosen.secrets())

    def _packaged(self, chosen: LlamaCppSpec, place: Place) -> list[str]:
        options = {
            "model": chosen.model,
            "alias": chosen.served_name,
            "host": "127.0.0.1",
            "port": place.port,
            "context": chosen.context,
            "parallel": chosen.parallel,
            "gpu-layers": chosen.gpu_layers,
            "threads": _threads(chosen),
            "prompt-threads": chosen.threads or os.cpu_count() or 1,
        }
        program = [sys.executable, "-m", "services.serving.engines.llamacpp_server"]
        reranking = ["--reranking"] if chosen.reranking else []
        return [*program, *(part for key, value in options.items() for part in (f"--{key}", str(value))), *reranking]

    def _installed(self, chosen: LlamaCppSpec, place: Place) -> list[str]:
        options = {
            "model": chosen.model,
            "alias": chosen.served_name,
            "host": "127.0.0.1",
            "port": place.port,
            "ctx-size": chosen.context * chosen.parallel,
            "parallel": chosen.parallel,
            "n-gpu-layers": 999 if chosen.gpu_layers < 0 else chosen.gpu_layers,
            "threads": _threads(chosen),
        }
        if chosen.reranking:  # a text is read in one batch or not at all
            options |= {"batch-size": chosen.context, "ubatch-size": chosen.context}
        argv = [part for key, value in options.items() for part in (f"--{key}", str(value))]
        reranking = ["--reranking"] if chosen.reranking else []
        return [program_at(chosen.program, self.name), *argv, *reranking, "--metrics", *chosen.extra_args]


def _threads(chosen: LlamaCppSpec) -> int:
    """Writing an answer leaves a core to the pages; reading the prompt is what people wait for."""
    return chosen.threads or max(1, (os.cpu_count() or 1) - 1)
