"""The real web process on a port of its own, and a real Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import FLAGS, PATIENCE_MS, chromium

ROOT = Path(__file__).resolve().parents[2]
START_S = 90.0


@dataclass(frozen=True, slots=True)
class Site:
    """A running web process."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]

    def answers(self, path: str = "/healthz") -> int | None:
        """The status of an answer; None where nothing answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None


@contextmanager
def serving(script: Path, home: Path, *, ready: str = "/healthz") -> Iterator[Site]:
    """Run a script as `streamlit run` does, until `ready` answers 200."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home.mkdir(parents=True, exist_ok=True)
    log = home / "web-output.log"
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=script.parent, env={**os.environ, "LECTERN_HOME": str(home)}, stdout=output, stderr=output
        )
    site = Site(f"http://127.0.0.1:{port}", home, process)
    try:
        deadline = time.monotonic() + START_S
        while site.answers(ready) != 200:
            if time.monotonic() > deadline or process.poll() is not None:
                pytest.fail(f"the pages did not start: {log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.1)
        yield site
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The product as it is served, with an empty home."""
    with serving(ROOT / "web.py", tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The product's own frame around one more page, which shows every widget with hostile texts."""
    folder = tmp_path_factory.mktemp("gallery")
    for name in ("ui", "static", ".streamlit"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("web.py", "Home.py"):
        shutil.copy(ROOT / name, folder)
    (folder / "services").symlink_to(ROOT / "services")
    (folder / "pages").mkdir()
    shutil.copy(Path(__file__).with_name("gallery_page.py"), folder / "pages" / "9_Gallery.py")
    with serving(folder / "web.py", tmp_path_factory.mktemp("gallery-home")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium for all browser tests."""
    path = chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a browser that has never been here, speaking English."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()
