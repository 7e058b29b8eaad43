"""Services over a small embedder, and the way that the worker walks, for tests of what bases hold."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from services.app import Services
from services.knowledge.ingest import Ingest
from services.knowledge.search_types import SearchMode, SearchOptions
from services.knowledge.types import DocumentState
from services.store.bases import BaseRecord
from tests.fakes.walk import walk

DENSE = SearchOptions(mode=SearchMode.DENSE, top_k=3)
PUMP = "The pump has a warranty of two years."
LEAVE = "员工每年有十五天年假。"


@dataclass
class Desk:
    """`roots`: below it bases may follow folders."""

    services: Services
    ingest: Ingest
    roots: Path

    def base(self, name: str, **files: str) -> BaseRecord:
        """A base with these text files, settled."""
        base = self.services.knowledge.create(name)
        for label, text in files.items():
            self.services.knowledge.add(base, f"{label}.txt", io.BytesIO(text.encode()))
        self.settle(base)
        return base

    def settle(self, base: BaseRecord) -> dict[str, DocumentState]:
        """Walk every wish to its end; the state of each document."""
        for key in self.services.stores.of(base).pending():
            walk(self.ingest, base, key)
        return {row.name: row.state for row in self.services.knowledge.documents(base)}

    def names(self, base: BaseRecord) -> list[str]:
        """All names of all documents."""
        return [name for row in self.services.knowledge.documents(base) for name in row.names]

    def found(self, base: BaseRecord, question: str) -> str:
        """The text that is nearest to a question."""
        return self.services.knowledge.search(base, question, DENSE).hits[0].chunk.text
