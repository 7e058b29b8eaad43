"""Settings: saved, refused, back to the defaults, and where the rest was set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from services.app import Services
from services.core.settings import Settings
from tests.app.pages import field, labels, opened, press, speak, words
from tests.fakes.receiver import receiver
from tests.fakes.rerank_server import running_rerank_server
from ui import wiring


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
    field(app, "Chunk overlap, characters").set_value(900)
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


def test_a_reranker_is_chosen_from_the_servers_that_can(services: Services) -> None:
    assert "No server here can rerank yet" in words(opened("7_Settings"))
    services.servers.create("chats", "llama.cpp", {"model": "/models/chat.gguf"})
    with running_rerank_server() as server:
        services.servers.add_remote("order", server.url, model="bge")
        app = opened("7_Settings")
        assert "can rerank yet" not in words(app)
        assert field(app, "Reranker").options == ["none", "order · bge · ready"]
        field(app, "Reranker").set_value("order")
        press(app, "Save")
        assert services.product.reranker == "order" and len(server.asked) == 1
        assert field(opened("7_Settings"), "Reranker").value == "order"
    services.servers.remove("order")
    app = opened("7_Settings")
    assert "no server named “order” any more: nothing is reranked" in words(app)
    assert field(app, "Reranker").options[-1] == "order (there is no such server any more)"
    field(app, "Passages to search for").set_value(11)
    press(app, "Save")
    assert services.product.top_k == 11, "other settings can be saved beside it"
    press(app, "Back to the defaults")
    assert services.product.reranker == ""
    assert "重排序模型" in [box.label for box in speak(opened("7_Settings"), "zh_CN").selectbox]


def test_a_server_that_does_not_rerank_is_not_chosen(services: Services) -> None:
    with running_rerank_server("not_offered") as server:
        services.servers.add_remote("box", server.url)
        app = opened("7_Settings")
        field(app, "Reranker").set_value("box")
        field(app, "Passages to search for").set_value(11)
        press(app, "Save")
    assert 'role="alert"' in words(app) and "offers nothing at /v1/rerank" in words(app) and not app.toast
    assert (services.product.reranker, services.product.top_k) == ("", 6)


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
    assert [subheader.value for subheader in app.subheader] == ["应用设置", "API 密钥", "告警", "启动设置"]
    assert field(app, "检索段落数").value == 6
    assert startup_settings(app)[0] == ["设置项", "值", "来源", "含义"]


@pytest.fixture
def permissive(monkeypatch: pytest.MonkeyPatch) -> Services:
    """Services that may tell a webhook on loopback."""
    monkeypatch.setenv("LECTERN_ALLOW_PRIVATE_WEBHOOKS", "1")
    wiring.close()
    return wiring.services()


def test_thresholds_are_chosen_and_the_usual_ones_come_back(services: Services) -> None:
    app = opened("7_Settings")
    field(app, "GPU memory in use, %").set_value(80)
    field(app, "Free disk, GiB").set_value(20.0)
    press(app, "Save alerts")
    assert (services.product.alert_gpu_memory_percent, services.product.alert_disk_gib) == (80, 20.0)
    services.choose(top_k=11)
    press(app, "Usual thresholds")
    assert (services.product.alert_gpu_memory_percent, services.product.top_k) == (95, 11)


@pytest.mark.parametrize(
    ("url", "words_of_refusal"),
    [
        ("http://127.1:8080/hook", "LECTERN_ALLOW_PRIVATE_WEBHOOKS=1"),
        ("http://[::ffff:10.0.0.1]/", "is not a public address"),
        ("hooks.example", "it must begin with http:// or https://"),
    ],
)
def test_a_webhook_that_may_not_be_told_is_refused_and_nothing_is_stored(
    services: Services, url: str, words_of_refusal: str
) -> None:
    app = opened("7_Settings")
    field(app, "Webhook address").set_value(url)
    field(app, "GPU memory in use, %").set_value(80)
    press(app, "Save alerts")
    assert 'role="alert"' in words(app) and words_of_refusal in words(app)
    assert (services.product.webhook_url, services.product.alert_gpu_memory_percent) == ("", 95)
    assert "Send a test" not in labels(app) and not app.toast


def test_a_test_shows_how_it_went_and_the_result_stays(permissive: Services) -> None:
    with receiver(200, 500) as hook:
        app = opened("7_Settings")
        field(app, "Webhook address").set_value(hook.url)
        press(app, "Save alerts")
        app = opened("7_Settings")
        assert "not told anything yet" in words(app)
        assert "The webhook has taken the test" in words(press(app, "Send a test"))
        assert hook.received[0].body["event"] == "test"
        assert "taken." in words(opened("7_Settings"))
        assert "it answered with status 500" in words(press(app, "Send a test"))
    assert "not taken." in words(opened("7_Settings"))
    permissive.choose(webhook_url=None)
    assert permissive.alerts.last_delivery() is None


def test_a_judge_is_chosen_among_chat_servers_and_taken_back(services: Services) -> None:
    judge = services.servers.add_remote("big", "http://127.0.0.1:9/v1")
    app = opened("7_Settings")
    assert field(app, "Judge of citations").options == ["none: rules only", "big"]
    field(app, "Judge of citations").set_value(judge.id)
    press(app, "Save")
    assert services.product.judge == judge.id
    assert field(opened("7_Settings"), "Judge of citations").value == judge.id
    press(app, "Back to the defaults")
    assert services.product.judge == ""


def test_a_judge_that_is_gone_is_told(services: Services) -> None:
    services.choose(judge="gone")
    app = opened("7_Settings")
    assert "The server that was chosen as judge is gone" in words(app)
    assert field(app, "Judge of citations").value == ""
    press(app, "Save")
    assert services.product.judge == "" and "is gone" not in words(opened("7_Settings"))
