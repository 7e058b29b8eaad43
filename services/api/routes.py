"""The routes of the HTTP API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Header, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from services import __version__
from services.api import conversation_routes, knowledge_routes, ollama_routes, openai_routes, refusals
from services.api.asking import Asker
from services.api.doors import BodyLimit, OriginGuard
from services.app import Services, metrics
from services.core.errors import AppError, DatabaseUnavailable
from services.health import worker_status


def create(services: Services) -> FastAPI:
    """The API over these services, as an ASGI application of its own."""
    # FastAPI's documentation pages load scripts from another host; they stay off, the description itself is served.
    api = FastAPI(title="Lectern", version=__version__, docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    api.state.services = services
    api.state.asker = Asker(services)
    for routes in (openai_routes, ollama_routes, conversation_routes, knowledge_routes):
        api.include_router(routes.router)
    for kind in (AppError, RequestValidationError, HTTPException, Exception):
        api.add_exception_handler(kind, refusals.on_error)
    api.add_exception_handler(ClientDisconnect, refusals.on_gone)
    api.add_middleware(BodyLimit, file_bytes=services.settings.max_file_bytes)
    api.add_middleware(OriginGuard)
    _add_health(api, services)
    return api


def _add_health(api: FastAPI, services: Services) -> None:
    @api.get("/healthz", include_in_schema=False)
    def healthz() -> JSONResponse:
        """Health for whoever watches the process: 200, or 503 when the state database cannot be read."""
        health: dict[str, Any] = {"status": "ok", "version": __version__}
        try:
            health["worker"] = {"running": worker_status(services).running}
        except DatabaseUnavailable as error:
            return JSONResponse({**health, "status": "failed", "error": error.code}, status_code=503)
        return JSONResponse(health)

    if not services.settings.metrics:
        return
    figures = metrics(services)

    @api.get("/metrics", include_in_schema=False)
    def prometheus(accept: Annotated[str, Header()] = "") -> Response:
        """The figures for Prometheus, or 503 when they cannot be read."""
        try:
            page, media_type = figures.page(accept)
        except AppError as error:
            return JSONResponse({"error": error.code}, status_code=503)
        return Response(page, headers={"Content-Type": media_type})
