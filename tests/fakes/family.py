"""A program with children of every shape, then the engine itself: `python -m tests.fakes.family PIDS COMMAND…`.

It writes their pids into a file as JSON. `child` and `left` carry the environment, the other ones an empty one; `left`,
`below` and `orphan` have a session of their own; the parent of `orphan` has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; time.sleep(10_000)"]


def main() -> None:
    pids = {
        "engine": os.getpid(),
        "child": subprocess.Popen(SLEEP).pid,
        "left": subprocess.Popen(SLEEP, start_new_session=True).pid,
        "same_session": subprocess.Popen(SLEEP, env={}).pid,
        "below": subprocess.Popen(SLEEP, env={}, start_new_session=True).pid,
    }
    leaving = f"import subprocess; print(subprocess.Popen({SLEEP!r}, env={{}}, start_new_session=True).pid)"
    parent = subprocess.Popen([sys.executable, "-c", leaving], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pids["orphan"] = int(parent.stdout.readline())
    parent.wait()
    draft = Path(sys.argv[1] + ".draft")
    draft.write_text(json.dumps(pids), "utf-8")
    draft.rename(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
