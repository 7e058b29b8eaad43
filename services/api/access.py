"""Who may ask: keys and their scopes, and the counting of what they were used for."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import Depends, Request

from services.app import Services
from services.core.api_errors import KeyRefused
from services.core.errors import Forbidden
from services.core.i18n import N_
from services.core.phrases import phrase
from services.store.api_keys import ANYBODY, CHAT, MANAGE, SEARCH, KeyRecord

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""Headers that a proxy adds: whoever comes through one may be anywhere."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. `key` is None for whoever asks from this machine before the first key was made."""

    key: KeyRecord | None
    services: Services

    @property
    def key_id(self) -> str:
        """Under which its requests are counted."""
        return self.key.id if self.key else ANYBODY

    @property
    def owner_id(self) -> str:
        """Under which the conversation of one request is kept while it is answered."""
        return f"api:{self.key_id}"

    @property
    def talks_as(self) -> str:
        """The owner of the conversations that it reaches: who made the key, where she said so, else the key itself."""
        return (self.key.owner_id if self.key else None) or f"key:{self.key_id}"

    async def used(self, prompt_tokens: int | None = None, completion_tokens: int | None = None) -> None:
        """Count a request, also when its caller has gone meanwhile."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self.services.store.keys.count, self.key_id, prompt_tokens, completion_tokens)


def check(services: Services, request: Request, scope: str) -> Caller:
    """Whoever sends this request, if it may be sent; `scope` empty: any key will do.

    Raises: KeyRefused, Forbidden.
    """
    keys = services.store.keys
    sent = _key_in(request)
    found = keys.valid(sent) if sent else None
    if found is None:
        if not near(services, request) or keys.any():
            raise KeyRefused()
        return Caller(None, services)
    if scope and scope not in found.scopes:
        lacking = phrase(N_("the key “{name}” has no right to “{scope}”"), name=found.name, scope=scope)
        raise Forbidden(reason=lacking)
    return Caller(found, services)


def anyone(request: Request) -> Caller:
    """A dependency of routes: whoever holds any key. The request is counted, as one that costs no tokens."""
    return _noted(check(request.app.state.services, request, ""))


def chatting(request: Request) -> Caller:
    """Whoever has the right to ask models; the route counts the request, once its tokens are known."""
    return check(request.app.state.services, request, CHAT)


def reading(request: Request) -> Caller:
    """Whoever has the right to ask models, where no model is asked; counted like `anyone`."""
    return _noted(chatting(request))


def searching(request: Request) -> Caller:
    """Whoever has the right to search bases; counted like `anyone`."""
    return _noted(check(request.app.state.services, request, SEARCH))


def managing(request: Request) -> Caller:
    """Whoever has the right to make, fill and delete bases; counted like `anyone`."""
    return _noted(check(request.app.state.services, request, MANAGE))


Anyone = Annotated[Caller, Depends(anyone)]
Chatting = Annotated[Caller, Depends(chatting)]
Reading = Annotated[Caller, Depends(reading)]
Searching = Annotated[Caller, Depends(searching)]
Managing = Annotated[Caller, Depends(managing)]


def near(services: Services, request: Request) -> bool:
    """Whether a request comes from this machine itself, to an address of it that others cannot reach."""
    client = request.client.host if request.client else ""
    proxied = any(name in request.headers for name in FORWARDED)
    return _loopback(services.settings.host) and _loopback(client) and not proxied


def _noted(caller: Caller) -> Caller:
    caller.services.store.keys.count(caller.key_id, 0, 0)
    return caller


def _key_in(request: Request) -> str:
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else ""


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
