"""What engines say in their logs that they hold, and how it comes into the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core import settings as core_settings
from services.core.units import GIB, MIB
from services.gpu.readings import Snapshot
from services.serving.logs import RotatingLog
from services.serving.places import folder_of
from services.serving.reported import Reports, reported_bytes
from services.store import StateStore
from services.store.ledger import LedgerRecord
from tests.fakes import gpu_snapshots
from tests.fakes.gpu_snapshots import gpu

V1 = """\
INFO 11-23 18:51:40 [gpu_model_runner.py:2007] Model loading took 14.25 GiB and 3.36 seconds
(EngineCore pid=7) INFO 11-23 18:51:52 [gpu_worker.py:298] Available KV cache memory: 4.5 GiB
INFO 11-23 18:51:52 [kv_cache_utils.py:2327] GPU KV cache size: 1,048,576 tokens"""
V0 = """\
INFO 01-21 worker.py:241] model weights take 14.99GiB; non_torch_memory takes 0.08GiB; PyTorch activation peak memory \
takes 1.40GiB; the rest of the memory reserved for KV Cache is 2.01GiB."""
TWO_RANKS = """\
(Worker_TP0 pid=1) INFO [gpu_model_runner.py:2007] Model loading took 7.0 GiB memory and 3.3 seconds
(Worker_TP1 pid=2) INFO [gpu_model_runner.py:2007] Model loading took 7.5 GiB memory and 3.3 seconds
(VllmWorker rank=1 pid=2) INFO [gpu_worker.py:227] Available KV cache memory: 2.5 GiB
(VllmWorker rank=0 pid=1) INFO [gpu_worker.py:227] Available KV cache memory: 3.0 GiB"""
LLAMA_CPP = """\
load_tensors:   CPU_Mapped model buffer size =   292.36 MiB
load_tensors:        CUDA0 model buffer size =  4096.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =   512.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =    64.00 MiB
sched_reserve:      CUDA0 compute buffer size =   300.00 MiB
sched_reserve:      CUDA0 compute buffer size =   256.00 MiB
sched_reserve:  CUDA_Host compute buffer size =    24.01 MiB"""


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (V1, {0: round(18.75 * GIB)}),
        (V0, {0: round(17.0 * GIB)}),
        (TWO_RANKS, {0: 10 * GIB, 1: 10 * GIB}),
        (LLAMA_CPP, {0: 4928 * MIB}),
        (TWO_RANKS.replace("Worker_TP", "Worker_PP1_TP"), {}),
        ("INFO [cpu_worker.py:260] Explicitly set (1.0/23.54) GiB for KV cache on node 0.", {}),
    ],
)
def test_what_a_log_says_that_each_gpu_holds(log: str, told: dict[int, int]) -> None:
    assert reported_bytes(log.splitlines()) == told


def test_a_server_that_is_ready_has_its_report_in_the_ledger_under_the_gpus_that_it_was_given(tmp_path: Path) -> None:
    settings = core_settings.load(home=tmp_path)
    settings.layout.create()
    store = StateStore(settings.state_url)
    snapshot = Snapshot(1, gpu_snapshots.DRIVER, (gpu(0), gpu(1), gpu(2)), gpu_snapshots.HOST)
    row = store.servers.create(
        machine_id="here", name="two", engine="vllm", model="m", spec={"gpus": [2, 1]}, managed=True,
        wish="running", state="starting",
    )  # fmt: skip
    folder_of(settings.layout, row).mkdir(parents=True)
    RotatingLog(folder_of(settings.layout, row)).write(TWO_RANKS.replace("7.5", "6.5").encode())
    uuids = [str(one.uuid) for one in snapshot.gpus]
    nothing = dict.fromkeys(("before_bytes", "planned_bytes", "reported_bytes", "measured_bytes", "peak_bytes"))
    store.ledger.write(
        [LedgerRecord("t", uuid, "here", row.id, **nothing, estimated=False, created_at_ms=1, updated_at_ms=1)
         for uuid in uuids]
    )  # fmt: skip
    reports = Reports(lambda: store.servers.list("here"), store.ledger, settings.layout, lambda: snapshot)
    store.servers.update(row.id, launch_token="t")
    reports.tick()
    assert {each.reported_bytes for each in store.ledger.newest(row.id)} == {None}, "it is not ready yet"
    store.servers.update(row.id, state="ready")
    reports.tick()
    told = {each.gpu_uuid: each.reported_bytes for each in store.ledger.newest(row.id)}
    assert told == {uuids[0]: None, uuids[1]: 9 * GIB, uuids[2]: 10 * GIB}
    store.close()
