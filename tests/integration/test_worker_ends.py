"""The worker ended in the middle of long work: asked to, it stops at the next batch; killed, the next one goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial

import pytest

from services.app import Services
from services.core.errors import DatabaseUnavailable
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.search_types import SearchOptions
from services.knowledge.types import DocumentState, RevisionKey
from services.store.bases import BaseRecord
from services.worker.jobs import Jobs, WorkerEnding
from tests.fakes import patience
from tests.fakes.embedding_server import EmbeddingServer, running_embedding_server
from tests.fakes.library_desk import Desk
from tests.integration.test_embedder_waits import LINES, add, only, served_base
from tests.integration.test_worker import services, start, working

__all__ = ["services"]

until = partial(patience.until, seconds=90)


@pytest.fixture
def slow() -> Iterator[EmbeddingServer]:
    with running_embedding_server() as running:
        running.set(mode="slow", delay_s=0.3)
        yield running


def rows_asked(server: EmbeddingServer, since: int = 0) -> list[str]:
    """The passages that vectors were asked for, from one request on; without the probes that come along."""
    return [text for texts in server.asked[since:] for text in texts if text.startswith("Row")]


def test_asked_to_end_it_leaves_a_long_document_at_the_next_batch(services: Services, slow: EmbeddingServer) -> None:
    base = served_base(services, slow)
    add(services, base, "rows.txt", LINES)
    with working(services.settings.home) as worker:
        until(lambda: only(services, base).chunks_done > 10)
        slow.set(delay_s=5)  # so that the worker has ended before it could ask for much more
        asked = len(slow.asked)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
        assert len(slow.asked) - asked <= 2, "what was on its way, and at most one more"
    left = only(services, base)
    assert left.state is not DocumentState.READY and 10 < left.chunks_done < (left.chunks or 0)
    slow.set(mode="normal")
    before = len(slow.asked)
    with working(services.settings.home):
        until(lambda: only(services, base).state is DocumentState.READY)
    ready = only(services, base)
    again = rows_asked(slow, before)
    assert len(again) == len(set(again)) == (ready.chunks or 0) - left.chunks_done
    assert services.knowledge.verify("Garden").problems == ()


def test_killed_while_a_base_is_built_beside_the_old_one_answers_and_the_next_one_finishes(
    services: Services, slow: EmbeddingServer
) -> None:
    base = served_base(services, slow)
    slow.set(mode="normal")
    add(services, base, "rows.txt", LINES)
    with working(services.settings.home):
        until(lambda: only(services, base).state is DocumentState.READY)
    slow.set(mode="slow")
    services.knowledge.change(services.knowledge.base("Garden"), chunker=ChunkerSpec(size=120, overlap=0))
    begun = len(slow.asked)
    worker = start(services.settings.home)
    try:
        until(lambda: len(rows_asked(slow, begun)) > 10)
    finally:
        worker.kill()
        worker.wait()
    found = services.knowledge.search(services.knowledge.base("Garden"), "Row 7 of the garden", SearchOptions())
    assert found.hits and services.knowledge.base("Garden").chunk_size == 60, "the old build answers"
    slow.set(mode="normal")
    with working(services.settings.home):
        until(lambda: services.knowledge.base("Garden").changed() is None)
    now = services.knowledge.base("Garden")
    ready = only(services, now)
    assert (now.chunk_size, ready.state) == (120, DocumentState.READY)
    assert ready.chunks_done == ready.chunks and services.knowledge.verify("Garden").problems == ()


def test_what_fails_because_the_worker_ends_is_no_failure_of_the_document(desk: Desk) -> None:
    services, base = desk.services, desk.services.knowledge.create("Pond")
    add(services, base, "pond.txt", "The pond holds koi.")
    jobs = Jobs(services.settings.layout, services.machine_id, services.knowledge.builds, desk.ingest)
    jobs.close()
    (key,) = services.stores.of(base).pending()

    def closed(base: BaseRecord, key: RevisionKey) -> bool:
        raise DatabaseUnavailable(path="base.sqlite3", reason="it was closed")

    with pytest.raises(WorkerEnding):
        jobs._attempt(closed, base.id, services.stores.answering(base.id), key)
    assert only(services, base).state is DocumentState.QUEUED
