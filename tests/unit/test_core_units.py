"""Numbers have units, and the unknown is never zero."""

from __future__ import annotations

import pytest

from services.core.units import bytes_text, milliseconds_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "n/a"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**2, "5.0 MiB"), (8.5e9, "7.9 GiB")],
)
def test_bytes(count: float | None, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "n/a"), (0, "0 ms"), (999, "999 ms"), (1500, "1.5 s"), (190_000, "3 min 10 s"), (7_260_000, "2 h 1 min")],
)
def test_durations(value: float | None, text: str) -> None:
    assert milliseconds_text(value) == text
