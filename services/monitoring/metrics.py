"""What Prometheus may read of this machine; docs/metrics.md names every figure."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

import services as package
from services.core.clock import now_ms
from services.core.errors import AppError
from services.gpu.service import GpuService
from services.knowledge.service import KnowledgeService
from services.knowledge.types import DocumentState
from services.monitoring.gpu_metrics import add_snapshot
from services.monitoring.sheet import Sheet
from services.monitoring.turn_totals import TurnTotals
from services.serving.states import LEGAL, READY
from services.store import StateStore
from services.store.bases import BaseRecord

STALE_MS = 120_000
"""Readings that are older tell nothing about now: they are left out, only their age is told."""


class Metrics:
    """The figures of one machine, in the words of Prometheus. Thread-safe.

    Reads the worker's newest snapshot and the databases; asks neither the driver nor any server.
    """

    def __init__(self, store: StateStore, gpus: GpuService, knowledge: KnowledgeService, machine_id: str) -> None:
        self._store = store
        self._gpus = gpus
        self._knowledge = knowledge
        self._machine_id = machine_id
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        self._turns = TurnTotals(store.turns, machine_id, self._registry)
        self._registry.register(_Now(self))

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """One scrape: its text and media type, in the form that the reader accepts.

        Raises: DatabaseUnavailable.
        """
        encode, media_type = choose_encoder(accept)
        with self._lock:
            self._turns.update()
            return encode(self._registry), media_type

    def now(self) -> Iterator[Metric]:
        """The figures that are no running totals."""
        sheet = Sheet()
        sheet.gauge("lectern_build_info", "The version of Lectern.", 1, version=package.__version__)
        self._sampler(sheet)
        self._servers(sheet)
        self._ingest(sheet)
        self._api(sheet)
        sheet.gauge("lectern_chat_turns_live", "Questions that are being answered.", self._turns.live)
        for verdict, count in self._store.feedback.counts(self._machine_id).items():
            sheet.gauge("lectern_chat_feedback", "Answers that people rated.", count, verdict=verdict or "none")
        return sheet.families()

    def _sampler(self, sheet: Sheet) -> None:
        running = self._store.workers.running(self._machine_id)
        sheet.gauge("lectern_worker_up", "Whether the background worker runs.", int(running))
        snapshot = self._gpus.sampled()
        if snapshot:
            age_ms = max(0, now_ms() - snapshot.taken_at_ms)
            sheet.gauge("lectern_sampler_age_seconds", "Since GPUs and host were last read.", age_ms / 1000)
            if age_ms < STALE_MS:
                add_snapshot(sheet, snapshot)

    def _servers(self, sheet: Sheet) -> None:
        for server in self._store.servers.list(self._machine_id):
            sheet.gauge(
                "lectern_server_up",
                "Whether the server is ready.",
                int(server.state == READY),
                server=server.name,
                engine=server.engine,
                model=server.model,
            )
            for state in LEGAL:
                sheet.gauge(
                    "lectern_server_state",
                    "1 for the state that the server is in.",
                    int(server.state == state),
                    server=server.name,
                    state=state,
                )

    def _ingest(self, sheet: Sheet) -> None:
        for base in self._store.bases.all():
            if base.machine_id != self._machine_id:
                continue  # another machine's folders: it tells them itself
            states, chunks = self._counted(base)
            sheet.gauge("lectern_base_up", "Whether the base can be read.", int(chunks is not None), base=base.name)
            for state, count in states.items():
                sheet.gauge("lectern_base_documents", "Documents by state.", count, base=base.name, state=state)
            sheet.gauge("lectern_base_chunks", "Chunks that searches find.", chunks, base=base.name)
        jobs = Counter((job.kind, job.state) for job in self._store.jobs.all(self._machine_id))
        for (kind, job_state), count in jobs.items():
            sheet.gauge("lectern_jobs", "Long work by kind and state.", count, kind=kind, state=job_state)

    def _api(self, sheet: Sheet) -> None:
        """What keys were used for on all machines that share the state database, since each was made."""
        names = {key.id: key.name for key in self._store.keys.all()}
        for key_id, use in self._store.keys.used().items():
            key = names.get(key_id, "")
            sheet.counter("lectern_api_requests_total", "Requests over the API.", use.requests, key=key)
            for name, tokens in (("prompt", use.prompt_tokens), ("completion", use.completion_tokens)):
                told = use.known(tokens)
                sheet.counter(f"lectern_api_{name}_tokens_total", f"Tokens of {name}s over the API.", told, key=key)
            sheet.counter("lectern_api_untold_total", "Requests whose tokens no server told.", use.untold, key=key)

    def _counted(self, base: BaseRecord) -> tuple[dict[DocumentState, int], int | None]:
        """Documents by state and chunks of a base; a damaged one must not silence the others."""
        try:
            states, summary = self._knowledge.states(base), self._knowledge.summary(base)
        except AppError:
            return {}, None
        return {state: states.get(state, 0) for state in DocumentState}, summary.counts.chunks


class _Now(Collector):
    """Has the registry ask for the figures at each scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.now()

    def describe(self) -> list[Metric]:
        """Nothing beforehand: names that are taken are found at each scrape."""
        return []
