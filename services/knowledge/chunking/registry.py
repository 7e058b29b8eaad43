"""The chunkers that exist, by the key of their spec, with what each does in plain words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.core.validation import reason_of
from services.knowledge.chunking.characters import CharactersChunker
from services.knowledge.chunking.markdown import MarkdownChunker, MarkdownSpec
from services.knowledge.chunking.parent_child import ParentChildChunker, ParentChildSpec
from services.knowledge.chunking.propositions import PropositionsChunker, PropositionsSpec
from services.knowledge.chunking.protocol import Chunker, ChunkerSpec, Tools
from services.knowledge.chunking.recursive import RecursiveChunker
from services.knowledge.chunking.semantic import SemanticChunker, SemanticSpec
from services.knowledge.chunking.sentences import SentencesChunker
from services.knowledge.chunking.table_rows import TableRowsChunker, TableRowsSpec
from services.knowledge.chunking.tokens import TokensChunker, TokensSpec
from services.store.bases import BaseRecord
from services.store.product import ProductSettings

LEAST_NEW_SHARE = 4


class CharactersSpec(ChunkerSpec):
    """As many characters in each chunk."""

    key: str = "characters"


class SentencesSpec(ChunkerSpec):
    """Whole sentences up to the size."""

    key: str = "sentences"


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to cut: its parameters, how it is made, and what people read of it."""

    spec: type[ChunkerSpec]
    make: Callable[[Any, Tools], Chunker]
    title: str
    summary: str


STRATEGIES = {
    "recursive": Strategy(
        ChunkerSpec,
        lambda spec, _tools: RecursiveChunker(spec),
        N_("Recursive"),
        N_("Cuts at the largest natural border that fits: paragraph, line, sentence, word. Good for most documents."),
    ),
    "tokens": Strategy(
        TokensSpec,
        TokensChunker,
        N_("Tokens"),
        N_("Cuts at natural borders like recursive, but sizes are what the embedder itself counts."),
    ),
    "sentences": Strategy(
        SentencesSpec,
        lambda spec, _tools: SentencesChunker(spec),
        N_("Sentences"),
        N_("Puts whole sentences together, in English and Chinese; none is cut in the middle."),
    ),
    "markdown": Strategy(
        MarkdownSpec,
        lambda spec, _tools: MarkdownChunker(spec),
        N_("Headings"),
        N_("Makes a chunk of each section, by the headings of Markdown, Word and web pages."),
    ),
    "table_rows": Strategy(
        TableRowsSpec,
        lambda spec, _tools: TableRowsChunker(spec),
        N_("Table rows"),
        N_("Cuts tables between rows and gives each chunk the header row; other text is cut as recursive does."),
    ),
    "parent_child": Strategy(
        ParentChildSpec,
        lambda spec, _tools: ParentChildChunker(spec),
        N_("Parent and child"),
        N_("Searches small chunks, and shows the model the larger stretch around the one that was found."),
    ),
    "semantic": Strategy(
        SemanticSpec,
        SemanticChunker,
        N_("Meaning"),
        N_("Cuts where the meaning changes from one sentence to the next; embeds every sentence, so it takes longer."),
    ),
    "propositions": Strategy(
        PropositionsSpec,
        PropositionsChunker,
        N_("Statements"),
        N_("A chat server rewrites the text into statements that stand alone; precise, slow, and needs a server."),
    ),
    "characters": Strategy(
        CharactersSpec,
        lambda spec, _tools: CharactersChunker(spec),
        N_("Characters"),
        N_("Cuts after a fixed number of characters, even within a word; for text without structure."),
    ),
}
"""By key, the usual ones first."""


def make_chunker(spec: ChunkerSpec, tools: Tools) -> Chunker:
    """The chunker that a spec describes.

    Raises: InvalidValue.
    """
    strategy = _strategy(spec.key)
    spec.check()
    spec.check_window(tools.window_tokens)
    return strategy.make(spec, tools)


def chunker_spec(key: str | None = None, **given: Any) -> ChunkerSpec:
    """The spec of a strategy from the parameters that were given; those that are None are by default.

    Raises: InvalidValue.
    """
    kind = _strategy(key or "recursive").spec
    try:
        spec = kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        reason = reason_of(error)
        if first["type"] == "extra_forbidden":
            reason = phrase(N_("the strategy “{name}” has no such parameter"), name=key or "recursive")
        elif first.get("ctx", {}).get("le") == 0:
            reason = phrase(N_("the strategy “{name}” makes chunks that do not overlap"), name=key or "recursive")
        raise InvalidValue(field=str(first["loc"][0]), value=first["input"], reason=reason) from error
    spec.check()
    return spec


def wished_spec(product: ProductSettings, key: str | None = None, **given: Any) -> ChunkerSpec:
    """The spec of what was given, with the installation's own sizes where they belong to the strategy.

    Where only the size was given, the usual overlap is made smaller if it has to be. Raises: InvalidValue.
    """
    usual: dict[str, Any] = {}
    if key in (None, "recursive"):
        usual = {"size": product.chunk_size, "overlap": product.chunk_overlap}
    elif "overlap" in _strategy(key or "recursive").spec.model_fields:
        usual = {"overlap": _strategy(key or "recursive").spec.model_fields["overlap"].default}
    size = given.get("size")
    if isinstance(size, int):
        usual["overlap"] = min(usual["overlap"], size // LEAST_NEW_SHARE)
    return chunker_spec(key, **{**usual, **{name: value for name, value in given.items() if value is not None}})


def spec_of(base: BaseRecord) -> ChunkerSpec:
    """The spec of a base's chunker. Raises: InvalidValue."""
    return chunker_spec(base.chunker, size=base.chunk_size, overlap=base.chunk_overlap, **base.chunker_options)


def _strategy(key: str) -> Strategy:
    if key not in STRATEGIES:
        reason = phrase(N_("there are only {names}"), names=", ".join(sorted(STRATEGIES)))
        raise InvalidValue(field="chunker", value=key, reason=reason)
    return STRATEGIES[key]
