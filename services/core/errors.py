"""The errors that people meet. Each has a code, a message and a remedy, rendered in the reader's language.

    AppError
    ├── Unexpected
    ├── ConfigurationError     InvalidSetting · WebhookRefused
    ├── NotFoundError          BaseNotFound · DocumentNotFound · ServerNotFound · NoServer · ConversationNotFound
    │                          PathNotFound · GpuMemoryUnknown · ModelNotFound · PlanUnknown · FolderNotFound
    │                          ModelNotServed · KeyNotFound · AddressNotFound · EmbedderGone
    ├── ConflictError          NameTaken · PortInUse · PortTaken · EmbedderMismatch · IllegalTransition · AlreadyRunning
    │                          WindowTooLarge · NoReranker
    │                          ModelInUse · ModelNotOurs · FolderEmptied · BeingChanged · EngineBusy
    ├── ResourceError          DiskFull · ContextLengthExceeded · InsufficientGpuMemory · GpuMemoryHeld
    ├── UnavailableError       WorkerNotRunning · ServerNotReady · UpstreamTimeout · DriverUnavailable · PackageMissing
    │                          EngineNotInstalled · DatabaseUnavailable · EncoderCrashed · HubUnreachable · ServerBusy
    │                          ServerFailing · EmbedderAway · RerankerAway
    ├── AccessError            Unauthorized · Forbidden · TokenRefused · ModelGated · FolderNotAllowed · KeyRefused
    ├── IntegrityError         HashMismatch · DownloadFailed · CountMismatch · ModelUnreadable · LoadingFailed
    │                          ArchiveRefused · LangchainRefused · ZipRefused
    ├── UpstreamError          EngineExited · TrialFailed · BadResponse · ServerFailed · EmptyAnswer · WebhookFailed
    │                          NotOffered
    ├── DocumentError          UnsupportedFormat · Encrypted · PasswordWrong · NoExtractableText · EmptyFile · TooLarge
    │                          Damaged · Garbled · ReaderCrashed · ReaderTimeout
    └── InputError             InvalidName · EmptyQuestion · InvalidValue · RequestRefused

A row stores `code` and `params`, never a sentence: `from_row` makes the error again. Whatever is not an `AppError` when
it reaches a page is a bug; the page then shows `Unexpected` with the id under which the log has the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.core.phrases import fill


@dataclass(frozen=True)
class Rendered:
    """An error as a person reads it."""

    code: str
    message: str
    remedy: str


class AppError(Exception):
    """An error with a remedy. `params` fill the templates and must be JSON values, such as a `phrase`."""

    code: ClassVar[str]
    message: ClassVar[str] = N_("Something went wrong.")
    remedy: ClassVar[str] = N_("Try again; if it happens again, look into the log.")
    retryable: ClassVar[bool] = False

    def __init__(self, **params: Any) -> None:
        self.params = params
        super().__init__(self.code, params)

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower().removesuffix("_error")

    def __reduce__(self) -> tuple[Any, ...]:
        return (from_row, (self.code, self.params))

    def __str__(self) -> str:
        return self.render().message

    def render(self, language: str = DEFAULT_LANGUAGE) -> Rendered:
        """Message and remedy in a language; a parameter that a stored row lacks is shown as "?"."""
        return Rendered(self.code, fill(self.message, self.params, language), fill(self.remedy, self.params, language))


def kinds(root: type[AppError] = AppError) -> Iterator[type[AppError]]:
    """Every kind of error, the root's heirs in depth-first order."""
    # so that all kinds are known wherever a stored row is read
    from services.core import api_errors, document_errors, hub_errors, transfer_errors, vector_errors  # noqa: F401

    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


def from_row(code: str, params: Mapping[str, Any] | None) -> AppError:
    """The error that a stored code and its parameters describe; a code from elsewhere becomes `Unexpected`."""
    for kind in kinds():
        if kind.code == code:
            return kind(**dict(params or {}))
    return Unexpected(incident=code)


class Unexpected(AppError):
    message = N_("Something went wrong that Lectern did not foresee (log id {incident}).")
    remedy = N_("Look for {incident} in the log files and report what stands there.")


class ConfigurationError(AppError): ...


class InvalidSetting(ConfigurationError):
    message = N_("The setting {key} (from {origin}) has a value that cannot be used: {reason}.")
    remedy = N_("Correct {key} where it was set, then start again.")


class WebhookRefused(ConfigurationError):
    message = N_("The webhook may not go to {host}: {address} is not a public address.")
    remedy = N_("Enter a public address, or permit others with LECTERN_ALLOW_PRIVATE_WEBHOOKS=1 and start again.")


class NotFoundError(AppError): ...


