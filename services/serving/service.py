"""Model servers as pages, command line and API see them: looked at, wished for, asked."""

from __future__ import annotations

import builtins
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.core.clock import ticks_ms
from services.core.errors import (
    AppError,
    IllegalTransition,
    InvalidName,
    InvalidValue,
    NameTaken,
    NoServer,
    ServerNotFound,
    ServerNotReady,
    from_row,
)
from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.core.paths import Layout
from services.core.settings import Settings
from services.llm.addresses import normalise_url
from services.llm.client import OpenAIChatModel
from services.llm.model_names import looks_like_no_chat
from services.llm.protocol import Endpoint
from services.serving import advice, logs, notes, readiness
from services.serving.diagnosis import Diagnosis
from services.serving.engine_metrics import Figures
from services.serving.engines.llamacpp import LlamaCpp, LlamaCppSpec
from services.serving.engines.protocol import Engine, Place, command_text
from services.serving.engines.registry import ENGINES, REMOTE
from services.serving.figures import FigureBook, Moment, row_of
from services.serving.memory import Memory
from services.serving.places import endpoint_of, folder_of
from services.serving.purposes import makes_text
from services.serving.spec import ManagedSpec, RemoteSpec
from services.serving.states import AGAIN, AT_REST, COMING, DEMAND, FAILED, READY, REST, RUN, STOPPED, UNREACHABLE
from services.serving.trial import SmokeResult, short_chat
from services.store.servers import ServerRecord, ServerRows

EMBEDDED = "embedded"
"""The name of the server of the embedded chat model."""
NAME_LIMIT = 80
START_LIMIT_S = 1800.0
START_POLL_S = 0.3
FORGIVEN: Mapping[str, Any] = {"error_code": None, "error_params": None, "diagnosis": None, "note": None}


