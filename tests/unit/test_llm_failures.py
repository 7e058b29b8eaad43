"""Every error of the client libraries becomes one of ours."""

from __future__ import annotations

import httpx2
import openai
import pytest

from services.core.api_errors import ServerBusy
from services.core.errors import (
    AppError,
    BadResponse,
    ContextLengthExceeded,
    ServerFailed,
    ServerNotReady,
    Unauthorized,
    UpstreamTimeout,
)
from services.llm.estimate import estimated_tokens
from services.llm.failures import foreign, translated
from services.llm.protocol import Endpoint

ENDPOINT = Endpoint("qwen", "http://127.0.0.1:1/v1", api_key="secret")
REQUEST = httpx2.Request("POST", ENDPOINT.url)


def status_error(status: int, body: object) -> openai.APIStatusError:
    return openai.APIStatusError("refused", response=httpx2.Response(status, request=REQUEST), body=body)


def heirs(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(heir for child in kind.__subclasses__() for heir in heirs(child))]


@pytest.mark.parametrize("kind", heirs(httpx2.RequestError), ids=lambda kind: kind.__name__)
def test_every_transport_error_is_mapped_alone_and_inside_openais(kind: type[httpx2.RequestError]) -> None:
    cause = kind("it broke", request=REQUEST)
    wrapped = openai.APIConnectionError(request=REQUEST)
    wrapped.__cause__ = cause
    expected: type[AppError] = ServerNotReady
    if issubclass(kind, httpx2.TimeoutException):
        expected = ServerNotReady if kind is httpx2.ConnectTimeout else UpstreamTimeout
    if issubclass(kind, httpx2.DecodingError | httpx2.RemoteProtocolError):
        expected = BadResponse
    assert isinstance(cause, foreign()) and isinstance(wrapped, foreign())
    assert type(translated(wrapped, ENDPOINT, 3)) is expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadResponse),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, BadResponse),
        (422, BadResponse),
        (429, ServerBusy),
        (500, ServerFailed),
        (502, ServerFailed),
        (503, ServerNotReady),
    ],
)
def test_every_status_is_mapped(status: int, kind: type[AppError]) -> None:
    error = translated(status_error(status, {"message": "no such model"}), ENDPOINT, 3)
    assert type(error) is kind
    assert "secret" not in repr(error)
    if issubclass(kind, BadResponse):
        assert f"HTTP {status}: no such model" in str(error)


def test_a_server_whose_account_is_empty_is_not_called_busy() -> None:
    spent = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
    error = translated(status_error(429, spent), ENDPOINT, 3)
    assert type(error) is BadResponse and "HTTP 429: You exceeded your current quota" in str(error)


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the "
            "messages, 1000 in the completion).",
            {"needed": 5000, "available": 4096},
        ),
        (
            "This model's maximum context length is 2048 tokens. However, your request has 3031 input tokens.",
            {"needed": 3031, "available": 2048},
        ),
        (
            "You passed 3031 input tokens and requested 8 output tokens. However, the model's context length is only "
            "2048 tokens.",
            {"needed": 3031, "available": 2048},
        ),
        ("The prompt exceeds the context window.", {}),
    ],
)
def test_reads_the_numbers_of_an_exceeded_context(message: str, numbers: dict[str, int]) -> None:
    error = translated(status_error(400, {"message": message}), ENDPOINT, 3)
    assert isinstance(error, ContextLengthExceeded)
    assert error.params == numbers
    assert "None" not in str(error)


def test_an_error_within_a_stream_counts_by_its_code() -> None:
    error = openai.APIError("loading", REQUEST, body={"message": "Loading model", "code": 503})
    assert type(translated(error, ENDPOINT, 3)) is ServerNotReady
    error = openai.APIError("odd", REQUEST, body={"message": "out of luck", "code": "engine_dead"})
    assert type(translated(error, ENDPOINT, 3)) is ServerFailed


def test_a_web_page_is_named_and_not_quoted() -> None:
    error = translated(status_error(404, "<html><script>alert(1)</script>"), ENDPOINT, 3)
    assert "web page" in str(error)
    assert "script" not in str(error)


def test_a_long_reason_is_shortened() -> None:
    error = translated(status_error(500, {"message": "x " * 5000}), ENDPOINT, 3)
    assert len(error.params["reason"]) <= 200


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("The quick brown fox jumps over the lazy dog", 9),
        ("池塘挖于一九六二年", 9),
        ("2024-11-30", 10),
        ("", 0),
        ("😀", 1),
    ],
)
def test_estimates_are_rather_high(text: str, least: int) -> None:
    assert estimated_tokens(text) >= least
