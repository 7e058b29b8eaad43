"""Build .venv and install the pinned packages, when the pins changed since the last time; after a break, go on.

A machine with an NVIDIA driver gets requirements.txt, any other requirements-core.txt; both get the test tools.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed.sha256"
LOG = VENV / "install.log"
PYTHON = VENV / "bin" / "python"
ROOM_NEEDED_GIB = {"requirements.txt": 12, "requirements-core.txt": 3}
FAISS = {"requirements.txt": "faiss-cpu", "requirements-core.txt": "faiss-gpu"}
"""The build of FAISS that must be gone before a set is installed: both builds are one module."""


def has_nvidia_driver() -> bool:
    """Whether this machine has an NVIDIA driver that programs can load."""
    if Path("/proc/driver/nvidia/version").exists():
        return True
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def fingerprint(files: list[Path]) -> str:
    """What decides the content of .venv: the pins, which set, and the Python."""
    digest = hashlib.sha256(platform.python_version().encode())
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def venv_works() -> bool:
    """Whether .venv was completed and its Python still runs."""
    if not PYTHON.exists():
        return False
    return subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode == 0


def pip(*arguments: str) -> None:
    """Run pip of .venv: the log gets everything, the terminal one line that counts."""
    command = [str(PYTHON), "-m", "pip", *arguments, "--disable-pip-version-check", "--no-input"]
    looked_up = 0
    tail: list[str] = []
    with LOG.open("a", encoding="utf-8") as log:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                tail = [*tail[-11:], line]
                if line.startswith("Collecting"):
                    looked_up += 1
                    progress(f"{looked_up} packages fetched", every=looked_up % 50 == 0)
                elif line.startswith("Installing collected"):
                    progress("unpacking, this takes a minute", every=True)
    if sys.stdout.isatty():
        print()
    if process.returncode:
        sys.stderr.writelines(tail)
        sys.exit(
            f"\nInstalling failed; the whole log is in {LOG.relative_to(ROOT)}.\n"
            "Check the network and the free space on the disk, then run `make install` again: it goes on from there."
        )


def progress(words: str, *, every: bool) -> None:
    """Show a step: on a terminal in place, elsewhere as a line now and then."""
    if sys.stdout.isatty():
        print(f"\r  {words} …".ljust(60), end="", flush=True)
    elif every:
        print(f"  {words} …", flush=True)


def main() -> None:
    """Bring .venv up to date."""
    chosen = ROOT / ("requirements.txt" if has_nvidia_driver() else "requirements-core.txt")
    files = [chosen, ROOT / "requirements-dev.txt"]
    wanted = fingerprint(files)
    works = venv_works()
    if works and STAMP.exists() and STAMP.read_text("utf-8") == wanted:
        return
    begin = time.monotonic()
    driver = "an NVIDIA driver is here" if chosen.name == "requirements.txt" else "no NVIDIA driver here"
    print(f"Installing into .venv from {chosen.name} ({driver}); the first time takes a few minutes.", flush=True)
    needed = ROOM_NEEDED_GIB[chosen.name]
    free = shutil.disk_usage(ROOT).free / 2**30
    if not works:
        if free < needed:
            sys.exit(
                f"The disk has {free:.1f} GiB left, about {needed} are needed. Free some space, then run it again."
            )
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    STAMP.unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    pip("uninstall", "--yes", FAISS[chosen.name])
    pip("install", *(part for file in files for part in ("--requirement", str(file))))
    STAMP.write_text(wanted, "utf-8")
    print(f"Installed in {time.monotonic() - begin:.0f} s.", flush=True)


if __name__ == "__main__":
    main()
