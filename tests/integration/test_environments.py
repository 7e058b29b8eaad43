"""An engine's environment is built by the real pip from a real index, and says what went wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.errors import DownloadFailed, InvalidValue
from services.serving.environments import Environments
from tests.fakes.package_index import VERSION, PackageIndex, package_index, pip_environment


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with package_index() as running:
        for name, value in pip_environment(running).items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def environments(tmp_path: Path, index: PackageIndex) -> Environments:
    pins = tmp_path / "pins"
    pins.mkdir()
    (pins / "tiny.txt").write_text(f"# pinned\nlectern-part-a=={VERSION}\nlectern-part-b=={VERSION}\n")
    return Environments(tmp_path / "engines", pins)


def quiet(done: int, total: int, package: str) -> None:
    return None


def test_an_environment_is_built_once_apart_from_ours(environments: Environments, index: PackageIndex) -> None:
    index.add("lectern-part-a", {"__init__.py": b"WORD = 'a'\n"})
    index.add("lectern-part-b", {"__init__.py": b""})
    assert [(found.name, found.state, found.packages) for found in environments.all()] == [("tiny", "absent", 2)]
    steps: list[tuple[int, int]] = []
    built = environments.build("tiny", lambda done, total, _: steps.append((done, total)))
    assert built.state == "ready" and steps[0] == (1, 2) and steps[-1] == (2, 2)
    python = built.path / "bin" / "python"
    said = subprocess.run([python, "-c", "import lectern_part_a as a; print(a.WORD)"], capture_output=True, text=True)
    assert said.stdout == "a\n"
    served = len(index.served)
    assert environments.build("tiny", quiet).state == "ready" and len(index.served) == served
    environments.remove("tiny")
    assert environments.show("tiny").state == "absent"


def test_a_missing_package_is_named_and_a_second_try_goes_on(environments: Environments, index: PackageIndex) -> None:
    index.add("lectern-part-a", {"__init__.py": b""})
    with pytest.raises(DownloadFailed) as refused:
        environments.build("tiny", quiet)
    assert "lectern-part-b" in refused.value.params["reason"]
    assert environments.show("tiny").state == "unfinished"
    index.add("lectern-part-b", {"__init__.py": b""})
    assert environments.build("tiny", quiet).state == "ready"


def test_other_pins_make_it_outdated(environments: Environments, index: PackageIndex, tmp_path: Path) -> None:
    for name in ("lectern-part-a", "lectern-part-b"):
        index.add(name, {"__init__.py": b""})
    environments.build("tiny", quiet)
    (tmp_path / "pins" / "tiny.txt").write_text(f"lectern-part-a=={VERSION}\n")
    assert environments.show("tiny").state == "outdated"
    assert environments.build("tiny", quiet).state == "ready"


@pytest.mark.parametrize("name", ["nothing", "../tiny", "", "a/b"])
def test_an_unknown_engine_is_refused(environments: Environments, name: str) -> None:
    with pytest.raises(InvalidValue):
        environments.build(name, quiet)


def test_the_shipped_pins_name_every_engine(tmp_path: Path) -> None:
    assert {found.name for found in Environments(tmp_path).all()} == {"embeddings", "ocr", "transformers", "vllm"}


def test_the_index_of_the_users_own_pip_settings_is_asked(
    environments: Environments, index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in pip_environment(index):
        monkeypatch.delenv(name)
    settings = tmp_path / "home" / ".config" / "pip" / "pip.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[global]\nindex-url = {index.url}\nno-index = false\nfind-links =\nretries = 0\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for part in ("a", "b"):
        index.add(f"lectern-part-{part}", {"__init__.py": b""})
    assert environments.build("tiny", quiet).state == "ready"
    assert len(index.served) >= 2
