"""The base stores keep what the protocol says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.knowledge.index.local import LocalBaseStore
from services.knowledge.index.protocol import BaseStore
from tests.contract.base_store_suite import BaseStoreSuite


class TestLocalBaseStore(BaseStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[BaseStore]:
        opened = LocalBaseStore(tmp_path / "base")
        yield opened
        opened.close()
