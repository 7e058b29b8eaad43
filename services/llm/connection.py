"""The HTTP client of one server: requests in OpenAI's form, whose errors become ours."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
from pydantic import BaseModel, field_validator

from services.core.clock import ticks_ms
from services.core.errors import BadResponse, InvalidValue
from services.core.i18n import N_
from services.llm.addresses import normalise_url, root_url
from services.llm.answering import Line
from services.llm.failures import foreign, translated
from services.llm.protocol import Endpoint

if TYPE_CHECKING:
    from openai import OpenAI

LLAMA_CPP = "llama.cpp"
CONNECT_TIMEOUT_S = 10.0
# The client library adds headers that tell about this machine, and those that OPENAI_* variables name.
_SENT_HEADERS = frozenset(
    ("host", "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "user-agent")
)


class _Meta(BaseModel):
    n_ctx: int | None = None


class ListedModel(BaseModel):
    """A model as a server lists it; what only some servers tell is None."""

    id: str
    max_model_len: int | None = None
    revision: str | None = None
    meta: _Meta | None = None


class _Models(BaseModel):
    data: list[ListedModel]

    @field_validator("data", mode="before")
    @classmethod
    def _none_is_empty(cls, data: object) -> object:
        return [] if data is None else data  # an Ollama without models


class _Slot(BaseModel):
    n_ctx: int | None = None


class _Props(BaseModel):
    default_generation_settings: _Slot


Reply = TypeVar("Reply", bound=BaseModel)


class Connection:
    """Where one server is asked. Thread-safe.

    Args:
        endpoint: where it answers; an empty model name means the first that the server lists.
        timeout_s: the longest silence.
        retries: how often a request is sent again that the server was too busy for, or that did not reach it.

    Raises: InvalidValue where the address or the key can't be one.
    """

    def __init__(self, endpoint: Endpoint, *, timeout_s: float, retries: int = 0) -> None:
        if not (endpoint.api_key.isascii() and endpoint.api_key.isprintable()):
            raise InvalidValue(field=N_("API key"), value="…", reason=N_("it has characters that a key cannot have"))
        self.endpoint = replace(endpoint, url=normalise_url(endpoint.url))
        self._timeout_s = timeout_s
        # Without TLS none of its certificates need be read; redirects from http to https are not followed.
        self._tls = ssl.create_default_context() if self.endpoint.url.startswith("https:") else False
        self._retries = retries

    @cached_property
    def client(self) -> OpenAI:
        """The library's client, made at the first request: the library alone is half a second of a start."""
        from openai import OpenAI

        return OpenAI(
            base_url=self.endpoint.url,
            # Anything but None, which would make the library look into the environment.
            api_key=self.endpoint.api_key or "none",
            max_retries=self._retries,
            timeout=self._patience(),  # the library has one of its own where the client's looks like httpx's default
            http_client=self.http(),
        )

    def listed(self) -> list[ListedModel]:
        """The models that the server lists."""
        return self.asked("GET", self.endpoint.url + "/models", _Models).data

    def model(self) -> str:
        """The id to ask for."""
        if self.endpoint.model:
            return self.endpoint.model
        listed = self.listed()
        if not listed:
            raise BadResponse(name=self.endpoint.name, reason=N_("it lists no model"))
        return listed[0].id

    def context_length(self, model: str = "") -> int | None:
        """Tokens that one request may have; None where the server does not tell.

        Args:
            model: the id that is meant; one that is not listed: the first that is.
        """
        if self.endpoint.engine == LLAMA_CPP:
            # What one slot has; the model list tells of the model, and of all slots together.
            props = self.asked("GET", root_url(self.endpoint.url) + "/props", _Props)
            if props.default_generation_settings.n_ctx:
                return props.default_generation_settings.n_ctx
        listed = self.listed()
        found = next((each for each in listed if each.id == model), listed[0] if listed else None)
        if found is None:
            return None
        return found.max_model_len or (found.meta.n_ctx if found.meta else None)

    def asked(
        self,
        method: str,
        url: str,
        shape: type[Reply],
        body: Mapping[str, Any] | None = None,
        *,
        line: Line | None = None,
    ) -> Reply:
        """What a request is answered with, in a shape.

        Args:
            line: the request can be cut short through it.
        """
        if line is not None:
            with self.gate(), self.http(line) as http:
                return self._answer(self.client.with_options(http_client=http), method, url, shape, body)
        with self.gate():
            return self._answer(self.client, method, url, shape, body)

    def _answer(
        self, client: OpenAI, method: str, url: str, shape: type[Reply], body: Mapping[str, Any] | None
    ) -> Reply:
        response = (
            client.get(url, cast_to=httpx2.Response)
            if method == "GET"
            else client.post(url, cast_to=httpx2.Response, body=body)
        )
        return shape.model_validate_json(response.content)

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Nothing but an `AppError` leaves it."""
        try:
            yield
        except foreign() as error:
            raise translated(error, self.endpoint, self._timeout_s) from error

    def http(self, line: Line | None = None) -> httpx2.Client:
        """A client that goes to the endpoint itself: no proxy from the environment, no redirect.

        No idle connections either: one that the server has closed meanwhile looks like a server that is gone.
        """
        hooks: list[Callable[[httpx2.Request], None]] = [_only_what_is_needed]
        if line is not None:
            hooks += [line.watch, _OneSilence(self._timeout_s)]
        return httpx2.Client(
            verify=self._tls,
            trust_env=False,
            follow_redirects=False,
            timeout=self._patience(),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            event_hooks={"request": hooks},
        )

    def _patience(self) -> httpx2.Timeout:
        return httpx2.Timeout(self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s))


class _OneSilence:
    """Holds a request and those that the library sends after it to one silence together, where each would have its own.

    A server that hangs would else be waited for as often as one that is busy is asked.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._ends_ms: float | None = None

    def __call__(self, request: httpx2.Request) -> None:
        if self._ends_ms is None:
            self._ends_ms = ticks_ms() + self._timeout_s * 1000
            return
        left_s = (self._ends_ms - ticks_ms()) / 1000
        if left_s <= 0:
            raise httpx2.ReadTimeout("it was silent for as long as it may be", request=request)
        request.extensions["timeout"] = {**request.extensions["timeout"], "read": left_s}


def _only_what_is_needed(request: httpx2.Request) -> None:
    for name in set(request.headers) - _SENT_HEADERS:
        del request.headers[name]
