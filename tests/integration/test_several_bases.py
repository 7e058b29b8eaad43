"""Several bases searched at once: their hits are on one scale, and one whose embedder is away is searched by words."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from services.app import Services
from services.chat.notes import words_only_text
from services.chat.turns import passages_of
from services.knowledge.embedders.protocol import EmbedderSpec
from services.knowledge.fusion import comparable
from services.knowledge.search_types import CosineScale, SearchMode, SearchOptions
from services.knowledge.types import Hit, StoredChunk
from services.store.bases import BaseRecord
from services.store.conversations import TurnRecord
from tests.fakes.chat_server import running_chat_server
from tests.fakes.embedding_server import EmbeddingServer, running_embedding_server
from tests.fakes.library_desk import Desk
from tests.integration.commands import Shell

OWNER = "somebody"
QUESTION = "How long is the warranty of the pump?"
RIGHT = "The warranty of the pump is two years long, motor included."
WRONG = "花园的大门在晚上六点关闭，周末全天开放。"


@pytest.fixture
def alike() -> Iterator[EmbeddingServer]:
    """An embedder to which all texts are much alike, as they are to many real ones."""
    with running_embedding_server(alike=0.9, model="alike") as server:
        yield server


@pytest.fixture
def apart() -> Iterator[EmbeddingServer]:
    """An embedder to which unrelated texts have nothing in common."""
    with running_embedding_server(model="apart") as server:
        yield server


def base_with(desk: Desk, name: str, server: EmbeddingServer, text: str) -> BaseRecord:
    services = desk.services
    services.servers.add_remote(name.lower(), server.url)
    spec = services.embedder_choices.spec(f"server:{name.lower()}")
    base = services.knowledge.create(name, embedder=spec)
    services.knowledge.add(base, f"{name}.txt", io.BytesIO(text.encode()))
    desk.settle(base)
    return base


def asked(services: Services, *bases: BaseRecord) -> TurnRecord:
    with running_chat_server(answer="Two years [1].") as chat:
        services.servers.add_remote("chat", chat.url, model="fake")
        begun = services.chat.ask(OWNER, QUESTION, base_ids=[base.id for base in bases], server="chat")
        turn = services.chat.wait(begun.id)
        services.servers.remove("chat")
    assert turn.error_code is None
    return turn


def test_the_right_passage_comes_first_whatever_its_embedder_calls_near(
    desk: Desk, alike: EmbeddingServer, apart: EmbeddingServer
) -> None:
    wrong, right = base_with(desk, "Gate", alike, WRONG), base_with(desk, "Pump", apart, RIGHT)
    scales = {base.name: desk.services.stores.of(base).cosine_scale() for base in (wrong, right)}
    assert scales["Gate"].offset > scales["Pump"].offset + 0.5, "each base begins with the scale of its embedder"
    passages = passages_of(asked(desk.services, wrong, right))
    assert [passage.base_name for passage in passages] == ["Pump", "Gate"]
    assert passages[0].score > passages[1].score


def test_bases_of_one_embedder_are_compared_on_one_scale(desk: Desk, apart: EmbeddingServer) -> None:
    right, wrong = base_with(desk, "Pump", apart, RIGHT), base_with(desk, "Gate", apart, WRONG)
    with desk.services.stores.of(wrong)._connections.writing() as connection:  # type: ignore[attr-defined]
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('cosine_scale', '[-9.0, 0.1, 500]')")
    passages = passages_of(asked(desk.services, wrong, right))
    assert [passage.base_name for passage in passages] == ["Pump", "Gate"], "whatever each measured on its own chunks"


def test_a_base_whose_embedder_is_away_is_searched_by_words_and_the_answer_says_so(
    desk: Desk, alike: EmbeddingServer, apart: EmbeddingServer
) -> None:
    wrong, right = base_with(desk, "Gate", alike, WRONG), base_with(desk, "Pump", apart, RIGHT)
    apart.stop()
    turn = asked(desk.services, wrong, right)
    assert [passage.base_name for passage in passages_of(turn)] == ["Pump", "Gate"]
    gate, pump = turn.bases
    assert gate["words_only"] is None and pump["words_only"]["code"] == "embedder_away"
    said = words_only_text(pump)
    assert "“Pump” was searched by words only" in said and "“pump”" in said and "?" not in said
    assert "只按" in words_only_text(pump, "zh_CN")


def test_the_command_line_says_that_only_words_were_searched(desk: Desk, apart: EmbeddingServer) -> None:
    base_with(desk, "Pump", apart, RIGHT)
    apart.stop()
    shell = Shell(desk.services.settings.home)
    with running_chat_server(answer="Two years [1].") as chat:
        desk.services.servers.add_remote("chat", chat.url, model="fake")
        row = shell.json("ask", "Pump", QUESTION, "--server", "chat")
    (searched,) = row["searched"]
    assert searched["name"] == "Pump" and searched["words_only"]["code"] == "embedder_away"
    assert set(searched["words_only"]) == {"code", "message", "remedy"} and row["passages"]
    found = shell.json("kb", "search", "Pump", "warranty pump")
    assert (found["mode"], [warning["code"] for warning in found["warnings"]]) == ("lexical", ["words_only"])
    assert shell.error("kb", "search", "Pump", "warranty", "--mode", "dense")["code"] == "embedder_away"


@pytest.mark.parametrize(
    ("cosine", "share", "expected"),
    [(0.9, 0.5, 0.7 * 1.0 + 0.3 * 0.5), (0.9, None, 1.0), (None, 0.5, 0.5), (None, None, 0.0)],
)
def test_what_is_not_known_of_a_hit_is_stood_for_by_the_rest(cosine, share, expected: float) -> None:
    chunk = StoredChunk(1, "d", "d.txt", 1, 0, 0, 1, "a", None, "", "", 0, 1, "a")
    hit = Hit(1, 0.0, chunk, None, None, cosine, share)
    assert comparable(hit, SearchOptions(SearchMode.HYBRID), CosineScale(0.7, 0.2)) == pytest.approx(expected)


def test_a_scale_stands_in_the_spec_of_the_base(desk: Desk, alike: EmbeddingServer) -> None:
    base = base_with(desk, "Gate", alike, WRONG)
    spec: EmbedderSpec = desk.services.knowledge.embedder_spec(base)
    assert 0.85 < spec.cosine_offset < spec.cosine_offset + spec.cosine_range < 1.01
