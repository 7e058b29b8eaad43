"""What stands in front of the API alone: pages of other origins, and bodies that would fill memory or disk."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api import refusals
from services.core.errors import Forbidden, TooLarge
from services.core.i18n import N_
from services.core.units import MIB, bytes_text

MOST_BYTES = 32 * MIB
"""Of a request that is no file: a long conversation with some pictures."""
ENVELOPE_BYTES = MIB
"""What may stand around a file that is uploaded."""
_UPLOAD = re.compile(r"/v1/knowledge_bases/[^/]+/documents/?")


class OriginGuard:
    """Refuses what a browser sends for a page that is not ours: no page elsewhere may use a key or this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _foreign(Headers(scope=scope)):
            error = Forbidden(reason=N_("pages of other origins cannot use this API"))
            await refusals.answer(Request(scope), error)(scope, receive, send)
            return
        await self.app(scope, receive, send)


class BodyLimit:
    """Refuses bodies that are too large, as soon as that is known."""

    def __init__(self, app: ASGIApp, file_bytes: int) -> None:
        """`file_bytes`: the largest file that may be uploaded."""
        self.app = app
        self.file_bytes = file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        upload = bool(_UPLOAD.fullmatch(scope["path"]))
        most = self.file_bytes + ENVELOPE_BYTES if upload else MOST_BYTES
        limit, setting = (self.file_bytes, "max_file_bytes") if upload else (MOST_BYTES, "–")
        error = TooLarge(name="request", size=f"> {bytes_text(limit)}", limit=bytes_text(limit), setting=setting)
        told = Headers(scope=scope).get("content-length", "")
        if told.isdigit() and int(told) > most:
            await refusals.answer(Request(scope), error)(scope, receive, send)
            return
        taken = 0

        async def measured() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise error
            return message

        await self.app(scope, measured, send)


def _foreign(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
