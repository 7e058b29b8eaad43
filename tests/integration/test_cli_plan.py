"""`lectern plan` as a real process: against GPUs that are named, and against those of a double of NVML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.core.units import GIB
from tests.fakes.nvml import Double, Gpu, Scenario, ScenarioFile
from tests.unit.hub_models import small_gguf, written

ROOT = Path(__file__).resolve().parents[2]
PER_GPU = {"weights_bytes", "kv_bytes_per_token", "kv_bytes", "activation_bytes", "overhead_bytes", "total_bytes"}


class Shell:
    """Runs `lectern plan` over one home, with a double of NVML that shows what its scenario says."""

    def __init__(self, home: Path, double: Double) -> None:
        self.scenario = ScenarioFile(home / "gpus.txt")
        self.environment = {**os.environ, "LECTERN_HOME": str(home / "home"), "LC_ALL": "C.UTF-8", "COLUMNS": "110"}
        self.environment |= double.environment(self.scenario.path)

    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services", "plan", *map(str, words)]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120)

    def json(self, *words: object) -> Any:
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def shell(tmp_path: Path, nvml_double: Double) -> Shell:
    return Shell(tmp_path, nvml_double)  # without a scenario its driver is not loaded


def test_a_plan_has_the_promised_form_and_fails_without_failing(shell: Shell, tmp_path: Path) -> None:
    config = written(tmp_path)
    good = shell.json(config, "--gpus", 2, "--gpu-memory-gib", 24, "--tensor-parallel-size", 2)
    assert good["fits"] is True
    assert good["per_gpu"].keys() >= PER_GPU
    assert good["per_gpu"]["kv_bytes_per_token"] == 2 * 4 * 1 * 32 * 2
    assert (good["gpus"], good["suggestion"], good["max_model_len_that_fits"]) == ([0, 1], {}, 4096)
    assert all(isinstance(good["per_gpu"][name], int) for name in PER_GPU)
    bad = shell.json(config, "--gpus", 1, "--gpu-memory-gib", 1, "--max-model-len", 9000)
    assert (bad["fits"], bad["reasons"][0]["code"]) == (False, "beyond_context")
    assert bad["reasons"][0]["message"]
    assert bad["suggestion"]["message"]


def test_several_gpus_are_used_where_nothing_else_is_said(shell: Shell, tmp_path: Path) -> None:
    config = written(tmp_path)
    divided = shell.json(config, "--gpus", 8, "--gpu-memory-gib", 24)
    assert divided["gpus"] == list(range(8))
    assert shell.json(config, "--gpus", 6, "--gpu-memory-gib", 24)["gpus"] == list(range(4))  # 8 heads


def test_the_gpus_of_this_machine_are_taken_as_they_are_now(shell: Shell, tmp_path: Path) -> None:
    config = written(tmp_path)
    shell.scenario.write(Scenario(gpus=(Gpu(0, total=24 * GIB, used=20 * GIB),)))
    found = shell.json(config)
    assert [reason["code"] for reason in found["reasons"]] == ["free_below_share"]
    assert found["suggestion"]["gpu_memory_utilization"] == pytest.approx(0.15, abs=0.02)
    again = shell.json(config, "--gpu-memory-utilization", found["suggestion"]["gpu_memory_utilization"])
    assert again["fits"] is True


def test_people_read_the_rule_of_thumb_first(shell: Shell, tmp_path: Path) -> None:
    done = shell(written(tmp_path), "--gpus", 1, "--gpu-memory-gib", 24)
    assert done.returncode == 0
    assert done.stdout.startswith("Rule of thumb:")
    assert "16 bits ÷ 8" in done.stdout.splitlines()[0]


def test_without_a_gpu_it_says_what_is_missing(shell: Shell, tmp_path: Path) -> None:
    done = shell(written(tmp_path), "--json")
    assert (done.returncode, done.stdout) == (1, "")
    error = json.loads(done.stderr)
    assert error["code"] == "gpu_memory_unknown"
    assert "--gpu-memory-gib" in error["remedy"]


def test_a_gguf_needs_no_gpu(shell: Shell, tmp_path: Path) -> None:
    found = shell.json(small_gguf(tmp_path / "small.gguf"))
    assert (found["fits"], found["engine"], found["place"]) == (True, "llama.cpp", "host")


@pytest.mark.parametrize("content", ["{", "[]", '{"num_hidden_layers": 1e300}'])
def test_what_is_no_model_is_an_error_with_a_remedy(shell: Shell, tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content, "utf-8")
    done = shell(path, "--gpus", 1, "--gpu-memory-gib", 24, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    error = json.loads(done.stderr)
    assert error["code"] == "model_unreadable"
    assert error["remedy"]


def test_a_server_is_planned_on_its_own_gpus_or_on_others_and_shows_its_plan(shell: Shell, tmp_path: Path) -> None:
    def told(*words: object) -> Any:
        command = [sys.executable, "-m", "services", "server", *map(str, words), "--json"]
        done = subprocess.run(command, cwd=ROOT, env=shell.environment, capture_output=True, text=True, timeout=120)
        return json.loads(done.stdout or done.stderr)

    shell.scenario.write(Scenario(gpus=(Gpu(0, total=24 * GIB, used=20 * GIB), Gpu(1, total=24 * GIB))))
    made = told("create", "one", "--engine", "vllm", "--model", written(tmp_path))
    assert (made["plan"]["fits"], made["plan"]["gpus"]) == (False, [0])
    other = told("plan", "one", "--gpus", "1")
    assert (other["fits"], other["gpus"], other["name"]) == (True, [1], "one")
    assert told("plan", "one", "--gpus", "all")["code"] == "invalid_value"
    assert told("estimates") == []
