"""Answers that take a while: sent as they come, and ended at once when whoever asked has gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable
from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

T = TypeVar("T")


class Streamed(StreamingResponse):
    """A stream whose source is closed in any case, so that a model does not write for nobody."""

    def __init__(self, source: AsyncGenerator[str], media_type: str) -> None:
        # A proxy that collects the pieces would make a stream of them no stream.
        super().__init__(
            source, media_type=media_type, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._source.aclose()


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """The result of some work, which is cancelled when the caller goes.

    Raises: ClientDisconnect; what `work` raises.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        for each in (task, gone):
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


async def begun(request: Request, source: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """The same stream, once its first piece is there: what goes wrong before it still gets a status of its own.

    Raises: ClientDisconnect; what the source raises at its beginning.
    """
    try:
        first = await while_there(request, anext(source))
    except StopAsyncIteration:
        return _joined(None, source)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await source.aclose()
        raise
    return _joined(first, source)


async def _joined(first: T | None, source: AsyncGenerator[T]) -> AsyncGenerator[T]:
    try:
        if first is not None:
            yield first
        async for piece in source:
            yield piece
    finally:
        with anyio.CancelScope(shield=True):
            await source.aclose()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
