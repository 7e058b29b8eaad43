"""A wish that a base be verified or rebuilt, how far the worker is with it, and what it found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from services.knowledge.types import VerifyReport

UPKEEP = "upkeep"
"""The note in the base's store that holds it."""


class UpkeepKind(StrEnum):
    """What is to be done."""

    VERIFY = "verify"
    REBUILD = "rebuild"


class UpkeepState(StrEnum):
    """Where it stands."""

    WISHED = "wished"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One wish. `step`, `done` and `total` tell how far it is; `report` what was found."""

    kind: UpkeepKind
    state: UpkeepState = UpkeepState.WISHED
    step: str = ""
    done: int = 0
    total: int = 0
    report: VerifyReport | None = None
    error: tuple[str, dict[str, Any]] | None = None

    @property
    def settled(self) -> bool:
        """Nothing more will happen by itself."""
        return self.state in (UpkeepState.DONE, UpkeepState.FAILED)

    def row(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @staticmethod
    def of(row: Any) -> Upkeep | None:
        """From JSON values; None where there is none, or another version wrote it."""
        try:
            report, error = row["report"], row["error"]
            return Upkeep(
                UpkeepKind(row["kind"]),
                UpkeepState(row["state"]),
                row["step"],
                row["done"],
                row["total"],
                report and VerifyReport(**{**report, **{key: tuple(report[key]) for key in ("problems", "mended")}}),
                error and (error[0], error[1]),
            )
        except (KeyError, TypeError, ValueError):
            return None
