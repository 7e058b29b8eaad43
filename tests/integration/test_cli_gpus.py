"""`lectern gpus` as a real process, over a double of NVML: one document, a table, or a line each second."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.app import bootstrap
from services.core.clock import now_ms
from services.core.machine import this_process
from services.core.settings import load
from services.core.units import GIB
from services.gpu.readings import DriverState, GpuReading, Holder, Holding, HostReading, Snapshot
from tests.fakes.nvml import Double, Gpu, Process, Scenario, ScenarioFile, eight_gpus

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "services", "gpus"]
PROMISED = {"index", "uuid", "name", "memory", "utilization_percent", "temperature_celsius", "power_watts", "processes"}


class Shell:
    """Runs `lectern gpus` over one home, with or without a driver."""

    def __init__(self, home: Path, double: Double) -> None:
        self.home = home
        self.scenario = ScenarioFile(home / "gpus.txt")
        self.environment = {**os.environ, "LECTERN_HOME": str(home), "LC_ALL": "C.UTF-8", "COLUMNS": "110"}
        self.environment |= double.environment(self.scenario.path)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60
        )

    def json(self) -> Any:
        done = self("--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def watching(self, *words: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
        """`--watch` in a process that is surely ended."""
        command = [*COMMAND, "--watch", *words]
        # Where these tests run in the background of a script, its children would ignore Ctrl-C.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=stdout, stderr=subprocess.PIPE, text=True
            )
        finally:
            signal.signal(signal.SIGINT, before)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def shell(tmp_path: Path, nvml_double: Double) -> Shell:
    return Shell(tmp_path, nvml_double)


def sample(home: Path, *, age_ms: int = 0) -> None:
    """What a worker that runs leaves behind: a server's process, a stranger's, and one that cannot be seen."""
    holdings = (
        Holding(812, 50 * GIB, holder=Holder("root", "VLLM::EngineCore\x1b[31m", "id", "qwen", "Qwen/Qwen3-8B")),
        Holding(41, GIB, holder=Holder("anna", "python train.py")),
        Holding(None, 2 * GIB, holder=Holder(server_id="x", server="embed", model="bge-m3", how="estimate")),
    )
    gpu = GpuReading(0, "GPU-1", "NVIDIA X", total_bytes=80 * GIB, used_bytes=60 * GIB, holdings=holdings)
    services = bootstrap(load(home=home))
    services.gpus.keep(Snapshot(now_ms() - age_ms, DriverState("580.65.06"), (gpu,), HostReading()))
    me = this_process()
    services.store.workers.beat(services.machine_id, "host", me.pid, me.started_at)
    services.close()


def test_the_document_is_the_promised_one(shell: Shell) -> None:
    shell.scenario.write(Scenario(gpus=(Gpu(0, used=12 * GIB, processes=(Process(os.getpid(), 12 * GIB),)), Gpu(1))))
    row = shell.json()
    assert row["driver"] == "580.65.06" and [gpu["index"] for gpu in row["gpus"]] == [0, 1]
    assert all(set(gpu) >= PROMISED for gpu in row["gpus"])
    first = row["gpus"][0]
    assert set(first["memory"]) >= {"total_bytes", "used_bytes", "free_bytes"}
    assert first["memory"]["total_bytes"] == 80 * GIB and first["name"] == "NVIDIA H100 80GB HBM3"
    assert row["host"]["memory_total_bytes"] > 0


def test_a_machine_without_a_gpu_says_why_and_shows_its_host(shell: Shell) -> None:
    row = shell.json()  # the double has no scenario to play: the driver is not loaded
    assert (row["driver"], row["gpus"]) == (None, []) and row["reason"]
    text = shell()
    assert text.returncode == 0
    assert text.stdout.startswith("No GPU: ") and row["reason"] in text.stdout and "\nHost: " in text.stdout


def test_processes_stand_under_their_gpu_with_whose_they_are(shell: Shell) -> None:
    sample(shell.home, age_ms=60_000)
    text = shell().stdout
    rows = [line.split() for line in text.splitlines()]
    assert "as it was 1 min" in text and "GPU 0  NVIDIA X" in text and "60.0 GiB of 80.0 GiB" in text
    assert ["50.0", "GiB", "812", "qwen", "Qwen/Qwen3-8B", "root", "VLLM::EngineCore�[31m"] in rows
    assert ["2.0", "GiB", "estimated", "embed", "bge-m3", "n/a", "n/a"] in rows
    assert ["1.0", "GiB", "41", "–", "–", "anna", "python", "train.py"] in rows
    (gpu,) = shell.json()["gpus"]
    assert gpu["processes"][0] == {
        "pid": 812,
        "used_bytes": 50 * GIB,
        "server": "qwen",
        "model": "Qwen/Qwen3-8B",
        "user": "root",
        "command": "VLLM::EngineCore\x1b[31m",
        "kind": "compute",
        "gpu_instance": None,
        "estimated": False,
    }
    assert gpu["processes"][2]["pid"] is None and gpu["processes"][2]["estimated"]
    assert (gpu["temperature_celsius"], gpu["memory"]["free_bytes"]) == (None, None)


def test_status_shows_the_same_gpus(shell: Shell) -> None:
    sample(shell.home)
    command = [sys.executable, "-m", "services", "status", "--json"]
    status = subprocess.run(command, cwd=ROOT, env=shell.environment, capture_output=True, text=True, timeout=60)
    assert json.loads(status.stdout)["gpus"] == shell.json()["gpus"]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_watching_through_a_pipe_prints_a_document_a_line_until_ctrl_c(shell: Shell, words: tuple[str, ...]) -> None:
    shell.scenario.write(Scenario(gpus=(Gpu(0, used=GIB),)))
    with shell.watching(*words) as process:
        assert process.stdout and process.stderr
        first = json.loads(process.stdout.readline())
        shell.scenario.write(Scenario(gpus=(Gpu(0, used=2 * GIB),)))
        later = first
        while later["gpus"][0]["memory"]["used_bytes"] == first["gpus"][0]["memory"]["used_bytes"]:
            later = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
    assert later["taken_at_ms"] > first["taken_at_ms"] and set(later) == set(first)


def test_watching_ends_quietly_when_the_reader_goes(shell: Shell) -> None:
    with shell.watching() as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        process.wait(30)
        assert process.stderr.read() == ""


def terminal(shell: Shell, rows: int) -> bytes:
    """What a terminal of so many rows gets until it was drawn twice and Ctrl-C was pressed."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (rows, 100))
    shell.environment["TERM"] = "xterm-256color"
    for size in ("COLUMNS", "LINES"):
        shell.environment.pop(size, None)
    seen = b""
    with shell.watching(stdout=theirs) as process:
        os.close(theirs)
        while seen.count(b"NVIDIA driver") < 2 or not seen.endswith(b"free"):
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    os.close(ours)
    return seen


def test_watching_in_a_terminal_redraws_in_place(shell: Shell) -> None:
    shell.scenario.write(Scenario(gpus=(Gpu(0, used=GIB),)))
    seen = terminal(shell, 40)
    between = seen.split(b"NVIDIA driver")[1]
    assert b"\x1b[1A" in between and b"\x1b[2K" in between  # up again, and the line is cleared
    assert b"{" not in seen


def test_a_terminal_that_is_too_low_shows_every_gpu_without_processes(shell: Shell) -> None:
    shell.scenario.write(Scenario(gpus=eight_gpus()))
    first = terminal(shell, 24).split(b"NVIDIA driver")[1]
    assert first.count(b"NVIDIA H100") == 8 and b"process" not in first.partition(b"Host")[0]
    tall = terminal(shell, 80).split(b"NVIDIA driver")[1]
    assert tall.count(b"NVIDIA H100") == 8 and b"400023" in tall
