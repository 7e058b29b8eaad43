"""Model servers as pages, command line and API see them: looked at, wished for, asked."""

from __future__ import annotations

import builtins
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.clock import ticks_ms
from services.core.errors import (
    AppError,
    BadResponse,
    EmptyAnswer,
    IllegalTransition,
    InvalidName,
    InvalidValue,
    NameTaken,
    NoServer,
    ServerNotFound,
    from_row,
)
from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.core.paths import Layout
from services.core.settings import Settings
from services.llm.addresses import normalise_url
from services.llm.client import OpenAIChatModel
from services.llm.protocol import Endpoint, Message, Sampling, TextDelta, Usage
from services.serving import logs, readiness
from services.serving.engines.llamacpp import LlamaCpp, LlamaCppSpec
from services.serving.engines.protocol import Place, command_text
from services.serving.engines.registry import ENGINES, REMOTE
from services.serving.memory import Memory
from services.serving.places import endpoint_of, folder_of
from services.serving.spec import ManagedSpec, RemoteSpec
from services.serving.states import FAILED, READY, REST, RUN, STOPPED, UNREACHABLE
from services.store.servers import ServerRecord, ServerRows

EMBEDDED = "embedded"
"""The name of the server of the embedded chat model."""
NAME_LIMIT = 80
SMOKE_PROMPT = "Say hello in one short sentence."
SMOKE_TOKENS = 40
SMOKE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """What a server answered to one short chat, and how quickly. None: too short to tell."""

    answer: str
    model: str
    latency_ms: float
    first_token_ms: float
    tokens_per_second: float | None


