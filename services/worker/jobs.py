"""Durable jobs: one workflow for each wish to ingest. DBOS is only the queue; losing its file loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from services.core.errors import AppError, Unexpected
from services.core.log import incident
from services.core.paths import Layout
from services.knowledge.ingest import Ingest
from services.knowledge.types import RevisionKey
from services.store.bases import BaseRecord, BaseRows

logger = logging.getLogger(__name__)

QUEUE = "ingest"
CONCURRENCY = 2
"""Documents at a time: one is read and split while another one is embedded."""
APPLICATION_VERSION = "1"
"""Constant on purpose: recovery only sees workflows of its own version."""

Step = Callable[[BaseRecord, RevisionKey], bool]


class Jobs:
    """The queue of this machine's worker. One object per process."""

    def __init__(self, layout: Layout, machine_id: str, bases: BaseRows, ingest: Ingest) -> None:
        self._bases = bases
        self._ingest = ingest
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
        def ingest_document(base_id: str, document_id: str, revision: int, attempt: int) -> str:
            return self._walk(base_id, RevisionKey(document_id, revision, attempt))

        self._workflow = ingest_document

    def start(self) -> None:
        """Begin to work; what was under way when the last worker died goes on."""
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=CONCURRENCY, polling_interval_sec=0.5)

    def enqueue(self, base_id: str, key: RevisionKey) -> None:
        """Note a wish; an id that is known already is not run again."""
        with SetWorkflowID(f"{base_id}:{key.document_id}:{key.revision}:{key.attempt}"):
            DBOS.enqueue_workflow(QUEUE, self._workflow, base_id, key.document_id, key.revision, key.attempt)

    def close(self) -> None:
        """Stop taking work; what is under way goes on with the next worker."""
        DBOS.destroy(workflow_completion_timeout_sec=0)

    def _walk(self, base_id: str, key: RevisionKey) -> str:
        steps: list[Step] = [self._ingest.read, self._ingest.split, self._ingest.embed, self._ingest.publish]
        for step in steps:
            outcome = DBOS.run_step({"name": step.__name__}, self._attempt, step, base_id, key)
            if outcome != "done":
                return outcome
        return "ready"

    def _attempt(self, step: Step, base_id: str, key: RevisionKey) -> str:
        """One step, its failure written down: done, failed or unwanted."""
        base = self._bases.find(base_id)
        if base is None:
            return "unwanted"
        try:
            return "done" if step(base, key) else "unwanted"
        except AppError as error:
            logger.warning("%s of %s/%s failed: %s", step.__name__, base.name, key.document_id, error)
            self._ingest.fail(base, key, error)
        except Exception as error:  # noqa: BLE001 - whatever happens, the document must settle and say so
            number = incident(logger, error, f"{step.__name__} of {base.name}/{key.document_id}")
            self._ingest.fail(base, key, Unexpected(incident=number))
        return "failed"
