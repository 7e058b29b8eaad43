"""What stands in front of every HTTP answer, pages included: who may ask, what a browser may load, whose browser it is.

Pure ASGI: streams and web sockets pass untouched.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OWNER_COOKIE = "lectern_owner"
OWNER_COOKIE_AGE_S = 365 * 24 * 3600
_OWNER = re.compile(r"[0-9a-f]{32}")
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::\d{1,5})?", re.IGNORECASE)


class HostGuard:
    """Refuses requests that name another host: a foreign page whose name was re-bound to this machine gets nothing."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        """`hosts`: names without port that are allowed beside the loopback ones."""
        self.app = app
        self.hosts = LOOPBACK_NAMES | {host.lower().strip("[]") for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not self._known(Headers(scope=scope).get("host", "")):
            refusal = (
                WebSocketClose(code=1008, reason="unknown host")
                if scope["type"] == "websocket"
                else PlainTextResponse("This host name is not served here.\n", status_code=421)
            )
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _known(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        return match is not None and (match["v6"] or match["name"]).lower().rstrip(".") in self.hosts


class SecurityHeaders:
    """Adds to every HTTP answer what keeps a browser from loading, framing or telling anything elsewhere."""

    def __init__(self, app: ASGIApp, content_security_policy: str) -> None:
        self.app = app
        self.headers = {
            "Content-Security-Policy": content_security_policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, with_headers)


class OwnerCookie:
    """Gives each browser a random name of its own, so that people without accounts keep their conversations apart."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _opens_page(scope) or is_owner(Request(scope).cookies.get(OWNER_COOKIE, "")):
            await self.app(scope, receive, send)
            return

        cookie = f"{OWNER_COOKIE}={secrets.token_hex(16)}; Path=/; Max-Age={OWNER_COOKIE_AGE_S}; HttpOnly; SameSite=Lax"
        if scope.get("scheme") == "https":
            cookie += "; Secure"

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        await self.app(scope, receive, with_cookie)


def is_owner(value: str) -> bool:
    """Whether the value of an owner cookie is one that `OwnerCookie` may have given."""
    return bool(_OWNER.fullmatch(value))


def _opens_page(scope: Scope) -> bool:
    # Only a navigation gets the cookie: the many parallel requests of a first visit would each bring another one.
    return scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
