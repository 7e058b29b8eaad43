"""The embedded chat model: fetched in the background, then wished for as a managed server."""

from __future__ import annotations

import logging
import threading

from services.app import EMBEDDED_JOB, EMBEDDED_SUBJECT
from services.core.clock import now_ms
from services.core.errors import AppError, Unexpected
from services.core.log import incident
from services.hub.embedded import EmbeddedModel
from services.hub.progress import Interrupted
from services.serving.service import ServerService
from services.store.jobs import FAILED, WISHED, WORKING, JobRecord, JobRows

logger = logging.getLogger(__name__)

RETRY_AFTER_MS = 60_000


class Embedded:
    """Brings the embedded model up by itself, and tries again what failed for a passing reason."""

    def __init__(self, model: EmbeddedModel, jobs: JobRows, servers: ServerService, machine_id: str) -> None:
        self._model = model
        self._jobs = jobs
        self._servers = servers
        self._machine_id = machine_id
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def tick(self) -> None:
        """Begin fetching when that is due; wish for the server when the model is there."""
        if self._thread and self._thread.is_alive():
            return
        job = self._jobs.find(self._machine_id, EMBEDDED_JOB, EMBEDDED_SUBJECT)
        if self._due(job):
            job = self._jobs.begin(self._machine_id, EMBEDDED_JOB, EMBEDDED_SUBJECT, "bytes")
            self._thread = threading.Thread(target=self._fetch, args=(job.id,), name="fetch-model", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop fetching; what was loaded is kept."""
        self._stopping.set()
        if self._thread:
            self._thread.join(timeout=10)

    def _due(self, job: JobRecord | None) -> bool:
        if job is None or job.state in (WISHED, WORKING):
            return True
        if job.state == FAILED:
            return now_ms() - job.updated_at_ms > RETRY_AFTER_MS
        return self._thread is None  # done before this worker's time: look whether the file is still there

    def _fetch(self, job_id: str) -> None:
        def report(done_bytes: int, total_bytes: int | None, note: str) -> None:
            self._jobs.report(job_id, done_bytes, total_bytes, note)

        try:
            path = self._model.fetch(self._stopping.is_set, report)
            self._servers.ensure_embedded(path, self._model.settings)
            self._jobs.finish(job_id)
        except Interrupted:
            logger.info("fetching the embedded model goes on with the next worker")
        except AppError as error:
            logger.warning("the embedded model is not there: %s", error)
            self._jobs.fail(job_id, error)
        except Exception as error:  # noqa: BLE001 - the worker goes on; the page shows the id
            self._jobs.fail(job_id, Unexpected(incident=incident(logger, error, "fetching the embedded model")))
