"""The web process: Streamlit's pages and the HTTP API on one port. Run it with `streamlit run web.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from anyio import to_thread
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from services.api import create
from services.api.guards import HostGuard, OwnerCookie, SecurityHeaders
from services.core.settings import load
from ui import errors, policy, wiring

settings = load()


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    """Join the services before the first visitor, let go of them at the end."""
    yield {"api": create(await to_thread.run_sync(wiring.services))}
    await to_thread.run_sync(wiring.close)


class Api:
    """The API that the lifespan makes, for routes that are declared before it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await app.state["api"](scope, receive, send)


guards = [
    Middleware(SecurityHeaders, content_security_policy=policy.content_security_policy()),
    Middleware(OwnerCookie),
]
if not settings.allow_remote_listen:
    guards.insert(0, Middleware(HostGuard, hosts=[settings.host]))

app = st.App(
    "Home.py",
    routes=[Route(path, Api()) for path in ("/healthz", "/metrics", "/v1/{rest:path}", "/api/{rest:path}")],
    middleware=guards,
    lifespan=lifespan,
    on_script_error=errors.report,
)
