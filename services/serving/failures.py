"""Why a managed server failed: its newest log is diagnosed with what else is known of the run."""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.core.errors import AppError
from services.core.log import incident
from services.gpu.readings import GpuReading, Snapshot
from services.serving import logs
from services.serving.diagnosis import Context, Diagnosis, diagnose, files
from services.serving.engines.protocol import MASK, Engine
from services.serving.launch import Exit
from services.serving.ledger import held_bytes, holdings_of
from services.serving.spec import ManagedSpec
from services.store.servers import ServerRecord

logger = logging.getLogger(__name__)

LIMIT_BYTES = 4_000_000
"""Of a longer log the end is read, so that no other server has to wait."""


def diagnosed(
    row: ServerRecord, engine: Engine, folder: Path, ending: Exit | None, snapshot: Snapshot | None
) -> list[Diagnosis]:
    """The causes that the log of a server's newest run shows, the surest first; empty where it shows none.

    Args:
        ending: how the engine ended; None where nobody knows.
        snapshot: the newest look at the GPUs; None where there is none.
    """
    path = folder / logs.NAME
    try:
        spec = engine.spec.of(row.spec)
        part = files.part_of(path, LIMIT_BYTES)
        lines = files.lines_of(path, part)
        found = diagnose(lines, row.engine, _context(row, spec, ending, snapshot), first=part.first_line)
    except (AppError, OSError) as error:  # no log, or none that can be read
        logger.info("server %s: its log was not diagnosed: %s", row.name, error)
        return []
    except Exception as error:  # noqa: BLE001 - a failure that nobody can explain is still told as one
        incident(logger, error, f"diagnosing {row.name}")
        return []
    return [Diagnosis.of(masked(diagnosis.row(), spec.secrets())) for diagnosis in found]


def masked(value: Any, secrets: Sequence[str]) -> Any:
    """JSON values with every secret replaced."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        return value
    if isinstance(value, Mapping):
        return {key: masked(each, secrets) for key, each in value.items()}
    return [masked(each, secrets) for each in value] if isinstance(value, list | tuple) else value


def _context(row: ServerRecord, spec: ManagedSpec, ending: Exit | None, snapshot: Snapshot | None) -> Context:
    gpus = gpus_of(spec, snapshot)
    total, free = _fullest(gpus, row.id)
    return Context(
        exit_code=ending.exit_code if ending else None,
        signal=int(signal.Signals[ending.signal]) if ending and ending.signal else None,
        options=_chosen(spec),
        gpu_count=len(gpus) if snapshot else None,
        gpu_total_bytes=total,
        gpu_free_bytes=free,
    )


def gpus_of(spec: ManagedSpec, snapshot: Snapshot | None) -> list[GpuReading]:
    """The GPUs that a server may use."""
    gpus = snapshot.gpus if snapshot else ()
    return [gpu for gpu in gpus if not spec.gpus or gpu.index in spec.gpus]


def _fullest(gpus: Sequence[GpuReading], server_id: str) -> tuple[int | None, int | None]:
    """Whole and free bytes of the GPU on which the others leave least."""
    known = [
        (gpu.total_bytes, gpu.free_bytes + (held_bytes(holdings_of(gpu, server_id)) or 0))
        for gpu in gpus
        if gpu.free_bytes is not None
    ]
    return min(known, key=lambda pair: pair[1]) if known else (None, None)


def _chosen(spec: ManagedSpec) -> dict[str, Any]:
    """What differs from the defaults; no secrets."""
    return {
        name: value
        for name, value in spec.row().items()
        if name not in ("api_key", "password", "env") and getattr(spec, name) != type(spec).model_fields[name].default
    }
