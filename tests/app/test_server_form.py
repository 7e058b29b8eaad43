"""The operator's form: each engine's fields make its spec, the plan and the command stand beside them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from services.app import Services
from services.core.units import GIB
from services.gpu.readings import Snapshot
from services.serving.engines.registry import ENGINES
from services.store.servers import ServerRecord
from tests.app.pages import field, labels, opened, press, words
from tests.fakes.gpu_box import SCENES, Scene, Servers, gpu_box
from tests.fakes.gpu_snapshots import HOST, gpu, snapshot, stranger
from tests.fakes.models_on_disk import folder_model, gguf_model
from ui.api_snippets import KEY
from ui.servers.snippets import direct, through_lectern

SECRET = "sk-very-secret"
TRUE = shutil.which("true") or ""


def two_cards(at_ms: int, servers: Servers) -> Snapshot:
    """Two GPUs, of which the second has more free memory."""
    return snapshot(at_ms, gpu(0, stranger(1, 50 * GIB)), gpu(1, stranger(2, 20 * GIB)), host=HOST)


@pytest.fixture(autouse=True)
def nothing_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "MODELSCOPE_CACHE", "OLLAMA_MODELS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))


@pytest.fixture
def folder(services: Services, tmp_path: Path) -> Path:
    services.choose(model_folders=[str(tmp_path / "models")])
    return tmp_path / "models"


@pytest.fixture
def two_gpus(services: Services, tmp_path: Path) -> None:
    watched(tmp_path, two_cards)


@pytest.fixture
def no_gpu(services: Services, tmp_path: Path) -> None:
    watched(tmp_path, SCENES["none"])


def watched(home: Path, scene: Scene) -> None:
    """A machine whose worker has just looked at it, without servers."""
    box = gpu_box(home, scene)
    for server in box.servers:
        box.store.servers.remove(server[0])
    box.store.close()


def form(engine: str) -> AppTest:
    app = press(opened("4_Servers"), "Add a server")
    press(app, "Run one on this machine", within="Add a server")
    field(app, "Engine").set_value(engine)
    return app.run()


def fill(app: AppTest, **values: Any) -> AppTest:
    for name, value in values.items():
        found = [
            one
            for kind in ("text_input", "number_input", "selectbox", "checkbox", "text_area", "multiselect")
            for one in getattr(app, kind)
            if one.key and one.key.endswith(f".{name}")
        ]
        found[0].set_value(value)
    app.run()
    assert not app.exception
    return app


def codes(app: AppTest) -> str:
    return "\n".join(code.value for code in app.code)


TYPED: dict[str, dict[str, Any]] = {
    "vllm": {
        "model.typed": "/models/qwen",
        "max_model_len": 8192,
        "gpu_memory_utilization": 0.85,
        "dtype": "half",
        "enforce_eager": True,
        "env": "NCCL_DEBUG=INFO 'A=b c'",
        "extra_args": "--swap-space 4 --x 'y z'",
    },
    "llama.cpp": {"model.typed": "/models/small.gguf", "context": 2048, "parallel": 1, "gpu_layers": 0},
    "ollama": {"model.typed": "qwen3:8b", "keep_alive": "30m", "kv_cache_type": "q8_0", "flash_attention": True},
    "transformers": {"model.typed": "org/model", "device": "cpu", "default_seed": 7},
    "embeddings": {"model.typed": "BAAI/bge-m3", "task": "embed", "normalize": False},
    "ssh": {"host": "gpu.example.org", "user": "me", "remote_port": 9000, "password": SECRET},
}


@pytest.mark.parametrize("engine", list(ENGINES))
def test_the_form_of_each_engine_makes_its_spec(services: Services, engine: str) -> None:
    app = fill(form(engine), name="one", **TYPED[engine])
    press(app, "Add")
    (record,) = services.servers.list()
    assert (record.name, record.engine, record.wish) == ("one", engine, "stopped")
    expected = {name.removesuffix(".typed"): value for name, value in TYPED[engine].items()}
    if engine == "vllm":
        expected |= {"env": {"NCCL_DEBUG": "INFO", "A": "b c"}, "extra_args": ("--swap-space", "4", "--x", "y z")}
    assert record.spec == ENGINES[engine].spec.of(expected).row()
    assert "one" in words(app) and "Add and start" not in labels(app)


def test_every_field_of_every_engine_has_a_widget_with_its_meaning(services: Services) -> None:
    for engine, known in ENGINES.items():
        app = form(engine)
        kinds = ("text_input", "number_input", "selectbox", "checkbox", "text_area", "multiselect")
        keys = {one.key.split(".")[-1]: one.help for kind in kinds for one in getattr(app, kind) if one.key}
        keys["model"] = keys.get("model") or keys.get("typed")
        assert known.spec.model_fields.keys() - keys.keys() <= {"gpus"}, engine
        assert all(keys[name] for name in known.spec.model_fields if name != "gpus"), engine


@pytest.mark.usefixtures("no_gpu")
def test_a_model_of_the_disk_is_planned_on_the_host_and_its_command_shown_and_it_is_started(
    services: Services, folder: Path
) -> None:
    path = gguf_model(folder / "small-Q4_K_M.gguf")
    app = form("llama.cpp")
    html = words(app)
    assert "Rule of thumb: 0.00 billion" in html and "</span>fits</span>" in html and "This machine" in html
    assert str(path) in codes(app) and "--context 4096" in codes(app)
    press(fill(app, name="small"), "Add and start")
    (record,) = services.servers.list()
    assert (record.spec["model"], record.wish) == (str(path), "running")


@pytest.mark.usefixtures("two_gpus")
def test_a_suggestion_is_taken_over_into_the_form_and_then_it_fits(services: Services, folder: Path) -> None:
    path = folder_model(folder / "long", max_position_embeddings=50_000_000, num_hidden_layers=64)
    app = form("vllm")
    assert field(app, "Model").value == str(path)
    html = words(app)
    assert "fits with changes" in html and "Longest context that fits" in html and "missing" in html
    offered = [label for label in labels(app) if label.startswith("Take over")]
    app = press(app, offered[0])
    assert "</span>fits</span>" in words(app)
    press(fill(app, name="long"), "Add")
    (record,) = services.servers.list()
    advised = services.fits("vllm", {"model": str(path)}).plan.suggestions[0]
    assert advised.flags.items() <= record.spec.items() and "max_model_len" in advised.flags
    assert services.fits("vllm", record.spec).plan.fits


@pytest.mark.usefixtures("two_gpus")
def test_gpus_are_chosen_by_name_and_free_memory_and_the_plan_counts_only_those(
    services: Services, folder: Path
) -> None:
    folder_model(folder / "small")
    app = form("vllm")
    (gpus,) = app.multiselect
    assert len(gpus.options) == 2 and all("GiB free" in option for option in gpus.options)
    app = fill(app, gpus=[1], tensor_parallel_size=2)
    assert "2 GPUs are wanted, 1 are there" in words(app)
    app = fill(app, gpus=[1], tensor_parallel_size=1, name="second")
    assert "GPU 1" in words(app)
    press(app, "Add")
    assert services.servers.show("second").spec["gpus"] == [1]


@pytest.mark.usefixtures("two_gpus")
def test_without_a_choice_the_plan_is_that_of_the_first_gpu_and_another_one_is_offered(
    services: Services, folder: Path
) -> None:
    path = folder_model(folder / "small")
    choices = {"model": str(path), "gpu_memory_utilization": 0.5}
    found = services.fits("vllm", choices)
    assert not found.plan.fits and found.card.index == 0
    suggestion = found.plan.suggestions[0]
    assert suggestion.code == "other_gpus" and suggestion.flags == {"gpus": [1]}
    again = services.fits("vllm", {**choices, **suggestion.flags})
    assert again.plan.fits and again.card.index == 1


@pytest.mark.usefixtures("two_gpus")
def test_a_launch_is_noted_with_what_its_gpus_are_planned_to_hold(services: Services, folder: Path) -> None:
    path = folder_model(folder / "small")
    record = services.servers.create("one", "vllm", {"model": str(path), "gpus": [1], "gpu_memory_utilization": 0.2})
    held = services.fits("vllm", record.spec).plan.per_gpu
    assert services.planned(record) == {services.gpus.now().gpus[1].uuid: held.reserved_bytes}
    assert services.planned(services.servers.create("two", "vllm", {"model": "Org/Not-here"})) == {}


def test_what_cannot_be_read_is_said_to_be_unknown_and_never_guessed(services: Services) -> None:
    app = fill(form("vllm"), **{"model.typed": "Org/Not-here"})
    html = words(app)
    assert "n/a. What it would take cannot be said: the model is not on this machine" in html
    assert "GiB" not in html.partition("n/a.")[2] and "Rule of thumb" not in html


@pytest.mark.parametrize(
    ("engine", "values", "said"),
    [
        ("vllm", {"model.typed": "m", "env": "1A=x"}, "it is not the name of an environment variable"),
        ("vllm", {"model.typed": "m", "env": "JUSTNAME"}, "each is a NAME=value"),
        ("vllm", {"model.typed": "m", "env": "LECTERN_HOME=/x"}, "this variable is Lectern&#x27;s own"),
        ("vllm", {"model.typed": "m", "extra_args": "--a 'b"}, "a quotation mark is not closed"),
        ("ollama", {"keep_alive": "soon"}, "it does not have the form"),
        ("ssh", {"host": "-oProxyCommand=x"}, "it has characters that such a name cannot have"),
        ("llama.cpp", {"model.typed": "m", "extra_args": "--x"}, "further options need a llama-server program"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(
    services: Services, engine: str, values: dict[str, Any], said: str
) -> None:
    app = fill(form(engine), name="one", **values)
    assert f"This cannot be used: {said}" in words(app)
    press(app, "Add and start")
    assert services.servers.list() == []


def test_an_empty_model_and_an_empty_name_are_refused_only_when_it_is_to_be_added(services: Services) -> None:
    app = fill(form("vllm"), name="one")
    assert "This cannot be used" not in words(app)
    app = press(app, "Add")
    assert "This cannot be used: it is empty" in words(app) and services.servers.list() == []
    app = press(fill(app, name="", **{"model.typed": "m"}), "Add")
    assert 'role="alert"' in words(app) and services.servers.list() == []


def test_the_command_shows_no_secret(services: Services) -> None:
    values = {"model.typed": "m", "api_key": SECRET, "env": f"HF_TOKEN={SECRET}2", "program": TRUE}
    app = fill(form("vllm"), **values)
    assert "VLLM_API_KEY=•••" in codes(app) and "HF_TOKEN=•••" in codes(app) and f"{TRUE} serve m" in codes(app)
    assert SECRET not in codes(app) + words(app)


def test_an_engine_that_is_not_installed_says_how(services: Services) -> None:
    app = fill(form("vllm"), **{"model.typed": "m"})
    assert "vLLM is not installed here" in words(app) and codes(app) == "lectern engine install vllm"


def test_a_stopped_server_is_changed_and_keeps_its_secrets(services: Services) -> None:
    spec = {"model": "m", "api_key": SECRET, "env": {"HF_TOKEN": SECRET, "A": "1"}, "max_model_len": 100}
    services.servers.create("one", "vllm", {**spec, "program": TRUE})
    app = press(opened("4_Servers"), "Change")
    shown = [str(one.value) for one in (*app.text_input, *app.text_area)]
    assert SECRET not in " ".join(shown) and "HF_TOKEN=•••" in " ".join(shown)
    press(fill(app, max_model_len=200), "Save and start")
    record = services.servers.show("one")
    assert record.spec == {**services.servers.show("one").spec, **spec, "max_model_len": 200}
    assert record.wish == "running" and "Change" not in labels(opened("4_Servers"))


def test_a_ready_server_is_restarted_and_one_at_rest_is_removed(services: Services) -> None:
    record = services.servers.create("one", "llama.cpp", {"model": "/m.gguf"})
    services.store.servers.update(record.id, state="ready", wish="running", url="http://127.0.0.1:9/v1")
    press(opened("4_Servers"), "Restart")
    assert services.servers.show("one").wish == "restarting"
    services.store.servers.update(record.id, state="stopped", wish="stopped")
    app = press(opened("4_Servers"), "Remove one")
    assert "Its settings and its log are deleted" in words(app)
    press(app, "Remove", within="Remove one")
    assert services.servers.list() == []


def ready(services: Services, engine: str, **choices: Any) -> ServerRecord:
    record = services.servers.create(engine, engine, {"model": "org/it's", **choices})
    changed = services.store.servers.update(record.id, state="ready", wish="running", url="http://127.0.0.1:8123/v1")
    assert changed
    return changed


def test_snippets_ask_through_lectern_first_and_the_server_itself_where_that_is_wanted(services: Services) -> None:
    record = ready(services, "vllm", api_key=SECRET)
    app = press(opened("4_Servers"), "Use it")
    assert len(app.code) == 4 and SECRET not in codes(app) + words(app)
    assert "http://127.0.0.1:8501/v1" in codes(app) and "server:vllm" in codes(app) and ":8123" not in codes(app)
    assert "Settings page" in words(app)
    app.segmented_control[0].set_value("direct")
    next(button for button in app.button if button.label == "Use it").click().run()
    assert len(app.code) == 3 and SECRET not in codes(app) + words(app)
    assert "http://127.0.0.1:8123/v1" in codes(app) and "server:" not in codes(app)
    assert "API key in the place of" in words(app)
    for found in (through_lectern(record, "http://box/v1"), direct(record)):
        for client, source in found.items():
            assert KEY in source, client
            if not source.startswith("curl"):
                compile(source, client, "exec")


def test_snippets_fit_what_a_server_does(services: Services) -> None:
    vllm, ollama, plain = (ready(services, engine) for engine in ("vllm", "ollama", "llama.cpp"))
    assert '"it\'s"' in direct(vllm)["openai"] and list(direct(vllm)) == ["openai", "LangChain", "curl"]
    assert 'base_url="http://127.0.0.1:8123"' in direct(ollama)["ChatOllama"]
    assert KEY not in direct(plain)["curl"] and KEY in through_lectern(plain, "http://box/v1")["curl"]
    assert 'base_url="http://box"' in through_lectern(plain, "http://box/v1")["ChatOllama"]
    reranker = ready(services, "embeddings", task="rerank")
    assert list(direct(reranker)) == ["curl"] and through_lectern(reranker, "http://box/v1") == {}
    embedder = replace(reranker, name="e5", spec={**reranker.spec, "task": "embed"})
    assert '"server:e5"' in through_lectern(embedder, "http://box/v1")["openai"]
    assert "/embeddings" in direct(embedder)["curl"]
