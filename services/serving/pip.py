"""Loading a wheel with the user's pip: its index settings, mirrors and certificates count."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from services.core.errors import AppError, DiskFull, DownloadFailed, HashMismatch
from services.serving import children

LOOK_EVERY_S = 0.2
PIP = """
import ctypes, runpy, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""`python -m pip`, but ended with the thread that has started it."""
_GRACE_S = 5.0
_EXPECTED = re.compile(r"Expected sha256 (\w+)")
_GOT = re.compile(r"Got\s+(\w+)")


def download(
    requirement: str,
    sha256: str,
    into: Path,
    cancelled: Callable[[], bool],
    on_progress: Callable[[int], None],
) -> Path | None:
    """Load one wheel, without its dependencies, into an empty folder; pip checks its hash.

    Args:
        requirement: name==version.
        on_progress: is told the bytes loaded so far.

    Returns: the wheel; None where it was cancelled.

    Raises: DownloadFailed, HashMismatch, DiskFull.
    """
    scratch, wheels, told = into / "scratch", into / "wheels", into / "pip.log"
    scratch.mkdir()
    wanted = into / "requirements.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", "utf-8")
    argv = [sys.executable, "-c", PIP, "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    # No cache: it would keep everything a second time. The scratch folder beside the wheels shows the growing file.
    argv += ["--no-cache-dir", "--no-input", "--progress-bar=off", "--disable-pip-version-check"]
    argv += ["--requirement", str(wanted), "--dest", str(wheels)]
    with told.open("wb") as log:
        pip = children.spawn(argv, env={"TMPDIR": str(scratch)}, output=log.fileno(), new_session=True)
    try:
        while pip.poll() is None:
            if cancelled():
                return None
            on_progress(_bytes_below(scratch) + _bytes_below(wheels))
            time.sleep(LOOK_EVERY_S)
    finally:
        end(pip)
        shutil.rmtree(scratch, ignore_errors=True)
    if pip.returncode:
        raise failure(requirement, sha256, told.read_text("utf-8", "replace"), into)
    (wheel,) = wheels.glob("*.whl")
    return wheel


def failure(requirement: str, sha256: str, told: str, into: Path) -> AppError:
    """The error that pip's output means."""
    expected, got = _EXPECTED.search(told), _GOT.search(told)
    if expected and got:
        return HashMismatch(name=requirement, found=got.group(1), expected=sha256)
    if "No space left on device" in told or "Disk quota exceeded" in told:
        return DiskFull(path=str(into), needed="200 MiB")
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return DownloadFailed(name=requirement, reason=(errors or lines or ["pip"])[-1].rstrip(".")[:300])


def end(pip: subprocess.Popen[bytes]) -> None:
    """Nothing of it stays, however the loop was left."""
    if pip.poll() is None:
        family = [psutil.Process(pip.pid), *psutil.Process(pip.pid).children(recursive=True)]
        children.send(family, signal.SIGTERM)
        try:
            pip.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            children.send(family, signal.SIGKILL)
            pip.wait()


def _bytes_below(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).stat().st_size
            except FileNotFoundError:  # pip moves files while they are counted
                continue
    return total
