"""The errors that people meet with models on disk and the hubs that they come from; part of the tree in `errors`."""

from __future__ import annotations

from services.core.errors import AccessError, ConflictError, IntegrityError, NotFoundError, UnavailableError
from services.core.i18n import N_


class ModelNotFound(NotFoundError):
    message = N_("{place} has no model “{name}”.")
    remedy = N_("Check its name, revision and files; a private model needs an access token as well.")


class ModelInUse(ConflictError):
    message = N_("The server “{server}” uses the model “{name}”.")
    remedy = N_("Remove that server first, or choose another model for it.")


class ModelNotOurs(ConflictError):
    message = N_("“{name}” was not downloaded by Lectern: it lies at {path}.")
    remedy = N_("To delete it nevertheless, give its whole path; a model of Ollama is deleted with `ollama rm`.")


class HubUnreachable(UnavailableError):
    message = N_("{place} does not answer at {url}: {reason}.")
    remedy = N_("Check the network and the address, or choose another source, such as a mirror.")


class TokenRefused(AccessError):
    message = N_("{place} does not let “{name}” be loaded without a valid access token.")
    remedy = N_("Make a token in your account there, store it with Lectern, and check the model's name.")


class ModelGated(AccessError):
    message = N_("The owner of “{name}” wants to be asked first, or your access token may not load it.")
    remedy = N_("Open {url} with the account of your token, accept the conditions, then try again.")


class LoadingFailed(IntegrityError):
    message = N_("“{name}” could not be loaded from {place}: {reason}.")
    remedy = N_("Try again: it goes on where it was. If it happens again, choose another source.")
    retryable = True


class PlanUnknown(NotFoundError):
    message = N_("What it would take cannot be said: {reason}.")
    remedy = N_("It can be started nevertheless; what it takes is then measured.")
