"""Turn requirements/*.in into pinned files: every package, also the indirect ones, with its exact version.

It asks pip what it would install, so that what is written is what pip can resolve. Later files take the versions of the
earlier ones. A local build label such as `+cpu` is left out: which build of a version comes is the index's choice. What
a newer Python resolves may refuse an older one, so only the oldest one that Lectern supports may resolve.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INPUTS = ROOT / "requirements"
OLDEST_PYTHON = (3, 11, 2)
"""That of Debian 12."""
CORE = ROOT / "requirements-core.txt"
FULL = ROOT / "requirements.txt"
LOCKS: tuple[tuple[str, Path, tuple[Path, ...]], ...] = (
    ("core.in", CORE, ()),
    ("gpu.in", FULL, (CORE,)),
    ("dev.in", ROOT / "requirements-dev.txt", (CORE,)),
    ("engines/vllm.in", INPUTS / "engines/vllm.txt", ()),
    ("engines/transformers.in", INPUTS / "engines/transformers.txt", ()),
    ("engines/embeddings.in", INPUTS / "engines/embeddings.txt", ()),
    ("engines/ocr.in", INPUTS / "engines/ocr.txt", ()),
)


def resolve(source: Path, constraints: tuple[Path, ...]) -> list[str]:
    """The pins that pip would install for an input file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--dry-run", "--ignore-installed", "--report", str(report), "--requirement", str(source)]
        for constraint in constraints:
            command += ["--constraint", str(constraint)]
        subprocess.run(command, check=True)
        found = json.loads(report.read_text("utf-8"))["install"]
    return sorted(pin(item["metadata"]["name"], item["metadata"]["version"]) for item in found)


def pin(name: str, version: str) -> str:
    """One line of a pinned file."""
    return f"{name.lower().replace('_', '-')}=={version.partition('+')[0]}"


def main(wanted: list[str]) -> None:
    """Write the pinned files whose input was named, or all of them."""
    if sys.version_info[:3] > OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        sys.exit(f"Pin with Python {oldest}, as Debian 12 has it: make clean install PYTHON=/usr/bin/python3.11")
    for name, target, constraints in LOCKS:
        if wanted and name not in wanted:
            continue
        print(f"{name} -> {target.relative_to(ROOT)} …", flush=True)
        pins = resolve(INPUTS / name, constraints)
        head = f"# Made by `make requirements` from requirements/{name}; change that file instead."
        target.write_text("\n".join([head, *pins, ""]), "utf-8")
        print(f"  {len(pins)} packages", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
