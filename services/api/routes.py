"""The routes of the HTTP API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Header, Response
from fastapi.responses import JSONResponse

from services import __version__
from services.app import Services, metrics
from services.core.errors import AppError, DatabaseUnavailable
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

    if services.settings.metrics:
        figures = metrics(services)

        @api.get("/metrics")
        def prometheus(accept: Annotated[str, Header()] = "") -> Response:
            """The figures for Prometheus, or 503 when they cannot be read."""
            try:
                page, media_type = figures.page(accept)
            except AppError as error:
                return JSONResponse({"error": error.code}, status_code=503)
            return Response(page, headers={"Content-Type": media_type})

    return api
