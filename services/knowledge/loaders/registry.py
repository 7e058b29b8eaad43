"""The loaders that exist: every module of this package with a `LOADER`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from services.knowledge import loaders
from services.knowledge.loaders.protocol import Loader


@cache
def all_loaders() -> tuple[Loader, ...]:
    """Each format's loader, by module name."""
    modules = (importlib.import_module(f"{loaders.__name__}.{found.name}") for found in _modules())
    return tuple(module.LOADER for module in modules if hasattr(module, "LOADER"))


def supported_extensions() -> tuple[str, ...]:
    """The extensions of all formats, sorted, with their dots."""
    return tuple(sorted({extension for loader in all_loaders() for extension in loader.extensions}))


def format_name(media_type: str) -> str:
    """What people call a media type, such as DOCX: by the ending of its files, where its loader tells them apart."""
    for loader in all_loaders():
        kinds, endings = loader.media_types, loader.extensions
        if media_type in kinds and len(kinds) in (1, len(endings)):
            return endings[kinds.index(media_type)].lstrip(".").upper()
    return media_type.rpartition("/")[2].upper()


def _modules() -> list[pkgutil.ModuleInfo]:
    return sorted(pkgutil.iter_modules(loaders.__path__), key=lambda found: found.name)
