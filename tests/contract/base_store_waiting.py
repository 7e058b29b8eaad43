"""The contract of work that waits: nothing of it is lost, and it is no failure."""

from __future__ import annotations

from services.knowledge.index.protocol import BaseStore
from services.knowledge.types import DocumentState, Extracted, Notice
from tests.contract.base_store_steps import Suite, content, key_of, known, pieces, prepare

REASON = Notice("embedder_away", {"name": "vec", "reason": "it is stopped"})
TEXT = "The pump of the garden is serviced each spring, before the koi wake up."


class Waiting(Suite):
    """What a base store keeps of work that waits."""

    def test_work_that_waits_says_for_what_and_has_not_settled(self, store: BaseStore) -> None:
        row = store.add("pump.txt", content(TEXT))
        assert store.write_text(key_of(row), Extracted(TEXT, "text/plain"))
        assert store.wait(key_of(row), REASON)
        waits = known(store, row.document_id)
        assert (waits.state, waits.error) == (DocumentState.WAITING, REASON) and not waits.state.settled
        assert store.pending() == [key_of(row)] and store.counts().settled == 0
        (waiting,) = store.waiting()
        assert (waiting.key, waiting.staged, waiting.reason) == (key_of(row), False, REASON)

    def test_another_reason_does_not_begin_the_wait_anew(self, store: BaseStore) -> None:
        key = key_of(store.add("pump.txt", content(TEXT)))
        assert store.wait(key, REASON)
        before = store.waiting()[0].since_ms
        other = Notice("embedder_away", {"name": "vec", "reason": "it is being started"})
        assert store.wait(key, other)
        (waiting,) = store.waiting()
        assert (waiting.since_ms, waiting.reason) == (before, other)

    def test_going_on_is_a_new_attempt_that_keeps_what_was_made(self, store: BaseStore) -> None:
        row = store.add("pump.txt", content(TEXT))
        prepare(store, key_of(row), TEXT)
        assert store.wait(key_of(row), REASON) and store.waiting()[0].staged
        key = store.go_on(key_of(row))
        assert key is not None and key.attempt == row.attempt + 1
        queued = known(store, row.document_id)
        assert (queued.state, queued.error, queued.chunks) == (DocumentState.QUEUED, None, len(pieces(TEXT)))
        assert queued.chunks_done == queued.chunks and store.unembedded(key, 5) == []
        assert store.waiting() == [] and store.go_on(key) is None
        assert store.publish(key) and store.verify().problems == ()

    def test_only_what_waits_goes_on(self, store: BaseStore) -> None:
        row = store.add("pump.txt", content(TEXT))
        assert store.go_on(key_of(row)) is None
        assert store.wait(key_of(row), REASON)
        assert store.set_state(key_of(row), DocumentState.SPLITTING)
        assert known(store, row.document_id).error is None and store.go_on(key_of(row)) is None

    def test_waiting_can_be_cancelled_and_ends_with_a_removal(self, store: BaseStore) -> None:
        first, second = (store.add(name, content(name)) for name in ("a.txt", "b.txt"))
        for row in (first, second):
            assert store.wait(key_of(row), REASON)
        assert store.cancel(first.document_id) and store.remove(second.document_id)
        cancelled = known(store, first.document_id)
        assert (cancelled.state, cancelled.error, store.waiting()) == (DocumentState.CANCELLED, None, [])
        assert not store.wait(key_of(first), REASON)
