"""Requests that go to a server as they are: what somebody sent in OpenAI's form, with the server's own model and key.

Where `client` asks in our own words, this hands on the words of others, so that a server's own parameters and fields
reach it and come back. It runs in an event loop: many streams at a time cost no threads.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from services.core.api_errors import NotOffered
from services.core.errors import AppError, BadResponse
from services.core.i18n import N_
from services.llm.connection import CONNECT_TIMEOUT_S
from services.llm.failures import answered, foreign, translated
from services.llm.protocol import Endpoint

TIMEOUT_S = 600.0
"""The longest silence: OpenAI's own client waits as long."""
Json = dict[str, Any]


class Relay:
    """Hands requests on to servers. Belongs to one event loop at a time."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._clients: dict[bool, httpx2.AsyncClient] = {}

    async def ask(self, endpoint: Endpoint, path: str, body: Mapping[str, Any]) -> Json:
        """The whole answer; `path` stands below /v1. Raises: as `ChatModel`; RequestRefused, ServerBusy, NotOffered."""
        async with self._gate(endpoint), self._sent(endpoint, "POST", path, body) as response:
            reply = json.loads(await response.aread())
            if not isinstance(reply, dict):
                raise BadResponse(name=endpoint.name, reason=N_("it is no JSON object"))
            return reply

    async def stream(self, endpoint: Endpoint, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Json]:
        """The events of a streamed answer, as they come; closing it ends the request at the server.

        Raises: as `ask`; also in the middle, where the server ends before its answer does.
        """
        finished = False
        async with self._gate(endpoint), self._sent(endpoint, "POST", path, body) as response:
            if "event-stream" not in response.headers.get("content-type", ""):
                raise BadResponse(name=endpoint.name, reason=N_("it does not stream"))
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                text = line[5:].strip()
                if text == "[DONE]":
                    return
                event = json.loads(text)
                if not isinstance(event, dict):
                    raise BadResponse(name=endpoint.name, reason=N_("a piece of the stream is no JSON object"))
                if event.get("error"):
                    raise answered(500, event["error"], endpoint)
                finished = finished or any(choice.get("finish_reason") for choice in event.get("choices") or [])
                yield event
            if not finished:
                raise BadResponse(name=endpoint.name, reason=N_("the stream ended in the middle of the answer"))

    async def first_model(self, endpoint: Endpoint) -> str:
        """The first model that a server lists. Raises: as `ask`."""
        async with self._gate(endpoint), self._sent(endpoint, "GET", "models", None) as response:
            listed = json.loads(await response.aread()).get("data") or []
            if not listed:
                raise BadResponse(name=endpoint.name, reason=N_("it lists no model"))
            return str(listed[0]["id"])

    @asynccontextmanager
    async def _gate(self, endpoint: Endpoint) -> AsyncIterator[None]:
        try:
            yield
        except AppError:
            raise
        except (KeyError, AttributeError, TypeError) as error:
            raise translated(error, endpoint, self._timeout_s) from error
        except foreign() as error:
            raise translated(error, endpoint, self._timeout_s) from error

    @asynccontextmanager
    async def _sent(
        self, endpoint: Endpoint, method: str, path: str, body: Mapping[str, Any] | None
    ) -> AsyncIterator[httpx2.Response]:
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        http = self._client(tls=endpoint.url.startswith("https:"))
        async with http.stream(method, f"{endpoint.url}/{path}", json=body, headers=headers) as response:
            if response.status_code != httpx2.codes.OK:
                await response.aread()
                if response.status_code in (404, 405, 501):
                    raise NotOffered(name=endpoint.name, path=f"/v1/{path}")
                raise answered(response.status_code, _error_in(response), endpoint)
            yield response

    def _client(self, *, tls: bool) -> httpx2.AsyncClient:
        """One for all requests, as making one takes longer than a request; without connections that may be stale."""
        if tls not in self._clients:
            self._clients[tls] = httpx2.AsyncClient(
                verify=ssl.create_default_context() if tls else False,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(self._timeout_s, connect=CONNECT_TIMEOUT_S),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            )
        return self._clients[tls]


def _error_in(response: httpx2.Response) -> object:
    try:
        told = response.json()
    except ValueError:
        return response.text
    return told.get("error", told) if isinstance(told, dict) else told
