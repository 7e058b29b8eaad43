"""Models on disk: what there is, what is known of each, and deleting what is not needed."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.errors import InvalidValue
from services.core.hub_errors import ModelInUse, ModelNotFound, ModelNotOurs
from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.core.phrases import phrase
from services.hub import local_models_places as places
from services.hub.local_models_facts import Facts, of_folder, of_gguf, parts_of
from services.hub.local_models_places import Source, Spot

Uses = Callable[[], Sequence[tuple[str, str]]]
"""Tells each server's name and the model that it was given."""
Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on this machine. `path` is what an engine is given; sizes are bytes, each file counted once."""

    name: str
    path: Path
    source: Source
    root: Path
    bytes: int
    facts: Facts
    repository: str | None = None
    hub: str | None = None
    revision: str | None = None
    licence: str | None = None

    def row(self, language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
        """As JSON values."""
        facts, error = self.facts, self.facts.error.render(language) if self.facts.error else None
        return {
            "name": self.name,
            "path": str(self.path),
            "source": self.source,
            "hub": self.hub,
            "repository": self.repository,
            "revision": self.revision,
            "format": facts.format,
            "family": facts.family,
            "use": facts.use,
            "parameters": facts.parameters,
            "quantization": facts.quantisation,
            "context": facts.context,
            "bytes": self.bytes,
            "licence": self.licence,
            "error": {"code": error.code, "message": error.message, "remedy": error.remedy} if error else None,
        }


class LocalModels:
    """The models of this machine. Thread-safe; what was read is kept until a file's size or time changes."""

    def __init__(
        self,
        own: Path,
        folders: Callable[[], Sequence[str]],
        caches: Mapping[str, Sequence[Path]],
        uses: Uses = tuple,
    ) -> None:
        """
        Args:
            own: the folder that Lectern downloads to.
            folders: further folders, as they are chosen now.
            caches: folders of other tools, by their source.
            uses: what servers use.
        """
        self._own, self._folders, self._caches, self._uses = own, folders, caches, uses
        self._known: dict[Path, tuple[Signature, LocalModel]] = {}
        self._lock = threading.Lock()

    def list(self) -> list[LocalModel]:
        """Every model, Lectern's own first, then by name. A broken one has an error."""
        found: dict[Path, LocalModel] = {}
        for spot in self._spots():
            found.setdefault(spot.path, self._model(spot))
        with self._lock:
            self._known = {path: kept for path, kept in self._known.items() if path in found}
        return sorted(found.values(), key=lambda model: (model.source != "lectern", model.name.casefold(), model.path))

    def find(self, reference: str) -> LocalModel:
        """The model with this name or path. Raises: ModelNotFound, InvalidValue where several have the name."""
        models = self.list()
        here = Path(reference).expanduser()
        by_path = [model for model in models if here.is_absolute() and model.path == here]
        by_name = [model for model in models if reference in (model.name, model.repository)]
        found = by_path or [model for model in by_name if model.source == "lectern"] or by_name
        if not found:
            raise ModelNotFound(place=N_("This machine"), name=reference)
        if len(found) > 1:
            paths = ", ".join(str(model.path) for model in found)
            reason = phrase(N_("several are called so, give a path: {paths}"), paths=paths)
            raise InvalidValue(field=N_("model"), value=reference, reason=reason)
        return found[0]

    def remove(self, reference: str) -> LocalModel:
        """Delete a model's files: one that Lectern has downloaded, or any but Ollama's whose path is given.

        Links are deleted, never followed. Raises: ModelNotFound, ModelNotOurs, ModelInUse, InvalidValue.
        """
        model = self.find(reference)
        if model.source == "ollama" or (model.source != "lectern" and not Path(reference).expanduser().is_absolute()):
            raise ModelNotOurs(name=model.name, path=str(model.path))
        gone = self._goes(model)
        for server, used in self._uses():
            if used in (model.repository, model.name) or _within(used, gone):
                raise ModelInUse(server=server, name=model.name)
        for one in gone:
            _delete(one)
        return model

    def _goes(self, model: LocalModel) -> Sequence[Path]:
        """What is deleted with a model."""
        if model.source == "lectern" and model.path.parent != model.root and model.repository:
            inside = model.path.relative_to(model.root)
            return [model.root / inside.parts[0]]
        if model.path.is_dir():
            links = [path for path in model.path.rglob("*") if path.is_symlink()]
            blobs = [path.resolve() for path in links] if model.source == "hf" else []
            kept = _blobs_of_others(model.path) if blobs else set()
            # Only what lies in this repository's own part of the cache, and belongs to no other revision.
            store = model.path.parent.parent / "blobs"
            return [model.path, *(blob for blob in dict.fromkeys(blobs) if blob.parent == store and blob not in kept)]
        return parts_of(model.path)

    def _spots(self) -> Iterator[Spot]:
        yield from places.own(self._own)
        for chosen in self._folders():
            yield from places.named(Path(chosen).expanduser())
        for source, look in (
            ("hf", places.hugging_face),
            ("modelscope", places.modelscope),
            ("ollama", places.ollama),
        ):
            for folder in self._caches.get(source, ()):
                yield from look(folder)

    def _model(self, spot: Spot) -> LocalModel:
        files = _files(spot.path)
        signature = tuple((str(path), entry.st_size, entry.st_mtime_ns) for path, entry in files)
        with self._lock:
            known = self._known.get(spot.path)
        if known and known[0] == signature:
            return known[1]
        single = spot.source == "ollama" or not spot.path.is_dir()
        facts = of_gguf(spot.path, spot.name) if single else of_folder(spot.path)
        sizes = {(entry.st_dev, entry.st_ino): entry.st_size for _, entry in files}
        model = LocalModel(
            name=spot.name,
            path=spot.path,
            source=spot.source,
            root=spot.root,
            bytes=sum(sizes.values()),
            facts=facts,
            repository=spot.repository,
            hub=spot.hub,
            revision=spot.revision,
            licence=spot.licence or facts.licence,
        )
        with self._lock:
            self._known[spot.path] = (signature, model)
        return model


def _files(path: Path) -> list[tuple[Path, os.stat_result]]:
    """The files of a model with what the system says of them."""
    found = []
    for one in sorted(path.rglob("*")) if path.is_dir() else parts_of(path):
        try:
            entry = one.stat()
        except OSError:  # a link that leads nowhere, or it has just gone
            continue
        if stat.S_ISREG(entry.st_mode) and ".cache" not in one.relative_to(path.parent).parts:
            found.append((one, entry))
    return found


def _blobs_of_others(snapshot: Path) -> set[Path]:
    others = [folder for folder in snapshot.parent.iterdir() if folder != snapshot]
    return {path.resolve() for folder in others for path in folder.rglob("*") if path.is_symlink()}


def _within(used: str, gone: Sequence[Path]) -> bool:
    path = Path(used)
    return path.is_absolute() and any(path == one or one in path.parents for one in gone)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)  # deletes links, never what they lead to
    else:
        path.unlink(missing_ok=True)
