"""The hubs by their keys, as `--from` takes them."""

from __future__ import annotations

from collections.abc import Mapping

from services.hub.sources.huggingface import HuggingFace
from services.hub.sources.modelscope import ModelScope
from services.hub.sources.protocol import Source

HUBS = ("hf", "hf-mirror", "modelscope", "ollama")
PLACES = {"hf": "Hugging Face", "hf-mirror": "HF mirror", "modelscope": "ModelScope", "ollama": "Ollama"}
SOURCES: Mapping[str, Source] = {"hf": HuggingFace(), "hf-mirror": HuggingFace(), "modelscope": ModelScope()}
"""All but Ollama, which loads by itself."""
