"""The reranker of a server: its scores in the order of the texts, and what may go wrong told apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server

import pytest
import uvicorn
from fastapi import FastAPI

from services.core.api_errors import NotOffered, RequestRefused, ServerBusy
from services.core.errors import AppError, BadResponse, ServerNotReady, Unauthorized, UpstreamTimeout
from services.core.vector_errors import ServerFailing
from services.llm.protocol import Endpoint
from services.llm.rerank import RerankModel
from services.serving.engines.embeddings_server import Engine, build, parse
from tests.fakes.rerank_server import RerankServer, running_rerank_server, score

QUESTION = "when does the pump start"
TEXTS = ["The pump starts when it is cold.", "Rent is due in May.", "When does the pump start? At six."]


@pytest.fixture
def server() -> Iterator[RerankServer]:
    with running_rerank_server() as running:
        yield running


def model_of(server: RerankServer, model: str = "", timeout_s: float = 20) -> RerankModel:
    return RerankModel(Endpoint("order", server.url, model), timeout_s=timeout_s)


def test_scores_come_in_the_order_of_the_texts(server: RerankServer) -> None:
    assert model_of(server).scores(QUESTION, TEXTS) == [-3.0, 0.0, -5.0]
    (asked,) = server.asked
    assert asked == {"model": server.model, "query": QUESTION, "documents": TEXTS, "top_n": 3}


def test_the_model_that_was_named_is_asked_for(server: RerankServer) -> None:
    model_of(server, "another").scores(QUESTION, TEXTS)
    assert server.asked[0]["model"] == "another"


@pytest.mark.parametrize(
    ("mode", "kind", "said"),
    [
        ("missing", BadResponse, "2 for 3"),
        ("twice", BadResponse, "3 for 3"),
        ("beyond", BadResponse, "3 for 3"),
        ("not_a_number", BadResponse, "no number"),
        ("infinite", BadResponse, "no number"),
        ("words", BadResponse, "relevance_score"),
        ("nonsense", BadResponse, "order"),
        ("busy", ServerBusy, "busy"),
        ("server_error", ServerFailing, "CUDA out of memory"),
        ("loading", ServerNotReady, "127.0.0.1"),
        ("unauthorized", Unauthorized, "order"),
        ("not_offered", NotOffered, "/v1/rerank"),
        ("switched_off", RequestRefused, "--reranking"),
    ],
)
def test_what_goes_wrong_is_told_as_what_it_is(
    server: RerankServer, mode: str, kind: type[AppError], said: str
) -> None:
    model = model_of(server, "bge")
    server.set(mode)
    with pytest.raises(AppError) as caught:
        model.scores(QUESTION, TEXTS)
    told = caught.value.render()
    assert type(caught.value) is kind and said in told.message and "?" not in told.message
    assert len(server.asked) == 1, "nobody is asked twice while a person waits"


def test_a_server_that_hangs_or_is_gone_is_done_without(server: RerankServer) -> None:
    server.set("hangs")
    begin = time.monotonic()
    with pytest.raises(UpstreamTimeout, match=r"0\.5 seconds"):
        model_of(server, "bge", timeout_s=0.5).scores(QUESTION, TEXTS)
    assert time.monotonic() - begin < 5, "half a second, on a machine that is not busy"
    server.stop()
    with pytest.raises(ServerNotReady):
        model_of(server, "bge").scores(QUESTION, TEXTS)


class Model:
    """Stands for a cross-encoder of sentence-transformers: of shared words, as the fake server counts them."""

    max_seq_length = 512

    def predict(self, pairs: list[tuple[str, str]], **_: object) -> list[float]:
        return [score(question, text) for question, text in pairs]

    def tokenizer(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
        return {"input_ids": [[0] for _ in texts]}


def test_the_engine_of_lectern_is_understood() -> None:
    engine = Engine(parse(["model", "--served-model-name", "order", "--port", "0", "--task", "rerank"]))
    with listening(build(engine, 2**20)) as url:
        model = RerankModel(Endpoint("order", url, "order"), timeout_s=20)
        with pytest.raises(ServerNotReady):
            model.scores(QUESTION, TEXTS)
        engine.model = Model()
        with pytest.raises(RequestRefused, match="this model embeds"):
            model.scores(QUESTION, TEXTS)
        engine.reranks = True
        assert model.scores(QUESTION, TEXTS) == [-3.0, 0.0, -5.0]


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The address of an application that answers in a thread; what it would do as it starts is left out."""
    socket = create_server(("127.0.0.1", 0))
    runner = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{socket.getsockname()[1]}/v1"
    runner.should_exit = True
    thread.join(timeout=10)
    socket.close()
