"""The embedder behind a server: it keeps what every embedder keeps, and tells apart what may go wrong with a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from services.core.api_errors import NotOffered, RequestRefused
from services.core.errors import AppError, BadResponse, EmbedderMismatch, InvalidValue, Unauthorized
from services.core.vector_errors import EmbedderAway, WindowTooLarge
from services.knowledge.embedders.asking import for_a_question, while_wanted
from services.knowledge.embedders.fingerprint import check, encoded, fingerprint, same
from services.knowledge.embedders.probing import EmbedderChoices, ServedWish
from services.knowledge.embedders.protocol import Embedder, EmbedderSpec, EncoderClosed
from services.knowledge.embedders.served import ServerEmbedder
from services.knowledge.types import Unwanted
from services.llm.embeddings import OpenAIEmbeddings
from services.llm.protocol import Endpoint
from tests.contract.test_embedder import TEXTS, EmbedderContract
from tests.fakes.embedder import DIMENSIONS, HashEmbedder
from tests.fakes.embedding_server import EmbeddingServer, running_embedding_server

NAME = "vec"
KEY = f"server:{NAME}"


class OneServer:
    """The way to one fake server, as `app` hands it to this room."""

    def __init__(self, server: EmbeddingServer, engine: str = "remote", timeout_s: float = 20) -> None:
        self._endpoint = Endpoint(NAME, server.url, engine=engine)
        self._timeout_s = timeout_s

    def reached(self, name: str, *, quick: bool = False, wake: bool = True) -> OpenAIEmbeddings:
        return OpenAIEmbeddings(self._endpoint, timeout_s=0.5 if quick else self._timeout_s, retries=0 if quick else 1)

    def ready(self, name: str) -> bool:
        return True

    def hindrance(self, name: str) -> None:
        return None

    def asleep(self, name: str) -> bool:
        return False


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with running_embedding_server() as running:
        yield running


def spec_of(server: EmbeddingServer, **wish: object) -> EmbedderSpec:
    return EmbedderChoices(OneServer(server)).spec(KEY, ServedWish(**wish))  # type: ignore[arg-type]


def embedder_of(server: EmbeddingServer, **wish: object) -> ServerEmbedder:
    return ServerEmbedder(spec_of(server, **wish), OneServer(server))


@pytest.fixture(scope="module", params=["embeddings", "vllm", "llama.cpp"])
def served(request) -> Iterator[Embedder]:
    with running_embedding_server(engine=request.param, model="e5-base", dimensions=100) as running:
        yield embedder_of(running)


class TestServerEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self, served: Embedder) -> Embedder:
        return served


def test_what_is_found_out_stands_in_the_spec(server: EmbeddingServer) -> None:
    server.set(model="BAAI/bge-small-zh-v1.5", revision="abc", window_tokens=512, dimensions=48)
    spec = spec_of(server)
    assert (spec.key, spec.server, spec.model, spec.revision) == (KEY, NAME, "BAAI/bge-small-zh-v1.5", "abc")
    assert (spec.dimensions, spec.window_tokens, spec.pooling) == (48, 512, "server")
    assert spec.query_prefix.startswith("为这个句子") and spec.passage_prefix == ""
    assert -1 < spec.cosine_offset < spec.cosine_offset + spec.cosine_range < 1.01


def test_what_is_wished_comes_before_what_is_suggested(server: EmbeddingServer) -> None:
    server.set(model="intfloat/e5-base-v2", window_tokens=None)
    usual = spec_of(server)
    assert (usual.query_prefix, usual.passage_prefix, usual.window_tokens) == ("query: ", "passage: ", 512)
    wished = spec_of(server, query_prefix="", passage_prefix="p: ", window_tokens=200)
    assert (wished.query_prefix, wished.passage_prefix, wished.window_tokens) == ("", "p: ", 200)
    with pytest.raises(InvalidValue):
        spec_of(server, window_tokens=5)


def test_an_embedding_model_is_chosen_among_many(server: EmbeddingServer) -> None:
    server.set(names=("qwen3:8b", "llama3"), model="nomic-embed-text:latest")
    offer = EmbedderChoices(OneServer(server)).offer(NAME)
    assert offer.models == ("qwen3:8b", "llama3", "nomic-embed-text:latest")
    assert (offer.model, offer.query_prefix, offer.known) == ("nomic-embed-text:latest", "search_query: ", True)
    assert spec_of(server).model == "nomic-embed-text:latest" and spec_of(server, model="llama3").model == "llama3"


def test_a_model_that_answers_by_another_name_is_known_by_that(server: EmbeddingServer) -> None:
    server.set(answers_as="text-embedding-ada-002-v2")
    spec = spec_of(server, model="text-embedding-ada-002")
    assert (spec.model, spec.asked_as) == ("text-embedding-ada-002-v2", "text-embedding-ada-002")
    assert ServerEmbedder(spec, OneServer(server)).encode_queries(["a"]).shape == (1, DIMENSIONS)


def test_queries_and_passages_are_sent_with_their_prefixes(server: EmbeddingServer) -> None:
    embedder = embedder_of(server, query_prefix="query: ", passage_prefix="passage: ")
    server.asked.clear()
    embedder.encode_queries(["pump"])
    embedder.encode_passages(["pump"])
    assert server.asked == [["query: pump"], ["passage: pump"]]


def test_the_order_is_that_of_the_numbers(server: EmbeddingServer) -> None:
    embedder = embedder_of(server)
    before = embedder.encode_passages(TEXTS)
    server.set(mode="disordered")
    assert np.allclose(embedder.encode_passages(TEXTS), before)


def test_tokens_are_estimated_on_the_high_side_where_nobody_counts_them() -> None:
    with running_embedding_server(engine="remote") as server:
        texts = ["The pump must be serviced.", "水泵必须保养。", "E-15 (2024)"]
        estimated, counted = embedder_of(server).count_tokens(texts), HashEmbedder().count_tokens(texts)
        assert all(one >= other for one, other in zip(estimated, counted, strict=True))


@pytest.mark.parametrize("mode", ["busy", "server_error", "loading"])
def test_what_passes_by_itself_is_tried_again_and_then_told_as_away(server: EmbeddingServer, mode: str) -> None:
    embedder = embedder_of(server)
    server.set(mode=mode)
    server.asked.clear()
    with pytest.raises(EmbedderAway) as caught:
        embedder.encode_passages(["a"])
    assert len(server.asked) == 2, "once, and again"
    said = caught.value.render().message
    assert NAME in said and "?" not in said and "?" not in caught.value.render("zh").message


def test_a_server_that_is_gone_is_away_and_comes_back(server: EmbeddingServer) -> None:
    embedder = embedder_of(server)
    server.stop()
    with pytest.raises(EmbedderAway, match=r"does not answer at http://127"):
        embedder.encode_passages(["a"])
    with pytest.raises(EmbedderAway):
        embedder.count_tokens(["a"])
    server.start()
    assert embedder.encode_passages(["a"]).shape == (1, DIMENSIONS)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("nonsense", BadResponse),
        ("wrong_count", BadResponse),
        ("ragged", BadResponse),
        ("zero", BadResponse),
        ("unauthorized", Unauthorized),
        ("not_offered", NotOffered),
        ("no_such_model", RequestRefused),
    ],
)
def test_what_never_passes_by_itself_is_told_as_what_it_is(
    server: EmbeddingServer, mode: str, kind: type[AppError]
) -> None:
    embedder = embedder_of(server)
    server.set(mode=mode)
    with pytest.raises(kind) as caught:
        embedder.encode_passages(TEXTS)
    assert not isinstance(caught.value, EmbedderAway) and "?" not in caught.value.render().message


@pytest.mark.parametrize("switches", [{"dimensions": 32}, {"answers_as": "another"}])
def test_another_dimension_or_model_is_refused(server: EmbeddingServer, switches: dict[str, object]) -> None:
    embedder = embedder_of(server)
    server.set(**switches)
    for encode in (embedder.encode_queries, embedder.encode_passages):
        with pytest.raises(EmbedderMismatch, match=rf"bge-m3 \({DIMENSIONS}\).*(32|another)"):
            encode(["a"])


def test_other_vectors_under_the_same_name_are_found_out_at_the_next_request(server: EmbeddingServer) -> None:
    embedder = embedder_of(server)
    stored = fingerprint(embedder)
    assert encoded(embedder, ["a"], stored).shape == (1, DIMENSIONS)
    server.set(mirrored=True)
    with pytest.raises(EmbedderMismatch, match="cosine"):
        encoded(embedder, ["a"], stored)
    with pytest.raises(EmbedderMismatch, match="cosine"):
        check(stored, embedder)
    server.set(mirrored=False)
    check(stored, embedder)
    assert np.allclose(encoded(embedder, ["a"], stored), embedder.encode_passages(["a"]), atol=1e-6)


def test_another_address_of_the_same_model_is_the_same_embedder(server: EmbeddingServer) -> None:
    spec = spec_of(server)
    with running_embedding_server() as other:
        moved = spec.model_copy(update={"key": "server:other", "cosine_offset": 0.1})
        assert same(
            fingerprint(ServerEmbedder(spec, OneServer(server))), fingerprint(ServerEmbedder(moved, OneServer(other)))
        )
        changed = spec.model_copy(update={"query_prefix": "q: "})
        assert not same(
            fingerprint(ServerEmbedder(spec, OneServer(server))), fingerprint(ServerEmbedder(changed, OneServer(other)))
        )


def test_batches_become_as_small_as_a_server_takes_them(server: EmbeddingServer) -> None:
    embedder = embedder_of(server)
    expected = embedder.encode_passages(TEXTS * 4)
    server.set(most_texts=4)
    assert np.allclose(embedder.encode_passages(TEXTS * 4), expected)
    server.asked.clear()
    embedder.encode_passages(TEXTS * 4)
    assert max(map(len, server.asked)) <= 4, "what was refused once is not tried again"


def test_a_text_beyond_what_the_model_reads_is_never_cut_silently(server: EmbeddingServer) -> None:
    embedder = embedder_of(server)
    server.set(reads_tokens=50)
    with pytest.raises(WindowTooLarge):
        embedder.encode_passages(["short", "word " * 60])
    assert embedder.encode_passages(["short"] * 9).shape == (9, DIMENSIONS)


def test_what_nobody_wants_any_more_is_given_up_within_a_second(server: EmbeddingServer) -> None:
    embedder, wanted, cleared_at = embedder_of(server), threading.Event(), [0.0]
    wanted.set()
    server.set(mode="hangs")
    server.asked.clear()

    def clear() -> None:
        server.wait_for(lambda running: running.asked)
        cleared_at[0] = time.monotonic()
        wanted.clear()

    threading.Thread(target=clear, daemon=True).start()
    with pytest.raises(Unwanted), while_wanted(wanted.is_set):
        embedder.encode_passages(["a"])
    assert cleared_at[0] and time.monotonic() - cleared_at[0] < 5, "a second, on a machine that is not busy"


def test_closing_ends_what_is_under_way(server: EmbeddingServer) -> None:
    embedder = embedder_of(server)
    server.set(mode="hangs")
    server.asked.clear()

    def close() -> None:
        server.wait_for(lambda running: running.asked)
        embedder.close()

    threading.Thread(target=close, daemon=True).start()
    with pytest.raises(EncoderClosed):
        embedder.encode_passages(["a"])


def test_somebody_who_waits_is_answered_soon(server: EmbeddingServer) -> None:
    embedder = embedder_of(server)
    server.set(mode="hangs")
    server.asked.clear()
    with pytest.raises(EmbedderAway, match=r"within 0\.5 seconds"), for_a_question():
        embedder.encode_queries(["a"])
    assert len(server.asked) == 1


def test_work_in_the_background_waits_once_for_a_server_that_hangs(server: EmbeddingServer) -> None:
    embedder = ServerEmbedder(spec_of(server), OneServer(server, timeout_s=0.5))
    server.set(mode="hangs")
    server.asked.clear()
    with pytest.raises(EmbedderAway, match=r"within 0\.5 seconds"), while_wanted(lambda: True):
        embedder.encode_passages(["a"])
    assert len(server.asked) == 1


def test_the_scale_of_its_cosines_is_measured(server: EmbeddingServer) -> None:
    spec = spec_of(server)
    embedder = ServerEmbedder(spec, OneServer(server))
    near = embedder.encode_queries(["水泵多久保养一次"]) @ embedder.encode_passages(["水泵每六个月保养一次"]).T
    far = embedder.encode_queries(["水泵多久保养一次"]) @ embedder.encode_passages(["rent is due in May"]).T
    assert float(far[0, 0]) < spec.cosine_offset + spec.cosine_range < 1
    assert float(near[0, 0]) > spec.cosine_offset
