"""Changing a base on the Knowledge page: asked for, followed, given up."""

from __future__ import annotations

from services.app import Services
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.loaders.reader import Reader
from tests.app.pages import labels, opened, press, put, speak, words


def test_a_change_is_followed_and_given_up(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden", ChunkerSpec(size=300, overlap=40))
    put(services, base, reader, pond_md=b"The pond holds koi.")
    assert "Give up the change" not in labels(opened("2_Knowledge"))
    services.knowledge.change(base, ChunkerSpec(size=500, overlap=40))
    app = opened("2_Knowledge")
    assert "0 / 1 files" in words(app)
    assert "正在重建" in words(speak(app, "zh_CN"))
    press(app, "放弃更改")
    assert services.knowledge.base("Garden").change is None
