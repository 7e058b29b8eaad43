"""Log diagnosis: how fast it reads, against reading the same lines alone; and how much of a labelled set it recognises.

    python bench/diagnosis.py                                  # speed, on a log that is made up on the spot
    python bench/diagnosis.py --signatures FILE --logs FOLDER  # recognition

FILE has one JSON object a line: `text` (lines of a log), `category` (READY: nothing has failed), `engine`. In FOLDER,
logs with "fail" in their names have failed, the others have not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.core.clock import ticks_ms
from services.serving.diagnosis import UNKNOWN, diagnose

LINES = 100_000


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--signatures", type=Path)
    parser.add_argument("--logs", type=Path)
    chosen = parser.parse_args()
    missed = 0
    if chosen.signatures:
        missed += signatures(chosen.signatures)
    if chosen.logs:
        missed += logs(chosen.logs)
    if not chosen.signatures and not chosen.logs:
        speed()
    sys.exit(1 if missed else 0)


def signatures(path: Path) -> int:
    """Print each signature with what it was taken for; return how many were not recognised."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    missed = 0
    print(f"{'id':5} {'labelled':24} {'diagnosed':32} flags")
    for row in rows:
        found = diagnose(row["text"].splitlines(), row["engine"])
        wanted_none = row["category"] == "READY"
        right = not found if wanted_none else bool(found) and found[0].code != UNKNOWN
        missed += not right
        code = found[0].code if found else "-"
        print(f"{row['id']:5} {row['category']:24} {code:32} {flags(found)}{'' if right else '   MISSED'}")
    print(f"recognised: {len(rows) - missed} of {len(rows)}\n")
    return missed


def logs(folder: Path) -> int:
    """Print each whole log with what it was taken for; return how many were taken for the wrong thing."""
    paths = sorted(folder.glob("*.log"))
    missed = 0
    for path in paths:
        found = diagnose(path.read_text("utf-8", "replace").splitlines())
        right = bool(found) == ("fail" in path.name) and (not found or found[0].code != UNKNOWN)
        missed += not right
        codes = ", ".join(diagnosis.code for diagnosis in found) or "-"
        print(f"{path.name:28} {codes:40} {flags(found)}{'' if right else '   MISSED'}")
        if found:
            print(f"    line {found[0].evidence.number}: {found[0].evidence.line[:150]}")
            print(f"    {found[0].render().message}")
    print(f"right: {len(paths) - missed} of {len(paths)}\n")
    return missed


def flags(found: list) -> str:
    """The flags of the first diagnosis as they are typed."""
    return " ".join(
        name if value is None else f"{name} {value}" for name, value in (found[0].flags if found else {}).items()
    )


def speed() -> None:
    """Read a made-up log of a server that has long been running, with and without looking at it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.log"
        served = 'INFO:     127.0.0.1:{} - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
        loaded = "(EngineCore pid=7) INFO 01-01 00:00:00 [loader.py:1] Loaded part {} of the weights\n"
        path.write_text("".join((served, loaded)[number % 2].format(number) for number in range(LINES)), "utf-8")
        begun = ticks_ms()
        with path.open(encoding="utf-8", errors="replace") as file:
            characters = sum(len(line) for line in file)
        raw = ticks_ms() - begun
        begun = ticks_ms()
        with path.open(encoding="utf-8", errors="replace") as file:
            assert diagnose(file) == []
        ours = ticks_ms() - begun
    size = characters / 1e6
    print(
        f"{size:.1f} MB: reading {raw:.0f} ms, diagnosing {ours:.0f} ms, ratio {ours / raw:.0f};"
        f" {size / ours * 1e3:.0f} MB/s"
    )


if __name__ == "__main__":
    main()
