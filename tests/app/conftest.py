"""What every page test needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Give `__main__` back: Streamlit's tester leaves its script there, and child processes would run it again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
