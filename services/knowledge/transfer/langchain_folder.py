"""What LangChain's `FAISS.save_local` wrote, read without running anything in it: texts, where they come from, vectors.

Two files: `index.pkl` holds the texts and which of them has which row, `index.faiss` the vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.errors import AppError
from services.core.i18n import N_
from services.core.phrases import phrase
from services.core.transfer_errors import LangchainRefused
from services.knowledge.embedders.protocol import Vectors
from services.knowledge.transfer.pickled import Named, Refused, read_pickled

DOCSTORES = frozenset(
    f"{module}.InMemoryDocstore"
    for module in (
        "langchain_community.docstore.in_memory",
        "langchain_classic.docstore.in_memory",
        "langchain.docstore.in_memory",
    )
)
DOCUMENTS = frozenset(
    {
        "langchain_core.documents.base.Document",
        "langchain.schema.document.Document",
        "langchain.schema.Document",
        "langchain.docstore.document.Document",
    }
)
UNNAMED = "LangChain"
KEPT = ("source", "page")
"""What is kept of the metadata; whatever else stands there is named, so that nobody believes it came along."""

ReadVectors = Callable[[Path], Vectors]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stored text: where it comes from and its page (from 1), where that is told, and its row among the vectors."""

    text: str
    source: str
    page: int | None
    row: int


@dataclass(frozen=True, slots=True)
class LangchainFolder:
    """The pieces in their order, one vector for each row, and the names of metadata that are not kept."""

    pieces: tuple[Piece, ...]
    vectors: Vectors
    dropped: tuple[str, ...]


def read_folder(folder: Path, read_vectors: ReadVectors) -> LangchainFolder:
    """Read such a folder. Raises: LangchainRefused."""
    for name in ("index.faiss", "index.pkl"):
        if not (folder / name).is_file():
            raise LangchainRefused(name=folder.name, reason=phrase(N_("{name} is missing"), name=name))
    try:
        content = read_pickled((folder / "index.pkl").read_bytes(), DOCSTORES | DOCUMENTS)
        pieces, dropped = _pieces(content)
    except Refused as error:
        reason = phrase(N_("index.pkl is not accepted: {detail}"), detail=str(error))
        raise LangchainRefused(name=folder.name, reason=reason) from error
    except OSError as error:
        raise LangchainRefused(name=folder.name, reason=error.strerror or str(error)) from error
    try:
        vectors = read_vectors(folder / "index.faiss")
    except AppError as error:
        raise LangchainRefused(name=folder.name, reason=N_("index.faiss cannot be read")) from error
    if len(vectors) != len(pieces):
        reason = phrase(N_("it has {texts} texts, but {vectors} vectors"), texts=len(pieces), vectors=len(vectors))
        raise LangchainRefused(name=folder.name, reason=reason)
    if not pieces:
        raise LangchainRefused(name=folder.name, reason=N_("it is empty"))
    return LangchainFolder(pieces, vectors, dropped)


def _pieces(content: Any) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
    docstore, rows = content if isinstance(content, tuple) and len(content) == 2 else (None, None)
    if not isinstance(docstore, Named) or docstore.of not in DOCSTORES or not isinstance(rows, dict):
        raise Refused("it is no docstore with its rows")
    stored = docstore.state.get("_dict")
    if not isinstance(stored, dict) or sorted(rows) != list(range(len(rows))):
        raise Refused("its rows do not count from zero")
    dropped: set[str] = set()
    pieces = tuple(_piece(stored.get(rows[row]), row, dropped) for row in range(len(rows)))
    return pieces, tuple(sorted(dropped))


def _piece(document: Any, row: int, dropped: set[str]) -> Piece:
    state = document.state.get("__dict__") if isinstance(document, Named) and document.of in DOCUMENTS else None
    if not isinstance(state, dict) or not isinstance(state.get("page_content"), str):
        raise Refused(f"row {row} has no text")
    metadata = state.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    source, page = metadata.get("source"), metadata.get("page")
    dropped |= {str(key)[:40] for key in metadata if key not in KEPT}
    # LangChain's PDF loaders count pages from 0.
    number = page + 1 if isinstance(page, int) and not isinstance(page, bool) and 0 <= page < 1_000_000 else None
    return Piece(state["page_content"], source if isinstance(source, str) and source.strip() else UNNAMED, number, row)


def by_source(pieces: tuple[Piece, ...]) -> Iterator[tuple[str, list[Piece]]]:
    """The pieces of each source in their order; sources in the order in which they first occur."""
    grouped: dict[str, list[Piece]] = {}
    for piece in pieces:
        if piece.text.strip():
            grouped.setdefault(piece.source, []).append(piece)
    yield from grouped.items()
