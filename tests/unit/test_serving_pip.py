"""What pip prints becomes one error that names the package and the cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import DiskFull, DownloadFailed, HashMismatch
from services.serving.pip import failure

MISMATCH = """ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.
    piece==1.0 from http://127.0.0.1/piece.whl:
        Expected sha256 aaaa
             Got        bbbb
"""


def test_another_hash_is_told_with_both() -> None:
    error = failure("piece==1.0", "aaaa", MISMATCH, Path("x"))
    assert isinstance(error, HashMismatch)
    assert error.params == {"name": "piece==1.0", "found": "bbbb", "expected": "aaaa"}


def test_a_full_disk_is_told_as_such() -> None:
    told = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    assert isinstance(failure("piece==1.0", "a", told, Path("x")), DiskFull)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (
            "WARNING: Retrying\nERROR: Could not find\nERROR: No matching distribution found for piece==1.0\n",
            "No matching",
        ),
        ("/usr/bin/python: No module named pip\n", "/usr/bin/python: No module named pip"),
        ("", "pip"),
    ],
)
def test_any_other_failure_gives_the_last_line_that_says_why(told: str, reason: str) -> None:
    error = failure("piece==1.0", "a", told, Path("x"))
    assert isinstance(error, DownloadFailed)
    assert error.params["name"] == "piece==1.0" and error.params["reason"].startswith(reason)
