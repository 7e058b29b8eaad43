"""The difference between before and after: how it is shared out, and what the ledger remembers of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.units import GIB, MIB
from services.gpu.readings import GpuReading, Holder, Holding
from services.serving.estimates import SMALLEST_BYTES, estimates, unexplained_bytes, with_estimates, without
from services.serving.ledger import Ledger
from services.store import StateStore
from services.store.ledger import LedgerRecord
from services.store.servers import Launched

HERE = "here"
GPU = "GPU-a"
OURS = Holder(server_id="s")
STRANGER = Holder(user="eve", command="train.py")


def gpu(used: int | None, *holdings: Holding, index: int = 0, uuid: str | None = GPU) -> GpuReading:
    return GpuReading(index=index, uuid=uuid, used_bytes=used, holdings=holdings)


def test_the_next_baseline_freezes_the_estimate_before_it() -> None:
    assert estimates([1 * GIB], 9 * GIB) == [8 * GIB]
    assert estimates([1 * GIB, 9 * GIB], 14 * GIB) == [8 * GIB, 5 * GIB]
    assert estimates([1 * GIB, 9 * GIB], 9 * GIB) == [8 * GIB, 0]


def test_estimates_are_never_negative_small_or_more_than_there_is() -> None:
    assert estimates([9 * GIB], 1 * GIB) == [0]
    assert estimates([0], SMALLEST_BYTES - 1) == [0] and estimates([0], SMALLEST_BYTES) == [SMALLEST_BYTES]
    assert estimates([0, 8 * GIB], 3 * GIB) == [3 * GIB, 0]
    assert estimates([], 3 * GIB) == []


def test_a_launch_that_ends_lowers_the_baselines_after_it() -> None:
    chain = [1 * GIB, 9 * GIB, 14 * GIB]
    assert without(chain, 0) == [1 * GIB, 6 * GIB]
    assert without(chain, 1) == [1 * GIB, 9 * GIB]
    assert without(chain, 2) == [1 * GIB, 9 * GIB]
    assert without([0, 10 * MIB], 0) == [10 * MIB]


def test_only_holders_that_are_known_explain_memory() -> None:
    seen = gpu(10 * GIB, Holding(7, 4 * GIB, holder=STRANGER), Holding(8, 3 * GIB), Holding(9, None, holder=STRANGER))
    assert unexplained_bytes(seen) == 6 * GIB
    assert unexplained_bytes(gpu(None)) is None
    assert unexplained_bytes(GpuReading(index=0, used_bytes=5)) == 5


def test_an_estimate_is_taken_out_of_what_hidden_processes_hold() -> None:
    hidden = gpu(10 * GIB, Holding(7, 2 * GIB, holder=STRANGER), Holding(801, 5 * GIB), Holding(802, 2 * GIB))
    told = with_estimates(hidden, [Holding(None, 6 * GIB, holder=OURS)])
    amounts = [(each.pid, each.used_bytes, each.holder) for each in told.holdings or ()]
    assert amounts == [(7, 2 * GIB, STRANGER), (None, 6 * GIB, OURS), (None, 1 * GIB, None)]
    assert told.unattributed_bytes == hidden.unattributed_bytes == 1 * GIB
    assert with_estimates(hidden, []) is hidden


class Machine:
    """A database, its ledger, servers that start and end, and a GPU whose processes nobody sees."""

    def __init__(self, store: StateStore) -> None:
        self.store = store
        self.ledger = self.new_ledger()
        self.launches: list[Launched] = []

    def new_ledger(self, writes: bool = True) -> Ledger:
        return Ledger(self.store.ledger, HERE, writes=writes)

    def start(self, name: str, started_at: float = 1.0) -> str:
        row = self.store.servers.create(
            machine_id=HERE, name=name, engine="x", model="m", spec={}, managed=True, wish="running", state="ready"
        )
        self.launches.append(Launched(row.id, name, "m", f"token-{name}", 1, started_at))
        return row.id

    def end(self, name: str) -> None:
        self.launches = [launched for launched in self.launches if launched.name != name]

    def look(self, *gpus: GpuReading, whole: bool = False) -> dict[str | None, int | None]:
        """What each server holds on the first GPU; the rest is under None."""
        told = self.ledger.follow(gpus, list(self.launches), whole=whole)[0]
        return {each.holder.server if each.holder else None: each.used_bytes for each in told.holdings or ()}

    def rows(self, *names: str) -> list[LedgerRecord]:
        return self.store.ledger.standing(HERE, [f"token-{name}" for name in names])


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    store = StateStore(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    yield Machine(store)
    store.close()


def test_a_launch_is_given_what_it_added(machine: Machine) -> None:
    assert machine.look(gpu(1 * GIB)) == {}
    machine.start("one")
    assert machine.look(gpu(1 * GIB)) == {}
    assert machine.look(gpu(1 * GIB + 50 * MIB)) == {}
    assert machine.look(gpu(9 * GIB)) == {"one": 8 * GIB}
    (row,) = machine.rows("one")
    assert (row.before_bytes, row.measured_bytes, row.peak_bytes, row.estimated) == (1 * GIB, 8 * GIB, 8 * GIB, True)
    assert machine.look(gpu(5 * GIB)) == {"one": 4 * GIB}
    (row,) = machine.rows("one")
    assert (row.measured_bytes, row.peak_bytes) == (4 * GIB, 8 * GIB)


def test_a_later_launch_freezes_the_earlier_and_inherits_nothing_when_that_ends(machine: Machine) -> None:
    machine.look(gpu(1 * GIB))
    machine.start("one")
    machine.look(gpu(9 * GIB))
    machine.start("two", 2.0)
    assert machine.look(gpu(9 * GIB)) == {"one": 8 * GIB}
    assert machine.look(gpu(14 * GIB)) == {"one": 8 * GIB, "two": 5 * GIB}
    machine.end("one")
    assert machine.look(gpu(6 * GIB)) == {"two": 5 * GIB}
    assert machine.look(gpu(7 * GIB)) == {"two": 6 * GIB}


def test_the_memory_may_be_free_before_the_row_says_stopped(machine: Machine) -> None:
    machine.look(gpu(1 * GIB))
    machine.start("one")
    machine.look(gpu(9 * GIB))
    machine.start("two", 2.0)
    machine.look(gpu(14 * GIB))
    machine.look(gpu(6 * GIB))
    machine.end("one")
    assert machine.look(gpu(6 * GIB)) == {"two": 5 * GIB}


def test_a_server_that_is_started_again_at_once_begins_where_the_last_launch_left(machine: Machine) -> None:
    machine.look(gpu(1 * GIB))
    machine.start("one")
    machine.look(gpu(9 * GIB))
    machine.end("one")
    machine.start("two", 2.0)
    assert machine.look(gpu(3 * GIB)) == {"two": 2 * GIB}


def test_memory_that_was_free_only_after_the_row_said_stopped_is_no_baseline(machine: Machine) -> None:
    machine.look(gpu(1 * GIB))
    machine.start("one")
    machine.look(gpu(9 * GIB))
    machine.end("one")
    machine.look(gpu(9 * GIB))
    machine.look(gpu(9 * GIB))
    machine.start("two", 2.0)
    machine.look(gpu(1 * GIB))
    assert machine.look(gpu(4 * GIB)) == {"two": 3 * GIB}


def test_baselines_survive_a_new_worker(machine: Machine) -> None:
    machine.look(gpu(1 * GIB))
    machine.start("one")
    machine.look(gpu(9 * GIB))
    machine.start("two", 2.0)
    machine.look(gpu(14 * GIB))
    machine.ledger = machine.new_ledger()
    assert machine.look(gpu(15 * GIB)) == {"one": 8 * GIB, "two": 6 * GIB}
    machine.ledger = machine.new_ledger()
    machine.end("one")  # while no worker ran
    assert machine.look(gpu(7 * GIB)) == {"two": 6 * GIB}
    machine.ledger = machine.new_ledger()
    assert machine.look(gpu(7 * GIB)) == {"two": 6 * GIB}


def test_without_a_look_from_before_nothing_is_claimed(machine: Machine) -> None:
    machine.start("old")
    assert machine.look(gpu(9 * GIB)) == {}
    assert machine.look(gpu(12 * GIB)) == {}
    assert machine.rows("old") == []


def test_a_process_that_is_seen_wins_over_an_estimate(machine: Machine) -> None:
    machine.look(gpu(1 * GIB))
    id = machine.start("one")
    machine.look(gpu(9 * GIB))
    seen = Holding(7, 7 * GIB, holder=Holder(server_id=id, server="one", how="token"))
    assert machine.look(gpu(9 * GIB, seen)) == {"one": 7 * GIB}
    (row,) = machine.rows("one")
    assert (row.measured_bytes, row.peak_bytes, row.estimated) == (7 * GIB, 8 * GIB, False)


def test_where_everything_is_seen_nothing_is_estimated(machine: Machine) -> None:
    machine.look(gpu(1 * GIB), whole=True)
    machine.start("one")
    assert machine.look(gpu(9 * GIB), whole=True) == {}
    untold = GpuReading(index=0, uuid=GPU, used_bytes=9 * GIB)
    assert machine.look(untold, whole=True) == {"one": 8 * GIB}


def test_each_gpu_has_a_row_of_its_own_and_one_without_an_answer_none(machine: Machine) -> None:
    idle = gpu(0, index=1, uuid=None), gpu(None, index=2, uuid="GPU-c")
    machine.look(gpu(1 * GIB), *idle)
    machine.start("one")
    machine.look(gpu(9 * GIB), *idle)
    rows = {row.gpu_uuid: (row.before_bytes, row.measured_bytes) for row in machine.rows("one")}
    assert rows == {GPU: (1 * GIB, 8 * GIB), "index 1": (0, None)}


def test_a_stable_launch_is_not_written_again(machine: Machine) -> None:
    machine.look(gpu(1 * GIB))
    machine.start("one")
    machine.look(gpu(9 * GIB))
    before = machine.rows("one")
    for step in range(10):
        machine.look(gpu(9 * GIB + step * MIB))
    assert machine.rows("one") == before
    machine.look(gpu(9 * GIB + 17 * MIB))
    assert machine.rows("one") != before


def test_an_ended_launch_keeps_its_peak_only(machine: Machine) -> None:
    machine.look(gpu(1 * GIB))
    id = machine.start("one")
    machine.look(gpu(9 * GIB))
    machine.end("one")
    machine.look(gpu(1 * GIB))
    (row,) = machine.store.ledger.newest(id)
    assert (row.measured_bytes, row.peak_bytes) == (None, 8 * GIB)


def test_a_process_that_does_not_sample_writes_nothing(machine: Machine) -> None:
    reader = Machine(machine.store)
    reader.ledger = reader.new_ledger(writes=False)
    machine.look(gpu(1 * GIB))
    machine.start("one")
    machine.look(gpu(9 * GIB))
    before = machine.rows("one")
    reader.launches = machine.launches
    assert reader.look(gpu(12 * GIB)) == {"one": 11 * GIB}
    reader.start("two", 2.0)
    assert reader.look(gpu(15 * GIB)) == {"one": 14 * GIB}
    assert machine.rows("one", "two") == before
