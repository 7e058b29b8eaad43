"""Models on disk: found where tools put them, known by their files, deleted with care."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from services.core.errors import InvalidValue
from services.core.hub_errors import ModelInUse, ModelNotFound, ModelNotOurs
from services.hub.local_models import LocalModels
from services.hub.local_models_facts import quantisation_of
from tests.fakes.models_on_disk import (
    folder_model,
    gguf_model,
    hugging_face_model,
    ollama_model,
    safetensors_file,
)


class Disk:
    """Empty folders of every kind, and the models in them."""

    def __init__(self, root: Path) -> None:
        self.own, self.chosen = root / "own", root / "chosen"
        self.hf, self.modelscope, self.ollama = root / "hf" / "hub", root / "modelscope", root / "ollama"
        for folder in (self.own, self.chosen, self.hf, self.modelscope, self.ollama):
            folder.mkdir(parents=True)
        self.used: list[tuple[str, str]] = []
        caches = {"hf": (self.hf,), "modelscope": (self.modelscope,), "ollama": (self.ollama,)}
        self.models = LocalModels(self.own, lambda: (str(self.chosen),), caches, lambda: self.used)

    def downloaded(self, name: str) -> Path:
        folder = folder_model(self.own / name.replace("/", "--"))
        told = {"repository": name, "hub": "hf", "revision": "abc", "licence": "mit"}
        (folder / "lectern.json").write_text(json.dumps(told), "utf-8")
        return folder


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_a_folder_tells_everything_that_its_files_tell(disk: Disk) -> None:
    folder_model(disk.chosen / "team" / "small")
    (model,) = disk.models.list()
    facts = model.facts
    assert (model.name, model.source, model.licence) == ("team/small", "folder", "apache-2.0")
    assert (facts.format, facts.family, facts.use, facts.context) == ("safetensors", "llama", "chat", 4096)
    assert (facts.parameters, facts.quantisation, facts.error) == (1000, "bfloat16", None)
    assert model.bytes == sum(path.stat().st_size for path in model.path.iterdir())


def test_a_gguf_file_tells_its_quantisation_and_its_parts_are_one_model(disk: Disk) -> None:
    whole = gguf_model(disk.chosen / "small-Q4_K_M.gguf")
    (model,) = disk.models.list()
    assert (model.path, model.name, model.licence) == (whole, whole.name, "mit")
    assert (model.facts.format, model.facts.quantisation, model.facts.context) == ("gguf", "Q4_K_M", 2048)
    for number in (1, 2):
        gguf_model(disk.chosen / "split" / f"big-Q8_0-0000{number}-of-00002.gguf")
    models = {model.name: model for model in disk.models.list()}
    split = models["big-Q8_0-00001-of-00002.gguf"]
    assert len(models) == 2 and split.bytes == 2 * model.bytes


def test_caches_of_other_tools_are_read(disk: Disk) -> None:
    hugging_face_model(disk.hf, "Org/One", "c0ffee")
    folder_model(disk.modelscope / "hub/models/Org/Two___5-7B")
    (disk.modelscope / "hub/models/Org/Two___5-7B/.mv").write_text("Revision:master,CreatedAt:1", "utf-8")
    blob = ollama_model(disk.ollama, "three", "1b")
    models = {model.name: model for model in disk.models.list()}
    assert set(models) == {"Org/One", "Org/Two.5-7B", "three:1b"}
    assert (models["Org/One"].revision, models["Org/One"].source) == ("c0ffee", "hf")
    assert (models["Org/Two.5-7B"].revision, models["Org/Two.5-7B"].source) == ("master", "modelscope")
    assert (models["three:1b"].path, models["three:1b"].licence) == (blob, "Apache License")
    assert models["three:1b"].facts.quantisation == "Q4_K_M"
    assert all(model.facts.error is None and model.bytes > 1000 for model in models.values())


def test_a_broken_model_is_listed_with_its_reason(disk: Disk) -> None:
    short = folder_model(disk.chosen / "short")
    file = safetensors_file(short / "model.safetensors")
    os.truncate(file, file.stat().st_size - 1)
    index = folder_model(disk.chosen / "sharded")
    weights = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (index / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}), "utf-8")
    bare = folder_model(disk.chosen / "bare")
    (bare / "model.safetensors").unlink()
    damaged = folder_model(disk.chosen / "damaged")
    (damaged / "config.json").write_text("{", "utf-8")
    os.truncate(gguf_model(disk.chosen / "cut.gguf"), 50_000)
    (disk.chosen / "noise.gguf").write_bytes(b"no model at all")
    reasons = {model.name: str(model.facts.error) for model in disk.models.list()}
    assert "model.safetensors is cut short" in reasons["short"]
    assert "2 of its files are missing, such as model-1.safetensors" in reasons["sharded"]
    assert "it holds no weights" in reasons["bare"]
    assert "config.json is not JSON" in reasons["damaged"]
    assert "it is cut short" in reasons["cut.gguf"]
    assert "it is not a GGUF file" in reasons["noise.gguf"]


def test_what_was_read_is_read_again_only_after_a_change(disk: Disk) -> None:
    path = folder_model(disk.chosen / "small")
    (first,) = disk.models.list()
    assert disk.models.list()[0] is first
    folder_model(path, max_position_embeddings=8192)
    assert disk.models.list()[0].facts.context == 8192


def test_embedders_and_rerankers_are_known_as_such(disk: Disk) -> None:
    folder_model(disk.chosen / "embedder", architectures=["XLMRobertaModel"])
    folder_model(disk.chosen / "reranker", architectures=["XLMRobertaForSequenceClassification"])
    assert [model.facts.use for model in disk.models.list()] == ["embedder", "reranker"]


def test_what_lectern_has_loaded_goes_by_its_name(disk: Disk) -> None:
    folder = disk.downloaded("Org/Mine")
    (model,) = disk.models.list()
    assert (model.source, model.revision, model.licence) == ("lectern", "abc", "mit")
    assert disk.models.remove("Org/Mine").path == folder
    assert not folder.exists() and disk.own.exists() and disk.models.list() == []


def test_what_others_have_loaded_goes_only_by_its_path(disk: Disk) -> None:
    path = folder_model(disk.chosen / "theirs")
    with pytest.raises(ModelNotOurs, match="theirs"):
        disk.models.remove("theirs")
    assert path.exists()
    disk.models.remove(str(path))
    assert not path.exists()


def test_what_ollama_has_loaded_is_left_to_ollama(disk: Disk) -> None:
    blob = ollama_model(disk.ollama, "three", "1b")
    for reference in ("three:1b", str(blob)):
        with pytest.raises(ModelNotOurs):
            disk.models.remove(reference)
    assert blob.exists()


def test_nothing_outside_of_the_known_folders_can_be_removed(disk: Disk, tmp_path: Path) -> None:
    elsewhere = folder_model(tmp_path / "elsewhere")
    for reference in (str(elsewhere), str(disk.chosen), str(disk.chosen / ".." / "elsewhere"), "nobody/knows"):
        with pytest.raises(ModelNotFound):
            disk.models.remove(reference)
    assert elsewhere.exists() and disk.chosen.exists()


def test_links_are_deleted_and_what_they_lead_to_stays(disk: Disk, tmp_path: Path) -> None:
    outside = folder_model(tmp_path / "outside")
    inside = folder_model(disk.chosen / "linked")
    (inside / "model.safetensors").unlink()
    (inside / "model.safetensors").symlink_to(outside / "model.safetensors")
    (inside / "more").symlink_to(outside)
    (outside / "lectern.json").write_text('{"repository": "Org/Outside", "hub": "hf"}', "utf-8")
    for folder in (disk.chosen, disk.own):
        (folder / "alias").symlink_to(outside)
    file = gguf_model(tmp_path / "outside.gguf")
    (disk.chosen / "inside.gguf").symlink_to(file)
    assert [model.name for model in disk.models.list()] == ["inside.gguf", "linked"]
    for path in (inside, disk.chosen / "inside.gguf"):
        disk.models.remove(str(path))
        assert not path.exists() and not path.is_symlink()
    assert (outside / "model.safetensors").exists() and file.exists()


def test_a_revision_of_a_cache_takes_its_own_blobs_along_and_no_others(disk: Disk) -> None:
    old = hugging_face_model(disk.hf, "Org/One", "aaa")
    new = hugging_face_model(disk.hf, "Org/One", "bbb", max_position_embeddings=64)
    blobs = old.parent.parent / "blobs"
    assert len(list(blobs.iterdir())) == 4  # both have card and weights in common
    disk.models.remove(str(old))
    assert not old.exists() and len(list(blobs.iterdir())) == 3
    assert disk.models.list()[0].path == new and disk.models.list()[0].facts.error is None


@pytest.mark.parametrize("by", ["name", "folder", "file"])
def test_a_model_that_a_server_uses_stays(disk: Disk, by: str) -> None:
    folder = disk.downloaded("Org/Mine")
    used = {"name": "Org/Mine", "folder": str(folder), "file": str(folder / "model.safetensors")}
    disk.used.append(("box", used[by]))
    with pytest.raises(ModelInUse, match="box"):
        disk.models.remove("Org/Mine")
    assert folder.exists()


def test_a_name_that_several_have_asks_for_the_path(disk: Disk) -> None:
    hugging_face_model(disk.hf, "Org/One", "aaa")
    hugging_face_model(disk.hf, "Org/One", "bbb", max_position_embeddings=64)
    with pytest.raises(InvalidValue, match="give a path"):
        disk.models.find("Org/One")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Qwen3-8B-Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2.5-7b-instruct-q5_0.gguf", "Q5_0"),
        ("Model.IQ2_XXS.gguf", "IQ2_XXS"),
        ("gemma-BF16-00001-of-00002.gguf", "BF16"),
        ("Qwen2.5-Coder.gguf", None),
    ],
)
def test_a_file_name_tells_its_quantisation(name: str, found: str | None) -> None:
    assert quantisation_of(name) == found
