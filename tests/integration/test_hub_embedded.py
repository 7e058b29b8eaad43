"""The packaged model is put together from real wheels, loaded by the real pip from an index of our own."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import psutil
import pytest

from services.core import settings as core_settings
from services.core.errors import DiskFull, DownloadFailed, HashMismatch
from services.hub.embedded import EmbeddedModel
from services.hub.packaged import PackagedModel, Part
from services.hub.progress import Interrupted
from services.serving import pip
from tests.conftest import living_children
from tests.fakes.package_index import PackageIndex, package_index, pip_environment

PIECE = 400_000
LAST = 123_456
CONTENT = b"GGUF" + random.Random(7).randbytes(2 * PIECE + LAST - 4)
NAMES = ("piece-1", "piece-2", "piece-3")
Room = namedtuple("Room", "free")
PROGRAM = """
import sys
from tests.integration.test_hub_embedded import made_model, told_nobody
made_model(sys.argv[1], sys.argv[2:]).fetch(lambda: False, told_nobody)
"""


def made_model(home: str | Path, wheels: list[str], free: int = 10**12) -> EmbeddedModel:
    """The embedded model of a home, in three packages with these wheel hashes."""
    parts = tuple(
        Part(f"{name}==1.0", sha256, f"{name.replace('-', '_')}/data/{name}.bin", size)
        for name, sha256, size in zip(NAMES, wheels, (PIECE, PIECE, LAST), strict=True)
    )
    packaged = PackagedModel("whole.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), parts, {})
    settings = core_settings.load(home=Path(home))
    settings.layout.create()
    return EmbeddedModel(settings.layout, settings, pip.download, lambda _: Room(free), packaged)


def told_nobody(done_bytes: int, total_bytes: int | None, note: str) -> None:
    """Report to nobody."""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with package_index() as index:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        for name, value in pip_environment(index).items():
            monkeypatch.setenv(name, value)
        yield index


@pytest.fixture
def wheels(index: PackageIndex) -> list[str]:
    pieces = (CONTENT[:PIECE], CONTENT[PIECE : 2 * PIECE], CONTENT[2 * PIECE :])
    return [index.add(name, {f"data/{name}.bin": piece}) for name, piece in zip(NAMES, pieces, strict=True)]


def left_behind(model: EmbeddedModel) -> list[str]:
    return sorted(path.name for path in model.path().parent.iterdir())


def test_the_pieces_become_the_model_and_the_wheels_go(tmp_path: Path, wheels: list[str]) -> None:
    model, told = made_model(tmp_path, wheels), []
    assert model.state() == "absent"
    path = model.fetch(lambda: False, lambda *progress: told.append(progress))
    assert path == model.path() and path.read_bytes() == CONTENT and model.state() == "ready"
    assert left_behind(model) == ["whole.gguf"]
    assert next(note for _, _, note in told if note) == "1/3" and {total for _, total, _ in told} == {len(CONTENT)}
    done = [done for done, _, _ in told]
    assert done == sorted(done) and done[-1] == len(CONTENT)


def test_a_model_that_is_there_is_not_loaded_again(tmp_path: Path, index: PackageIndex, wheels: list[str]) -> None:
    made_model(tmp_path, wheels).fetch(lambda: False, told_nobody)
    made_model(tmp_path, wheels).fetch(lambda: False, told_nobody)
    assert index.served == list(NAMES)


def test_a_kill_in_the_middle_goes_on_at_the_piece_where_it_was(
    tmp_path: Path, index: PackageIndex, wheels: list[str]
) -> None:
    index.stall_at = "piece-2"
    fetching = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), *wheels], cwd=Path(__file__).parents[2])
    assert index.stalled.wait(60)
    (loading,) = psutil.Process(fetching.pid).children()
    fetching.kill()
    fetching.wait()
    assert psutil.wait_procs([loading], 20)[1] == []
    model = made_model(tmp_path, wheels)
    assert model.state() == "fetching" and not model.path().exists()
    index.stall_at = None
    index.released.set()
    assert model.fetch(lambda: False, told_nobody).read_bytes() == CONTENT
    assert index.served == ["piece-1", "piece-2", "piece-2", "piece-3"]
    assert left_behind(model) == ["whole.gguf"]


def test_a_piece_that_was_written_to_the_half_is_written_anew(
    tmp_path: Path, index: PackageIndex, wheels: list[str]
) -> None:
    model = made_model(tmp_path, wheels)
    draft = model.path().with_suffix(".part")
    draft.parent.mkdir()
    draft.write_bytes(CONTENT[:PIECE] + bytes(1000))
    assert model.fetch(lambda: False, told_nobody).read_bytes() == CONTENT
    assert index.served == ["piece-2", "piece-3"]


def test_cancelling_ends_pip_and_keeps_what_is_there(tmp_path: Path, index: PackageIndex, wheels: list[str]) -> None:
    index.stall_at = "piece-2"
    model = made_model(tmp_path, wheels)
    with pytest.raises(Interrupted):
        model.fetch(index.stalled.is_set, told_nobody)
    assert left_behind(model) == ["whole.part"]
    assert model.path().with_suffix(".part").read_bytes() == CONTENT[:PIECE]


def test_a_package_with_another_hash_is_refused_by_name(tmp_path: Path, index: PackageIndex, wheels: list[str]) -> None:
    changed = index.add("piece-2", {"data/piece-2.bin": b"something else"})
    with pytest.raises(HashMismatch) as caught:
        made_model(tmp_path, wheels).fetch(lambda: False, told_nobody)
    assert caught.value.params == {"name": "piece-2==1.0", "found": changed, "expected": wheels[1]}


def test_pieces_that_make_another_file_are_discarded(tmp_path: Path, index: PackageIndex, wheels: list[str]) -> None:
    wheels[2] = index.add("piece-3", {"data/piece-3.bin": bytes(LAST)})
    model = made_model(tmp_path, wheels)
    with pytest.raises(HashMismatch):
        model.fetch(lambda: False, told_nobody)
    assert left_behind(model) == []


def test_a_piece_of_another_size_is_refused(tmp_path: Path, index: PackageIndex, wheels: list[str]) -> None:
    wheels[0] = index.add("piece-1", {"data/piece-1.bin": CONTENT[: PIECE - 1]})
    with pytest.raises(DownloadFailed, match="piece-1"):
        made_model(tmp_path, wheels).fetch(lambda: False, told_nobody)


def test_a_missing_package_is_named(tmp_path: Path, index: PackageIndex, wheels: list[str]) -> None:
    del index.wheels["piece-3"]
    with pytest.raises(DownloadFailed) as caught:
        made_model(tmp_path, wheels).fetch(lambda: False, told_nobody)
    assert caught.value.params["name"] == "piece-3==1.0"
    assert "No matching distribution found" in caught.value.params["reason"]


def test_an_index_that_does_not_answer_is_a_failed_download(
    tmp_path: Path, wheels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(DownloadFailed, match="piece-1"):
        made_model(tmp_path, wheels).fetch(lambda: False, told_nobody)


def test_a_full_disk_is_told_before_anything_is_loaded(tmp_path: Path, index: PackageIndex, wheels: list[str]) -> None:
    with pytest.raises(DiskFull):
        made_model(tmp_path, wheels, free=len(CONTENT)).fetch(lambda: False, told_nobody)
    assert index.served == []


def test_a_load_whose_caller_breaks_leaves_no_pip(
    tmp_path: Path, index: PackageIndex, wheels: list[str], other_children: set[psutil.Process]
) -> None:
    index.stall_at = "piece-1"
    broken = Event()

    def breaks(done_bytes: int, total_bytes: int | None, note: str) -> None:
        if index.stalled.is_set():
            broken.set()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        made_model(tmp_path, wheels).fetch(lambda: False, breaks)
    assert broken.is_set() and living_children() <= other_children
