"""Widgets: unknown figures, states by word and icon, names as text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from ui.widgets import STATES


def drawn(draw: Callable[..., None], **values: object) -> str:
    app = AppTest.from_function(draw, kwargs=values, default_timeout=60).run()
    assert not app.exception
    return "\n".join(element.proto.body for element in app.get("html"))


def progress(done: int | None, total: int | None) -> None:
    from ui import widgets

    widgets.progress_row("Reading <b>", done, total, "files", 2.5, 4200)


def state(name: str) -> None:
    from ui import widgets

    with widgets.row("pump.pdf", state=name):
        pass


def figures() -> None:
    from ui import widgets

    widgets.cards([widgets.Card("GPU memory", None), widgets.Card("Documents", 1284), widgets.Card("Size", "<i>")])


def test_progress_tells_count_rate_and_time_left() -> None:
    html = drawn(progress, done=3, total=1200)
    assert "3 / 1,200 files · 2.5 files/s · 4.2 s left" in html
    assert 'value="3" max="1200"' in html
    assert "Reading &lt;b&gt;" in html


def test_progress_of_unknown_length_has_no_invented_value() -> None:
    html = drawn(progress, done=None, total=None)
    assert "n/a / n/a files" in html
    assert "value=" not in html


def test_progress_beyond_the_end_stays_at_the_end() -> None:
    assert 'value="5" max="5"' in drawn(progress, done=9, total=5)


@pytest.mark.parametrize("name", STATES)
def test_each_state_has_icon_word_and_look(name: str) -> None:
    look, word = STATES[name]
    html = drawn(state, name=name)
    assert f'class="lectern-badge {look}"' in html
    assert 'class="lectern-icon"' in html
    assert f"</span>{word}</span>" in html


def test_an_unknown_state_is_grey_under_its_own_name() -> None:
    html = drawn(state, name="<new>")
    assert "lectern-badge stopped" in html
    assert "&lt;new&gt;" in html


def test_an_unknown_figure_reads_not_available() -> None:
    html = drawn(figures)
    assert ">n/a<" in html
    assert ">1,284<" in html
    assert "<i>" not in html
