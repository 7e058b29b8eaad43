"""The API as a process of its own, without pages."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

from services.api.guards import HostGuard, SecurityHeaders
from services.api.routes import create
from services.app import Services

NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""What a browser may load for an answer of the API."""


def run(services: Services, port: int) -> None:
    """Serve the API until the process is told to end."""
    settings = services.settings
    application: ASGIApp = SecurityHeaders(create(services), content_security_policy=NOTHING)
    if not settings.allow_remote_listen:
        application = HostGuard(application, hosts=[settings.host])
    uvicorn.run(application, host=settings.host, port=port, log_config=None, lifespan="off", ws="none")
