"""See the chunks of a document and of a sample, with other parameters beside, before anything is embedded."""

from __future__ import annotations

import pytest

from services.app import Services
from services.knowledge.chunking.registry import chunker_spec
from services.knowledge.loaders.reader import Reader
from tests.app.pages import field, labels, opened, parameter, press, put, speak, words
from ui.chunks import view

TEXT = b"# Pond\n\n" + b"The pond holds koi. It was dug in 1962. " * 40


def texts(html: str) -> list[str]:
    """The coloured texts that stand on the page."""
    return [part.partition("</div>")[0] for part in html.split('<div class="lectern-chunks"')[1:]]


def test_the_chunks_of_a_document_are_shown_with_their_sizes(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, pond_md=TEXT)
    app = press(opened("2_Knowledge"), r"See the chunks of pond\.md")
    (row,) = services.knowledge.documents(base)
    html = words(app)
    assert parameter(app, "chunks") == row.document_id and "Working on" not in html
    (text,) = texts(html)
    assert text.count('class="number"') == row.chunks == 3 and text.count('class="shared"') == 2
    assert "3 chunks" in html and "characters, median" in html and "of 512 tokens" in html
    assert "Apply to this base" not in labels(app)
    press(app, "Back to the documents")
    assert "lectern-chunks" not in words(app) and "pond.md" in words(app)


def test_of_many_documents_any_one_can_be_opened(
    services: Services, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "MOST_DOCUMENTS", 1)
    base = services.knowledge.create("Garden")
    put(services, base, reader, apple_md=b"Apples.", pond_md=TEXT)
    last = services.knowledge.document(base, "pond.md")
    for asked in (last.document_id, "pond.md"):
        app = opened("2_Knowledge", chunks=asked)
        assert field(app, "Document").value == parameter(app, "chunks") == last.document_id
        assert field(app, "Document").options[:2] == ["apple.md", "pond.md"]
    app = opened("2_Knowledge", chunks="gone.md")
    assert field(app, "Document").options[0] == "apple.md" and "Apples." in texts(words(app))[0]


def test_a_changed_parameter_shows_its_result_beside_the_old_one_and_embeds_nothing(
    services: Services, reader: Reader
) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, pond_md=TEXT)
    app = opened("2_Knowledge", chunks="pond.md")
    field(app, "Strategy").set_value("sentences")
    app.run()
    field(app, "Characters of a chunk").set_value(200)
    field(app, "Characters that neighbouring chunks share").set_value(0)
    app.run()
    assert not app.exception
    now, tried = texts(words(app))
    assert now.count('class="number"') == 3 < tried.count('class="number"') and 'class="shared"' not in tried
    assert services.knowledge.summary(base).counts.chunks == 3
    press(app, "Apply to this base")
    changed = services.knowledge.base("Garden").changed()
    assert changed and (changed.chunker, changed.chunk_size, changed.chunk_overlap) == ("sentences", 200, 0)
    assert "is being changed just now" in words(app)


def test_a_parameter_that_cannot_be_is_said_and_the_old_chunks_stay(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, pond_md=TEXT)
    app = opened("2_Knowledge", chunks="pond.md")
    field(app, "Characters that neighbouring chunks share").set_value(5000)
    app.run()
    assert 'role="alert"' in words(app) and len(texts(words(app))) == 1


def test_statements_are_only_asked_for_when_the_reader_says_so_and_without_a_server_it_is_said(
    services: Services,
) -> None:
    services.knowledge.create("Garden")
    app = press(opened("2_Knowledge"), "See how a sample is cut")
    assert "IT security" in words(app)
    field(app, "Strategy").set_value("propositions")
    app.run()
    assert 'role="alert"' not in words(app) and len(texts(words(app))) == 1
    press(app, "Ask the server")
    assert "No model server is ready" in words(app).partition('role="alert"')[2]


def test_a_sample_is_cut_in_chinese_too(services: Services) -> None:
    services.knowledge.create("Garden", chunker_spec("parent_child"))
    app = speak(opened("2_Knowledge", chunks="sample:实验室安全规范.txt"), "zh_CN")
    html = words(app)
    assert "当前的切分" in html and "父块" in texts(html)[0] and "个文本块" in html


def test_a_new_base_is_made_with_the_strategy_that_was_chosen(services: Services) -> None:
    app = press(opened("2_Knowledge"), "Create a knowledge base")
    field(app, "Name").set_value("Prices")
    field(app, "Strategy").set_value("table_rows")
    press(app, "Create", within="Create a knowledge base")
    base = services.knowledge.base("Prices")
    assert (base.chunker, base.chunk_overlap, base.chunker_options) == ("table_rows", 0, {"rows": 10})
