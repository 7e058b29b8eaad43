"""Which Python the environment is built with: one that is known not to work is refused with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAYED = """#!/bin/sh
shift
exec {python} -c 'import sqlite3, sys
sys.version_info = {version}
sqlite3.sqlite_version_info = {sqlite}
exec(sys.argv[1])' "$@"
"""


def found(python: Path) -> subprocess.CompletedProcess[str]:
    """What is said where this Python is the one to take."""
    command, env = ["sh", "tools/find_python.sh"], {**os.environ, "PYTHON": str(python)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("version", "sqlite", "accepted"),
    [((3, 11, 2), (3, 40, 1), True), ((3, 12, 3), (3, 45, 1), True), ((3, 12, 1), (3, 40, 1), False)],
)
def test_a_newer_python_needs_a_newer_sqlite(
    tmp_path: Path, version: tuple[int, ...], sqlite: tuple[int, ...], accepted: bool
) -> None:
    python = tmp_path / "python"
    python.write_text(PLAYED.format(python=sys.executable, version=version, sqlite=sqlite), "utf-8")
    python.chmod(0o755)
    told = found(python)
    if accepted:
        assert told.stdout.strip() == str(python), told.stderr
    else:
        assert told.returncode == 1 and "SQLite older than 3.42" in told.stderr and "Python 3.11" in told.stderr
