"""Page numbers for people."""

from __future__ import annotations

from collections.abc import Iterable


def numbers_text(numbers: Iterable[int]) -> str:
    """Ascending numbers, runs drawn together: 3, 7, 9–12."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
