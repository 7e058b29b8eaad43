"""What the integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.app import bootstrap
from services.core.settings import load
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from tests.fakes.embedder import HashEmbedder
from tests.fakes.library_desk import Desk
from tests.integration.commands import Shell


@pytest.fixture(scope="module")
def library_reader() -> Iterator[Reader]:
    """A reader with small limits."""
    opened = Reader(Limits(pages=50, characters=200_000, timeout_s=60, memory_bytes=4 * 1024**3))
    yield opened
    opened.close()


@pytest.fixture
def desk(tmp_path: Path, library_reader: Reader) -> Iterator[Desk]:
    """An empty installation in which `shelves` may be followed."""
    roots = tmp_path / "shelves"
    roots.mkdir()
    services = bootstrap(load(home=tmp_path / "home", folder_roots=str(roots)), embedder=HashEmbedder())
    yield Desk(services, Ingest(services.stores, library_reader, services.embedders), roots)
    services.close()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The command line over an empty home."""
    monkeypatch.setattr("services.core.log.configure", lambda *_: None)  # it would take over this process's log
    return Shell(tmp_path)
