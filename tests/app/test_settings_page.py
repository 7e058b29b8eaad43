"""Settings: saved, refused, back to the defaults, and where the rest was set."""

from __future__ import annotations

import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

from services.app import Services
from services.core.settings import Settings
from tests.app.pages import field, opened, press, speak, words


def startup_settings(app: AppTest) -> list[list[str]]:
    """The rows of what was set before the start, the first one its heads."""
    rows = re.findall("<tr>(.*?)</tr>", words(app))
    return [re.findall(">([^<]*)</t[hd]>", row) for row in rows]


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
    heads, *rows = startup_settings(opened("7_Settings"))
    assert heads == ["Setting", "Value", "Set by", "Meaning"]
    assert [row[0] for row in rows] == list(Settings.model_fields)
    assert ["home", str(tmp_path), "environment", "folder that holds all state"] in rows
    assert ["port", "8501", "default", "first port that is tried for the pages"] in rows


def test_the_value_of_a_startup_setting_has_its_unit() -> None:
    values = {name: value for name, value, *_ in startup_settings(opened("7_Settings"))}
    assert (values["max_file_bytes"], values["read_timeout_s"]) == ("209715200 (200.0 MiB)", "300 s")
    assert (values["embedded"], values["database_url"]) == ("false", "empty")


def test_settings_speak_chinese() -> None:
    app = speak(opened("7_Settings"), "zh_CN")
    assert app.title[0].value == "设置"
    assert [subheader.value for subheader in app.subheader] == ["应用设置", "告警", "启动设置"]
    assert field(app, "检索段落数").value == 6
    assert startup_settings(app)[0] == ["设置项", "值", "来源", "含义"]
