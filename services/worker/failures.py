"""How work that a row of jobs stands for ends when it fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from services.core.errors import AppError, Unexpected
from services.core.log import incident
from services.store.jobs import FAILED, WORKING, JobRecord, JobRows

logger = logging.getLogger(__name__)


@contextmanager
def written_down(rows: JobRows, job: JobRecord, work: str) -> Iterator[None]:
    """Let a failure end the job, not the thread: the row keeps the error, and the worker goes on.

    Args:
        work: what is being done, for the log.
    """
    try:
        yield
    except AppError as error:
        logger.warning("%s has failed: %s", work, error)
        rows.move(job.id, FAILED, WORKING, error=error)
    except Exception as error:  # noqa: BLE001 - the page shows the id, the log has the rest
        rows.move(job.id, FAILED, WORKING, error=Unexpected(incident=incident(logger, error, work)))
