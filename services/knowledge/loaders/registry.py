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


def _modules() -> list[pkgutil.ModuleInfo]:
    return sorted(pkgutil.iter_modules(loaders.__path__), key=lambda found: found.name)
