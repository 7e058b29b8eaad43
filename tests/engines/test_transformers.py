"""The real `transformers serve` under the supervisor, with a model of 1.4 MB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.llm.client import OpenAIChatModel
from services.llm.protocol import Message, Sampling, TextDelta
from services.serving.states import FAILED
from tests.engines.conftest import environment
from tests.engines.desk import Desk, ask


@pytest.fixture(scope="module")
def model(tiny: Callable[[str, Path], Path]) -> Path:
    return tiny("chat", environment("transformers"))


def test_a_model_is_listed_and_asked_by_its_name_and_gone_after_it_was_stopped(desk: Desk, model: Path) -> None:
    row = desk.started("t", "transformers", model=str(model), dtype="float32", default_seed=0)
    assert desk.service.models("t") == ["tiny-chat"]
    chat = OpenAIChatModel(desk.service.endpoint("t"))
    events = list(chat.stream([Message("user", "hello")], Sampling(16)))
    assert "".join(event.text for event in events if isinstance(event, TextDelta))
    assert ask(row, "/chat/completions", model="other", messages=[]).status_code == 400
    desk.stopped("t")


def test_a_model_that_is_missing_is_named_in_the_log(desk: Desk, tmp_path: Path) -> None:
    desk.service.create("t", "transformers", {"model": str(tmp_path / "gone")})
    row = desk.settled("t")
    assert row.state == FAILED and "gone" in "".join(desk.log(row))
