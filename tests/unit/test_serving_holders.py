"""Command lines as they are shown, and what may be believed of a pid."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.serving.holders import COMMAND_LIMIT, Sight, command_text, holds_nvidia_device, printable


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["/usr/bin/python3.11", "/projects/train.py", "--lr", "1e-4"], "train.py --lr 1e-4"),
        (["/v/bin/python", "/v/bin/vllm", "serve", "qwen"], "vllm serve qwen"),
        (["/v/bin/python", "-m", "vllm", "--port", "1"], "python -m vllm --port 1"),
        (["VLLM::EngineCore"], "VLLM::EngineCore"),
        (["ollama", "runner", "--model", "/m/a.gguf"], "ollama runner --model /m/a.gguf"),
        (["vllm", "--api-key", "sk-1", "sk-2", "--port", "8000"], "vllm --api-key ••• ••• --port 8000"),
        (["vllm", "--api-key=sk-1", "--max-tokens", "5"], "vllm --api-key=••• --max-tokens 5"),
        (["env", "HF_TOKEN=hf_1", "a"], "env HF_TOKEN=••• a"),
        (["x", "--tokenizer", "t", "--hf-token", "hf_1"], "x --tokenizer t --hf-token •••"),
        (["x", "http://me:pass@box/v1"], "x http://•••@box/v1"),
        (["python", "-c", "import os\nprint(1)"], "python -c import os print(1)"),
        ([], ""),
    ],
)
def test_a_command_is_shown_short_and_without_secrets(argv: list[str], shown: str) -> None:
    assert command_text(argv) == shown


def test_a_long_command_is_cut_and_says_so() -> None:
    text = command_text(["train", *["x" * 30] * 20])
    assert len(text) == COMMAND_LIMIT and text.startswith("train x") and text.endswith("…")


def test_what_cannot_be_shown_or_stored_is_replaced() -> None:
    assert printable("a\x1b[31m\udcff\tb") == "a�[31m� b"


def test_a_pid_of_the_machine_means_a_process_here_only_where_it_has_a_gpu_open() -> None:
    seen: dict[int, bool | None] = {1: True, 2: False, 3: None}
    inside = Sight(whole=False, holds_device=seen.get)
    assert [inside.believes(pid) for pid in (1, 2, 3)] == [True, False, True]
    assert all(Sight(whole=True, holds_device=seen.get).believes(pid) for pid in seen)


def test_this_process_has_no_gpu_open_and_one_that_is_gone_cannot_be_read() -> None:
    assert holds_nvidia_device(os.getpid()) is False
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert holds_nvidia_device(gone.pid) is None


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="pid namespaces are Linux's")
def test_a_namespace_of_its_own_is_noticed() -> None:
    program = "from services.serving.holders import Sight; print(Sight.here().whole)"
    inside = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", sys.executable, "-c", program],
        capture_output=True,
        text=True,
    )
    if inside.returncode:
        pytest.skip(f"this system allows no namespace: {inside.stderr.strip()}")
    assert inside.stdout.strip() == "False"
