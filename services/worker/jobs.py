"""Durable jobs: one workflow for each wish to ingest. DBOS is only the queue; losing its file loses nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from services.core.errors import AppError, Unexpected
from services.core.log import incident
from services.core.paths import Layout
from services.core.vector_errors import EmbedderAway
from services.knowledge.builds import Builds
from services.knowledge.ingest import Ingest
from services.knowledge.stores import FIRST_BUILD
from services.knowledge.types import RevisionKey
from services.store.bases import BaseRecord
from services.worker.reconcile import FIRST_STEP, Wish

logger = logging.getLogger(__name__)

QUEUE = "ingest"
CONCURRENCY = 2
"""Documents at a time: one is read and split while another one is embedded."""
APPLICATION_VERSION = "1"
"""Constant on purpose: recovery only sees workflows of its own version."""

BUILD_QUEUE = "build"
"""What is built anew beside a base waits in a queue of its own, so that new files never wait behind it."""

Step = Callable[[BaseRecord, RevisionKey], bool]


class WorkerEnding(BaseException):
    """A step was cut off by the worker's end: DBOS writes down no end of the workflow, and the next worker goes on."""


class Jobs:
    """The queue of this machine's worker. One object per process."""

    def __init__(self, layout: Layout, machine_id: str, builds: Builds, ingest: Ingest) -> None:
        self._builds = builds
        self._ingest = ingest
        self._closing = threading.Event()
        config = DBOSConfig(
            name="lectern",
            system_database_url=f"sqlite:///{layout.jobs_db}",
            application_version=APPLICATION_VERSION,
            executor_id=machine_id,
            serializer=DBOSPortableJSONSerializer(),
            log_level="WARNING",
            enable_otlp=False,
        )
        DBOS(config=config)

        @DBOS.workflow(name="ingest")
        def ingest_document(
            base_id: str,
            document_id: str,
            revision: int,
            attempt: int,
            build: int = FIRST_BUILD,
            begin: str = FIRST_STEP,
        ) -> str:
            return self._walk(base_id, build, RevisionKey(document_id, revision, attempt), begin)

        self._workflow = ingest_document

    def start(self) -> None:
        """Begin to work; what was under way when the last worker died goes on."""
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=CONCURRENCY, polling_interval_sec=0.5)
        DBOS.register_queue(BUILD_QUEUE, worker_concurrency=1, polling_interval_sec=0.5)

    def enqueue(self, wish: Wish) -> None:
        """Note a wish; an id that is known already is not run again."""
        key, queue = wish.key, BUILD_QUEUE if wish.beside else QUEUE
        name = f"{wish.base_id}:{key.document_id}:{key.revision}:{key.attempt}"
        with SetWorkflowID(f"{name}:{wish.build}" if wish.build != FIRST_BUILD else name):
            place = (wish.base_id, key.document_id, key.revision, key.attempt, wish.build)
            DBOS.enqueue_workflow(queue, self._workflow, *place, wish.begin)

    def close(self) -> None:
        """Stop taking work; what is under way goes on with the next worker."""
        self._closing.set()
        DBOS.destroy(workflow_completion_timeout_sec=0)

    def _walk(self, base_id: str, build: int, key: RevisionKey, begin: str) -> str:
        steps: list[Step] = [self._ingest.read, self._ingest.split, self._ingest.embed, self._ingest.publish]
        first = [step.__name__ for step in steps].index(begin)
        for step in steps[first:]:
            outcome = DBOS.run_step({"name": step.__name__}, self._attempt, step, base_id, build, key)
            if outcome != "done":
                return outcome
        return "ready"

    def _attempt(self, step: Step, base_id: str, build: int, key: RevisionKey) -> str:
        """One step, its failure written down: done, failed, waiting or unwanted."""
        base = self._builds.wanted(base_id, build)
        if base is None:
            return "unwanted"
        try:
            return "done" if step(base, key) else "unwanted"
        except Exception as error:  # whatever happens, the document must settle and say so
            if self._closing.is_set():
                raise WorkerEnding from error  # stores and readers are being closed under the step
            if self._builds.wanted(base_id, build) is None:
                return "unwanted"  # its files went away under the step
            if isinstance(error, EmbedderAway):
                logger.info("%s of %s/%s waits: %s", step.__name__, base.name, key.document_id, error)
                self._ingest.wait(base, key, error)
                return "waiting"
            self._ingest.fail(base, key, _reason(error, f"{step.__name__} of {base.name}/{key.document_id}"))
            return "failed"


def _reason(error: Exception, what: str) -> AppError:
    """What the document says of a failure; the log has the rest."""
    if isinstance(error, AppError):
        logger.warning("%s failed: %s", what, error)
        return error
    return Unexpected(incident=incident(logger, error, what))
