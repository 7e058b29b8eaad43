"""The gate for what goes wrong with a server: every error of the client libraries becomes one of ours."""

from __future__ import annotations

import re
from typing import Any

import httpx2

from services.core.api_errors import RequestRefused, ServerBusy
from services.core.errors import (
    AppError,
    BadResponse,
    ContextLengthExceeded,
    ServerFailed,
    ServerNotReady,
    Unauthorized,
    UpstreamTimeout,
)
from services.core.i18n import N_
from services.core.phrases import phrase
from services.llm.protocol import Endpoint

SPENT = ("insufficient_quota", "billing_hard_limit_reached")
"""Codes of a 429 that waiting does not mend: the account's money is spent, and the server's own words say so."""
_TOO_LONG = re.compile(r"context[ _](length|size|window)", re.IGNORECASE)
_AVAILABLE = re.compile(
    r"(?:context (?:length|size|window)(?: is| of)?(?: only)?|available context size)\D{0,3}(\d+)", re.IGNORECASE
)
_NEEDED = re.compile(
    r"(?:requested|resulted in|request has|passed|prompt contains|request) \D{0,12}(\d+)", re.IGNORECASE
)
_REASON_LIMIT = 200


def foreign() -> tuple[type[Exception], ...]:
    """What openai, httpx2, the socket, the JSON reader and pydantic (both ValueError) raise."""
    import openai  # half a second, which a process that asks no server does without

    return openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError


def translated(error: Exception, endpoint: Endpoint, timeout_s: float) -> AppError:
    """The error of ours that a foreign error means.

    Args:
        error: one of `foreign()`.
    """
    import openai

    if isinstance(error, openai.APIConnectionError):
        return _unreached(error.__cause__ or error, endpoint, timeout_s)
    if isinstance(error, openai.APIStatusError):
        return _refused(error.status_code, error.body, endpoint)
    if isinstance(error, openai.APIError):
        return _refused(_status_in(error.body), error.body, endpoint)
    if isinstance(error, httpx2.TransportError | OSError):
        return _unreached(error, endpoint, timeout_s)
    return BadResponse(name=endpoint.name, reason=_short(str(error)))


def answered(status: int, body: object, endpoint: Endpoint) -> AppError:
    """The error that a server's refusal means to whoever wrote the request, who may have put it wrong.

    Args:
        body: the error object of the answer, or its text.
    """
    found = _refused(status, body, endpoint)
    if isinstance(found, BadResponse) and status in (400, 413, 415, 422):
        return RequestRefused(name=endpoint.name, reason=_short(_message(body)))
    return found


def _unreached(cause: BaseException, endpoint: Endpoint, timeout_s: float) -> AppError:
    if isinstance(cause, httpx2.TimeoutException) and not isinstance(cause, httpx2.ConnectTimeout):
        return UpstreamTimeout(name=endpoint.name, seconds=round(timeout_s, 1))
    if isinstance(cause, httpx2.DecodingError) or _speaks_no_http(cause):
        return BadResponse(name=endpoint.name, reason=_short(str(cause)))
    return ServerNotReady(name=endpoint.name, url=endpoint.url)


def _speaks_no_http(cause: BaseException) -> bool:
    # The same class tells of a server that hung up; only its words tell them apart.
    hung_up = ("disconnected", "closed connection")
    return isinstance(cause, httpx2.RemoteProtocolError) and not any(words in str(cause) for words in hung_up)


def _refused(status: int, body: object, endpoint: Endpoint) -> AppError:
    message = _message(body)
    kind = str(body.get("type") or "") if isinstance(body, dict) else ""
    if status == 429 and not (isinstance(body, dict) and body.get("code") in SPENT):
        return ServerBusy(name=endpoint.name)
    if status == 503:
        return ServerNotReady(name=endpoint.name, url=endpoint.url)
    if status in (401, 403):
        return Unauthorized(name=endpoint.name)
    if message.lstrip().startswith("<"):
        page = phrase(N_("HTTP {status}: a web page instead of JSON"), status=status)
        return BadResponse(name=endpoint.name, reason=page)
    if 400 <= status < 500 and (kind == "exceed_context_size_error" or _TOO_LONG.search(message)):
        return ContextLengthExceeded(**_numbers(body, message))
    failed = ServerFailed if status >= 500 else BadResponse
    return failed(name=endpoint.name, reason=_short(f"HTTP {status}: {message}"))


def _numbers(body: object, message: str) -> dict[str, int]:
    """What was needed and what there was; a number that the server does not tell is left out."""
    told = body if isinstance(body, dict) else {}
    found: dict[str, int] = {}
    for name, field, pattern in (("needed", "n_prompt_tokens", _NEEDED), ("available", "n_ctx", _AVAILABLE)):
        match = pattern.search(message)
        if isinstance(told.get(field), int):
            found[name] = told[field]
        elif match:
            found[name] = int(match.group(1))
    return found


def _status_in(body: object) -> int:
    """The status that an error within a stream names; 500 where it names none."""
    code: Any = body.get("code") if isinstance(body, dict) else None
    return int(code) if str(code).isdigit() else 500


def _message(body: object) -> str:
    if isinstance(body, dict):
        return str(body.get("message") or body.get("detail") or body)
    return str(body or "")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _REASON_LIMIT else text[: _REASON_LIMIT - 1] + "…"
