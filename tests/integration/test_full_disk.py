"""A full disk is named, with what to do; what was stored before stays whole."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.app import Services, bootstrap
from services.core.errors import DiskFull
from services.core.settings import load
from services.knowledge.types import Original

SIZE_BYTES = 6 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def services(small_disk: Path) -> Iterator[Services]:
    joined = bootstrap(load(home=small_disk / "home", embedded=False))
    yield joined
    joined.close()


def fill(folder: Path) -> Path:
    """Take all the space that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 512, 1):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue
    return ballast


def test_a_file_that_does_not_fit_is_refused_and_the_base_goes_on(services: Services, small_disk: Path) -> None:
    base = services.knowledge.create("Garden")
    kept = services.knowledge.add(base, "small.txt", io.BytesIO(b"The pond holds koi."))
    with pytest.raises(DiskFull) as refused:
        services.knowledge.add(base, "large.bin", io.BytesIO(os.urandom(SIZE_BYTES)))
    assert str(small_disk) in refused.value.render().message
    assert [row.document_id for row in services.knowledge.documents(base)] == [kept.document_id]
    assert services.knowledge.add(base, "next.txt", io.BytesIO(b"Dogs are kept on a lead.")).name == "next.txt"
    assert services.knowledge.verify("Garden").problems == ()


def test_a_row_that_cannot_be_written_is_named_and_nothing_is_half_done(services: Services, small_disk: Path) -> None:
    base = services.knowledge.create("Garden")
    services.knowledge.add(base, "small.txt", io.BytesIO(b"The pond holds koi."))
    ballast = fill(small_disk)
    with pytest.raises(DiskFull):
        for number in range(200):
            services.store.preferences.set("me", f"key-{number}", "x" * 4000)
    with pytest.raises(DiskFull):
        for number in range(200):
            services.stores.of(base).add(f"{number}.txt", original(number))
    ballast.unlink()
    count = len(services.knowledge.documents(base))
    services.knowledge.add(base, "after.txt", io.BytesIO(b"There is room again."))
    assert len(services.knowledge.documents(base)) == count + 1
    assert services.stores.of(base).verify().problems == ()


def original(number: int) -> Original:
    return Original(f"{number:064x}", 1)
