"""Addresses of model servers as people type them."""

from __future__ import annotations

from urllib.parse import urlsplit

from services.core.errors import InvalidValue
from services.core.i18n import N_

_PASTED = ("/chat/completions", "/completions", "/models")


def normalise_url(url: str) -> str:
    """The base URL of a server: without a trailing slash or a pasted method, with /v1 where it has no path.

    Raises: InvalidValue where it is no http(s) address, or carries credentials, a query or a fragment.
    """
    text = url.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _invalid(text, str(error)) from error
    if parts.scheme not in ("http", "https"):
        raise _invalid(text, N_("it must begin with http:// or https://"))
    if "@" in parts.netloc:
        raise _invalid("…", N_("a name or password must not stand in an address"))
    if not parts.hostname or port == 0 or any(character.isspace() for character in text):
        raise _invalid(text, N_("it names no server"))
    if parts.query or parts.fragment:
        raise _invalid(text, N_("it must end with the path, without ? or #"))
    path = parts.path.rstrip("/")
    for method in _PASTED:
        path = path.removesuffix(method)
    return f"{parts.scheme}://{parts.netloc}{path.rstrip('/') or '/v1'}"


def root_url(base_url: str) -> str:
    """The address above /v1, where llama.cpp and vLLM keep what OpenAI's API does not have."""
    return base_url.removesuffix("/v1")


def _invalid(value: str, reason: str) -> InvalidValue:
    return InvalidValue(field="URL", value=value, reason=reason)
