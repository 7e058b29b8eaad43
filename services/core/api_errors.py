"""The errors that people meet at the HTTP API; part of the tree in `errors`."""

from __future__ import annotations

from services.core.errors import AccessError, InputError, NotFoundError, UnavailableError, UpstreamError
from services.core.i18n import N_


class KeyRefused(AccessError):
    message = N_("The API key is missing or not valid.")
    remedy = N_("Make one on the Settings page or with `lectern key create`; send it as “Authorization: Bearer …”.")


class KeyNotFound(NotFoundError):
    message = N_("There is no API key named “{name}”.")
    remedy = N_("Look at the list of keys on the Settings page or with `lectern key list`.")


class ModelNotServed(NotFoundError):
    message = N_("No model is called “{name}” here.")
    remedy = N_("GET /v1/models lists the names: server:…, kb:… and embedder:….")


class AddressNotFound(NotFoundError):
    message = N_("The API has nothing at {path}.")
    remedy = N_("GET /v1/openapi.json lists its addresses; most clients want a base address that ends in /v1.")


class RequestRefused(InputError):
    message = N_("The server “{name}” refused the request: {reason}.")
    remedy = N_("Correct or leave out what it names; not every engine knows every parameter.")


class ServerBusy(UnavailableError):
    message = N_("“{name}” is busy with other requests.")
    remedy = N_("Try again in a moment, or ask another server.")


class NotOffered(UpstreamError):
    message = N_("The server “{name}” offers nothing at {path}.")
    remedy = N_("Ask it in another way, or choose a server with another engine.")
