"""Servers: adding, testing, looking into and forgetting them; those that do not answer say so."""

from __future__ import annotations

import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

from services.app import Services
from services.core.errors import EngineNotInstalled
from tests.app.pages import field, labels, opened, press, speak, words
from tests.app.test_server_form import two_cards, watched
from tests.fakes.chat_server import ChatServer
from tests.fakes.models_on_disk import folder_model

DEAD = "http://127.0.0.1:9/v1"


def add(name: str, url: str) -> AppTest:
    app = press(opened("4_Servers"), "Add a server")
    field(app, "Name").set_value(name)
    field(app, "Address").set_value(url)
    return press(app, "Add", within="Add a server")


def test_without_a_server_the_page_teaches_to_add_one_and_adds_it(services: Services, chat_server: ChatServer) -> None:
    assert "No server yet" in words(opened("4_Servers"))
    add("GPU box", chat_server.url)
    (record,) = services.servers.list()
    assert (record.name, record.state) == ("GPU box", "ready")
    html = words(opened("4_Servers"))
    assert "GPU box" in html and "</span>ready</span>" in html and "No server yet" not in html


def test_a_dead_address_is_added_and_said_to_be_unreachable_with_what_to_do(services: Services) -> None:
    add("dead", DEAD)
    assert services.servers.list()[0].state == "unreachable"
    app = opened("4_Servers")
    assert "does not answer" in words(app) and 'class="remedy"' in words(app)
    assert all(button.disabled for button in app.button if button.label in ("Test", "Models"))


def test_an_address_that_is_none_is_refused_in_the_dialog(services: Services) -> None:
    app = add("odd", "no address")
    assert 'role="alert"' in words(app) and services.servers.list() == []


def test_a_name_that_is_taken_is_refused(services: Services, chat_server: ChatServer) -> None:
    services.servers.add_remote("box", chat_server.url)
    app = add("box", chat_server.url)
    assert "box" in words(app).partition('role="alert"')[2]
    assert len(services.servers.list()) == 1


def test_a_test_shows_what_the_model_says_and_how_fast(services: Services, chat_server: ChatServer) -> None:
    services.servers.add_remote("box", chat_server.url)
    chat_server.set(answer="Good <b>morning</b>.")
    app = press(opened("4_Servers"), "Test")
    html = words(app)
    assert "Good &lt;b&gt;morning&lt;/b&gt;." in html and "answered in" in html and "first word after" in html


def test_a_test_that_fails_tells_why(services: Services, chat_server: ChatServer) -> None:
    services.servers.add_remote("box", chat_server.url)
    chat_server.set(mode="unauthorized")
    html = words(press(opened("4_Servers"), "Test"))
    assert "refused the API key" in html and "Enter a valid key" in html


def test_the_models_of_a_server_are_listed(services: Services, chat_server: ChatServer) -> None:
    chat_server.set(model="Qwen/Qwen3-8x7b")
    services.servers.add_remote("box", chat_server.url)
    app = press(opened("4_Servers"), "Models")
    assert [code.value for code in app.code] == ["Qwen/Qwen3-8x7b"]


def test_removing_asks_once_and_names_what_goes(services: Services) -> None:
    services.servers.add_remote("old box", DEAD)
    app = press(opened("4_Servers"), "Remove old box")
    assert "Only its address is forgotten" in words(app) and len(services.servers.list()) == 1
    press(app, "Remove", within="Remove old box")
    assert services.servers.list() == [] and "No server yet" in words(app)


def test_states_and_remedies_are_told_in_chinese(services: Services) -> None:
    services.servers.add_remote("dead", DEAD)
    app = speak(opened("4_Servers"), "zh_CN")
    assert "无法连接" in words(app) and "服务器“dead”没有响应" in words(app)
    assert "测试" in labels(app) and "Test" not in labels(app)


