"""What a server for a model would sensibly be: its engine, and what is chosen about it."""

from __future__ import annotations

from typing import Any

from services.hub.local_models import LocalModel
from services.hub.local_models_fit import Fit

LLAMACPP_CONTEXT = 8192
"""Of one request: a model's own may take more memory than the machine has."""


def short_name(model: LocalModel) -> str:
    """What people call a model: the last part of its name, without its file's ending."""
    last = model.name.rsplit("/", 1)[-1]
    return last.removesuffix(".gguf")


def start_choices(model: LocalModel, fit: Fit, *, gpus: int) -> tuple[str, dict[str, Any]]:
    """An engine's key and its choices.

    Args:
        gpus: how many this machine has.
    """
    facts, served = model.facts, {"served_model_name": short_name(model)}
    if model.source == "ollama":
        return "ollama", {"model": model.name, "models": str(model.root)}
    choices: dict[str, Any] = {"model": str(model.path), **served}
    if facts.use in ("embedder", "reranker") and facts.format != "gguf":
        return "embeddings", {**choices, **({"task": "rerank"} if facts.use == "reranker" else {})}
    if facts.format == "gguf":
        length = fit.choices.get("max_model_len", LLAMACPP_CONTEXT)
        reranks = {"reranking": True} if facts.use == "reranker" else {}
        return "llama.cpp", {**choices, "context": min(length, facts.context or length, LLAMACPP_CONTEXT), **reranks}
    if not gpus:
        return "transformers", choices
    parallel = {"tensor_parallel_size": fit.gpus} if fit.gpus > 1 else {}
    return "vllm", {**choices, **parallel, **fit.choices}
