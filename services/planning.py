"""What servers would take of this machine's memory: models on the disk, GPUs and servers put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.core.errors import AppError, InvalidValue
from services.core.hub_errors import ModelNotFound, PlanUnknown
from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.core.phrases import fill
from services.core.settings import Settings
from services.gpu.service import GpuService
from services.hub.cards import Card, cards_of, host_of
from services.hub.catalogue import catalogue
from services.hub.local_models import LocalModels
from services.hub.local_models_fit import of_model
from services.hub.local_models_start import short_name, start_choices
from services.hub.model_files import read_model
from services.hub.plan_types import as_row
from services.hub.plan_wish import PLANNED, Fitting, fitting
from services.serving.accuracy import Estimate, estimates
from services.serving.engines.registry import ENGINES
from services.serving.ledger import gpu_key
from services.serving.service import ServerService
from services.store import StateStore
from services.store.servers import ServerRecord


class Planning:
    """The part of `Services` that plans."""

    settings: Settings
    machine_id: str
    store: StateStore
    servers: ServerService
    gpus: GpuService
    models: LocalModels

    def room(self, own: str = "") -> tuple[tuple[Card, ...], Card | None]:
        """The memory that a model could have now: of each GPU, and of the host.

        Args:
            own: id of a server; what it holds on the GPUs counts as free.
        """
        snapshot = self.gpus.now()
        held = self.servers.memory(own).gpus if own else {}
        given = {gpu.index: held[gpu_key(gpu)].measured_bytes or 0 for gpu in snapshot.gpus if gpu_key(gpu) in held}
        cards = [
            replace(card, free_bytes=min(card.total_bytes, card.free_bytes + given.get(card.index or 0, 0)))
            for card in cards_of(snapshot)
        ]
        return tuple(cards), host_of(snapshot)

    def fits(self, engine: str, choices: Mapping[str, Any], own: str = "") -> Fitting:
        """Whether a server with these choices would have the memory that is free now, planned from its model's files.

        Args:
            own: as for `room`.

        Raises: InvalidValue, PlanUnknown, ModelUnreadable, PathNotFound.
        """
        if engine not in PLANNED:
            raise PlanUnknown(reason=N_("it can be computed for vLLM and llama.cpp only"))
        chosen = ENGINES[engine].spec.of(choices)
        path = Path(chosen.model).expanduser()
        try:
            path = path if path.is_absolute() else self.models.find(chosen.model).path
        except ModelNotFound as error:
            raise PlanUnknown(reason=N_("the model is not on this machine, so its files cannot be read")) from error
        return fitting(engine, chosen.row(), read_model(path), *self.room(own))

    def what_if(self, record: ServerRecord, gpus: Sequence[int] | None = None) -> Fitting:
        """Whether a server would have its memory if it were started now, on these GPUs or on those of its spec.

        Raises: as `fits`.
        """
        chosen = {} if gpus is None else {"gpus": list(gpus)}
        return self.fits(record.engine, {**record.spec, **chosen}, record.id)

    def server_row(self, record: ServerRecord, language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
        """A server as JSON values, with its plan as things are now; that is None where none can be made."""

        def say(message: str, /, **params: Any) -> str:
            return fill(message, params, language)

        try:
            plan = as_row(self.what_if(record).plan, say)
        except AppError:
            plan = None
        return {**self.servers.row(record, language), "plan": plan}

    def estimates(self, server_id: str = "") -> list[Estimate]:
        """What launches on this machine were planned to hold, and what came, newest first."""
        servers = {record.id: record.name for record in self.servers.list()}
        gpus = {gpu_key(gpu): f"GPU {gpu.index}" for gpu in self.gpus.now().gpus}
        return estimates(self.store.ledger.planned(self.machine_id, server_id), servers, gpus)

    def planned(self, record: ServerRecord) -> Mapping[str, int]:
        """Bytes by GPU, as the ledger calls them, that a server is planned to take; empty where nobody can tell."""
        try:
            found = self.fits(record.engine, record.spec).plan
        except AppError:
            return {}
        keys = {gpu.index: gpu_key(gpu) for gpu in self.gpus.now().gpus}
        known = [keys[index] for index in found.gpus if index in keys] if found.place == "gpu" else []
        return dict.fromkeys(known, found.per_gpu.reserved_bytes)

    def serve(self, reference: str, *, preset: str = "", name: str = "") -> ServerRecord:
        """Add a stopped server for a model on the disk, with what is sensible for it here.

        Args:
            preset: key of a preset of the catalogue; empty: by the model and the memory that is free.
            name: of the server; empty: the model's, with a number where that is taken.

        Raises: ModelNotFound, InvalidValue, NameTaken, InvalidSetting; and what the model's own files raise.
        """
        model, (cards, host) = self.models.find(reference), self.room()
        if model.facts.error:
            raise model.facts.error
        engine, choices = start_choices(model, of_model(model, cards, host), gpus=len(cards))
        port = 0
        if preset:
            known = {one.key: one for one in catalogue(self.settings.home).presets}.get(preset)
            if known is None or known.engine not in ENGINES:
                raise InvalidValue(field=N_("preset"), value=preset, reason=N_("there is no such preset"))
            engine, port, fields = known.engine, known.port, ENGINES[known.engine].spec.model_fields
            choices = {"model": str(model.path), **known.for_model(short_name(model), fields)}
        taken = {record.name for record in self.servers.list()}
        names = [short_name(model), *(f"{short_name(model)} {number}" for number in range(2, len(taken) + 3))]
        record = self.servers.create(name or next(one for one in names if one not in taken), engine, choices)
        if port:
            self.store.servers.reserve_port(record.id, port)  # another server's port stays its own: then any is taken
        return record
