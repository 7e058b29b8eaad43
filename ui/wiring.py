"""The one set of services of this process. Kept tiny and unchanging: reloading this module would make a second set."""

from __future__ import annotations

import gc
import threading

from services.app import Services, bootstrap
from services.core import log
from services.core.settings import load

_lock = threading.Lock()
_services: Services | None = None


def services() -> Services:
    """The services that all pages and the API of this process share, joined at first use. Thread-safe.

    Raises: ConfigurationError, DatabaseUnavailable.
    """
    global _services
    with _lock:
        if _services is None:
            settings = load()
            _services = bootstrap(settings, background=True)
            log.configure(settings.layout.logs, "web")
            _warm_up()
        return _services


def close() -> None:
    """End what runs in this process; the next use joins anew."""
    global _services
    with _lock:
        if _services is not None:
            _services.close()
            _services = None


def _warm_up() -> None:
    # What charts and tables need is loaded before the first visitor comes, then taken out of the collector's sight.
    import altair
    import pandas
    import pyarrow

    del altair, pandas, pyarrow
    gc.collect()
    gc.freeze()
