"""Everything that comes in or goes out as a whole, as pages and command line use it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from services.knowledge.service import KnowledgeService
from services.knowledge.transfer import arrivals, zips
from services.knowledge.transfer.archive import Archives
from services.knowledge.transfer.folders import Folders
from services.knowledge.transfer.langchain_import import LangchainImports
from services.store.bases import BaseRecord


@dataclass(frozen=True)
class Transfer:
    """The ways in and out."""

    archives: Archives
    langchain: LangchainImports
    folders: Folders
    knowledge: KnowledgeService
    bases: Path

    def add_zip(self, base: BaseRecord, name: str, stream: BinaryIO) -> list[zips.Outcome]:
        """Add every file in a zip to a base: each name with its row, or why it was not taken. Raises: ZipRefused."""
        return list(zips.add_zip(name, stream, partial(self.knowledge.add, base)))

    def sweep(self) -> None:
        """Remove what is left of killed imports, and the folders of bases that are gone. For the worker."""
        arrivals.sweep(self.bases)
        self.folders.sweep()
