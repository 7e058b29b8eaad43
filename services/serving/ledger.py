"""The ledger of one machine: before, measured and peak memory of each launch on each GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.core.clock import now_ms
from services.core.units import MIB
from services.gpu.readings import GpuReading, Holder, Holding
from services.serving.estimates import estimates, unexplained_bytes, with_estimates, without
from services.store.ledger import LedgerRecord, LedgerRows
from services.store.servers import Launched

LITTLE_BYTES = 16 * MIB
"""A change that is not written down."""
YOUNG_MS = 1_000
"""A launch that is not older has nothing on a GPU yet: it is still loading its program."""
ESTIMATE = "estimate"
Key = tuple[str, str]
"""Launched token and GPU."""


def gpu_key(gpu: GpuReading) -> str:
    """What a row calls a GPU."""
    return gpu.uuid or f"index {gpu.index}"


class Ledger:
    """Follows the launches of one machine from snapshot to snapshot. Not thread-safe: one owner calls `follow`."""

    def __init__(self, rows: LedgerRows, machine_id: str, *, writes: bool) -> None:
        """
        Args:
            writes: whether this process is the one that keeps the rows; another one only reads them.
        """
        self._rows = rows
        self._machine_id = machine_id
        self._writes = writes
        self._launches: Sequence[Launched] | None = None
        self._records: dict[Key, LedgerRecord] = {}  # launches stand in the order in which they began
        self._written: dict[Key, LedgerRecord] = {}
        self._ended: set[str] = set()
        self._last_look: dict[str, int] = {}

    def follow(
        self, gpus: Sequence[GpuReading], launches: Sequence[Launched], *, whole: bool
    ) -> tuple[GpuReading, ...]:
        """Note what the launches hold, and add estimates for those whose processes cannot be seen.

        Args:
            gpus: with a holder for every process that is known.
            launches: the servers that have been started, oldest first.
            whole: whether all processes of the machine can be seen from here; then nothing is estimated.

        Raises: DatabaseUnavailable, DiskFull.
        """
        look = {gpu_key(gpu): known for gpu in gpus if (known := unexplained_bytes(gpu)) is not None}
        if launches != self._launches:
            self._turn(launches, look)
        seen = {holding.holder.server_id for gpu in gpus for holding in gpu.holdings or () if holding.holder}
        hidden = {launch.token: launch for launch in launches if launch.server_id not in seen}
        told = tuple(
            gpu if whole and gpu.holdings is not None else with_estimates(gpu, self._guesses(gpu, hidden, look))
            for gpu in gpus
        )
        for gpu in told:
            self._measure(gpu, launches)
        self._last_look = look
        if self._writes:
            self._write()
        return told

    # Launches begin and end

    def _turn(self, launches: Sequence[Launched], look: Mapping[str, int]) -> None:
        tokens = [launch.token for launch in launches]
        if self._launches is None or not self._writes:
            self._records = {
                (record.launch_token, record.gpu_uuid): record
                for record in self._rows.standing(self._machine_id, tokens)
            }
            self._written = dict(self._records)
        for key in [key for key in self._records if key[0] not in tokens]:
            self._end(key)
        known = {token for token, _ in self._records}
        if self._writes:
            for place, launch in enumerate(launch for launch in launches if launch.token not in known):
                self._begin(launch, look, now_ms() + place)
        self._launches = launches

    def _begin(self, launch: Launched, look: Mapping[str, int], at_ms: int) -> None:
        young = launch.started_at is None or abs(now_ms() - launch.started_at * 1000) < YOUNG_MS
        for gpu, now_bytes in look.items():
            last = self._last_look.get(gpu, now_bytes if young else None)
            if last is not None:  # what went away since the last look was not of this launch
                self._records[launch.token, gpu] = self._fresh(launch, gpu, at_ms, min(last, now_bytes))

    def _end(self, key: Key) -> None:
        """Forget a launch on one GPU. Where its share was an estimate, the baselines of later launches lose it."""
        ended, gpu = self._records[key], key[1]
        if ended.estimated and ended.before_bytes is not None:
            chain = self._chain(gpu)
            baselines = [record.before_bytes or 0 for record in chain]
            place = chain.index(ended)
            lowered = without(baselines, place)
            for record, baseline in zip([*chain[:place], *chain[place + 1 :]], lowered, strict=True):
                self._records[record.launch_token, gpu] = replace(record, before_bytes=baseline)
            if gpu in self._last_look:
                self._last_look[gpu] = max(0, self._last_look[gpu] - (ended.measured_bytes or 0))
        del self._records[key]
        self._written.pop(key, None)
        self._ended.add(ended.launch_token)

    def _chain(self, gpu: str) -> list[LedgerRecord]:
        """The launches whose baseline on a GPU is known, oldest first."""
        rows = self._records.values()
        return [record for record in rows if record.gpu_uuid == gpu and record.before_bytes is not None]

    def _fresh(self, launch: Launched, gpu: str, at_ms: int, before_bytes: int | None) -> LedgerRecord:
        return LedgerRecord(
            launch_token=launch.token,
            gpu_uuid=gpu,
            machine_id=self._machine_id,
            server_id=launch.server_id,
            before_bytes=before_bytes,
            planned_bytes=None,
            reported_bytes=None,
            measured_bytes=None,
            peak_bytes=None,
            estimated=False,
            created_at_ms=at_ms,
            updated_at_ms=at_ms,
        )

    # What they hold

    def _guesses(self, gpu: GpuReading, hidden: Mapping[str, Launched], look: Mapping[str, int]) -> list[Holding]:
        now_bytes = look.get(gpu_key(gpu))
        if now_bytes is None:
            return []
        chain = self._chain(gpu_key(gpu))
        amounts = estimates([record.before_bytes or 0 for record in chain], now_bytes)
        return [
            Holding(pid=None, used_bytes=amount, holder=holder_of(hidden[record.launch_token], ESTIMATE))
            for record, amount in zip(chain, amounts, strict=True)
            if amount and record.launch_token in hidden
        ]

    def _measure(self, gpu: GpuReading, launches: Sequence[Launched]) -> None:
        for launch in launches:
            held = holdings_of(gpu, launch.server_id)
            measured = held_bytes(held)
            key = launch.token, gpu_key(gpu)
            record = self._records.get(key)
            if record is None:
                if measured is None:
                    continue
                record = self._fresh(launch, gpu_key(gpu), now_ms(), None)
            estimated = is_estimate(held) if held else record.estimated
            if (record.measured_bytes, record.estimated) != (measured, estimated):
                peak = max((each for each in (record.peak_bytes, measured) if each is not None), default=None)
                record = replace(record, measured_bytes=measured, peak_bytes=peak, estimated=estimated)
            self._records[key] = record

    def _write(self) -> None:
        changed = {key: record for key, record in self._records.items() if _differs(record, self._written.get(key))}
        if changed or self._ended:
            self._rows.write(list(changed.values()), self._ended)
            self._written.update(changed)
            self._ended = set()


def holder_of(launch: Launched, how: str, user: str | None = None, command: str | None = None) -> Holder:
    """A launch as the holder of memory."""
    return Holder(user, command, launch.server_id, launch.name, launch.model, how)


def holdings_of(gpu: GpuReading, server_id: str) -> list[Holding]:
    """What a server holds on a GPU."""
    return [each for each in gpu.holdings or () if each.holder and each.holder.server_id == server_id]


def held_bytes(holdings: Sequence[Holding]) -> int | None:
    """The sum; None where there is nothing, or where the driver does not tell a part of it."""
    amounts = [holding.used_bytes for holding in holdings]
    return sum(amount or 0 for amount in amounts) if amounts and None not in amounts else None


def is_estimate(holdings: Sequence[Holding]) -> bool:
    """Whether any part is only the difference between before and after."""
    return any(holding.holder and holding.holder.how == ESTIMATE for holding in holdings)


def _differs(record: LedgerRecord, written: LedgerRecord | None) -> bool:
    if written is None or (record.before_bytes, record.estimated) != (written.before_bytes, written.estimated):
        return True
    pairs = ((record.measured_bytes, written.measured_bytes), (record.peak_bytes, written.peak_bytes))
    return any((new is None) != (old is None) or abs((new or 0) - (old or 0)) >= LITTLE_BYTES for new, old in pairs)
