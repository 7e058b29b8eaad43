"""What ready servers say of themselves while they run: read by the worker, shown by pages and the command line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace

import httpx2

from services.core.clock import now_ms, ticks_ms
from services.core.errors import AppError
from services.core.log import incident
from services.llm.addresses import root_url
from services.serving.engine_metrics import Figures, Reading, figures, reading
from services.serving.places import endpoint_of
from services.serving.states import READY
from services.store.figures import FigureRecord, FigureRows
from services.store.servers import ServerRecord

logger = logging.getLogger(__name__)

EVERY_MS = 2_000
SILENT_EVERY_MS = 60_000
"""How often a server is asked that has told no figures: most such engines have none."""
KEPT_MS = 15 * 60_000
FRESH_MS = 10_000
"""Figures that are older are no longer those of now."""
RECENT_MS = 60_000
"""The time to the first token is that of the last answer within this time."""
TIMEOUT_S = 2.0
TIDY_EVERY_MS = 60_000
"""How often old figures are removed while there are no new ones."""
LIMIT_BYTES = 4_000_000
THREADS = 4
NAMES = [field.name for field in fields(Figures)]


@dataclass(slots=True)
class _Followed:
    """A launch that is read. `before` is its last reading, `due_ms` (monotonic) when it is asked next."""

    before: Reading | None = None
    due_ms: float = 0.0


class FigureReader:
    """Reads the figures of this machine's ready servers, in threads of its own: a slow one holds up nothing else."""

    def __init__(self, servers: Callable[[], list[ServerRecord]], rows: FigureRows, machine_id: str) -> None:
        self._servers = servers
        self._rows = rows
        self._machine_id = machine_id
        self._followed: dict[str, _Followed] = {}
        self._tidy_ms = 0.0
        self._failing = False
        self._ending = threading.Event()
        self._asking = ThreadPoolExecutor(THREADS, thread_name_prefix="figures")
        self._thread = threading.Thread(target=self._run, name="figures-reader", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; each question ends by its own time limit."""
        self._ending.set()
        if self._thread.ident:
            self._thread.join(timeout=2 * TIMEOUT_S)
        self._asking.shutdown(wait=True, cancel_futures=True)

    def tick(self) -> None:
        """Read each server that is due, and keep its figures. A failure is logged once, until it works again."""
        try:
            self._read()
            self._failing = False
        except Exception as error:  # noqa: BLE001 - the next round is another try
            if not self._failing:
                incident(logger, error, "reading the figures of servers")
            self._failing = True

    def _read(self) -> None:
        ready = {row.launch_token: row for row in self._servers() if row.managed and row.state == READY}
        launches = {token: row for token, row in ready.items() if token}
        self._followed = {token: self._followed.get(token) or _Followed() for token in launches}
        due = [token for token in launches if ticks_ms() >= self._followed[token].due_ms]
        readings = self._asking.map(lambda token: _asked(launches[token]), due)
        told = {token: self._told(token, found) for token, found in zip(due, readings, strict=True)}
        at_ms = now_ms()
        records = [
            FigureRecord(launches[token].id, at_ms, self._machine_id, token, asdict(one))
            for token, one in told.items()
            if one
        ]
        if records or ticks_ms() >= self._tidy_ms:
            self._rows.write(self._machine_id, records, at_ms - KEPT_MS, at_ms)
            self._tidy_ms = ticks_ms() + TIDY_EVERY_MS

    def _told(self, token: str, found: Reading | None) -> Figures | None:
        followed = self._followed[token]
        if found is None:
            followed.due_ms = ticks_ms() + (0 if followed.before else SILENT_EVERY_MS)
            return None
        told = figures(followed.before, found)
        followed.before = found
        return told

    def _run(self) -> None:
        due_ms = ticks_ms()
        while not self._ending.wait(max(0.0, due_ms - ticks_ms()) / 1000):
            self.tick()
            due_ms = max(due_ms + EVERY_MS, ticks_ms())


@dataclass(frozen=True, slots=True)
class Moment:
    """The figures of one moment."""

    at_ms: int
    figures: Figures


class FigureBook:
    """Reads what was kept of servers' figures. Thread-safe."""

    def __init__(self, rows: FigureRows) -> None:
        self._rows = rows

    def now(self, server: ServerRecord) -> Figures | None:
        """What a server says of itself now; None where it is not ready, or says nothing.

        Raises: DatabaseUnavailable.
        """
        recent = self.past(server, RECENT_MS)
        if server.state != READY or not recent or recent[-1].at_ms < now_ms() - FRESH_MS:
            return None
        answered = [one.figures for one in recent if one.figures.ttft_ms is not None]
        last = answered[-1] if answered else Figures()
        return replace(recent[-1].figures, ttft_ms=last.ttft_ms, ttft_p95_ms=last.ttft_p95_ms)

    def past(self, server: ServerRecord, span_ms: int = KEPT_MS) -> list[Moment]:
        """What the present launch of a server has said, oldest first. Raises: DatabaseUnavailable."""
        if not server.launch_token:
            return []
        until_ms = now_ms()
        records = self._rows.between(server.id, server.launch_token, until_ms - span_ms, until_ms)
        return [Moment(record.taken_at_ms, _figures_of(record.figures)) for record in records]


def row_of(told: Figures | None) -> dict[str, float | None] | None:
    """Figures as JSON values, rounded to what they are worth."""
    if told is None:
        return None
    return {
        name: None if (value := getattr(told, name)) is None else round(value, 1)
        for name in NAMES
        if name != "ttft_p95_ms"
    }


def _figures_of(kept: Mapping[str, float | None]) -> Figures:
    return Figures(**{name: kept.get(name) for name in NAMES})


def _asked(server: ServerRecord) -> Reading | None:
    """A look at a server's /metrics; None where it tells nothing, or not in time."""
    try:
        endpoint = endpoint_of(server)
        key = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        address = root_url(endpoint.url) + "/metrics"
        deadline_ms, content = ticks_ms() + TIMEOUT_S * 1000, bytearray()
        with httpx2.stream("GET", address, headers=key, timeout=TIMEOUT_S, trust_env=False) as reply:
            if reply.status_code != httpx2.codes.OK:
                return None
            for part in reply.iter_bytes():
                content += part
                if ticks_ms() > deadline_ms or len(content) > LIMIT_BYTES:
                    return None
    except (httpx2.HTTPError, AppError, ValueError):
        return None
    return reading(content.decode("utf-8", "replace"), ticks_ms())
