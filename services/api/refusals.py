"""Errors as the clients of the API expect them: a status, and OpenAI's or Ollama's form around message and remedy."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from services.core import api_errors, errors
from services.core.api_errors import AddressNotFound
from services.core.errors import AppError, InvalidValue, Unexpected
from services.core.i18n import language_of
from services.core.log import incident

logger = logging.getLogger(__name__)

STATUSES: tuple[tuple[type[AppError], int], ...] = (
    (errors.ContextLengthExceeded, 400),
    (errors.DiskFull, 507),
    (errors.ResourceError, 503),
    (errors.NoServer, 503),
    (errors.NotFoundError, 404),
    (errors.ConflictError, 409),
    (errors.UpstreamTimeout, 504),
    (api_errors.ServerBusy, 429),
    (errors.UnavailableError, 503),
    (api_errors.KeyRefused, 401),
    (errors.Forbidden, 403),
    (errors.AccessError, 502),  # a server that refuses our key, not a caller whose key we refuse
    (errors.TooLarge, 413),
    (errors.DocumentError, 422),
    (errors.UpstreamError, 502),
    (errors.InputError, 400),
)
"""The first that fits; anything else is 500."""
CODES = {api_errors.ModelNotServed: "model_not_found", api_errors.KeyRefused: "invalid_api_key"}
"""What OpenAI calls them; every other error keeps its own code."""
TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
RETRY_AFTER_S = 1
NOT_FOUND, GONE = 404, 499
OLLAMA = "/api/"


def status_of(error: AppError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def language(request: Request) -> str:
    """The language that the caller asked for; English where none was."""
    return language_of(request.headers.get("accept-language", "").split(",")[0])


def told(error: AppError, language: str) -> dict[str, Any]:
    """An error as OpenAI writes it; `remedy` stands in the message, for clients show nothing else."""
    rendered, status = error.render(language), status_of(error)
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {
        "message": f"{rendered.message} {rendered.remedy}",
        "type": kind,
        "param": str(error.params["field"]) if isinstance(error, InvalidValue) else None,
        "code": CODES.get(type(error), rendered.code),
        "remedy": rendered.remedy,
    }


def answer(request: Request, error: AppError) -> JSONResponse:
    """The whole answer to a request that failed, in the form of the API that was asked."""
    status, row = status_of(error), told(error, language(request))
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    content = {"error": row["message"] if request.url.path.startswith(OLLAMA) else row}
    return JSONResponse(content, status, headers)


def known(error: Exception) -> AppError:
    """The error of ours for whatever went wrong; what nobody foresaw is logged under an id."""
    return error if isinstance(error, AppError) else Unexpected(incident=incident(logger, error, "answering the API"))


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's handler for whatever goes wrong."""
    if isinstance(error, HTTPException):
        return _refused(request, error)
    return answer(request, _invalid(error) if isinstance(error, RequestValidationError) else known(error))


def _invalid(error: RequestValidationError) -> AppError:
    """The first fault of a body of the wrong form."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part != "body"]
    field = ".".join(place) or "body"
    given = first.get("input")
    value = "…" if isinstance(given, dict | list) or given is None else str(given)[:80]
    return InvalidValue(field=field, value=value, reason=str(first["msg"]))


async def on_gone(_request: Request, _error: Exception) -> Response:
    """FastAPI's handler for callers that went before their answer came: nobody reads it."""
    return Response(status_code=GONE)


def _refused(request: Request, error: HTTPException) -> JSONResponse:
    """What FastAPI's routing refuses."""
    if isinstance(error.__cause__, AppError):  # while the body was read
        return answer(request, error.__cause__)
    if error.status_code == NOT_FOUND:
        return answer(request, AddressNotFound(path=request.url.path))
    row = {"message": str(error.detail), "type": "invalid_request_error", "param": None, "code": None}
    content = {"error": row["message"] if request.url.path.startswith(OLLAMA) else row}
    return JSONResponse(content, error.status_code, error.headers)