class ServerService:
    """The servers that this machine knows. Thread-safe."""

    def __init__(
        self,
        rows: ServerRows,
        layout: Layout,
        *,
        machine_id: str,
        memory: Callable[[str], Memory] = lambda _: Memory(),
    ) -> None:
        """
        Args:
            memory: what the server with this id holds; left out: nothing is known of it.
        """
        self._rows = rows
        self._memory = memory
        self._layout = layout
        self._machine_id = machine_id

    def list(self) -> builtins.list[ServerRecord]:
        """All servers, oldest first."""
        return self._rows.list()

    def show(self, reference: str) -> ServerRecord:
        """The server with this name or id. Raises: ServerNotFound."""
        found = self._rows.get(reference)
        if found is None:
            raise ServerNotFound(name=reference)
        return found

    def add_remote(self, name: str, url: str, *, api_key: str = "", model: str = "") -> ServerRecord:
        """Add an OpenAI-compatible server by its address, and look whether it answers.

        Args:
            model: the id to ask for; empty: the first that the server lists.

        Raises: InvalidName, NameTaken, InvalidValue.
        """
        kept, address = _clean_name(name), normalise_url(url)
        endpoint = Endpoint(kept, address, model.strip(), api_key.strip())
        OpenAIChatModel(endpoint)  # refuses a key that cannot be one
        if self._rows.get(kept):
            raise NameTaken(name=kept)
        error = _unreachable(endpoint)
        record = self._rows.create(
            machine_id=self._machine_id,
            name=kept,
            engine=REMOTE,
            model=endpoint.model,
            spec=RemoteSpec.of({"api_key": endpoint.api_key}).row(),
            managed=False,
            wish=RUN,
            state=UNREACHABLE if error else READY,
            url=address,
        )
        told = {"error_code": error.code, "error_params": error.params} if error else {}
        return self._rows.update(record.id, **told) or record if told else record

    def create(self, name: str, engine: str, choices: Mapping[str, Any]) -> ServerRecord:
        """Add a server that Lectern runs on this machine; it is started when somebody wishes so.

        Args:
            choices: fields of the engine's spec, as `server create` and the page's form give them.

        Raises: InvalidName, NameTaken, InvalidValue.
        """
        kept, spec = _clean_name(name), _spec_of(engine, choices)
        return self._rows.create(
            machine_id=self._machine_id,
            name=kept,
            engine=engine,
            model=spec.served_name,
            spec=spec.row(),
            managed=True,
            wish=REST,
            state=STOPPED,
        )

    def change(self, reference: str, choices: Mapping[str, Any]) -> ServerRecord:
        """Change fields of a managed server's spec; they count from its next start.

        Raises: ServerNotFound, IllegalTransition, InvalidValue.
        """
        record = self.show(reference)
        if not record.managed:
            raise IllegalTransition(name=record.name, state=N_("not run by Lectern"), wanted=N_("changed"))
        spec = _spec_of(record.engine, {**record.spec, **choices})
        changed = self._rows.update(record.id, spec=spec.row(), model=spec.served_name)
        if changed is None:
            raise ServerNotFound(name=reference)
        return changed

    def command(self, engine: str, choices: Mapping[str, Any], port: int = 8000) -> str:
        """The command line that a start would run, to be shown: its secrets are masked.

        Raises: InvalidValue, EngineNotInstalled.
        """
        spec = _spec_of(engine, choices)
        place = Place(port, self._layout.servers, self._layout.engines)
        return command_text(ENGINES[engine].launch(spec.row(), place))

    def ensure_embedded(self, model_path: Path, settings: Settings) -> ServerRecord:
        """Wish for the server of the embedded model; a running one keeps its settings until it is stopped."""
        spec = LlamaCppSpec(
            model=str(model_path),
            served_model_name=model_path.stem,
            context=settings.embedded_context,
            threads=settings.embedded_threads,
        )
        known = self.embedded()
        if known is None:
            return self._rows.create(
                machine_id=self._machine_id,
                name=EMBEDDED,
                engine=LlamaCpp.key,
                model=spec.served_model_name,
                spec=spec.row(),
                managed=True,
                wish=RUN,
                state=STOPPED,
            )
        if known.state in (STOPPED, FAILED):
            self._rows.update(known.id, spec=spec.row(), model=spec.served_model_name)
        return self.start(known.id) if known.wish != RUN or known.state == FAILED else known

    def embedded(self) -> ServerRecord | None:
        """The server of the embedded chat model; None before it was first wished for."""
        here = (row for row in self._rows.list(self._machine_id) if row.managed and row.name == EMBEDDED)
        return next(here, None)

    def start(self, reference: str) -> ServerRecord:
        """Wish a managed server running; a failed one is tried again at once.

        Raises: ServerNotFound, IllegalTransition.
        """
        return self._wish(reference, RUN, N_("started"))

    def stop(self, reference: str) -> ServerRecord:
        """Wish a managed server stopped. Raises: ServerNotFound, IllegalTransition."""
        return self._wish(reference, REST, N_("stopped"))

    def remove(self, reference: str) -> None:
        """Forget a server and its log; a managed one must be at rest. Raises: ServerNotFound, IllegalTransition."""
        record = self.show(reference)
        if record.managed and (record.state not in (STOPPED, FAILED) or record.wish == RUN):
            raise IllegalTransition(name=record.name, state=record.state, wanted=N_("removed"))
        self._rows.remove(record.id)
        shutil.rmtree(folder_of(self._layout, record), ignore_errors=True)

    def endpoint(self, server: str | ServerRecord) -> Endpoint:
        """Where to ask a server. Raises: ServerNotFound, ServerNotReady."""
        return endpoint_of(self.show(server) if isinstance(server, str) else server)

    def default(self) -> ServerRecord | None:
        """The server that answers where none is named: a ready one, the embedded first."""
        ready = [row for row in self._rows.list() if row.state == READY and self._within_reach(row)]
        return next((row for row in ready if row.managed and row.name == EMBEDDED), ready[0] if ready else None)

    def to_ask(self, reference: str | None) -> ServerRecord:
        """The named server, or the default one. Raises: ServerNotFound, NoServer."""
        if reference:
            return self.show(reference)
        default = self.default()
        if default is None:
            raise NoServer()
        return default

    def models(self, reference: str) -> builtins.list[str]:
        """Model ids that a server lists. Raises: ServerNotFound, and as `ChatModel.models`."""
        return OpenAIChatModel(self.endpoint(reference), timeout_s=readiness.REMOTE_TIMEOUT_S).models()

    def smoke_test(self, reference: str) -> SmokeResult:
        """Have one short chat with a server. Raises: ServerNotFound, EmptyAnswer, and as `ChatModel`."""
        endpoint = self.endpoint(reference)
        model = OpenAIChatModel(endpoint, timeout_s=SMOKE_TIMEOUT_S)
        listed = [endpoint.model] if endpoint.model else model.models()
        if not listed:
            raise BadResponse(name=endpoint.name, reason=N_("it lists no model"))
        begin, first, pieces, tokens = ticks_ms(), 0.0, [], None
        for event in model.stream([Message("user", SMOKE_PROMPT)], Sampling(SMOKE_TOKENS)):
            if isinstance(event, TextDelta):
                first = first or ticks_ms()
                pieces.append(event.text)
            elif isinstance(event, Usage):
                tokens = event.completion_tokens
        end, answer = ticks_ms(), "".join(pieces).strip()
        if not answer:
            raise EmptyAnswer(name=endpoint.name)
        rate = (tokens - 1) / (end - first) * 1000 if tokens and tokens > 1 and end > first else None
        return SmokeResult(answer, listed[0], end - begin, first - begin, rate)

    def logs(self, reference: str, lines: int = 200) -> builtins.list[str]:
        """The last lines of a managed server's log. Raises: ServerNotFound."""
        return logs.tail(folder_of(self._layout, self.show(reference)), lines)

    def memory(self, server_id: str) -> Memory:
        """What a server was planned to hold, says that it holds, and holds. Raises: DatabaseUnavailable."""
        return self._memory(server_id)

    def row(self, record: ServerRecord, language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
        """A server as JSON values, without secrets. What cannot be known is None."""
        error = from_row(record.error_code, record.error_params).render(language) if record.error_code else None
        return {
            "id": record.id,
            "name": record.name,
            "engine": record.engine,
            "model": record.model,
            "managed": record.managed,
            "wish": record.wish,
            "state": record.state,
            "url": record.url,
            "pid": record.pid,
            "plan": None,
            "memory": self.memory(record.id).row(),
            "error": {"code": error.code, "message": error.message, "remedy": error.remedy} if error else None,
        }

    def _wish(self, reference: str, wish: str, wanted: str) -> ServerRecord:
        record = self.show(reference)
        if not record.managed:
            raise IllegalTransition(name=record.name, state=N_("not run by Lectern"), wanted=wanted)
        # A new wish wipes the old error away: the supervisor then tries again at once, or lets it rest.
        forgiven = {"error_code": None, "error_params": None} if record.state == FAILED or wish == REST else {}
        changed = self._rows.update(record.id, wish=wish, **forgiven)
        if changed is None:
            raise ServerNotFound(name=reference)
        return changed

    def _within_reach(self, row: ServerRecord) -> bool:
        return not row.managed or row.machine_id == self._machine_id


def _spec_of(engine: str, choices: Mapping[str, Any]) -> ManagedSpec:
    known = ENGINES.get(engine)
    if known is None:
        raise InvalidValue(field=N_("engine"), value=engine, reason=N_("there is no such engine"))
    return known.spec.of(choices)


def _unreachable(endpoint: Endpoint) -> AppError | None:
    try:
        readiness.answers(endpoint)
    except AppError as error:
        return error
    return None


def _clean_name(name: str) -> str:
    kept = " ".join(name.split())
    reason = None
    if not kept:
        reason = N_("it is empty")
    elif len(kept) > NAME_LIMIT:
        reason = N_("it is too long")
    elif not kept.isprintable():
        reason = N_("it contains control characters")
    if reason:
        shown = "".join(character if character.isprintable() else "�" for character in kept)[:NAME_LIMIT]
        raise InvalidName(name=shown, reason=reason, limit=NAME_LIMIT)
    return kept
