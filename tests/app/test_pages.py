"""Each page without a browser: its empty state, its main action, and its errors, over real services."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from services.app import Services
from services.core.errors import AppError
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from services.store.bases import BaseRecord
from tests.fakes.chat_server import ChatServer, running_chat_server
from ui import wiring
from ui.owner import LOCAL

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Services over an empty home, without the embedded model."""
    monkeypatch.setenv("LECTERN_HOME", str(tmp_path))
    monkeypatch.setenv("LECTERN_EMBEDDED", "false")
    wiring.close()
    yield wiring.services()
    wiring.close()


@pytest.fixture
def chat_server(services: Services) -> Iterator[ChatServer]:
    with running_chat_server(answer="It holds koi [1].") as server:
        services.servers.add_remote("fake", server.url)
        yield server


def opened(page: str, **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=PATIENCE_S)
    app.run()
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.switch_page(f"pages/{page}.py").run()


def words(app: AppTest) -> str:
    """Everything that the page says."""
    texts = [element.proto.body for element in app.get("html")]
    return "\n".join([*texts, *(element.value for element in app.markdown), *(button.label for button in app.button)])


def button(app: AppTest, label: str):
    return next(found for found in app.button if found.label == label)


def filled(services: Services, **files: bytes) -> BaseRecord:
    """A base whose files have been walked to their end, as the worker does."""
    base = services.knowledge.create("Garden")
    for name, content in files.items():
        services.knowledge.add(base, name.replace("_", "."), io.BytesIO(content))
    reader = Reader(Limits(50, 100_000, 60, 4 * 1024**3))
    ingest = Ingest(services.stores, reader, services.embedder)
    for key in services.stores.of(base).pending():
        try:
            assert all(step(base, key) for step in (ingest.read, ingest.split, ingest.embed, ingest.publish))
        except AppError as error:
            ingest.fail(base, key, error)
    reader.close()
    return base


def asked(services: Services, base: BaseRecord, question: str = "Which fish?"):
    return services.chat.wait(services.chat.ask(LOCAL, question, base_id=base.id).id, 30)


def test_home_offers_sample_documents_and_builds_them_at_one_click(services: Services) -> None:
    app = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=PATIENCE_S).run()
    assert not app.exception
    button(app, "Try it with sample documents").click().run()
    (summary,) = services.knowledge.bases()
    assert summary.base.name == "Sample documents" and summary.counts.documents >= 6


def test_home_says_what_needs_attention(services: Services) -> None:
    filled(services, empty_txt=b" ")
    services.servers.add_remote("dead", "http://127.0.0.1:9/v1")
    said = words(AppTest.from_file(str(ROOT / "Home.py"), default_timeout=PATIENCE_S).run())
    assert "Needs attention" in said or "“dead”" in said
    assert "Garden" in said


def test_knowledge_begins_with_an_empty_state() -> None:
    app = opened("2_Knowledge")
    assert not app.exception and "No knowledge base yet" in words(app)
    button(app, "Create a knowledge base").click().run()
    assert [field.label for field in app.text_input] == ["Name"]


def test_knowledge_shows_each_file_with_its_state_and_what_to_do(services: Services) -> None:
    filled(services, pond_txt=b"The pond holds koi.", empty_txt=b" ", picture_png=b"\x89PNG\r\n\x1a\n" + bytes(50))
    said = words(opened("2_Knowledge"))
    assert "pond.txt" in said and "ready" in said
    assert "“empty.txt” is empty." in said and "Check the file on your computer" in said
    assert "picture.png" in said and "cannot be read" in said
    assert "Try again" in said


def test_a_failed_file_is_queued_again_by_its_button(services: Services) -> None:
    base = filled(services, empty_txt=b" ")
    button(opened("2_Knowledge"), "Try again").click().run()
    assert services.knowledge.documents(base)[0].state == "queued"


def test_chat_teaches_the_next_step_first_a_server_then_documents(services: Services) -> None:
    assert "No server yet" in words(opened("1_Chat"))
    services.servers.add_remote("dead", "http://127.0.0.1:9/v1")
    assert "Try it with sample documents" in words(opened("1_Chat"))


def test_a_question_is_answered_with_marks_and_sources(services: Services, chat_server: ChatServer) -> None:
    base = filled(services, pond_txt=b"The pond holds koi.")
    app = opened("1_Chat", base=base.id)
    app.chat_input[0].set_value("Which fish live in the pond?").run()
    (conversation,) = services.chat.conversations(LOCAL)
    (turn,) = services.chat.turns(LOCAL, conversation.id)
    services.chat.wait(turn.id, 30)
    app.run()
    said = words(app)
    assert f"#cite-{turn.id}-1" in said and "pond.txt" in said
    assert app.query_params["conversation"] == [conversation.id] or app.query_params["conversation"] == conversation.id


def test_a_failed_answer_says_why_and_can_be_asked_again(services: Services, chat_server: ChatServer) -> None:
    base = filled(services, pond_txt=b"The pond holds koi.")
    chat_server.set(mode="empty")
    turn = asked(services, base)
    chat_server.set(mode="normal")
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "gave an empty answer" in words(app)
    button(app, "Ask again").click().run()
    states = [row.state for row in services.chat.turns(LOCAL, turn.conversation_id)]
    assert states[0] == "failed" and len(states) == 2


def test_the_source_of_a_removed_document_is_shown_as_it_was(services: Services, chat_server: ChatServer) -> None:
    base = filled(services, pond_txt=b"The pond holds koi.")
    turn = asked(services, base)
    services.knowledge.remove(base, "pond.txt")
    app = opened("1_Chat", conversation=turn.conversation_id)
    app.session_state["chat.opened"] = (turn.id, 1)
    app.run()
    assert not app.exception
    said = words(app)
    assert "The pond holds koi." in said and "changed or removed since" in said


def test_a_conversation_of_somebody_else_is_not_shown(services: Services, chat_server: ChatServer) -> None:
    base = filled(services, pond_txt=b"The pond holds koi.")
    theirs = services.chat.wait(services.chat.ask("somebody", "My secret?", base_id=base.id).id, 30)
    said = words(opened("1_Chat", conversation=theirs.conversation_id))
    assert "My secret?" not in said and "does not exist any more" in said


def test_servers_shows_states_and_tests_one(services: Services, chat_server: ChatServer) -> None:
    services.servers.add_remote("dead", "http://127.0.0.1:9/v1")
    app = opened("4_Servers")
    said = words(app)
    assert "fake" in said and "ready" in said and "dead" in said and "not reachable" in said
    button(app, "Test").click().run()
    assert "It holds koi" in words(app)


def test_settings_are_saved_refused_and_reset(services: Services) -> None:
    app = opened("7_Settings")
    assert not app.exception
    fields = {field.label: field for field in app.number_input}
    fields["Passages to search for"].set_value(9)
    button(app, "Save").click().run()
    assert services.product.top_k == 9
    fields = {field.label: field for field in app.number_input}
    fields["Chunk overlap"].set_value(9000)
    button(app, "Save").click().run()
    assert services.product.chunk_overlap == 100 and 'role="alert"' in words(app)
    button(opened("7_Settings"), "Back to the defaults").click().run()
    assert services.product.top_k == 6


@pytest.mark.parametrize("page", ["1_Chat", "2_Knowledge", "4_Servers", "7_Settings"])
def test_every_page_speaks_chinese(services: Services, page: str) -> None:
    services.preferences.set(LOCAL, "language", "zh_CN")
    app = opened(page)
    assert not app.exception
    assert any("\u4e00" <= letter <= "\u9fff" for letter in app.title[0].value)
