"""The worker's loop: beat, supervise, reconcile, mend."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from functools import partial

from filelock import FileLock, Timeout

from services import app
from services.core import log
from services.core.clock import ticks_ms
from services.core.errors import AlreadyRunning
from services.core.machine import hostname, this_process
from services.core.settings import Settings
from services.core.stopping import Stopping
from services.gpu.sampler import Sampler
from services.knowledge.embedders.processes import EncoderProcesses
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from services.monitoring.alerts import AlertWatch
from services.serving.figures import FigureReader
from services.serving.gpu_turns import Reservations
from services.serving.reported import Reports
from services.serving.supervisor import Supervisor
from services.worker.downloads import DownloadKeeper
from services.worker.embedded import Embedded
from services.worker.folders import FolderKeeper
from services.worker.installs import InstallKeeper
from services.worker.jobs import CONCURRENCY, Jobs
from services.worker.reconcile import Reconciler
from services.worker.upkeep import UpkeepKeeper
from services.worker.waiting import WaitingKeeper

logger = logging.getLogger(__name__)

TICK_S = 0.5


class Worker:
    """Everything that goes on in the background on one machine."""

    def __init__(self, settings: Settings) -> None:
        self._services = services = app.bootstrap(settings, samples=True)
        self._process = this_process()
        self._reader = Reader(
            Limits(
                settings.max_pages,
                settings.max_characters,
                settings.read_timeout_s,
                settings.read_memory_bytes,
                settings.max_unpacked_bytes,
            ),
            workers=CONCURRENCY,
            recogniser=services.text_recognition,
        )
        self._encoders = EncoderProcesses(services.embedding_servers)
        ingest = Ingest(services.stores, self._reader, self._encoders, services.rewriter)
        builds = services.knowledge.builds
        self._jobs = Jobs(settings.layout, services.machine_id, builds, ingest)
        reconciler = Reconciler(services.store.bases, services.stores, builds, self._jobs, services.machine_id)
        self._waiting = WaitingKeeper(
            services.store.bases, services.stores, builds, ingest, self._jobs, services.machine_id
        )
        supervisor = Supervisor(
            services.store.servers,
            settings.layout,
            machine_id=services.machine_id,
            snapshot=services.gpus.sampled,
            reserve=Reservations(services.store.ledger, services.planned),
        )
        self._embedded = Embedded(
            app.embedded_model(settings), services.store.jobs, services.servers, services.machine_id
        )
        self._downloads = DownloadKeeper(services.downloads, services.machine_id)
        self._folders = FolderKeeper(services.transfer.folders, services.machine_id)
        self._installs = InstallKeeper(services.installs)
        upkeep = UpkeepKeeper(services.store.bases, services.stores, services.knowledge, services.machine_id)
        self._sampler = Sampler(services.gpus, settings.sample_every_s)
        here = partial(services.store.servers.list, services.machine_id)
        self._figures = FigureReader(here, services.store.figures, services.machine_id)
        reports = Reports(here, services.store.ledger, settings.layout, services.gpus.sampled)
        watch = AlertWatch(
            services.store.alerts,
            lambda: services.product,
            machine_id=services.machine_id,
            home=settings.home,
            snapshot=services.gpus.sampled,
            servers=here,
            sample_every_s=settings.sample_every_s,
        )
        self._courier = services.alerts.courier()
        self._parts = [
            Part("heartbeat", self._beat, 2_000),
            Part("servers", supervisor.tick, 0),
            Part("memory that engines report", reports.tick, 5_000),
            Part("documents", reconciler.tick, 0),
            Part("documents that wait", self._waiting.tick, 2_000),
            Part("downloads", self._downloads.tick, 0),
            Part("engines", self._installs.tick, 1_000),
            Part("answers", services.chat.mend, 5_000),
            Part("encoders at rest", self._encoders.rest, 10_000),
            Part("files", services.knowledge.sweep, 10_000),
            Part("folders", self._folders.tick, 1_000),
            Part("what arrives", services.transfer.sweep, 60_000),
            Part("searching", upkeep.tick, 2_000),
            Part("alerts", watch.tick, 3_000),
            Part("old alerts", watch.prune, 3_600_000),
        ]
        if settings.embedded:
            self._parts.append(Part("embedded model", self._embedded.tick, 1_000))

    def run(self, stopping: Stopping) -> None:
        """Work until told to stop."""
        self._jobs.start()
        self._sampler.start()
        self._figures.start()
        self._courier.start()
        while not stopping.is_set():
            for part in self._parts:
                part.run()
            stopping.wait(TICK_S)
        self._waiting.close()
        self._embedded.close()
        self._downloads.close()
        self._folders.close()
        self._installs.close()
        self._courier.close()
        self._figures.close()
        self._sampler.close()
        self._jobs.close()
        self._reader.close()
        self._encoders.close()
        self._services.close()

    def _beat(self) -> None:
        self._services.store.workers.beat(
            self._services.machine_id, hostname(), self._process.pid, self._process.started_at
        )


class Part:
    """One duty of the loop; its failure is logged and harms no other duty."""

    def __init__(self, name: str, duty: Callable[[], object], every_ms: float) -> None:
        self._name = name
        self._duty = duty
        self._every_ms = every_ms
        self._due_ms = 0.0

    def run(self) -> None:
        """Do the duty if it is due."""
        if ticks_ms() < self._due_ms:
            return
        try:
            self._duty()
        except Exception as error:  # noqa: BLE001 - the other duties go on
            log.incident(logger, error, self._name)
        self._due_ms = ticks_ms() + self._every_ms


def run(settings: Settings) -> None:
    """Be the worker of this machine until SIGTERM. Raises: AlreadyRunning."""
    settings.layout.create()
    log.configure(settings.layout.logs, "worker")
    lock = FileLock(settings.layout.run / "worker.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunning(pid="?") from None
    stopping = Stopping()
    stopping.listen(signal.SIGTERM, signal.SIGINT)
    with lock:
        Worker(settings).run(stopping)
