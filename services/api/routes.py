"""The routes of the HTTP API."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from services import __version__
from services.app import Services
from services.core.errors import DatabaseUnavailable
from services.health import worker_status


def create(services: Services) -> FastAPI:
    """The API over these services, as an ASGI application of its own."""
    # FastAPI's documentation pages load scripts from another host; they stay off.
    api = FastAPI(title="Lectern", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)

    @api.get("/healthz")
    def healthz() -> JSONResponse:
        """Health for whoever watches the process: 200, or 503 when the state database cannot be read."""
        health: dict[str, Any] = {"status": "ok", "version": __version__}
        try:
            health["worker"] = {"running": worker_status(services).running}
        except DatabaseUnavailable as error:
            return JSONResponse({**health, "status": "failed", "error": error.code}, status_code=503)
        return JSONResponse(health)

    return api
