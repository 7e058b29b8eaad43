"""Embedders and rerankers that need torch, as a small server of ours around sentence-transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from services.core.i18n import N_
from services.serving.engines.protocol import LaunchCommand, Place, flags, program_of
from services.serving.engines.transformers import OFFLINE, SILENT
from services.serving.spec import ADVANCED, ManagedSpec

SERVER = Path(__file__).with_name("embeddings_server.py")
NAMES = (
    *("task", "device", "dtype", "max_length", "batch_size", "max_inputs", "max_request_mib", "normalize"),
    *("trust_remote_code", "allow_download"),
)


class EmbeddingsSpec(ManagedSpec):
    """A sentence-transformers model or a cross-encoder, as a folder or a hub id."""

    task: Literal["auto", "embed", "rerank"] = Field(
        "auto", description=N_("what the model is for: vectors, or scores of a question with each text")
    )
    device: str = Field("", description=N_("where the model runs: cpu, cuda:0 …; empty: a GPU where there is one"))
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        "auto", description=N_("number format of the weights; float16 for cards older than Ampere")
    )
    normalize: bool = Field(True, description=N_("give vectors of length 1"))
    max_length: int = Field(
        0,
        ge=0,
        description=N_("tokens of a text that are read; 0: what the model was made for"),
        json_schema_extra=ADVANCED,
    )
    batch_size: int = Field(32, ge=1, description=N_("texts that are computed at a time"), json_schema_extra=ADVANCED)
    max_inputs: int = Field(2048, ge=1, description=N_("texts that one request may bring"), json_schema_extra=ADVANCED)
    max_request_mib: int = Field(
        16, ge=1, le=1024, description=N_("size of the largest request, MiB"), json_schema_extra=ADVANCED
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
        description=N_("path of a Python that has sentence-transformers; empty: the engine that Lectern installs"),
        json_schema_extra=ADVANCED,
    )


class Embeddings:
    """Runs `embeddings_server`. Chats with nobody."""

    key = "embeddings"
    name = "embeddings"
    spec = EmbeddingsSpec
    environment = "embeddings"

    def launch(self, spec: Mapping[str, Any], place: Place) -> LaunchCommand:
        """How a model is served. Raises: InvalidValue, EngineNotInstalled."""
        chosen = EmbeddingsSpec.of(spec)
        python = program_of(self.name, chosen.program, self.environment, "python", place)
        # -P: beside the script lie modules with the names of the libraries that it imports.
        argv = [python, "-P", str(SERVER), chosen.model, "--served-model-name", chosen.served_name]
        argv += ["--host", "127.0.0.1", "--port", str(place.port)]
        argv += flags({name: getattr(chosen, name) for name in NAMES})
        env = {**SILENT, **({} if chosen.allow_download else OFFLINE), **chosen.environment()}
        return LaunchCommand([*argv, *chosen.extra_args], env, chosen.secrets())
