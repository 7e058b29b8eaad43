"""What an engine's log says that it holds on each GPU: written into the ledger once a server is ready."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from services.core.paths import Layout
from services.core.units import GIB, MIB
from services.gpu.readings import Snapshot
from services.serving import logs
from services.serving.ledger import gpu_key
from services.serving.places import folder_of
from services.serving.states import READY
from services.store.ledger import LedgerRows
from services.store.servers import ServerRecord

_RANK = re.compile(r"\((?:VllmWorker|Worker)\w*?(?:_TP| rank=)(\d+)\b")
_PIPELINE = re.compile(r"\(Worker\w*_PP\d")
_VLLM_WEIGHTS = re.compile(r"Model loading took ([\d.]+) ?Gi?B|model weights take ([\d.]+) ?GiB")
_VLLM_CACHE = re.compile(r"Available KV cache memory: ([\d.]+) ?GiB|reserved for KV Cache is ([\d.]+) ?GiB")
_LLAMA_CPP = re.compile(r"\b(?:CUDA|ROCm)(\d+) +(model|KV|RS|compute) buffer size = +([\d.]+) MiB")
WEIGHTS, CACHE, COMPUTE = "weights", "cache", "compute"


def reported_bytes(lines: Iterable[str]) -> dict[int, int]:
    """Bytes by the place of the GPU among those that the server sees; empty where the log does not say.

    vLLM tells weights and KV cache. llama.cpp tells its buffers; of those for computing, which it makes anew, the last
    counts, while a model may have several caches. Ranks of a pipeline are not told apart: nothing is said of those.
    """
    parts: dict[tuple[int, str], float] = {}
    for line in lines:
        if _PIPELINE.search(line):
            return {}
        buffer = _LLAMA_CPP.search(line)
        if buffer:
            place, kind, amount = int(buffer[1]), buffer[2], float(buffer[3]) * MIB
            earlier = 0.0 if kind == COMPUTE else parts.get((place, kind), 0.0)
            parts[place, kind] = earlier + amount
        rank = _RANK.search(line)
        for kind, pattern in ((WEIGHTS, _VLLM_WEIGHTS), (CACHE, _VLLM_CACHE)):
            told = pattern.search(line)
            if told:
                parts[int(rank[1]) if rank else 0, kind] = float(told[1] or told[2]) * GIB
    places = {place for place, _ in parts}
    return {place: round(sum(parts[key] for key in parts if key[0] == place)) for place in sorted(places)}


class Reports:
    """Looks into the log of each server that has become ready, once. One owner calls it."""

    def __init__(
        self,
        servers: Callable[[], list[ServerRecord]],
        rows: LedgerRows,
        layout: Layout,
        snapshot: Callable[[], Snapshot | None],
    ) -> None:
        self._servers = servers
        self._rows = rows
        self._layout = layout
        self._snapshot = snapshot
        self._known: set[str] = set()

    def tick(self) -> None:
        """Note what launches say that nobody has looked at. Raises: DatabaseUnavailable, DiskFull."""
        snapshot = self._snapshot()
        ready = {row.launch_token: row for row in self._servers() if row.managed and row.state == READY}
        launches = {token: row for token, row in ready.items() if token}
        self._known &= launches.keys()
        if snapshot is None or not snapshot.gpus:
            return
        for token in launches.keys() - self._known:
            row = launches[token]
            told = by_gpu(reported_bytes(logs.first_lines(folder_of(self._layout, row))), row, snapshot)
            if told:
                self._rows.report(token, told)
            self._known.add(token)


def by_gpu(told: Mapping[int, int], row: ServerRecord, snapshot: Snapshot) -> dict[str, int]:
    """The same by what the ledger calls a GPU; places that no GPU of this machine has are left out."""
    keys = {gpu.index: gpu_key(gpu) for gpu in snapshot.gpus}
    seen = list(row.spec.get("gpus") or sorted(keys))
    return {keys[seen[place]]: amount for place, amount in told.items() if place < len(seen) and seen[place] in keys}
