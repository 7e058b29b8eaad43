"""What every test may use. No test sees the settings or the data of whoever runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.fakes.nvml import Double, NoCompiler, ScenarioFile, build

POSTGRES_START_S = 60.0


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty LECTERN_HOME for this run, inherited by child processes; no other setting from outside."""
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        del os.environ[name]
    home = tmp_path_factory.mktemp("home")
    os.environ["LECTERN_HOME"] = str(home)
    return home


@pytest.fixture
def other_children() -> set[psutil.Process]:
    """The child processes that earlier tests keep, such as PostgreSQL: they are no leftovers of this one."""
    return set(psutil.Process().children(recursive=True))


def living_children() -> set[psutil.Process]:
    """The child processes of this one that still run; one that has ended holds nothing, reaped or not."""
    living = set()
    for child in psutil.Process().children():
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                living.add(child)
        except psutil.NoSuchProcess:
            continue
    return living


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy's address of an empty database on a PostgreSQL of our own, behind a socket."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not programs:
        missing = "PostgreSQL is not installed; on Debian: apt-get install postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="lectern-pg-"))
    try:
        if user:
            shutil.chown(folder, user)
        with _postgres(programs[-1], folder, user) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def nvml_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this run's doubles of NVML are compiled."""
    return tmp_path_factory.mktemp("nvml")


@pytest.fixture(scope="session")
def nvml_double(nvml_folder: Path) -> Double:
    """A double of libnvidia-ml.so.1 with today's functions; tests/fakes/nvml says how to use it."""
    try:
        return build(nvml_folder)
    except NoCompiler as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture
def scenario(nvml_double: Double, tmp_path: Path) -> Iterator[ScenarioFile]:
    """What this process's NVML shows during one test; before and after it the machine's own answers, or none."""
    file = ScenarioFile(tmp_path / "gpus.txt")
    nvml_double.bind(file.path)
    yield file
    nvml_double.release()


@contextmanager
def _postgres(program: Path, folder: Path, user: str | None) -> Iterator[str]:
    """A PostgreSQL server in a folder, run by `user` because it refuses to run as root."""
    cluster = folder / "cluster"
    initdb = [str(program.with_name("initdb")), "-D", str(cluster), "-U", "lectern", "-A", "trust"]
    initdb += ["-E", "UTF8", "-N", "--locale=C"]
    created = subprocess.run(initdb, user=user, cwd=folder, capture_output=True, text=True)
    assert created.returncode == 0, created.stderr
    command = [str(program), "-D", str(cluster), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, user=user, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + POSTGRES_START_S
        while not _answers(folder):
            if time.monotonic() > deadline or process.poll() is not None:
                pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
            time.sleep(0.1)
        yield f"postgresql+psycopg://lectern@/postgres?host={folder}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _answers(folder: Path) -> bool:
    try:
        psycopg.connect(host=str(folder), user="lectern", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True