class BaseNotFound(NotFoundError):
    message = N_("There is no knowledge base named “{name}”.")
    remedy = N_("Look at the list of knowledge bases, or create one with this name.")


class DocumentNotFound(NotFoundError):
    message = N_("“{name}” is not a document of this knowledge base.")
    remedy = N_("Look at the list of its documents; a document may have been removed or renamed.")


class ServerNotFound(NotFoundError):
    message = N_("There is no server named “{name}”.")
    remedy = N_("Choose one of the servers in the list, or add one on the Servers page.")


class NoServer(NotFoundError):
    message = N_("No model server is ready to answer.")
    remedy = N_("Wait until the embedded model is ready, or add a server on the Servers page.")


class ConversationNotFound(NotFoundError):
    message = N_("This conversation does not exist any more.")
    remedy = N_("Start a new conversation.")


class PathNotFound(NotFoundError):
    message = N_("There is no file or folder at {path}.")
    remedy = N_("Check the path and try again.")


class GpuMemoryUnknown(NotFoundError):
    message = N_("There is no GPU here whose memory could be planned ({wanted_gpus} wanted, {found_gpus} found).")
    remedy = N_("Say which GPUs are meant: --gpus with their number and --gpu-memory-gib with the memory of each.")


class ConflictError(AppError): ...


class BeingChanged(ConflictError):
    message = N_("“{name}” is being built anew already.")
    remedy = N_("Wait until that is done, or give it up, then change it again.")


class NameTaken(ConflictError):
    message = N_("“{name}” exists already.")
    remedy = N_("Choose another name, or use the one that exists.")


class PortInUse(ConflictError):
    message = N_("Port {port} on {host} is taken by another program.")
    remedy = N_("Choose another port with --port, or end the program that uses it.")


class PortTaken(ConflictError):
    message = N_("Port {port}, meant for the server “{name}”, is held by another program: {program} (process {pid}).")
    remedy = N_("The server is started again on another port. End that program if it should not be there.")
    retryable = True


class EngineBusy(ConflictError):
    message = N_("The engine {name} is being installed or removed already.")
    remedy = N_("Wait until that has ended; its state is told by `lectern engine list`.")


class EmbedderMismatch(ConflictError):
    message = N_("This knowledge base was built with the embedder {expected}, but {found} is at hand.")
    remedy = N_("Bring the first embedder back, or change the knowledge base to the new one: it is built anew beside.")


class IllegalTransition(ConflictError):
    message = N_("“{name}” is {state}; it cannot be {wanted} now.")
    remedy = N_("Wait until it has settled, then try again.")


class AlreadyRunning(ConflictError):
    message = N_("Lectern is already running here (process {pid}).")
    remedy = N_("Use the running one, or end it first with `lectern down`.")


class ResourceError(AppError): ...


class DiskFull(ResourceError):
    message = N_("The disk that holds {path} is full.")
    remedy = N_("Free some space (it needs about {needed}) and try again; nothing that was stored is lost.")
    retryable = True


class ContextLengthExceeded(ResourceError):
    message = N_("The question needs {needed} tokens, but the server's context has {available}.")
    remedy = N_("Ask a shorter question, take fewer passages, or use a server with a longer context.")


class InsufficientGpuMemory(ResourceError):
    message = N_("The GPU has {free} of memory left, but {needed} are needed.")
    remedy = N_("Stop another server, or choose a smaller model or a shorter context.")


class GpuMemoryHeld(ResourceError):
    message = N_("“{name}” has ended, but GPU {gpu} has not given back {size} of its memory: {holder}.")
    remedy = N_("End that process, or restart the machine if there is none; then stop or start the server once more.")


class UnavailableError(AppError):
    retryable = True


class WorkerNotRunning(UnavailableError):
    message = N_("The background worker is not running, so nothing would happen.")
    remedy = N_("Start Lectern with `make run` (or `lectern up`), then try again.")


class ServerNotReady(UnavailableError):
    message = N_("The server “{name}” does not answer at {url}.")
    remedy = N_("Look at its state on the Servers page: it may be starting, stopped, or not reachable from here.")


class UpstreamTimeout(UnavailableError):
    message = N_("The server “{name}” did not answer within {seconds} seconds.")
    remedy = N_("It may be busy: try again, or choose another server.")


class DriverUnavailable(UnavailableError):
    message = N_("No NVIDIA driver answers on this machine ({reason}).")
    remedy = N_("Without a GPU everything works on the CPU; with one, install or restart its driver.")


class PackageMissing(UnavailableError):
    message = N_("The package {package} is not installed, or does not run on this machine: {reason}.")
    remedy = N_("Run `make install` again; on machines other than Linux x86_64 use an embeddings server instead.")
    retryable = False


