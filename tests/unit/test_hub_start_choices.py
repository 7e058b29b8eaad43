"""What a server for a model would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.hub.local_models import LocalModel
from services.hub.local_models_facts import Facts
from services.hub.local_models_fit import Fit
from services.hub.local_models_start import short_name, start_choices
from services.serving.engines.registry import ENGINES


def model(name: str = "Org/Small", source: Any = "lectern", **facts: Any) -> LocalModel:
    path = Path("/models") / name
    return LocalModel(
        name, path, source, Path("/models"), 1, Facts(**{"format": "safetensors", "use": "chat", **facts})
    )


@pytest.mark.parametrize(
    ("one", "fit", "gpus", "engine", "chosen"),
    [
        (model(), Fit("fits", 1), 1, "vllm", {"served_model_name": "Small"}),
        (model(), Fit("fits", 2), 4, "vllm", {"tensor_parallel_size": 2}),
        (model(), Fit("changed", 1, {"max_model_len": 9000}), 1, "vllm", {"max_model_len": 9000}),
        (model(), Fit("unknown"), 0, "transformers", {"model": "/models/Org/Small"}),
        (model(use="embedder"), Fit("fits"), 1, "embeddings", {"model": "/models/Org/Small"}),
        (model(use="reranker"), Fit("fits"), 0, "embeddings", {"task": "rerank"}),
        (model("a/b-Q4_K_M.gguf", format="gguf"), Fit("fits"), 1, "llama.cpp", {"served_model_name": "b-Q4_K_M"}),
        (model("x.gguf", format="gguf", context=2048), Fit("fits"), 0, "llama.cpp", {"context": 2048}),
        (model("r.gguf", format="gguf", use="reranker"), Fit("fits"), 0, "llama.cpp", {"reranking": True}),
        (model("qwen3:8b", "ollama", format="gguf"), Fit("fits"), 0, "ollama", {"model": "qwen3:8b"}),
    ],
)
def test_engine_and_choices_go_with_the_model_and_the_machine(
    one: LocalModel, fit: Fit, gpus: int, engine: str, chosen: dict[str, Any]
) -> None:
    found, choices = start_choices(one, fit, gpus=gpus)
    assert found == engine and chosen.items() <= choices.items()
    ENGINES[engine].spec.of(choices)


def test_a_model_is_called_by_the_last_part_of_its_name() -> None:
    assert short_name(model("Org/Big-Q8_0/big-Q8_0.gguf")) == "big-Q8_0"
