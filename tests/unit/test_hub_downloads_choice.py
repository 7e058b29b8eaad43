"""Which files of a model are loaded, and which names are none."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from services.core.errors import InvalidValue
from services.hub.downloads import DownloadWish
from services.hub.downloads_choice import choose, quantisations, safe
from services.hub.sources.protocol import RemoteFile
from services.hub.tokens import Tokens


def files(*names: str) -> list[RemoteFile]:
    return [RemoteFile(name, 10 * number) for number, name in enumerate(names, 1)]


def chosen(names: list[str], *patterns: str) -> list[str]:
    return [file.path for file in choose(files(*names), patterns)]


def test_weights_come_once_and_never_in_formats_that_run_code_where_there_are_others() -> None:
    names = ["config.json", "model.safetensors", "pytorch_model.bin", "consolidated.safetensors", "onnx/model.onnx"]
    names += ["tokenizer.json", "original/consolidated.00.pth", "tf_model.h5", "1_Pooling/config.json", "logo.png"]
    wanted = ["config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json"]
    assert chosen([*names, ".gitattributes"]) == wanted


def test_where_there_is_nothing_else_the_older_format_is_taken() -> None:
    assert chosen(["config.json", "pytorch_model.bin"]) == ["config.json", "pytorch_model.bin"]


def test_of_a_gguf_repository_one_quantisation_is_taken_with_all_of_its_parts() -> None:
    names = ["README.md", "config.json", "m-Q2_K.gguf", "m-Q8_0.gguf", "mmproj-F16.gguf"]
    parts = ["m-Q4_K_M-00001-of-00002.gguf", "m-Q4_K_M-00002-of-00002.gguf"]
    assert chosen([*names, *parts]) == ["README.md", *parts]
    assert chosen(names) == ["README.md", "m-Q8_0.gguf"]
    assert chosen(["m-Q2_K.gguf", "m-Q6_K.gguf"]) == ["m-Q2_K.gguf"]  # the smaller one where no good one is known
    assert set(quantisations(files(*names, *parts))) == {"Q2_K", "Q8_0", "Q4_K_M"}


def test_a_pattern_takes_what_it_names_and_the_licence() -> None:
    names = ["README.md", "LICENSE", "m-Q2_K.gguf", "m-Q8_0.gguf", "sub/m-Q8_0.gguf"]
    assert chosen(names, "*Q8_0*") == ["README.md", "LICENSE", "m-Q8_0.gguf", "sub/m-Q8_0.gguf"]
    assert chosen(names, "m-Q2_K.gguf") == ["README.md", "LICENSE", "m-Q2_K.gguf"]
    for none in ("*Q5*", "q8"):
        with pytest.raises(InvalidValue, match="no such file"):
            chosen(names, none)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a\\..\\x", "a/./x", "", "a\nb", "a\0b"])
def test_a_path_that_leaves_its_folder_is_never_loaded(path: str) -> None:
    assert not safe(path)
    assert path not in chosen(["config.json", "model.safetensors", path])


@pytest.mark.parametrize(
    ("hub", "name"),
    [("hf", "noslash"), ("hf", "../x"), ("hf", "a/b/c"), ("hf", "a/.."), ("ollama", "--x"), ("else", "a/b")],
)
def test_what_is_no_name_of_a_model_is_refused_before_anything_is_asked(hub: str, name: str) -> None:
    with pytest.raises(InvalidValue):
        DownloadWish(hub, name)


def test_the_same_wish_is_the_same_subject_and_another_one_has_another_folder() -> None:
    wish = DownloadWish("hf", "Qwen/Qwen3-8B", "main", ("*Q4*",))
    assert DownloadWish.of(wish.subject) == wish
    others = [DownloadWish("hf", "Qwen/Qwen3-8B"), DownloadWish("hf-mirror", "Qwen/Qwen3-8B", "main", ("*Q4*",))]
    assert len({one.folder_name for one in [wish, *others]}) == 3 and wish.folder_name.startswith(
        "hf--Qwen--Qwen3-8B--"
    )


def test_a_token_is_kept_where_only_its_owner_may_read_it(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    assert tokens.get("hf") == ""
    tokens.keep("hf", " hf_secret \n")
    tokens.keep("modelscope", "other")
    assert (tokens.get("hf"), tokens.get("modelscope"), tokens.get("hf-mirror")) == ("hf_secret", "other", "")
    assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600
    tokens.keep("hf", "")
    assert "hf_secret" not in (tmp_path / "tokens.json").read_text()
    with pytest.raises(InvalidValue, match="•••"):
        tokens.keep("hf", "two words")
