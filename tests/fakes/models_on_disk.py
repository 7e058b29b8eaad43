"""Small models on a disk, in the layouts of those who load them."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from tests.unit.hub_models import SMALL, entry, small_gguf

CARD = "---\nlicense: apache-2.0\ntags:\n- chat\n---\n# A model\n"


def safetensors_file(path: Path, elements: int = 1000) -> Path:
    """A file with one tensor and all its bytes."""
    header = {"model.embed_tokens.weight": {"dtype": "BF16", "shape": [elements], "data_offsets": [0, 2 * elements]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(2 * elements))
    return path


def folder_model(folder: Path, **config: Any) -> Path:
    """A chat model as safetensors, with its card."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {**SMALL, "architectures": ["LlamaForCausalLM"], **config}
    (folder / "config.json").write_text(json.dumps(fields), "utf-8")
    (folder / "README.md").write_text(CARD, "utf-8")
    safetensors_file(folder / "model.safetensors")
    return folder


def gguf_model(path: Path, *more: bytes) -> Path:
    """A GGUF file whose tensors are there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small_gguf(path, entry("general.file_type", 15), entry("general.license", "mit"), *more)
    with path.open("ab") as file:
        file.write(bytes(600_000))
    return path


def hugging_face_model(cache: Path, repository: str, commit: str, **config: Any) -> Path:
    """A model in huggingface_hub's cache: its snapshot links to blobs."""
    place = cache / f"models--{repository.replace('/', '--')}"
    made = folder_model(cache.parent / "draft", **config)
    snapshot, blobs = place / "snapshots" / commit, place / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir(exist_ok=True)
    for path in made.iterdir():
        blob = blobs / hashlib.sha256(path.read_bytes()).hexdigest()
        path.replace(blob)
        (snapshot / path.name).symlink_to(Path("../../blobs") / blob.name)
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / "main").write_text(commit, "utf-8")
    return snapshot


def ollama_model(store: Path, name: str, tag: str) -> Path:
    """A model in Ollama's store: a manifest, and its layers as blobs."""
    blobs, manifest = store / "blobs", store / "manifests/registry.ollama.ai/library" / name / tag
    blobs.mkdir(parents=True, exist_ok=True)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    layers: list[dict[str, Any]] = []
    licence = store / "licence"
    licence.write_text("\n  Apache License\nVersion 2.0\n", "utf-8")
    for kind, draft in (("model", gguf_model(store / "draft.gguf")), ("license", licence)):
        digest, size = hashlib.sha256(draft.read_bytes()).hexdigest(), draft.stat().st_size
        draft.replace(blobs / f"sha256-{digest}")
        layers.append({"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}", "size": size})
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}), "utf-8")
    return blobs / str(layers[0]["digest"]).replace(":", "-")
