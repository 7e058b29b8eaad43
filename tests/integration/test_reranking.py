"""The reranker that is chosen: for chats with bases, single searches, over the command line and the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.app import Services
from services.chat.exporting import turn_row
from services.chat.notes import told
from services.chat.rows import answer_row
from services.chat.turns import passages_of
from services.core.api_errors import NotOffered
from services.core.errors import ServerNotFound, ServerNotReady
from services.core.vector_errors import RerankerAway
from services.knowledge.reranking import RERANKED
from services.serving.states import REST, RUN
from services.store.bases import BaseRecord
from services.store.conversations import TurnRecord
from tests.fakes.api_server import running_api
from tests.fakes.chat_server import ChatServer, running_chat_server
from tests.fakes.library_desk import Desk
from tests.fakes.rerank_server import RerankServer, running_rerank_server
from tests.integration.commands import Shell

OWNER = "somebody"
QUESTION = "How long is the warranty of the pump?"
RIGHT = "The warranty of the pump is two years long."
NEAR = "The pump is blue."
FAR = "Rent falls due in May."


@pytest.fixture
def server() -> Iterator[RerankServer]:
    with running_rerank_server() as running:
        yield running


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with running_chat_server(answer="Two years [1].") as running:
        yield running


def choose(services: Services, server: RerankServer) -> None:
    services.servers.add_remote("order", server.url)
    services.choose(reranker="order")
    server.asked.clear()


def asked(services: Services, chat: ChatServer, *bases: BaseRecord) -> TurnRecord:
    if all(row.name != "chat" for row in services.servers.list()):
        services.servers.add_remote("chat", chat.url, model="fake")
    begun = services.chat.ask(OWNER, QUESTION, base_ids=[base.id for base in bases], server="chat")
    turn = services.chat.wait(begun.id)
    assert turn.error_code is None
    return turn


def test_passages_of_all_bases_come_in_one_order_of_the_reranker(
    desk: Desk, server: RerankServer, chat: ChatServer
) -> None:
    pump, house = desk.base("Pump", right=RIGHT, near=NEAR), desk.base("House", far=FAR)
    before = asked(desk.services, chat, pump, house)
    assert passages_of(before)[0].text == RIGHT and "rerank" not in before.timings_ms
    choose(desk.services, server)
    turn = asked(desk.services, chat, pump, house)
    assert [(passage.text, passage.rerank_score) for passage in passages_of(turn)] == [
        (FAR, 0.0),
        (NEAR, -3.0),
        (RIGHT, -6.0),
    ]
    assert [passage.number for passage in passages_of(turn)] == [1, 2, 3]
    assert [len(request["documents"]) for request in server.asked] == [3], "one question for both bases"
    assert turn.timings_ms["rerank"] > 0 and turn.notes == [] and answer_row(turn)["not_reranked"] is None
    exported = turn_row(turn)
    assert exported["timings_ms"]["rerank"] > 0 and exported["passages"][2]["rerank_score"] == -6.0


def test_more_is_read_than_is_shown_but_not_all(desk: Desk, server: RerankServer, chat: ChatServer) -> None:
    half = RERANKED // 2
    pump = desk.base("Pump", right=RIGHT, **{f"n{number}": f"The pump {number} is long." for number in range(half)})
    house = desk.base("House", **{f"n{number}": f"The house {number} is long." for number in range(half)})
    choose(desk.services, server)
    desk.services.choose(top_k=2)
    turn = asked(desk.services, chat, pump, house)
    assert len(server.asked[0]["documents"]) == RERANKED and len(passages_of(turn)) == 2
    assert RIGHT in server.asked[0]["documents"]
    assert RIGHT not in [passage.text for passage in passages_of(turn)], "it comes last of those that were read"


def test_an_answer_says_that_the_reranker_could_not_be_asked(
    desk: Desk, server: RerankServer, chat: ChatServer
) -> None:
    base = desk.base("Pump", right=RIGHT, near=NEAR)
    choose(desk.services, server)
    server.stop()
    turn = asked(desk.services, chat, base)
    assert [passage.text for passage in passages_of(turn)] == [RIGHT, NEAR]
    assert all(passage.rerank_score is None for passage in passages_of(turn))
    (note,) = turn.notes
    assert told(note).startswith("Not reranked:") and "“order”" in told(note) and "?" not in told(note)
    assert told(note, "zh_CN").startswith("未重排")
    assert answer_row(turn)["not_reranked"]["code"] == "server_not_ready"


def test_a_reranker_is_chosen_once_it_has_answered(desk: Desk, server: RerankServer, chat: ChatServer) -> None:
    services = desk.services
    services.servers.add_remote("order", server.url)
    services.servers.add_remote("chat", chat.url, model="fake")
    with pytest.raises(ServerNotFound):
        services.choose(reranker="nobody", top_k=9)
    with pytest.raises(NotOffered, match="/v1/rerank"):
        services.choose(reranker="chat", top_k=9)
    assert (services.product.reranker, services.product.top_k) == ("", 6)
    assert services.choose(reranker="order").reranker == "order" and services.reranks
    server.stop()
    assert services.choose(reranker="order", top_k=9).top_k == 9, "what is chosen already is not tried out again"
    with pytest.raises(ServerNotReady):
        services.rerankers.try_out("order")


def test_a_reranker_that_is_gone_is_as_good_as_none(desk: Desk, server: RerankServer, chat: ChatServer) -> None:
    base = desk.base("Pump", right=RIGHT, near=NEAR)
    choose(desk.services, server)
    desk.services.servers.remove("order")
    assert not desk.services.reranks and desk.services.product.reranker == "order"
    turn = asked(desk.services, chat, base)
    assert passages_of(turn)[0].text == RIGHT and turn.notes == [] and "rerank" not in turn.timings_ms


def test_servers_that_may_rerank_are_offered_the_sure_ones_first(desk: Desk, server: RerankServer) -> None:
    servers = desk.services.servers
    servers.add_remote("far", server.url)
    servers.create("vllm", "vllm", {"model": "/models/reranker"})
    servers.create("chats", "llama.cpp", {"model": "/models/chat.gguf"})
    servers.create("ranks", "llama.cpp", {"model": "/models/rank.gguf", "reranking": True})
    servers.create("embeds", "embeddings", {"model": "/models/e5", "task": "embed"})
    servers.create("cross", "embeddings", {"model": "/models/bge", "task": "rerank"})
    servers.create("either", "embeddings", {"model": "/models/x"})
    servers.create("ollama", "ollama", {})
    assert [row.name for row in desk.services.rerankers.offered()] == ["ranks", "cross", "far", "vllm", "either"]
    assert [row.name for row in desk.services.embedding_servers.offered()][:2] == ["embeds", "either"]
    assert not {"ranks", "cross"} & {row.name for row in desk.services.embedding_servers.offered()}


def test_a_reranker_that_somebody_has_stopped_stays_so(desk: Desk) -> None:
    services = desk.services
    services.servers.create("cross", "embeddings", {"model": "/models/bge", "task": "rerank"})
    with pytest.raises(RerankerAway, match="it is stopped"):
        services.rerankers.try_out("cross")
    assert services.servers.show("cross").wish == REST
    services.servers.start("cross")
    with pytest.raises(RerankerAway, match="it is being started"):
        services.rerankers.try_out("cross")
    assert services.servers.show("cross").wish == RUN


def test_the_command_line_searches_with_and_without(desk: Desk, server: RerankServer) -> None:
    desk.base("Pump", right=RIGHT, near=NEAR)
    shell = Shell(desk.services.settings.home)

    def found(*words: str) -> list[tuple[str, float | None]]:
        row = shell.json("kb", "search", "Pump", QUESTION, "--mode", "lexical", *words)
        return [(hit["document"], hit["rerank_score"]) for hit in row["hits"]]

    plain, ordered = [("right.txt", None), ("near.txt", None)], [("near.txt", -3.0), ("right.txt", -6.0)]
    assert found() == plain
    refused = shell.error("kb", "search", "Pump", QUESTION, "--rerank")
    assert refused["code"] == "no_reranker" and "Settings page" in refused["remedy"]
    choose(desk.services, server)
    assert found() == ordered == found("--rerank") and found("--no-rerank") == plain
    told = shell.text("kb", "search", "Pump", QUESTION, "--mode", "lexical")
    assert "reranker" in told and "-6.000" in told
    server.set("nonsense")
    row = shell.json("kb", "search", "Pump", QUESTION, "--mode", "lexical")
    assert [hit["document"] for hit in row["hits"]] == ["right.txt", "near.txt"]
    assert [warning["code"] for warning in row["warnings"]] == ["not_reranked"] and row["timings_ms"]["rerank"] > 0
    assert shell.aside("kb", "search", "Pump", QUESTION, "--mode", "lexical").startswith("Not reranked:")


def test_asking_by_the_command_line_says_why_it_was_not_reranked(
    desk: Desk, server: RerankServer, chat: ChatServer
) -> None:
    desk.base("Pump", right=RIGHT, near=NEAR)
    desk.services.servers.add_remote("chat", chat.url, model="fake")
    choose(desk.services, server)
    shell = Shell(desk.services.settings.home)
    row = shell.json("ask", "Pump", QUESTION, "--server", "chat")
    assert row["not_reranked"] is None and row["passages"][0]["rerank_score"] == -3.0
    server.set("busy")
    row = shell.json("ask", "Pump", QUESTION, "--server", "chat")
    assert row["not_reranked"]["code"] == "server_busy" and set(row["not_reranked"]) == {"code", "message", "remedy"}
    assert "Not reranked: " in shell.aside("ask", "Pump", QUESTION, "--server", "chat")


def test_the_api_searches_with_and_without(tmp_path: Path, server: RerankServer) -> None:
    with running_api(tmp_path) as api, httpx.Client(base_url=api.url) as http:
        base = api.services.knowledge.create("Pump")
        api.settle(base, right_txt=RIGHT.encode(), near_txt=NEAR.encode())

        def search(**beyond: object) -> httpx.Response:
            body = {"query": QUESTION, "mode": "lexical", **beyond}
            return http.post("/knowledge_bases/Pump/search", json=body)

        refused = search(rerank=True)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_reranker")
        choose(api.services, server)
        assert [hit["rerank_score"] for hit in search().json()["data"]] == [-3.0, -6.0]
        assert [hit["document"] for hit in search(rerank=False).json()["data"]] == ["right.txt", "near.txt"]
        server.set("server_error")
        row = search(rerank=True).json()
        assert [warning["code"] for warning in row["warnings"]] == ["not_reranked"]
        assert "CUDA out of memory" in row["warnings"][0]["message"]