def test_a_diagnosed_server_shows_cause_line_and_remedy_and_starts_with_the_flag(services: Services) -> None:
    record = services.servers.create("coder", "vllm", {"model": "org/coder-7b", "max_model_len": 32768})
    cause = {
        "code": "max_model_len_does_not_fit",
        "params": {"asked": "32768", "fits": "20000"},
        "evidence": {"line": "ValueError: <b>max seq len (32768)</b> is larger", "number": 7},
        "flags": {"--max-model-len": "20000", "--port": "8001"},
        "confidence": 0.9,
    }
    error = {"error_code": "engine_exited", "error_params": {"name": "coder", "exit_code": 1, "line": "it ended"}}
    services.store.servers.update(record.id, state="failed", diagnosis=[cause], **error)
    app = opened("4_Servers")
    html = words(app)
    assert "&lt;b&gt;max seq len (32768)&lt;/b&gt;" in html and "lectern-mono" in html
    assert "Set max_model_len to 20000 or less" in html and "it ended" not in html
    mended = [label for label in labels(app) if label.startswith("Start with")]
    assert len(mended) == 1 and "20000" in mended[0] and "8001" not in mended[0]
    press(app, mended[0])
    changed = services.servers.show("coder")
    assert (changed.wish, changed.spec["max_model_len"], changed.diagnosis) == ("running", 20000, None)


def test_a_waiting_server_says_for_whom(services: Services) -> None:
    record = services.servers.create("coder", "vllm", {"model": "org/coder-7b"})
    note = {"code": "turn", "params": {"name": "assistant"}}
    services.store.servers.update(record.id, state="waiting", wish="running", note=note)
    html = words(opened("4_Servers"))
    assert "when “assistant” has come up" in html and "</span>waiting</span>" in html


def test_an_engine_is_installed_from_the_list_of_engines(services: Services, chat_server: ChatServer) -> None:
    services.servers.add_remote("box", chat_server.url)
    app = press(opened("4_Servers"), "Engines")
    assert labels(app).count("Install") >= 3 and "</span>not installed</span>" in words(app)
    next(button for button in app.button if button.key == "word-download-vllm-").click()
    press(app, "Engines")
    assert services.installs.show("vllm").state == "queued"
    (job,) = services.store.jobs.of_kind(services.machine_id, "install_engine")
    services.store.jobs.move(job.id, "working", "wished")
    services.store.jobs.report(job.id, 40, 160, "torch==2.13.0")
    app = press(opened("4_Servers"), "Engines")
    assert "torch==2.13.0" in words(app) and "40 / 160 packages" in words(app)
    press(app, "Cancel", within="Engines")
    assert services.installs.show("vllm").state == "not_installed"


def test_a_server_whose_engine_is_not_installed_offers_to_install_it(services: Services) -> None:
    record = services.servers.create("one", "transformers", {"model": "org/model"})
    error = EngineNotInstalled(engine="transformers", reason="")
    services.store.servers.update(record.id, state="failed", error_code=error.code, error_params=error.params)
    press(opened("4_Servers"), "Install")
    assert services.installs.show("transformers").state == "queued"
    app = press(opened("4_Servers"), "Change")
    assert "</span>queued</span>" in words(app) and "Cancel" in labels(app)


def test_a_server_that_rests_tells_what_it_would_take(services: Services, tmp_path: Path) -> None:
    watched(tmp_path, two_cards)
    model = str(folder_model(tmp_path / "models" / "small"))
    services.servers.create("one", "vllm", {"model": model, "gpus": [1], "gpu_memory_utilization": 0.25})
    services.servers.create("two", "vllm", {"model": model, "gpus": [0], "gpu_memory_utilization": 0.9})
    services.servers.create("three", "vllm", {"model": "Org/Not-here"})
    html = words(opened("4_Servers"))
    assert re.search(r"Planned: [\d.]+ GiB on GPU 1; that is free now.", html)
    assert "GiB on GPU 0; it does not fit now." in html and "Its memory cannot be planned." in html
