"""Where models lie: Lectern's own folder, folders that were named, and what other tools have loaded.

Sources: the layout of huggingface_hub's cache (its guide "Understand caching"), of ModelScope's, and of Ollama's store
of manifests and blobs. Links are followed only within the cache that made them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from services.hub.local_models_facts import is_first_part

Source = Literal["lectern", "folder", "hf", "modelscope", "ollama"]
DEPTH = 5
MANIFEST = "lectern.json"
"""Stands in each folder that Lectern has downloaded, once it is whole."""
MAX_MANIFEST_BYTES = 4 << 20
WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".gguf")
_MODEL, _LICENSE = "application/vnd.ollama.image.model", "application/vnd.ollama.image.license"
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place where a model lies: a folder with a config, or the (first) file of a GGUF model."""

    path: Path
    source: Source
    root: Path
    """The folder that was searched."""
    name: str = ""
    repository: str | None = None
    hub: str | None = None
    revision: str | None = None
    licence: str | None = None


def own(folder: Path) -> Iterator[Spot]:
    """What Lectern has loaded itself."""
    for place in _folders(folder):
        told = _json(place / MANIFEST) or {}
        if not told and place.name != "embedded":
            continue
        known = {key: value for key, value in told.items() if key in ("repository", "hub", "revision", "licence")}
        for path in _models(place):
            yield Spot(path, "lectern", folder, name=_named(place, path, told.get("repository")), **known)


def named(folder: Path) -> Iterator[Spot]:
    """What lies in a folder that somebody has named, and in those below it."""
    for path in _models(folder):
        place = path if path.is_dir() else path.parent
        named = place.relative_to(folder).as_posix() if place != folder else ""
        name = named if path.is_dir() else path.name
        yield Spot(path, "folder", folder, name=name or folder.name)


def hugging_face(cache: Path) -> Iterator[Spot]:
    """What is in the cache of huggingface_hub and of all that use it."""
    for place in _folders(cache):
        if not place.name.startswith("models--"):
            continue
        repository = place.name.removeprefix("models--").replace("--", "/")
        for snapshot in _folders(place / "snapshots"):
            for path in _models(snapshot):
                name = _named(snapshot, path, repository)
                yield Spot(path, "hf", cache, name, repository, "hf", snapshot.name)


def modelscope(cache: Path) -> Iterator[Spot]:
    """What is in ModelScope's cache, in its layouts of today and before."""
    for root in (cache / "models", cache / "hub" / "models", cache / "hub", cache):
        for owner in _folders(root):
            if owner.name in ("models", "hub", "datasets", "temp", "._____temp") or owner.name.startswith("."):
                continue
            for place in _folders(owner):
                yield from _modelscope_models(cache, owner.name, place)


def ollama(store: Path) -> Iterator[Spot]:
    """What Ollama has pulled: each manifest that has a model among its layers."""
    for directory, _, names in os.walk(store / "manifests"):
        for tag in sorted(names):
            manifest = Path(directory) / tag
            layers = (_json(manifest) or {}).get("layers")
            digests = dict(_layers(layers if isinstance(layers, list) else []))
            if _MODEL not in digests:
                continue
            host, *middle = manifest.relative_to(store / "manifests").parts[:-1]
            shown = [part for part in ([] if host == "registry.ollama.ai" else [host]) + middle if part != "library"]
            name = f"{'/'.join(shown)}:{tag}"
            blob = store / "blobs" / f"sha256-{digests[_MODEL]}"
            licence = _first_line(store / "blobs" / f"sha256-{digests[_LICENSE]}") if _LICENSE in digests else None
            yield Spot(blob, "ollama", store, name, name, "ollama", digests[_MODEL][:12], licence)


def _modelscope_models(cache: Path, owner: str, place: Path) -> Iterator[Spot]:
    name = place.name.replace("___", ".")  # what it writes for a dot
    repository = owner.replace("--", "/") if "--" in owner else f"{owner}/{name}"
    revision = re.search(r"Revision:([^,\s]+)", _text(place / ".mv"))
    snapshots = _folders(place / "snapshots")
    for folder in snapshots or [place]:
        told = folder.name if snapshots else revision[1] if revision else None
        for path in _models(folder):
            yield Spot(path, "modelscope", cache, _named(folder, path, repository), repository, "modelscope", told)


def _models(root: Path) -> Iterator[Path]:
    """Folders with a config and weights, and GGUF files; what links lead to elsewhere is left alone."""
    for directory, folders, names in os.walk(root):
        here = Path(directory)
        deep = len(here.relative_to(root).parts) >= DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
        models = [name for name in sorted(names) if name.lower().endswith(".gguf")]
        if "config.json" in names and (len(models) == 0 or _weighs(names)):
            yield here
            folders[:] = [name for name in folders if not (here / name / "config.json").is_file()]
        for name in models:
            if is_first_part(name) and "mmproj" not in name.lower():
                yield here / name


def _weighs(names: Sequence[str]) -> bool:
    return any(name.endswith(WEIGHTS) and not name.endswith(".gguf") for name in names)


def _named(place: Path, path: Path, repository: Any) -> str:
    """What a model is called: its repository, and the file where that is one."""
    inside = "" if path == place else path.relative_to(place).as_posix()
    if not isinstance(repository, str):
        return inside or place.name
    return f"{repository}/{inside}" if inside else repository


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []


def _layers(layers: list[Any]) -> Iterator[tuple[str, str]]:
    for layer in layers:
        digest = _DIGEST.fullmatch(str(layer.get("digest"))) if isinstance(layer, dict) else None
        if digest:
            yield str(layer.get("mediaType")), digest[1]


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _first_line(path: Path) -> str | None:
    return next((line.strip()[:60] for line in _text(path).splitlines() if line.strip()), None)