class ServerService:
    """The servers that this machine knows. Thread-safe."""

    def __init__(
        self,
        rows: ServerRows,
        layout: Layout,
        *,
        machine_id: str,
        engines: Mapping[str, Engine] = ENGINES,
        memory: Callable[[str], Memory] = lambda _: Memory(),
        figures: FigureBook | None = None,
    ) -> None:
        """
        Args:
            memory: what the server with this id holds; left out: nothing is known of it.
            figures: what running servers say of themselves; left out: nothing is known of it.
        """
        self._rows = rows
        self._figures = figures
        self._memory = memory
        self._layout = layout
        self._machine_id = machine_id
        self._engines = engines

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
        kept, spec = _clean_name(name), self._spec_of(engine, choices)
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
        spec = self._spec_of(record.engine, {**record.spec, **choices})
        changed = self._rows.update(record.id, spec=spec.row(), model=spec.served_name)
        if changed is None:
            raise ServerNotFound(name=reference)
        return changed

    def command(self, engine: str, choices: Mapping[str, Any], port: int = 8000) -> str:
        """The command line that a start would run, to be shown: its secrets are masked.

        Raises: InvalidValue, EngineNotInstalled.
        """
        spec = self._spec_of(engine, choices)
        place = Place(port, self._layout.servers, self._layout.engines)
        return command_text(self._engines[engine].launch(spec.row(), place))

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
        return self.start(known.id) if known.wish not in COMING or known.state == FAILED else known

    def embedded(self) -> ServerRecord | None:
        """The server of the embedded chat model; None before it was first wished for."""
        here = (row for row in self._rows.list(self._machine_id) if row.managed and row.name == EMBEDDED)
        return next(here, None)

    def start(self, reference: str) -> ServerRecord:
        """Wish a managed server running; a failed one is tried again at once.

        Raises: ServerNotFound, IllegalTransition.
        """
        return self._wish(reference, RUN, N_("started"))

    def start_fixed(self, reference: str) -> ServerRecord:
        """Change a failed server as its first diagnosis advises, and wish it running.

        Raises: ServerNotFound, IllegalTransition, InvalidValue where there is nothing to change.
        """
        record = self.show(reference)
        choices = self._advised(record)
        if not choices:
            raise InvalidValue(field="--fix", value=record.name, reason=N_("its last failure names no flag to change"))
        self.change(record.id, choices)
        return self.start(record.id)

    def fix(self, record: ServerRecord) -> str:
        """The flags that `start_fixed` would change, as on a command line; empty where there are none."""
        try:
            choices = self._advised(record)
            if choices:
                self._spec_of(record.engine, {**record.spec, **choices})
        except AppError:
            return ""
        return advice.flags_text(self.diagnoses(record)[0].flags) if choices else ""

    def diagnoses(self, record: ServerRecord) -> builtins.list[Diagnosis]:
        """Why the newest run of a server failed, the surest cause first."""
        return advice.diagnoses(record.diagnosis)

    def restart(self, reference: str) -> ServerRecord:
        """Wish a managed server stopped, and then running. Raises: ServerNotFound, IllegalTransition."""
        return self._wish(reference, AGAIN, N_("started"))

    def stop(self, reference: str) -> ServerRecord:
        """Wish a managed server stopped. Raises: ServerNotFound, IllegalTransition."""
        return self._wish(reference, REST, N_("stopped"))

    def remove(self, reference: str) -> None:
        """Forget a server and its log; a managed one must be at rest. Raises: ServerNotFound, IllegalTransition."""
        record = self.show(reference)
        if record.managed and (record.state not in AT_REST or record.wish in COMING):
            raise IllegalTransition(name=record.name, state=record.state, wanted=N_("removed"))
        self._rows.remove(record.id)
        shutil.rmtree(folder_of(self._layout, record), ignore_errors=True)

    def endpoint(self, server: str | ServerRecord) -> Endpoint:
        """Where to ask a server. Raises: ServerNotFound, ServerNotReady."""
        return endpoint_of(self._used(self.show(server) if isinstance(server, str) else server))

    def default(self) -> ServerRecord | None:
        """The server that answers where none is named: a ready one, the embedded first, else one that was unloaded."""
        near = self._for_chats()
        ready = [row for row in near if row.state == READY]
        first = next((row for row in ready if row.managed and row.name == EMBEDDED), ready[0] if ready else None)
        return first or next((row for row in near if row.spec.get("idle_minutes") and on_its_way(row)), None)

    def another(self, tried: Collection[str]) -> ServerRecord | None:
        """A ready server whose id is none of these, to ask in their place."""
        return next((row for row in self._for_chats() if row.state == READY and row.id not in tried), None)

    def _for_chats(self) -> Sequence[ServerRecord]:
        """Servers that may answer questions; those whose model has the name of another kind come last."""
        near = [row for row in self._rows.list() if self._within_reach(row) and makes_text(row)]
        return sorted(near, key=lambda row: looks_like_no_chat(row.model))

    def to_ask(self, reference: str | None) -> ServerRecord:
        """The named server, or the default one, to be asked now: one that was unloaded is wished running again.

        Raises: ServerNotFound, NoServer.
        """
        record = self.show(reference) if reference else self.default()
        if record is None:
            raise NoServer()
        used = self._used(record)
        return self.start(used.id) if used.managed and used.wish == DEMAND else used

    def when_ready(self, server_id: str, given_up: Callable[[], bool]) -> Endpoint | None:
        """Wait for a server that is on its way, and return where to ask it; None when the asker has given up.

        Raises: ServerNotFound, ServerNotReady, and what its start failed with.
        """
        deadline_ms = ticks_ms() + START_LIMIT_S * 1000
        while not given_up():
            record = self.show(server_id)
            if record.state == READY:
                return self.endpoint(record)
            if record.state == FAILED and record.wish not in COMING and record.error_code:
                raise from_row(record.error_code, record.error_params)
            if record.wish not in COMING or ticks_ms() > deadline_ms:
                raise ServerNotReady(name=record.name, url=record.url or "–")
            time.sleep(START_POLL_S)
        return None

    def models(self, reference: str) -> builtins.list[str]:
        """Model ids that a server lists. Raises: ServerNotFound, and as `ChatModel.models`."""
        return OpenAIChatModel(self.endpoint(reference), timeout_s=readiness.REMOTE_TIMEOUT_S).models()

    def smoke_test(self, reference: str) -> SmokeResult:
        """Have one short chat with a server. Raises: ServerNotFound, EmptyAnswer, and as `ChatModel`."""
        return short_chat(self.endpoint(reference))

    def logs(self, reference: str, lines: int = 200) -> builtins.list[str]:
        """The last lines of a managed server's log. Raises: ServerNotFound."""
        return logs.tail(folder_of(self._layout, self.show(reference)), lines)

    def log_file(self, reference: str) -> bytes:
        """All that is kept of a managed server's log. Raises: ServerNotFound."""
        return logs.whole(folder_of(self._layout, self.show(reference)))

    def memory(self, server_id: str) -> Memory:
        """What a server was planned to hold, says that it holds, and holds. Raises: DatabaseUnavailable."""
        return self._memory(server_id)

    def live(self, record: ServerRecord) -> Figures | None:
        """What a running server says of itself now; None where it says nothing. Raises: DatabaseUnavailable."""
        return self._figures.now(record) if self._figures else None

    def live_past(self, record: ServerRecord) -> builtins.list[Moment]:
        """What it has said in the last 15 minutes, oldest first. Raises: DatabaseUnavailable."""
        return self._figures.past(record) if self._figures else []

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
            "memory": self.memory(record.id).row(),
            "live": row_of(self.live(record)),
            "note": notes.told(record.note, language) if record.note else None,
            "error": {"code": error.code, "message": error.message, "remedy": error.remedy} if error else None,
            "diagnosis": [advice.told(diagnosis, language) for diagnosis in self.diagnoses(record)],
        }

    def _wish(self, reference: str, wish: str, wanted: str) -> ServerRecord:
        record = self.show(reference)
        if not record.managed:
            raise IllegalTransition(name=record.name, state=N_("not run by Lectern"), wanted=wanted)
        # A new wish wipes the old error away: the supervisor then tries again at once, or lets it rest.
        forgiven = FORGIVEN if record.state == FAILED or wish == REST else {}
        changed = self._rows.update(record.id, wish=wish, **forgiven)
        if changed is None:
            raise ServerNotFound(name=reference)
        return changed

    def _spec_of(self, engine: str, choices: Mapping[str, Any]) -> ManagedSpec:
        known = self._engines.get(engine)
        if known is None:
            raise InvalidValue(field=N_("engine"), value=engine, reason=N_("there is no such engine"))
        return known.spec.of(choices)

    def _advised(self, record: ServerRecord) -> dict[str, Any]:
        found = self.diagnoses(record)
        if not found or not record.managed:
            return {}
        return advice.choices(self._spec_of(record.engine, record.spec), found[0].flags)

    def _used(self, record: ServerRecord) -> ServerRecord:
        """Note that it is asked, where that counts; only then look whether it was unloaded."""
        return self._rows.note_use(record) if record.managed and record.spec.get("idle_minutes") else record

    def _within_reach(self, row: ServerRecord) -> bool:
        return not row.managed or row.machine_id == self._machine_id


def on_its_way(record: ServerRecord) -> bool:
    """Whether a managed server that is not ready will be if somebody waits for it."""
    wished = record.wish in COMING or record.wish == DEMAND
    return record.managed and wished and record.state not in (READY, FAILED)


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