class EngineNotInstalled(UnavailableError):
    message = N_("The engine {engine} is not installed here: {reason}.")
    remedy = N_("Install it, or choose its program under the server's further settings; then start the server again.")


class DatabaseUnavailable(UnavailableError):
    message = N_("The database at {path} cannot be used: {reason}.")
    remedy = N_("Check that the folder exists, that you may write to it, and that the disk is healthy.")


class EncoderCrashed(UnavailableError):
    message = N_("The embedder crashed {attempts} times in a row on the same text.")
    remedy = N_(
        "Try again; if it happens again, the text holds something that it cannot take: leave this document out."
    )


class AccessError(AppError): ...


class Unauthorized(AccessError):
    message = N_("The server “{name}” refused the API key.")
    remedy = N_("Enter a valid key for it on the Servers page.")


class Forbidden(AccessError):
    message = N_("You may not do this: {reason}.")
    remedy = N_("Ask the operator of this installation.")


class IntegrityError(AppError): ...


class HashMismatch(IntegrityError):
    message = N_("{name} is not what it should be: its SHA-256 is {found}, expected {expected}.")
    remedy = N_(
        "It was discarded. Try again; if it happens again, the source was changed: "
        "choose another model in the settings."
    )
    retryable = True


class DownloadFailed(IntegrityError):
    message = N_("{name} could not be downloaded: {reason}.")
    remedy = N_(
        "Check the network and the package index that pip uses, then try again; what was loaded so far is kept."
    )
    retryable = True


class CountMismatch(IntegrityError):
    message = N_("The counts of “{name}” do not agree: {made} chunks made, {stored} stored, {vectors} vectors.")
    remedy = N_("Try the document again; if it happens again, rebuild the knowledge base.")
    retryable = True


class ModelUnreadable(IntegrityError):
    message = N_("“{name}” cannot be read as a model: {reason}.")
    remedy = N_(
        "Give a folder with a config.json, such a file itself, or a GGUF file; download it again if it was cut short."
    )


class UpstreamError(AppError): ...


class EngineExited(UpstreamError):
    message = N_("The server “{name}” ended by itself (exit code {exit_code}): {line}")
    remedy = N_("Read its log on the Servers page, correct the cause, and start it again.")


class TrialFailed(UpstreamError):
    message = N_("“{name}” came up, but did not answer a short question: {reason}")
    remedy = N_("Read its log on the Servers page, correct the cause, and start it again.")


class BadResponse(UpstreamError):
    message = N_("The server “{name}” gave an answer that makes no sense: {reason}.")
    remedy = N_("Check that the address is that of an OpenAI-compatible server (it usually ends in /v1).")


class ServerFailed(BadResponse):
    message = N_("The server “{name}” failed: {reason}.")
    remedy = N_("Ask again; if it fails again, look at its log on the Servers page.")
    retryable = True


class EmptyAnswer(UpstreamError):
    message = N_("The model of the server “{name}” gave an empty answer.")
    remedy = N_("Ask again; if it stays empty, choose another server or model.")
    retryable = True


class WebhookFailed(UpstreamError):
    message = N_("The webhook at {host} was not told: {reason}.")
    remedy = N_("Check the address, and that its server answers with a status of 200 to 299.")
    retryable = True


class DocumentError(AppError): ...


class UnsupportedFormat(DocumentError):
    message = N_("“{name}” is of a kind that cannot be read ({kind}).")
    remedy = N_("Convert it to one of: {supported}.")


class Encrypted(DocumentError):
    message = N_("“{name}” is protected by a password.")
    remedy = N_(
        "For a PDF, give its password and try it again; "
        "otherwise remove the protection in the program that made it, then add it again."
    )


class NoExtractableText(DocumentError):
    message = N_("No text was found in “{name}” ({pages} pages).")
    remedy = N_("If it was scanned, install text recognition with `lectern engine install ocr`, then try it again.")


class EmptyFile(DocumentError):
    message = N_("“{name}” is empty.")
    remedy = N_("Check the file on your computer and add it again.")


class TooLarge(DocumentError):
    message = N_("“{name}” is too large: {size}, the limit is {limit}.")
    remedy = N_("Split it into smaller files, or raise the limit {setting} in the settings file.")


class InputError(AppError): ...


class InvalidName(InputError):
    message = N_("“{name}” cannot be used as a name: {reason}.")
    remedy = N_("Use letters, digits, spaces, dots, hyphens or underscores, at most {limit} characters.")


class EmptyQuestion(InputError):
    message = N_("The question is empty.")
    remedy = N_("Write a question.")


class InvalidValue(InputError):
    message = N_("{field} cannot be {value}: {reason}.")
    remedy = N_("Correct the value and try again.")
