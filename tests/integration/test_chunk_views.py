"""Chunks of documents through the service: shown before they are embedded, and passages that show their parent."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.app import Services, bootstrap
from services.chat.ports import Filters
from services.chat.prompts import shown
from services.core.errors import DocumentNotFound, IllegalTransition, InvalidValue, NoServer
from services.core.settings import load
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.chunking.registry import chunker_spec, wished_spec
from services.knowledge.embedders.registry import Embedders
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.reader import Reader
from services.knowledge.reranking import no_reranker
from services.knowledge.samples import plain_samples
from services.knowledge.types import Extracted, RevisionKey
from services.searching import search_bases
from services.store.bases import BaseRecord
from services.store.product import ProductSettings
from tests.fakes.embedder import HashEmbedder

TABLE = "Prices\n\n| Part | Price |\n|---|---|\n" + "".join(f"| tube {n} | {n * 7} euros |\n" for n in range(30))
PROSE = "".join(f"Valve {n} is closed at night. " for n in range(60))


class NoReader(Reader):
    """Texts are written by the tests themselves."""

    def __init__(self) -> None: ...


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    opened = bootstrap(load(home=tmp_path, embedded=False), embedder=HashEmbedder())
    yield opened
    opened.close()


def ingested(services: Services, base: BaseRecord, name: str, text: str) -> None:
    """Put a text in, as reading a file would, and make it ready."""
    row = services.knowledge.add(base, name, io.BytesIO(text.encode()))
    key, store = RevisionKey(row.document_id, row.revision, row.attempt), services.stores.of(base)
    assert store.write_text(key, Extracted(text, "text/plain"))
    ingest = Ingest(services.stores, NoReader(), Embedders(lambda _key: HashEmbedder()), services.rewriter)
    assert ingest.split(base, key) and ingest.embed(base, key) and ingest.publish(base, key)


def asked(services: Services, base: BaseRecord, question: str, top_k: int = 4) -> Any:
    return search_bases(services.knowledge, no_reranker, [base.id], question, top_k, Filters()).passages


def test_stored_chunks_are_what_a_view_of_the_same_spec_shows(services: Services) -> None:
    for key in ("recursive", "tokens", "sentences", "markdown", "table_rows", "parent_child", "characters"):
        base = services.knowledge.create(key, chunker_spec(key, **({"size": 100} if key == "tokens" else {})))
        ingested(services, base, "prices.md", TABLE + "\n" + PROSE)
        stored = services.knowledge.chunk_view(base, "prices.md")
        tried = services.knowledge.chunk_view(base, "prices.md", stored.spec)
        assert stored.chunks == tried.chunks and stored.tokens == tried.tokens and stored.sizes
        assert max(stored.tokens) <= stored.window_tokens == 128 and not stored.partial
        assert services.knowledge.verify(key).problems == ()


def test_a_view_stores_nothing_and_long_strategies_try_a_beginning(services: Services) -> None:
    base = services.knowledge.create("Garden", ChunkerSpec())
    ingested(services, base, "valves.txt", PROSE * 10)
    before = services.knowledge.chunk_view(base, "valves.txt")
    view = services.knowledge.chunk_view(base, "valves.txt", chunker_spec("semantic"))
    assert view.partial and view.cut_until == 4_000 and view.chunks[-1].end <= 4_000
    assert services.knowledge.chunk_view(base, "valves.txt") == before
    with pytest.raises(NoServer):
        services.knowledge.chunk_view(base, "valves.txt", chunker_spec("propositions"))
    with pytest.raises(InvalidValue):
        services.knowledge.chunk_view(base, "valves.txt", chunker_spec("tokens", size=300))


def test_a_document_that_was_not_read_yet_has_no_chunks_to_see(services: Services) -> None:
    base = services.knowledge.create("Garden")
    services.knowledge.add(base, "late.txt", io.BytesIO(b"The pond."))
    with pytest.raises(IllegalTransition):
        services.knowledge.chunk_view(base, "late.txt")
    with pytest.raises(DocumentNotFound):
        services.knowledge.chunk_view(base, "never.txt")
    with pytest.raises(DocumentNotFound):
        services.knowledge.sample_view("../handbook.txt", ChunkerSpec())


def test_samples_in_both_languages_can_be_cut_at_once(services: Services) -> None:
    names = plain_samples()
    assert len(names) >= 3 and any(not name.isascii() for name in names)
    assert all(services.knowledge.sample_view(name, chunker_spec("sentences")).chunks for name in names)


def test_the_parent_is_shown_once_and_the_child_that_was_found_is_marked(services: Services) -> None:
    base = services.knowledge.create("Garden", chunker_spec("parent_child", size=60, parent_size=600))
    ingested(services, base, "valves.txt", PROSE)
    passages = asked(services, base, "Valve 7 is closed at night.")
    assert len({(passage.start, passage.end) for passage in passages}) == len(passages) > 1
    best = passages[0]
    assert best.text == PROSE[best.start : best.end].strip() and len(best.text) > 400
    assert best.start <= best.found_start < best.found_end <= best.end and best.found_end - best.found_start <= 60


def test_a_model_reads_the_header_row_above_the_rows_that_were_found(services: Services) -> None:
    base = services.knowledge.create("Prices", chunker_spec("table_rows", rows=5))
    ingested(services, base, "prices.md", TABLE)
    best = asked(services, base, "| tube 17 | 119 euros |")[0]
    assert "tube 17" in best.text and best.context == "| Part | Price |"
    sent = shown(best, 1, "en")
    assert "| Part | Price |\n| tube" in sent and best.text == TABLE[best.start : best.end]


def test_the_usual_sizes_fit_what_was_given() -> None:
    product = ProductSettings(chunk_size=600, chunk_overlap=90)
    assert (wished_spec(product).size, wished_spec(product).overlap) == (600, 90)
    assert wished_spec(product, "recursive", size=100).overlap == 25
    assert (wished_spec(product, "sentences").size, wished_spec(product, "sentences", size=80).overlap) == (800, 20)
    assert wished_spec(product, "markdown", size=500, heading_level=2).options == {"heading_level": 2}
