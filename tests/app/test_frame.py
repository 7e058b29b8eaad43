"""The frame without a browser: menu, languages, errors, the worker's state."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from services.core.machine import this_process
from tests.app.pages import HOME, PATIENCE_S, words
from ui import frame, wiring


def home() -> AppTest:
    return AppTest.from_file(HOME, default_timeout=PATIENCE_S)


def test_home_is_drawn_with_its_title_and_a_note_about_the_missing_worker() -> None:
    app = home().run()
    assert not app.exception
    assert app.title[0].value == "Home"
    assert 'role="status"' in words(app)
    assert "The background worker is not running" in words(app)


def test_a_running_worker_is_not_mentioned() -> None:
    services, me = wiring.services(), this_process()
    services.store.workers.beat(services.machine_id, "here", me.pid, me.started_at)
    app = home().run()
    assert app.title[0].value == "Home"
    assert 'role="status"' not in words(app)


def test_a_worker_whose_process_is_gone_is_said_to_be_missing_since_then() -> None:
    services, me = wiring.services(), this_process()
    services.store.workers.beat(services.machine_id, "here", me.pid, me.started_at - 1000)
    assert "Worker not running since" in words(home().run())


def test_the_chosen_language_is_kept_for_the_next_session() -> None:
    app = home().run()
    picker = app.sidebar.selectbox[0]
    assert picker.value == "en"
    picker.set_value("zh_CN").run()
    assert not app.exception
    assert home().run().sidebar.selectbox[0].value == "zh_CN"


def test_the_menu_shows_the_pages_that_exist_in_its_order() -> None:
    shown = [link.proto.label for link in home().run().sidebar.get("page_link")]
    entries = [entry for _group, entries in frame.MENU for entry in entries]
    assert shown == [entry.title for entry in entries if (frame.ROOT / entry.path).exists()]
    assert shown[0] == "Home"


def test_an_error_that_ends_the_page_is_shown_as_message_and_remedy() -> None:
    def failing() -> None:
        from services.core.errors import WorkerNotRunning
        from ui import errors

        with errors.shown():
            raise WorkerNotRunning()

    drawn = words(AppTest.from_function(failing, default_timeout=PATIENCE_S).run())
    assert 'role="alert"' in drawn
    assert "The background worker is not running" in drawn
    assert "Start Lectern with" in drawn


def test_stopping_a_page_is_not_an_error() -> None:
    def stopping() -> None:
        import streamlit as st

        from ui import errors

        with errors.shown():
            st.stop()

    app = AppTest.from_function(stopping, default_timeout=PATIENCE_S).run()
    assert not app.exception
    assert "alert" not in words(app)


def test_a_database_that_cannot_be_opened_is_told_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECTERN_DATABASE_URL", f"sqlite:///{tmp_path}/no-such-folder/state.sqlite3")
    app = home().run()
    assert not app.exception
    assert "cannot be used" in words(app)
