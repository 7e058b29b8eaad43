"""What not every server offers: one that fails or refuses a request is told from one that has no such path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.core.api_errors import NotOffered, RequestRefused
from services.core.errors import AppError, BadResponse
from services.core.vector_errors import ServerFailing
from services.llm.failures import answered
from services.llm.protocol import Endpoint

if TYPE_CHECKING:
    from openai import APIStatusError

NOT_THERE = (404, 405, 501)
NOT_FOUND = ("", "not found", "404 page not found", "method not allowed")
"""What servers say of an address that they do not have; anything else is said of the model."""


@contextmanager
def offered(path: str, endpoint: Endpoint) -> Iterator[None]:
    """Tell apart what a server means by refusing.

    Args:
        path: what is asked for, below /v1.

    Raises: NotOffered, RequestRefused, ServerFailing, and what a `Connection` raises.
    """
    try:
        yield
    except AppError as error:
        from openai import APIStatusError

        cause = error.__cause__
        if not isinstance(cause, APIStatusError):
            raise
        raise _refusal(cause, path, endpoint) from cause


def _refusal(cause: APIStatusError, path: str, endpoint: Endpoint) -> AppError:
    status, told = cause.status_code, answered(cause.status_code, cause.body, endpoint)
    if status in NOT_THERE:
        said = _message(cause.body)
        if said.strip(" .").lower() in NOT_FOUND:
            return NotOffered(name=endpoint.name, path=f"/v1/{path}")
        return RequestRefused(name=endpoint.name, reason=said)
    if status >= 500 and isinstance(told, BadResponse):
        return ServerFailing(name=endpoint.name, reason=told.params["reason"])
    return told


def _message(body: object) -> str:
    """What an error says in one line; empty where it is a page."""
    told = body.get("message") or body.get("detail") if isinstance(body, dict) else body
    text = " ".join(str(told or "").split())
    return "" if text.startswith("<") else text[:200]
