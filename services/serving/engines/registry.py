"""The engines that Lectern can start, by the key that a server's row holds."""

from __future__ import annotations

from collections.abc import Mapping

from services.serving.engines.embeddings import Embeddings
from services.serving.engines.llamacpp import LlamaCpp
from services.serving.engines.ollama import OllamaEngine
from services.serving.engines.protocol import Engine
from services.serving.engines.ssh import Ssh
from services.serving.engines.transformers import Transformers
from services.serving.engines.vllm import Vllm

ENGINES: Mapping[str, Engine] = {
    engine.key: engine for engine in (Vllm(), LlamaCpp(), OllamaEngine(), Transformers(), Embeddings(), Ssh())
}
REMOTE = "remote"
"""Nothing to start: any OpenAI-compatible address."""
EMBEDDERS = frozenset({Embeddings.key})
"""They answer no questions."""
