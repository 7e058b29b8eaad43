"""A file can hang, crash or bloat its reader, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.core.document_errors import ReaderCrashed, ReaderTimeout
from services.core.errors import AppError, Encrypted, TooLarge
from services.knowledge.loaders import child
from services.knowledge.loaders.confined import Allowance, Confined
from services.knowledge.loaders.protocol import Aids, Limits
from services.knowledge.loaders.reader import FORK_SERVER_MODULE, Cancelled, Reader
from services.knowledge.types import Extracted
from tests.fakes.documents import WORDS, write_encrypted_pdf, write_pdf, write_usual

LIMITS = Limits(pages=100, characters=1_000_000, timeout_s=60, memory_bytes=2 << 30)
DEADLINE_S = 30.0
STRANGERS: set[psutil.Process] = set()


@pytest.fixture
def reader() -> Iterator[Reader]:
    found = Reader(LIMITS)
    yield found
    found.close()


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that never gives a byte: opening it waits for a writer."""
    path = tmp_path / "endless"
    os.mkfifo(path)
    return path


def wanted() -> bool:
    return False


@pytest.fixture(autouse=True)
def strangers(other_children: set[psutil.Process]) -> Iterator[None]:
    """Know the processes that earlier tests keep."""
    STRANGERS.update(other_children)
    yield
    STRANGERS.clear()


def reading_children() -> list[psutil.Process]:
    """The children of this process's fork server."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            ours = process.parent() != psutil.Process() and process not in STRANGERS
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


class Reading(threading.Thread):
    """A reading in a thread of its own."""

    def __init__(self, reader: Reader, path: Path) -> None:
        super().__init__(daemon=True)
        self._reader, self._path = reader, path
        self.given_up = threading.Event()
        self.result: Extracted | BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._reader.read(self._path, self._path.name, self.given_up.is_set)
        except (AppError, Cancelled) as error:
            self.result = error


@pytest.mark.parametrize("suffix", [".pdf", ".docx", ".html", ".md", ".txt", ".csv"])
def test_a_document_comes_back_whole(reader, suffix, tmp_path):
    path = write_usual(tmp_path / f"usual{suffix}")
    here = child.read_here(path, path.name, LIMITS).document
    assert reader.read(path, path.name, wanted) == here
    assert here is not None
    assert WORDS in here.text


def test_an_error_comes_back_as_its_kind(reader, tmp_path):
    path = write_encrypted_pdf(tmp_path / "x", "Secret", "pw")
    with pytest.raises(Encrypted) as caught:
        reader.read(path, "plan.pdf", wanted)
    assert caught.value.params == {"name": "plan.pdf"}


def test_a_hanging_file_is_ended_at_the_limit_of_time(endless):
    reader = Reader(replace(LIMITS, timeout_s=1))
    with pytest.raises(ReaderTimeout) as caught:
        reader.read(endless, "endless.pdf", wanted)
    assert caught.value.params["setting"] == "read_timeout_s"
    eventually(lambda: not reading_children())


def test_the_parent_sees_how_many_pages_were_read(tmp_path):
    path, result = write_pdf(tmp_path / "pages.pdf", ["One", "", "Three"]), str(tmp_path / "outcome.json")
    Confined(FORK_SERVER_MODULE).run(child.run, (str(path), "pages.pdf", LIMITS, result, Aids()), Allowance(60), wanted)
    assert child.pages_file(result).stat().st_size == 3
    assert child.OUTCOME.validate_json(Path(result).read_bytes()).document


def test_cancelling_ends_the_child(reader, endless):
    reading = Reading(reader, endless)
    eventually(lambda: reading_children())
    reading.given_up.set()
    reading.join(DEADLINE_S)
    assert isinstance(reading.result, Cancelled)
    eventually(lambda: not reading_children())


def test_closing_gives_up_what_is_being_read(reader, endless):
    reading = Reading(reader, endless)
    eventually(lambda: reading_children())
    reader.close()
    reading.join(DEADLINE_S)
    assert isinstance(reading.result, Cancelled)


def test_a_waiting_reading_can_be_cancelled(reader, endless):
    first = Reading(reader, endless)
    eventually(lambda: reading_children())
    second = Reading(reader, endless)
    second.given_up.set()
    second.join(DEADLINE_S)
    assert isinstance(second.result, Cancelled)
    assert first.is_alive()
    first.given_up.set()
    first.join(DEADLINE_S)


def test_a_child_that_dies_three_times_is_a_crash(reader, endless):
    reading = Reading(reader, endless)
    killed: set[int] = set()
    while reading.is_alive() and len(killed) < 10:
        for process in reading_children():
            killed.add(process.pid)
            process.kill()
        time.sleep(0.02)
    reading.join(DEADLINE_S)
    assert isinstance(reading.result, ReaderCrashed)
    assert reading.result.params == {"name": "endless", "attempts": 3}
    assert len(killed) == 3


def test_a_child_that_dies_once_is_tried_again(reader, endless):
    reading = Reading(reader, endless)
    eventually(lambda: reading_children())
    first = reading_children()[0]
    first.kill()
    eventually(lambda: [process for process in reading_children() if process.pid != first.pid])
    assert reading.is_alive()
    reading.given_up.set()
    reading.join(DEADLINE_S)


def test_a_bloating_file_is_too_large(tmp_path):
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.write(b"text " * 20_000)
        file.truncate(900 << 20)
    reader = Reader(replace(LIMITS, memory_bytes=600 << 20, characters=1 << 40))
    with pytest.raises(TooLarge) as caught:
        reader.read(path, "huge.txt", wanted)
    assert caught.value.params["setting"] == "read_memory_bytes"


def test_many_threads_read_at_once(tmp_path):
    reader = Reader(LIMITS, workers=2)
    path = write_usual(tmp_path / "usual.txt")
    readings = [Reading(reader, path) for _ in range(8)]
    for reading in readings:
        reading.join(DEADLINE_S)
    assert all(isinstance(reading.result, Extracted) for reading in readings)


READS_FOREVER = """
import sys
from pathlib import Path
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
if __name__ == "__main__":
    Reader(Limits(1, 1, 600, 2 << 30)).read(Path(sys.argv[1]), "endless", lambda: False)
"""


def test_a_child_does_not_outlive_a_killed_caller(endless, tmp_path):
    script = tmp_path / "caller.py"
    script.write_text(READS_FOREVER)
    caller = subprocess.Popen(
        [sys.executable, str(script), str(endless)], env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )

    def family() -> list[psutil.Process]:
        return psutil.Process(caller.pid).children(recursive=True)

    eventually(lambda: any(len(process.children()) for process in family()))
    born = family()
    caller.kill()
    caller.wait()
    assert not psutil.wait_procs(born, DEADLINE_S)[1]


CONFINED = """
import socket, subprocess, sys
from services.knowledge.loaders import child
from services.knowledge.loaders.protocol import Limits
child.confine(Limits(1, 1, 30, 2 << 30), 30)
for forbidden in (lambda: socket.create_connection(("127.0.0.1", 9)), lambda: socket.socket(),
                  lambda: subprocess.run(["true"]), lambda: __import__("os").system("true")):
    try:
        forbidden()
    except PermissionError:
        print("denied")
"""


def test_a_child_has_no_network_and_starts_no_programs():
    done = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["denied"] * 4


def test_the_calling_process_loads_no_reading_library():
    check = (
        "import sys, services.knowledge.loaders.reader as r; r.Reader(r.Limits(1, 1, 1, 1)); "
        "print({'pypdfium2', 'docx', 'lxml', 'pypdf', 'charset_normalizer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
