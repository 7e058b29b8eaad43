"""The catalogue: well-formed, replaceable, and honest about what would run here."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InvalidSetting
from services.core.units import GIB
from services.hub.cards import Card, imagined
from services.hub.catalogue import PACKAGED, PRESETS, Entry, catalogue
from services.hub.downloads import DownloadWish
from services.hub.local_models import LocalModel, LocalModels
from services.hub.local_models_fit import of_entry, of_model
from services.serving.engines.registry import ENGINES
from tests.fakes.models_on_disk import folder_model, gguf_model

OWN = """
[[models]]
repository = "Team/Own"
use = "chat"
format = "gguf"
billions = 1.0
bits = 4.5
context = 4096
licence = "mit"
source = "https://models.team.example/own"
"""
HOST = Card(16 * GIB, 8 * GIB)


def entry(billions: float, bits: float = 16, form: str = "safetensors", use: str = "chat") -> Entry:
    told = {"repository": "a/b", "context": 4096, "licence": "mit", "source": "https://x.example/a/b"}
    return Entry.model_validate({**told, "billions": billions, "bits": bits, "format": form, "use": use})


def on_disk(folder: Path) -> LocalModel:
    return LocalModels(folder / "own", lambda: (str(folder),), {}).list()[0]


def test_the_list_that_comes_with_lectern_can_be_wished_for_as_it_stands(tmp_path: Path) -> None:
    listed = catalogue(tmp_path)
    assert {model.use for model in listed.models} == {"chat", "embedder", "reranker"}
    assert len({model.repository for model in listed.models}) == len(listed.models) >= 20
    for model in listed.models:
        DownloadWish(model.hub, model.repository, files=model.files)
        assert model.source == f"https://huggingface.co/{model.repository}"
        assert bool(model.files) == (model.format == "gguf")


def test_each_preset_has_a_name_and_goes_with_its_engine(tmp_path: Path) -> None:
    presets = {preset.key: preset for preset in catalogue(tmp_path).presets}
    assert set(presets) == set(PRESETS)
    for preset in presets.values():
        spec = ENGINES[preset.engine].spec
        spec.of({"model": "/m", **preset.for_model("Qwen3-8B", spec.model_fields)})
    spec = ENGINES["vllm"].spec
    chosen = presets["two_gpus"].for_model("Qwen3-8B", spec.model_fields)
    assert {key: chosen[key] for key in ("served_model_name", "tensor_parallel_size", "max_model_len", "dtype")} == {
        "served_model_name": "Qwen3-8B",
        "tensor_parallel_size": 2,
        "max_model_len": 8192,
        "dtype": "half",
    }


def test_a_copy_in_the_home_folder_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "catalogue.toml").write_text(OWN, "utf-8")
    (model,) = catalogue(tmp_path).models
    assert (model.repository, model.bytes) == ("Team/Own", 562_500_000)
    (tmp_path / "catalogue.toml").write_text(PACKAGED.read_text("utf-8"), "utf-8")
    assert len(catalogue(tmp_path).models) > 1


@pytest.mark.parametrize(
    ("content", "named"),
    [("[[models", "catalogue.toml"), (OWN.replace("4096", "-1"), "models.0.context"), (OWN + "more = 1", "more")],
)
def test_a_mistake_in_the_copy_is_named(tmp_path: Path, content: str, named: str) -> None:
    (tmp_path / "catalogue.toml").write_text(content, "utf-8")
    with pytest.raises(InvalidSetting, match=named):
        catalogue(tmp_path)


def test_the_rule_of_thumb_counts_what_is_free_now() -> None:
    assert of_entry(entry(8), imagined(1, 24), None).verdict == "fits"
    assert of_entry(entry(8), [Card(24 * GIB, 10 * GIB, 0)], None).verdict == "no"
    assert of_entry(entry(14), imagined(2, 24), None).gpus == 2
    assert of_entry(entry(70), imagined(2, 24), HOST).verdict == "no"


def test_without_a_gpu_only_what_runs_on_a_processor_is_judged() -> None:
    assert of_entry(entry(8), (), HOST).verdict == "unknown"
    assert of_entry(entry(8, 4.9, "gguf"), (), HOST).verdict == "fits"
    assert of_entry(entry(32, 4.9, "gguf"), (), HOST).verdict == "no"
    assert of_entry(entry(0.5, 32, use="embedder"), (), HOST).verdict == "fits"


def test_a_model_on_the_disk_is_planned(tmp_path: Path) -> None:
    folder_model(tmp_path / "chat")
    model = on_disk(tmp_path)
    assert of_model(model, imagined(1, 24), None).planned
    assert of_model(model, imagined(1, 24), None).verdict == "fits"
    assert of_model(model, (), HOST).verdict == "unknown"
    assert of_model(model, [Card(24 * GIB, GIB // 2, 0)], None).verdict == "no"
    shared = of_model(model, [Card(24 * GIB, 12 * GIB, 0)], None)
    assert shared.verdict == "changed" and 0 < shared.choices["gpu_memory_utilization"] < 0.5


def test_a_gguf_model_is_planned_for_the_host_where_there_is_no_gpu(tmp_path: Path) -> None:
    gguf_model(tmp_path / "small-Q4_K_M.gguf")
    found = of_model(on_disk(tmp_path), (), HOST)
    assert (found.verdict, found.gpus, found.planned) == ("fits", 0, True)


def test_a_broken_model_is_not_judged(tmp_path: Path) -> None:
    (folder_model(tmp_path / "broken") / "model.safetensors").unlink()
    assert of_model(on_disk(tmp_path), imagined(8, 80), HOST).verdict == "unknown"
