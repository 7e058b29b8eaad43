"""Settings: saved, refused, back to the defaults, and where the rest was set."""

from __future__ import annotations

from pathlib import Path

from services.app import Services
from tests.app.pages import field, opened, press, speak, words


def test_a_saved_value_holds_at_once_and_for_the_next_visitor(services: Services) -> None:
    app = opened("7_Settings")
    field(app, "Passages to search for").set_value(11)
    press(app, "Save")
    assert services.product.top_k == 11
    assert [toast.value for toast in app.toast] == ["Saved."]
    assert field(opened("7_Settings"), "Passages to search for").value == 11


def test_values_that_do_not_go_together_are_refused_and_nothing_is_stored(services: Services) -> None:
    app = opened("7_Settings")
    field(app, "Chunk overlap").set_value(900)
    field(app, "Passages to search for").set_value(11)
    press(app, "Save")
    assert 'role="alert"' in words(app) and "it must be smaller than the chunk size" in words(app)
    assert not app.toast
    assert (services.product.chunk_overlap, services.product.top_k) == (100, 6)


def test_the_defaults_come_back(services: Services) -> None:
    services.choose(top_k=11, temperature=0.1)
    app = opened("7_Settings")
    assert field(app, "Temperature").value == 0.1
    press(app, "Back to the defaults")
    assert (services.product.top_k, services.product.temperature) == (6, 0.7)
    assert field(app, "Temperature").value == 0.7


def test_each_startup_setting_tells_its_value_and_who_set_it(tmp_path: Path) -> None:
    table = opened("7_Settings").dataframe[0].value.set_index("Setting")
    assert (table["Value"]["home"], table["Set by"]["home"]) == (str(tmp_path), "environment")
    assert table["Set by"]["port"] == "default"
    assert table["Meaning"].map(bool).all()


def test_settings_speak_chinese() -> None:
    app = speak(opened("7_Settings"), "zh_CN")
    assert app.title[0].value == "设置"
    assert [subheader.value for subheader in app.subheader] == ["应用设置", "启动设置"]
    assert field(app, "检索段落数").value == 6
    assert set(app.dataframe[0].value.columns) == {"设置项", "值", "来源", "含义"}
