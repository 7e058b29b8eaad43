"""Knowledge: trying a search, and looking after the search index."""

from __future__ import annotations

import io

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Checkbox

from services.app import Services
from services.knowledge.loaders.reader import Reader
from services.knowledge.upkeep import Upkeep, UpkeepKind, UpkeepState
from services.worker.upkeep import UpkeepKeeper
from tests.app.pages import field, labels, opened, press, put, speak, words
from tests.fakes.rerank_server import running_rerank_server


def test_a_search_shows_hits_with_ranks_and_times(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, pond_md=b"# Pond\n\nIt holds koi. Error E-15 means low water.", a_txt=b"Apples.")
    app = opened("2_Knowledge")
    app.session_state["knowledge.try"] = True
    app.run()
    field(app, "Question").set_value("E15")
    press(app, "Search")
    said = words(app)
    assert "1. pond.md" in said and "place 1 by words" in said and "place 1 by meaning" in said
    assert "2 hits" in said and "words " in said and "Error E-15 means low water." in said
    next(box for box in app.multiselect if box.label == "Documents").set_value(
        [row.document_id for row in services.knowledge.documents(base) if row.name == "a.txt"]
    )
    press(app, "Search")
    assert "1. a.txt" in words(app) and "pond.md" not in words(app).split("1 hit", 1)[1].split("Apples", 1)[0]


def test_a_search_is_reranked_where_that_is_ticked(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, near_txt=b"The pump starts at six.", far_txt=b"Rent is due in May.")
    app = opened("2_Knowledge")
    app.session_state["knowledge.try"] = True
    app.run()
    field(app, "Question").set_value("When does the pump start?")
    press(app, "Search")
    assert "1. near.txt" in words(app) and "reranker" not in words(app)
    tick(app).check()
    press(app, "Search")
    assert "No server that reranks is chosen." in words(app) and "on the Settings page" in words(app)
    with running_rerank_server() as server:
        services.servers.add_remote("order", server.url)
        services.choose(reranker="order")
        press(app, "Search")
        said = words(app)
        assert "1. far.txt" in said and "reranker 0.000" in said and "reranker -2.000" in said and "reranking " in said
        server.set("server_error")
        press(app, "Search")
        assert "Not reranked:" in words(app) and "CUDA out of memory" in words(app) and "1. near.txt" in words(app)
        fresh = opened("2_Knowledge")
        fresh.session_state["knowledge.try"] = True
        fresh.run()
        assert tick(fresh).value is True, "by default, where one is chosen"
        tick(app).uncheck()
        press(app, "Search")
        assert "Not reranked:" not in words(app) and "1. near.txt" in words(app)


def tick(app: AppTest) -> Checkbox:
    return next(box for box in app.checkbox if box.label == "Rerank")


def test_an_empty_question_is_refused_in_the_box(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, a_txt=b"Apples.")
    app = opened("2_Knowledge")
    app.session_state["knowledge.try"] = True
    app.run()
    press(app, "Search")
    assert "The question is empty." in words(app)


def test_the_index_is_checked_and_made_anew_through_the_worker(services: Services) -> None:
    base = services.knowledge.create("Garden")
    services.knowledge.add(base, "a.txt", io.BytesIO(b"Apples."))
    app = opened("2_Knowledge")
    app.session_state["knowledge.upkeep"] = True
    app.run()
    assert "vectors in memory" in words(app)
    press(app, "Make the indexes anew")
    wish = services.knowledge.upkeep(base)
    assert wish == Upkeep(UpkeepKind.REBUILD) and wish.state is UpkeepState.WISHED
    assert "Waiting for the worker" in words(app)
    keeper = UpkeepKeeper(services.store.bases, services.stores, services.knowledge, services.machine_id)
    keeper.tick()
    keeper.join()
    app.run()
    assert "Everything fits together." in words(app) and "1 original" in words(app)
    chinese = speak(opened("2_Knowledge"), "zh_CN")
    chinese.session_state["knowledge.upkeep"] = True
    chinese.run()
    assert "全部一致" in words(chinese) and "Check everything" not in labels(chinese)
