"""Whole logs, written by hand: interleaved ranks, colours, JSON, several runs, running servers that die."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.serving.diagnosis import diagnose, files

LOGS = Path(__file__).parent / "diagnosis_logs"
EXPECTED: dict[str, Any] = json.loads((LOGS / "expected.json").read_text("utf-8"))


def test_every_log_is_expected_to_be_something() -> None:
    assert {path.stem for path in LOGS.glob("*.log")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_log_is_taken_for_what_it_is(name: str) -> None:
    path, expected = LOGS / f"{name}.log", EXPECTED[name]
    found = diagnose(files.lines_of(path, files.part_of(path)))
    if expected is None:
        assert found == []
        return
    first = found[0]
    told = {"code": first.code, "line": first.evidence.number, "flags": first.flags}
    assert {key: told[key] for key in expected} == expected


def test_an_unknown_failure_shows_where_it_began_and_no_noise() -> None:
    path = LOGS / "09_unknown.log"
    found = diagnose(files.lines_of(path, files.part_of(path)))
    assert [line.split(":")[0] for line in found[0].evidence.line.splitlines()] == [
        'File "/e/vllm/model_executor/layers/rotary_embedding.py", line 77, in get_rope',
        "ZeroDivisionError",
    ]
