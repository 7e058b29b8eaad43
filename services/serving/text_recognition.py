"""Reading text in pictures (OCR) with the program of an environment of its own, a process for each document.

Pictures come from our own renderer, so that no stranger's file reaches the program. It gets a path a line and answers
with a JSON line: a text with its box for each line of the picture.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.core.clock import ticks_ms
from services.core.settings import inherited_environment
from services.serving.environments import Environments

ENVIRONMENT = "ocr"
PROGRAM = Path(__file__).with_name("engines") / "ocr_server.py"
POLL_S = 0.2
START_S, PICTURE_S = 300.0, 300.0

Line = tuple[str, float, float, float, float]
"""A text, and left, top, right and bottom as fractions of the picture."""
Read = Callable[[Path], list[Line] | None]


class TextRecognition:
    """Starts the program where its environment is built. Thread-safe."""

    def __init__(self, environments: Environments, python: Path | None = None) -> None:
        """`python` replaces the environment's, which then counts as built."""
        self._environments = environments
        self._python = python

    def ready(self) -> bool:
        """Whether `lectern engine install ocr` was done."""
        return self._python is not None or self._environments.show(ENVIRONMENT).state == "ready"

    @contextmanager
    def session(self, given_up: Callable[[], bool]) -> Iterator[Read]:
        """A function that reads a picture; it gives None when the program has ended, or nobody wants it any more."""
        python = self._python or self._environments.show(ENVIRONMENT).path / "bin" / "python"
        program = subprocess.Popen(
            [str(python), "-P", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=inherited_environment({"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}),
        )
        try:
            yield _Session(program, given_up).read
        finally:
            program.kill()
            program.communicate()


class _Session:
    def __init__(self, program: subprocess.Popen[str], given_up: Callable[[], bool]) -> None:
        self._program = program
        self._given_up = given_up
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._patience_s = START_S
        threading.Thread(target=self._listen, daemon=True).start()

    def read(self, picture: Path) -> list[Line] | None:
        if self._program.stdin is None or self._program.poll() is not None:
            return None
        try:
            self._program.stdin.write(f"{picture}\n")
            self._program.stdin.flush()
        except OSError:
            return None
        answer = self._answer()
        if answer is None:
            self._program.kill()
            return None
        self._patience_s = PICTURE_S
        return _lines(answer)

    def _answer(self) -> str | None:
        deadline = ticks_ms() + self._patience_s * 1000
        while ticks_ms() < deadline and not self._given_up():
            try:
                return self._answers.get(timeout=POLL_S)
            except queue.Empty:
                continue
        return None

    def _listen(self) -> None:
        for line in self._program.stdout or ():
            self._answers.put(line)
        self._answers.put(None)


def _lines(answer: str) -> list[Line]:
    try:
        return [(str(text), *map(float, box)) for text, box in json.loads(answer)]  # type: ignore[misc]
    except (ValueError, TypeError) as error:
        sys.stderr.write(f"the program for text recognition answered nonsense: {error}\n")
        return []
