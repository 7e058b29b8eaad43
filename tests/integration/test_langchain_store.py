"""A knowledge base as LangChain's store: its own standard suite, and what that suite does not ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from services.app import Services, bootstrap
from services.core.errors import AppError, BaseNotFound, InvalidValue, NoExtractableText
from services.core.settings import load
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.langchain_store import LecternEmbeddings, LecternRetriever, LecternVectorStore
from services.knowledge.loaders.record import MEDIA_TYPE
from services.knowledge.search_types import SearchOptions
from services.knowledge.texts import name_of
from services.knowledge.types import DocumentState
from tests.fakes.api_server import ApiServer
from tests.fakes.embedder import HashEmbedder

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "langchain.md"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    joined = bootstrap(load(home=tmp_path, embedded=False), embedder=HashEmbedder())
    yield joined
    joined.close()


@pytest.fixture
def store(services: Services) -> LecternVectorStore:
    return LecternVectorStore(services.knowledge, "Garden", create=True)


class TestStandard(VectorStoreIntegrationTests):
    """langchain-tests' whole suite, without an exception."""

    @pytest.fixture
    def vectorstore(self, store: LecternVectorStore) -> LecternVectorStore:
        return store


def test_added_texts_are_documents_of_the_base_that_a_count_finds_whole(
    services: Services, store: LecternVectorStore
) -> None:
    store.add_texts(["The pond holds koi.", "The pump starts at six."], [{"page": 3}, {}], ids=["pond", "pump/1"])
    base = services.knowledge.base("Garden")
    rows = services.knowledge.documents(base)
    assert [(row.name, row.state, row.chunks) for row in rows] == [
        ("pond.record", DocumentState.READY, 1),
        ("pump/1.record", DocumentState.READY, 1),
    ]
    assert rows[0].media_type == MEDIA_TYPE
    report = services.knowledge.verify("Garden")
    assert report.problems == () and (report.documents, report.vectors) == (2, 2)
    assert services.stores.of(base).pending() == []


def test_a_text_outlives_the_process_and_a_rebuild_reads_its_original(
    services: Services, store: LecternVectorStore
) -> None:
    store.add_texts(["  The pond holds koi.\n"], [{"source": "池塘"}], ids=["pond"])
    base = services.knowledge.base("Garden")
    row = services.knowledge.document(base, name_of("pond"))
    services.stores.of(base).remove(row.document_id)
    original = services.stores.originals(base).path(row.sha256)
    ApiServer("", services).settle(base, **{"pond_record": original.read_bytes()})
    again = LecternVectorStore(services.knowledge, "Garden")
    expected = Document(id="pond", page_content="  The pond holds koi.\n", metadata={"source": "池塘"})
    assert again.get_by_ids(["pond"]) == again.similarity_search("pond", k=1) == [expected]


def test_the_same_text_under_two_ids_is_two_texts(store: LecternVectorStore) -> None:
    ids = store.add_texts(["koi", "koi"])
    assert len(set(ids)) == 2 and len(store.similarity_search("koi", k=5)) == 2
    store.delete([ids[0]])
    assert [document.id for document in store.similarity_search("koi", k=5)] == [ids[1]]


def test_a_long_text_is_found_by_its_passages_and_given_back_whole(services: Services) -> None:
    services.knowledge.create("Long", ChunkerSpec(size=60, overlap=0))
    long = LecternVectorStore(services.knowledge, "Long")
    text = "The pond holds koi and carp. " * 4 + "The gate closes at six in the evening."
    long.add_texts([text], [{"source": "a"}], ids=["1"])
    [found] = long.similarity_search("When does the gate close?", k=1)
    assert found.id == "1" and found.metadata == {"source": "a"} and found.page_content in text != found.page_content
    assert long.get_by_ids(["1"])[0].page_content == text


@pytest.mark.parametrize("id", ["../../etc/passwd", "a" * 500, " x ", "\n", "C:\\x", "e\u0301", "~home"])
def test_any_id_is_only_an_id(store: LecternVectorStore, id: str) -> None:
    store.add_texts(["something"], ids=[id])
    assert [document.id for document in store.get_by_ids([id])] == [id]
    store.delete([id])
    assert store.get_by_ids([id]) == []


def test_what_cannot_be_kept_is_refused_and_nothing_is_added(services: Services, store: LecternVectorStore) -> None:
    refused: list[tuple[list[str], list[dict[str, Any]] | None, type[AppError]]] = [
        (["good", " "], None, NoExtractableText),
        (["good"], [{"when": object()}], InvalidValue),
        (["good"], [{}, {}], InvalidValue),
    ]
    for texts, metadatas, kind in refused:
        with pytest.raises(kind):
            store.add_texts(texts, metadatas)
    assert services.knowledge.documents(services.knowledge.base("Garden")) == []
    with pytest.raises(InvalidValue):
        store.delete()
    with pytest.raises(BaseNotFound):
        LecternVectorStore(services.knowledge, "Nowhere")


def test_a_base_is_made_of_texts_by_its_own_embedder(services: Services) -> None:
    made = LecternVectorStore.from_texts(
        ["koi", "carp"], None, [{"n": 1}, {"n": 2}], knowledge=services.knowledge, base="Pond", ids=["1", "2"]
    )
    assert isinstance(made.embeddings, LecternEmbeddings)
    query = HashEmbedder().encode_queries(["koi"])[0]
    assert made.embeddings.embed_query("koi") == pytest.approx(list(query))
    assert made.embeddings.embed_documents(["koi"])[0] == pytest.approx(list(query))
    [(document, score)] = made.similarity_search_with_relevance_scores("koi", k=1)
    assert document.metadata == {"n": 1} and 0.9 < score <= 1
    with pytest.raises(InvalidValue, match="embedder"):
        LecternVectorStore.from_texts(["x"], DeterministicFakeEmbedding(size=3), knowledge=services.knowledge)


def test_files_come_with_where_they_stand_and_retrievers_search_as_answers_do(
    services: Services, store: LecternVectorStore
) -> None:
    base = services.knowledge.base("Garden")
    ApiServer("", services).settle(base, pump_md=b"# Pump\n\nThe pump starts at six in the morning.")
    store.add_texts(["The pond holds koi."], ids=["pond"])
    retriever = LecternRetriever(knowledge=services.knowledge, base="Garden", options=SearchOptions(top_k=1))
    [found] = retriever.invoke("When does the pump start?")
    assert (found.metadata["document"], found.metadata["page"]) == ("pump.md", None)
    extracted = services.knowledge.text(base, found.metadata["document_id"], 1)
    assert extracted.text[found.metadata["start"] : found.metadata["end"]] == found.page_content
    assert len(retriever.invoke("pump", k=2)) == 2
    hits = services.knowledge.search(base, "Which fish?", SearchOptions(top_k=2)).hits
    asked = LecternRetriever(knowledge=services.knowledge, base="Garden", options=SearchOptions(top_k=2))
    assert [each.page_content for each in asked.invoke("Which fish?")] == [hit.chunk.text for hit in hits]
    by_store = store.as_retriever(search_type="mmr", search_kwargs={"k": 2}).invoke("Which fish?")
    assert {each.page_content for each in by_store} == {hit.chunk.text for hit in hits}


def test_the_example_of_the_guide_runs(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for source in (example for example in examples if "langchain_store" in example):
        program = source.replace("services = bootstrap(load())\n", "")
        exec(compile(program, str(GUIDE), "exec"), {"services": services})
    assert "koi" in capsys.readouterr().out
