"""The list of engines says of each what it is for."""

from __future__ import annotations

from pathlib import Path

from ui.servers.engines import NAMES, USES

PINS = Path(__file__).resolve().parents[2] / "requirements" / "engines"


def test_every_engine_with_an_environment_has_a_name_and_a_use() -> None:
    environments = {path.stem for path in PINS.glob("*.txt")}
    assert environments and environments == set(USES) == set(NAMES)
