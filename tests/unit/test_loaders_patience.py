"""A reader that gets on has time, one that stands still or dawdles has not."""

from __future__ import annotations

import pytest

from services.knowledge.loaders.confined import Allowance, Patience

TIMEOUT_S, PAGE_S = 10, 0.5


@pytest.fixture
def patience() -> Patience:
    return Patience(Allowance(TIMEOUT_S, PAGE_S), 1000.0)


def test_what_does_nothing_ends_at_the_limit(patience: Patience) -> None:
    assert not patience.ends(11_000.0, 0)
    assert patience.ends(11_001.0, 0)


def test_a_long_file_that_gets_on_is_read_to_its_end(patience: Patience) -> None:
    assert not any(patience.ends(1000.0 + 400 * page, page) for page in range(1, 5000))


def test_what_stands_still_after_many_pages_ends_at_the_limit(patience: Patience) -> None:
    assert not patience.ends(5000.0, 1000)
    assert not patience.ends(15_000.0, 1000)
    assert patience.ends(15_001.0, 1000)


def test_what_gets_on_too_slowly_ends(patience: Patience) -> None:
    times = [1000.0 + 9000 * page for page in range(100)]
    ended = [patience.ends(now_ms, page) for page, now_ms in enumerate(times)]
    assert ended.index(True) == 2, "18 s for two pages, but 11 were allowed"
