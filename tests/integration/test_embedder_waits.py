"""Documents whose embedder cannot be asked wait for it, and go on by themselves."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from services.app import Services
from services.core.clock import now_ms
from services.core.vector_errors import EmbedderAway
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.ingest import Ingest
from services.knowledge.types import DocumentRow, DocumentState
from services.serving.states import DEMAND, REST, RUN
from services.store.bases import BaseBuild, BaseRecord
from services.worker.reconcile import Wish
from services.worker.waiting import WaitingKeeper
from tests.fakes import patience
from tests.fakes.embedding_server import EmbeddingServer, running_embedding_server
from tests.fakes.library_desk import Desk
from tests.fakes.walk import walk
from tests.integration.commands import Shell
from tests.integration.test_worker import services, working

__all__ = ["services"]

until = partial(patience.until, seconds=90)
KEY = "server:vec"
LINES = "".join(f"Row {number} of the garden has {number % 7} apple trees.\n" for number in range(400))


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with running_embedding_server() as running:
        yield running


def served_base(services: Services, server: EmbeddingServer) -> BaseRecord:
    services.servers.add_remote("vec", server.url)
    return services.knowledge.create("Garden", ChunkerSpec(size=60, overlap=0), services.embedder_choices.spec(KEY))


def add(services: Services, base: BaseRecord, name: str, text: str) -> None:
    services.knowledge.add(base, name, io.BytesIO(text.encode()))


def only(services: Services, base: BaseRecord) -> DocumentRow:
    (row,) = services.knowledge.documents(base)
    return row


def test_a_server_that_stops_in_the_middle_is_waited_for_and_the_rest_is_done(
    services: Services, server: EmbeddingServer
) -> None:
    base, other = served_base(services, server), services.knowledge.create("Pond")
    add(services, base, "rows.txt", LINES)
    shell = Shell(services.settings.home)
    server.set(mode="slow", delay_s=0.3)
    with working(services.settings.home):
        until(lambda: only(services, base).chunks_done > 10)
        server.stop()
        until(lambda: only(services, base).state is DocumentState.WAITING)
        done = only(services, base).chunks_done
        (row,) = shell.json("kb", "documents", "Garden")
        assert (row["state"], row["error"], row["waiting"]["code"]) == ("waiting", None, "embedder_away")
        assert "“vec”" in row["waiting"]["message"] and row["waiting"]["remedy"]
        assert "cannot be asked now" in shell.text("kb", "documents", "Garden")
        add(services, other, "pond.txt", "The pond holds koi.")
        until(lambda: only(services, other).state is DocumentState.READY)
        assert only(services, base).state is DocumentState.WAITING and 0 < done < (only(services, base).chunks or 0)
        asked = len(server.asked)
        server.set(mode="normal")
        server.start()
        until(lambda: only(services, base).state is DocumentState.READY)
    ready = only(services, base)
    assert ready.attempt > 1 and ready.error is None and services.knowledge.verify("Garden").problems == ()
    texts = [text for texts in server.asked[asked:] for text in texts if text.startswith("Row")]
    assert len(texts) == len(set(texts)) == (ready.chunks or 0) - done, "what was embedded before is not done again"


@pytest.mark.parametrize(
    ("switches", "code"),
    [
        ({"answers_as": "bge-large"}, "embedder_mismatch"),
        ({"dimensions": 48}, "embedder_mismatch"),
        ({"mirrored": True}, "embedder_mismatch"),
        ({"mode": "unauthorized"}, "unauthorized"),
        ({"mode": "no_such_model"}, "request_refused"),
        ({}, "embedder_gone"),
    ],
)
def test_what_will_not_pass_ends_the_wait_as_a_failure(desk: Desk, server: EmbeddingServer, switches, code) -> None:
    services = desk.services
    base = served_base(services, server)
    add(services, base, "first.txt", "The first file is embedded while all is well.")
    desk.settle(base)
    server.stop()
    add(services, base, "rows.txt", LINES)
    assert desk.settle(base)["rows.txt"] is DocumentState.WAITING
    keeper, queue = keeper_of(desk)
    server.set(**switches)
    server.start()
    if not switches:
        services.servers.remove("vec")
    looked(keeper)
    row = services.knowledge.document(base, "rows.txt")
    assert row.state is DocumentState.FAILED and row.error is not None and row.error.code == code
    assert queue.wishes == []


def test_work_goes_on_where_it_stopped(desk: Desk, server: EmbeddingServer) -> None:
    services = desk.services
    base = served_base(services, server)
    server.stop()
    add(services, base, "rows.txt", LINES)
    desk.settle(base)
    (waiting,) = services.stores.of(base).waiting()
    assert not waiting.staged, "tokens could not be counted, so that nothing could be cut"
    keeper, queue = keeper_of(desk)
    looked(keeper)
    assert queue.wishes == [] and only(services, base).state is DocumentState.WAITING
    server.start()
    looked(keeper)
    (wish,) = queue.wishes
    assert (wish.begin, wish.key.attempt, wish.beside) == ("split", 2, False)
    assert desk.ingest.split(base, wish.key)
    server.set(mode="server_error")
    with pytest.raises(EmbedderAway) as caught:
        desk.ingest.embed(base, wish.key)
    desk.ingest.wait(base, wish.key, caught.value)
    assert services.stores.of(base).waiting()[0].staged
    server.set(mode="normal")
    looked(keeper)
    assert [wish.begin for wish in queue.wishes] == ["split", "embed"]
    assert desk.ingest.embed(base, queue.wishes[-1].key) and desk.ingest.publish(base, queue.wishes[-1].key)


def test_each_attempt_waits_longer_than_the_last(desk: Desk, server: EmbeddingServer) -> None:
    base = served_base(desk.services, server)
    server.stop()
    add(desk.services, base, "rows.txt", LINES)
    desk.settle(base)
    server.start()
    keeper, queue = keeper_of(desk)
    began = only(desk.services, base).updated_at_ms
    looked(keeper, at_ms=began + 1_000)
    assert queue.wishes == [], "a server that has just failed is left alone for a moment"
    looked(keeper, at_ms=began + 2_000)
    assert len(queue.wishes) == 1


def test_work_starts_no_server_that_somebody_has_stopped(desk: Desk) -> None:
    services = desk.services
    with running_embedding_server() as server:
        base = served_base(services, server)
    services.servers.remove("vec")
    record = services.servers.create("vec", "embeddings", {"model": "BAAI/bge-m3"})
    add(services, base, "rows.txt", LINES)
    assert desk.settle(base) == {"rows.txt": DocumentState.WAITING}
    said = only(services, base).error
    assert said is not None and said.params["reason"] == "it is stopped"
    assert services.servers.show("vec").wish == REST
    services.store.servers.update(record.id, wish=DEMAND)
    keeper, _ = keeper_of(desk)
    looked(keeper)
    assert services.servers.show("vec").wish == DEMAND, "to look is not to ask"
    desk.settle(base)
    assert services.servers.show("vec").wish == RUN, "it was unloaded for want of questions, and here is one"


def test_a_cancelled_document_stops_asking_a_server_that_hangs(desk: Desk, server: EmbeddingServer) -> None:
    base = served_base(desk.services, server)
    add(desk.services, base, "rows.txt", LINES)
    server.asked.clear()
    server.set(mode="hangs")
    walking = threading.Thread(target=desk.settle, args=(base,))
    walking.start()
    server.wait_for(lambda one: one.asked)
    desk.services.knowledge.cancel(base, "rows.txt")
    walking.join(30)
    assert not walking.is_alive() and only(desk.services, base).state is DocumentState.CANCELLED


def test_a_build_beside_waits_too_while_the_old_one_answers(desk: Desk, server: EmbeddingServer) -> None:
    services = desk.services
    base = desk.base("Pond", pond="The pond holds koi.")
    services.servers.add_remote("vec", server.url)
    services.knowledge.change(base, embedder=services.embedder_choices.spec(KEY))
    server.stop()
    target = changed(services)
    for key in services.stores.of(target).pending():
        walk(desk.ingest, target, key)
    assert [one.reason.code for one in services.stores.of(target).waiting() if one.reason] == ["embedder_away"]
    assert desk.found(base, "koi") == "The pond holds koi."
    keeper, queue = keeper_of(desk)
    server.start()
    looked(keeper)
    (wish,) = queue.wishes
    assert (wish.beside, wish.build, wish.begin) == (True, target.build, "split")
    assert desk.ingest.split(target, wish.key) and desk.ingest.embed(target, wish.key)
    assert desk.ingest.publish(target, wish.key)
    services.knowledge.builds.tick(services.knowledge.base("Pond"))
    assert services.knowledge.base("Pond").embedder == KEY


def changed(services: Services) -> BaseBuild:
    """The build beside, with the documents that there are."""
    services.knowledge.builds.tick(services.knowledge.base("Pond"))
    target = services.knowledge.base("Pond").changed()
    assert target is not None
    return target


class Noted:
    """A queue that only notes what comes in."""

    def __init__(self) -> None:
        self.wishes: list[Wish] = []

    def enqueue(self, wish: Wish) -> None:
        self.wishes.append(wish)


def keeper_of(desk: Desk) -> tuple[WaitingKeeper, Noted]:
    services, queue = desk.services, Noted()
    ingest: Ingest = desk.ingest
    builds = services.knowledge.builds
    return WaitingKeeper(services.store.bases, services.stores, builds, ingest, queue, services.machine_id), queue


def looked(keeper: WaitingKeeper, at_ms: int | None = None) -> None:
    """Have it look an hour later, or at a moment, and make true what it has found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.worker.waiting.now_ms", lambda: at_ms or now_ms() + 3_600_000)
        for _ in range(2):
            keeper.tick()
            keeper.close()
