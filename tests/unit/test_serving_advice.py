"""A diagnosis' flags become choices of a spec: of the field that is meant, and nothing twice."""

from __future__ import annotations

from services.serving.advice import choices
from services.serving.engines.llamacpp import LlamaCppSpec
from services.serving.engines.ollama import OllamaSpec


def test_a_variable_of_ollama_is_its_field_and_leaves_the_environment() -> None:
    spec = OllamaSpec.of({"env": {"OLLAMA_CONTEXT_LENGTH": "9000", "OTHER": "1"}})
    chosen = choices(spec, {"OLLAMA_CONTEXT_LENGTH": "4096", "OLLAMA_NOT_A_FIELD": "2"})
    assert chosen == {"context_length": "4096", "env": {"OTHER": "1", "OLLAMA_NOT_A_FIELD": "2"}}
    assert OllamaSpec.of({**spec.row(), **chosen}).context_length == 4096


def test_the_same_variable_is_nothing_to_another_engine() -> None:
    spec = LlamaCppSpec.of({"model": "/m.gguf"})
    assert choices(spec, {"OLLAMA_CONTEXT_LENGTH": "4096"}) == {"env": {"OLLAMA_CONTEXT_LENGTH": "4096"}}
