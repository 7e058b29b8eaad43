"""Bases, documents and searches over REST, with long work as a state to be asked for again."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.fakes.api_server import ApiServer, running_api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def http(api: ApiServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url) as client:
        yield client


def test_a_base_is_made_filled_searched_and_deleted(api: ApiServer, http: httpx.Client) -> None:
    made = http.post("/knowledge_bases", json={"name": "Garden", "chunk_size": 300, "chunk_overlap": 20})
    assert made.status_code == 201 and made.json()["chunk_size"] == 300 and made.json()["state"] == "empty"
    base = made.json()["id"]
    assert [row["name"] for row in http.get("/knowledge_bases").json()["data"]] == ["Garden"]

    sent = http.post(f"/knowledge_bases/{base}/documents", files={"file": ("pond.txt", b"The pond holds koi.")})
    assert sent.status_code == 202 and sent.json()["state"] == "queued"
    named = http.post(
        f"/knowledge_bases/{base}/documents",
        files={"file": ("x.txt", b"The gate closes at six.")},
        data={"name": "a/gate.txt"},
    )
    assert named.json()["document"] == "a/gate.txt"
    api.settle(api.services.knowledge.base(base))
    document = sent.json()["document_id"]
    assert http.get(f"/knowledge_bases/{base}/documents/{document}").json()["state"] == "ready"
    assert {row["document"] for row in http.get(f"/knowledge_bases/{base}/documents").json()["data"]} == {
        "pond.txt",
        "a/gate.txt",
    }

    found = http.post("/knowledge_bases/Garden/search", json={"query": "Which fish?", "top_k": 1})
    assert [hit["document"] for hit in found.json()["data"]] == ["pond.txt"]
    assert found.json()["documents_pending"] == 0 and "embed" in found.json()["timings_ms"]

    assert http.delete(f"/knowledge_bases/{base}/documents/{document}").json()["deleted"] is True
    assert http.get(f"/knowledge_bases/{base}/documents/{document}").status_code == 404
    assert http.delete("/knowledge_bases/Garden").json() == {"id": base, "object": "knowledge_base", "deleted": True}
    assert http.get(f"/knowledge_bases/{base}").json()["error"]["code"] == "base_not_found"


def test_a_document_is_cancelled_and_tried_again(http: httpx.Client) -> None:
    http.post("/knowledge_bases", json={"name": "Later"})
    document = http.post("/knowledge_bases/Later/documents", files={"file": ("a.txt", b"Something.")}).json()[
        "document_id"
    ]
    assert http.post(f"/knowledge_bases/Later/documents/{document}/cancel").json()["state"] == "cancelled"
    assert http.post(f"/knowledge_bases/Later/documents/{document}/retry").json()["state"] == "queued"


def test_a_document_that_cannot_be_read_says_why_in_the_caller_s_language(api: ApiServer, http: httpx.Client) -> None:
    http.post("/knowledge_bases", json={"name": "Broken"})
    document = http.post("/knowledge_bases/Broken/documents", files={"file": ("a.txt", b"")}).json()["document_id"]
    api.settle(api.services.knowledge.base("Broken"))
    row = http.get(f"/knowledge_bases/Broken/documents/{document}", headers={"Accept-Language": "zh"}).json()
    assert (row["state"], row["error"]["code"]) == ("failed", "empty_file") and "空" in row["error"]["message"]


@pytest.mark.parametrize(
    ("path", "more", "status", "code"),
    [
        ("", {"json": {"name": "a/b"}}, 400, "invalid_name"),
        ("", {"json": {"name": "Odd", "chunk_size": 1}}, 400, "invalid_value"),
        ("", {"json": {"name": "Odd", "colour": "red"}}, 400, "invalid_value"),
        ("/Nowhere/search", {"json": {"query": "?"}}, 404, "base_not_found"),
        ("/Odds/search", {"json": {"query": " "}}, 400, "empty_question"),
        ("/Odds/search", {"json": {"query": "x", "mode": "magic"}}, 400, "invalid_value"),
        ("/Odds/documents", {"files": {"file": ("../../etc/passwd", b"x")}}, 400, "invalid_name"),
        ("/Odds/documents", {"files": {"other": ("a.txt", b"x")}}, 400, "invalid_value"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code(
    http: httpx.Client, path: str, more: dict[str, object], status: int, code: str
) -> None:
    http.post("/knowledge_bases", json={"name": "Odds"})
    reply = http.post(f"/knowledge_bases{path}", **more)  # type: ignore[arg-type]
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
