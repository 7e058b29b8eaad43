"""What a server's log tells, whatever its engine has printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.serving import logs
from services.serving.logs import RotatingLog, last_meaningful, matching, tail, whole


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("", ""),
        ("loading\nready\n\n", "ready"),
        ("Traceback:\n  x\nValueError: too long\nbye\n", "ValueError: too long"),
        ("\x1b[31mERROR: no room\x1b[0m\nshutting down\n", "ERROR: no room"),
        ("load 1%\rload 99%\rfailed to load\nbye", "failed to load"),
        ("error: first\nerror: second\n", "error: second"),
        ("无法\nerror: 显存不足\n", "error: 显存不足"),
    ],
)
def test_the_last_words_are_the_last_that_speak_of_an_error(tmp_path: Path, printed: str, told: str) -> None:
    RotatingLog(tmp_path).write(printed.encode())
    assert last_meaningful(tmp_path) == told


def test_the_words_of_an_earlier_run_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    RotatingLog(tmp_path).write(b"error: old\n")
    RotatingLog(tmp_path)
    assert last_meaningful(tmp_path) == ""
    assert tail(tmp_path, 5) == ["error: old"]


def test_the_log_turns_over_by_size_and_keeps_three(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path, limit_bytes=10)
    for number in range(8):
        log.write(f"line {number}\n".encode())
    assert sorted(path.name for path in tmp_path.iterdir()) == [logs.NAME, *(f"{logs.NAME}.{n}" for n in (1, 2, 3))]
    assert tail(tmp_path, 10) == ["line 4", "line 5", "line 6", "line 7"]
    assert tail(tmp_path, 2) == ["line 6", "line 7"]


def test_a_log_of_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none", 5) == [] and last_meaningful(tmp_path / "none") == ""


LINES = [
    "INFO ready",
    "WARNING 11-23 low on space",
    "Error: no room",
    "forwarding 3 requests",
    "Traceback (most recent)",
]


@pytest.mark.parametrize(
    ("text", "serious_only", "found"),
    [
        ("", False, LINES),
        (" READY ", False, ["INFO ready"]),
        ("", True, ["WARNING 11-23 low on space", "Error: no room", "Traceback (most recent)"]),
        ("room", True, ["Error: no room"]),
        ("ready", True, []),
    ],
)
def test_a_log_is_searched_in_any_case_and_narrowed_to_what_is_serious(
    text: str, serious_only: bool, found: list[str]
) -> None:
    assert matching(LINES, text, serious_only=serious_only) == found


def test_the_whole_log_has_earlier_runs_first_and_is_as_it_was_printed(tmp_path: Path) -> None:
    RotatingLog(tmp_path).write(b"\x1b[31mold\x1b[0m\n")
    RotatingLog(tmp_path).write(b"new\n")
    assert whole(tmp_path) == b"\x1b[31mold\x1b[0m\nnew\n" and whole(tmp_path / "nowhere") == b""
