"""Models: what is here, what is coming, what to start from, and a server made of one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.app import Services
from services.core.errors import DiskFull
from services.hub.downloads import DownloadWish, Step
from services.store.jobs import FAILED, WISHED, WORKING
from tests.app.pages import field, labels, opened, press, words
from tests.fakes.model_hub import model_hub
from tests.fakes.models_on_disk import folder_model, gguf_model

NAME = "Org/Small"


@pytest.fixture(autouse=True)
def nothing_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "MODELSCOPE_CACHE", "OLLAMA_MODELS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def folder(services: Services, tmp_path: Path) -> Path:
    services.choose(model_folders=[str(tmp_path / "models")])
    return tmp_path / "models"


def names(html: str) -> list[str]:
    return re.findall(r'class="name lectern-mono">([^<]*)<', html)


def test_an_empty_machine_teaches_the_next_step(services: Services) -> None:
    app = opened("5_Models")
    assert "No model on this machine yet" in words(app) and "Qwen/Qwen3" in words(app)
    assert labels(app).count("Download a model") == 1


def test_models_stand_there_with_their_facts_and_a_broken_one_with_its_reason(services: Services, folder: Path) -> None:
    folder_model(folder / "chat-model")
    (folder_model(folder / "broken-model") / "model.safetensors").unlink()
    html = words(opened("5_Models"))
    assert names(html)[:2] == ["broken-model", "chat-model"]
    assert "4,096 tokens of context" in html and "apache-2.0" in html and "in a chosen folder" in html
    assert "it holds no weights" in html and "</span>broken</span>" in html


def test_a_server_is_made_of_a_model_stopped_and_with_sensible_choices(services: Services, folder: Path) -> None:
    path = gguf_model(folder / "small-Q4_K_M.gguf")
    press(opened("5_Models"), "Start a server")
    app = opened("5_Models")
    press(app, "Start a server")
    press(app, "Add the server", within="Start a server")
    (record,) = services.servers.list()
    assert (record.name, record.engine, record.state, record.wish) == (
        "small-Q4_K_M",
        "llama.cpp",
        "stopped",
        "stopped",
    )
    assert record.spec["model"] == str(path) and record.spec["context"] == 2048
    assert services.serve(str(path)).name == "small-Q4_K_M 2"


def test_a_preset_chooses_cards_length_precision_and_port(services: Services, folder: Path) -> None:
    folder_model(folder / "chatty")
    app = press(opened("5_Models"), "Start a server")
    app.radio[0].set_value("two_gpus")
    press(app, "Add the server", within="Start a server")
    (record,) = services.servers.list()
    chosen = {key: record.spec[key] for key in ("tensor_parallel_size", "max_model_len", "dtype", "served_model_name")}
    assert list(chosen.values()) == [2, 8192, "half", "chatty"] and (record.engine, record.port) == ("vllm", 8000)
    assert services.serve("chatty", preset="two_gpus").name == "chatty 2"  # the port is the first one's


def test_deleting_names_the_path_and_refuses_while_a_server_uses_it(services: Services, folder: Path) -> None:
    path = folder_model(folder / "chatty")
    record = services.serve("chatty")
    app = press(opened("5_Models"), "Delete chatty")
    assert str(path) in words(app)
    press(app, "Delete", within="Delete chatty")
    assert path.exists() and 'role="alert"' in words(app) and record.name in words(app)
    services.servers.remove(record.id)
    app = press(opened("5_Models"), "Delete chatty")
    press(app, "Delete", within="Delete chatty")
    assert not path.exists() and "No model on this machine yet" in words(app)


def test_a_model_is_wished_for_and_can_be_paused_resumed_cancelled_and_removed(services: Services) -> None:
    app = press(opened("5_Models"), "Download a model")
    field(app, "Model").set_value(NAME)
    press(app, "Download", within="Download a model")
    (wished,) = services.downloads.list()
    assert (wished.wish, wished.state) == (DownloadWish("hf", NAME), "queued")
    for button, state in (("Pause", "paused"), ("Go on", "queued"), ("Cancel", "cancelled")):
        app = press(opened("5_Models"), button)
        assert services.downloads.list()[0].state == state
    app = press(app, f"Remove {NAME}")
    press(app, "Remove", within=f"Remove {NAME}")
    assert services.downloads.list() == []


def test_a_name_that_is_none_is_refused_in_the_dialog(services: Services) -> None:
    app = press(opened("5_Models"), "Download a model")
    field(app, "Model").set_value("../../etc")
    app = press(app, "Download", within="Download a model")
    assert 'role="alert"' in words(app) and services.downloads.list() == []


def test_progress_shows_file_amount_rate_and_remaining_time(services: Services) -> None:
    wished = services.downloads.wish(DownloadWish("hf", NAME))
    rows = services.store.jobs
    rows.move(wished.id, WORKING, WISHED)
    mib = 1024**2
    rows.report(wished.id, 50 * mib, 200 * mib, Step("model.safetensors", 2, 3, 25 * mib, 100 * mib, 10.0 * mib).note)
    html = words(opened("5_Models"))
    assert "model.safetensors · 25 %" in html and "file 2 of 3" in html
    assert "50 / 200 MiB" in html and "10.0 MiB/s" in html and "15.0 s left" in html
    rows.move(wished.id, FAILED, WORKING, error=DiskFull(path="/disk", needed="5.0 GiB"))
    html = words(opened("5_Models"))
    assert "The disk that holds /disk is full" in html and "about 5.0 GiB" in html


def test_the_catalogue_is_filtered_by_name_and_use(services: Services) -> None:
    app = opened("5_Models")
    field(app, "Find in the catalogue").set_value("bge").run()
    found = names(words(app))
    assert len(found) >= 5 and all("bge" in name for name in found)
    field(app, "Find in the catalogue").set_value("nothing like it").run()
    assert names(words(app)) == [] and "Nothing in the catalogue" in words(app)


def test_files_and_sizes_are_shown_before_anything_is_loaded(services: Services) -> None:
    with model_hub() as hub:
        hub.add(NAME, **{"small-Q4_K_M__gguf": bytes(2000), "small-Q8_0__gguf": bytes(4000)})
        services.choose(hf_endpoint=hub.url)
        app = press(opened("5_Models"), "Download a model")
        field(app, "Model").set_value(NAME)
        app = press(app, "Show files and sizes", within="Download a model")
        assert "1 file, 2.0 KiB together" in words(app) and "Q8_0 (3.9 KiB)" in words(app)
        assert hub.asked == [] and services.downloads.list() == []


def test_sources_are_kept_and_a_token_is_never_shown_again(services: Services, tmp_path: Path) -> None:
    app = press(opened("5_Models"), "Sources")
    field(app, "Address: HF mirror").set_value("https://mirror.example/")
    field(app, "Access token: Hugging Face").set_value("hf_secret")
    app.text_area[0].set_value(f"{tmp_path}/a\n\n{tmp_path}/b")
    press(app, "Save", within="Sources")
    assert services.product.hf_mirror_endpoint == "https://mirror.example"
    assert services.product.model_folders == (f"{tmp_path}/a", f"{tmp_path}/b")
    assert services.downloads.tokens.get("hf") == "hf_secret"
    app = press(opened("5_Models"), "Sources")
    assert "hf_secret" not in str(app.session_state) and field(app, "Access token: Hugging Face").value == ""
    field(app, "Address: HF mirror").set_value("nonsense")
    assert 'role="alert"' in words(press(app, "Save", within="Sources"))
