"""The engines that Lectern can start, by the key that a server's row holds."""

from __future__ import annotations

from collections.abc import Mapping

from services.serving.engines.llamacpp import LlamaCpp
from services.serving.engines.protocol import Engine
from services.serving.engines.vllm import Vllm

ENGINES: Mapping[str, Engine] = {engine.key: engine for engine in (Vllm(), LlamaCpp())}
REMOTE = "remote"
"""Nothing to start: any OpenAI-compatible address."""
