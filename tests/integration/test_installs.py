"""An engine is installed by the worker because somebody wished so: heard, cancelled, gone on with, by the real pip."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from services.core.errors import EngineBusy, InvalidValue
from services.serving import children
from services.serving.environments import Environments
from services.serving.installs import Install, Installs
from services.store import StateStore
from services.worker.installs import InstallKeeper
from tests.fakes.package_index import VERSION, PackageIndex, package_index, pip_environment
from tests.fakes.processes import command_lines

PARTS = ("lectern-part-a", "lectern-part-b")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with package_index() as running:
        for name, value in pip_environment(running).items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def installs(tmp_path: Path, index: PackageIndex) -> Iterator[Installs]:
    pins = tmp_path / "pins"
    pins.mkdir()
    (pins / "tiny.txt").write_text("".join(f"{name}=={VERSION}\n" for name in PARTS))
    store = StateStore(f"sqlite:///{tmp_path}/state.sqlite3")
    yield Installs(store.jobs, Environments(tmp_path / "engines", pins), "here")
    store.close()


@pytest.fixture
def keeper(installs: Installs) -> Iterator[InstallKeeper]:
    keeper = InstallKeeper(installs)
    yield keeper
    keeper.close()


def until(keeper: InstallKeeper, installs: Installs, done: Callable[[Install], object]) -> Install:
    deadline = time.monotonic() + 120
    while True:
        keeper.tick()
        found = installs.show("tiny")
        if done(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def pips() -> list[psutil.Process]:
    """The processes that install into an environment for this test."""
    found = command_lines(psutil.Process().children(recursive=True))
    return [child for child, words in found.items() if "install" in words]


def test_what_is_wished_for_is_installed_and_what_is_missing_is_said(
    installs: Installs, keeper: InstallKeeper, index: PackageIndex
) -> None:
    assert installs.show("tiny").state == "not_installed"
    with pytest.raises(InvalidValue):
        installs.wish("nothing")
    index.add(PARTS[0], {"__init__.py": b""})
    assert installs.wish("tiny").state == "queued"
    failed = until(keeper, installs, lambda found: found.state == "failed")
    assert failed.error and PARTS[1] in failed.error.render().message
    index.add(PARTS[1], {"__init__.py": b""})
    assert installs.wish("tiny").error is None
    ready = until(keeper, installs, lambda found: found.state == "ready")
    assert not ready.active and not ready.error and pips() == []


def test_cancelling_ends_pip_and_another_wish_goes_on(
    installs: Installs, keeper: InstallKeeper, index: PackageIndex
) -> None:
    for name in PARTS:
        index.add(name, {"__init__.py": b""})
    index.stall_at = PARTS[1]
    installs.wish("tiny")
    heard = until(keeper, installs, lambda found: found.package and index.stalled.is_set())
    assert heard.state == "installing" and heard.total == 2
    with pytest.raises(EngineBusy):
        installs.environments.build("tiny", lambda done, total, package: None)
    (pip,) = pips()
    assert installs.cancel("tiny").state == "unfinished"
    pip.wait(20)
    index.stall_at = None
    index.released.set()
    installs.wish("tiny")
    assert until(keeper, installs, lambda found: found.state == "ready").environment.packages == 2


def test_a_killed_worker_leaves_no_pip_and_the_next_one_goes_on(
    installs: Installs, keeper: InstallKeeper, index: PackageIndex
) -> None:
    for name in PARTS:
        index.add(name, {"__init__.py": b""})
    index.stall_at = PARTS[0]
    row = installs.rows.ask("here", "install_engine", "tiny", "packages")
    environments = installs.environments
    program = (
        "import sys\nfrom pathlib import Path\nfrom services.serving.environments import Environments\n"
        "Environments(Path(sys.argv[1]), Path(sys.argv[2])).build('tiny', lambda *_: None)\n"
    )
    folders = [str(environments.show("tiny").path.parent), str(environments._pins)]
    worker = children.spawn([sys.executable, "-c", program, *folders], env={"PYTHONPATH": str(children.ROOT)})
    assert index.stalled.wait(120)
    family = pips()
    assert family
    installs.rows.move(row.id, "working", "wished")
    worker.kill()
    worker.wait()
    assert psutil.wait_procs(family, 20)[1] == []
    index.stall_at = None
    index.released.set()
    assert until(keeper, installs, lambda found: found.state == "ready")
