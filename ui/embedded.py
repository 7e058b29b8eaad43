"""The embedded chat model on its way: fetched, started, ready."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.clock import now_ms
from services.core.units import MIB
from services.store.jobs import FAILED, WORKING, JobRecord
from ui import errors, i18n
from ui.i18n import _
from ui.widgets import progress_row, remark, safe_text

POLL_S = 1.0
FIRST_SEEN = "embedded.first_seen"


def underway(services: Services) -> bool:
    """Whether the embedded model is wanted and does not answer yet."""
    if not services.settings.embedded:
        return False
    record = services.servers.embedded()
    return record is None or record.state in ("starting", "failed")


def progress(services: Services) -> None:
    """Show how far the embedded model is; refreshes by itself and draws the page anew when it is ready."""
    st.fragment(run_every=POLL_S)(_progress)(services)


def _progress(services: Services) -> None:
    with errors.shown():
        record = services.servers.embedded()
        if record is not None and record.state == "ready":
            st.rerun()
        job = services.embedded_job()
        if record is not None and record.state == "starting":
            safe_text(_("The embedded chat model is starting; this takes a few seconds."), muted=True)
        elif job is None:
            safe_text(_("The embedded chat model is fetched as soon as the worker runs."), muted=True)
        elif job.state == FAILED:
            _failed(services, job)
        elif job.state == WORKING:
            _fetching(job)


def _fetching(job: JobRecord) -> None:
    first_done, first_ms = st.session_state.setdefault(FIRST_SEEN, (job.done, now_ms()))
    elapsed_s = (now_ms() - first_ms) / 1000
    rate = (job.done - first_done) / MIB / elapsed_s if elapsed_s > 2 and job.done > first_done else None
    left = (job.total - job.done) / MIB / rate * 1000 if rate and job.total else None
    total = job.total // MIB if job.total else None
    progress_row(_("Fetching the embedded chat model"), job.done // MIB, total, "MiB", rate, left)


def _failed(services: Services, job: JobRecord) -> None:
    error = services.job_error(job).render(i18n.language())
    remark(error)
    st.button(_("Try again"), on_click=errors.attempt, args=(services.store.jobs.wish, job.id), key="fetch-again")
