"""The order of the processes on the GPUs page: by memory, but nobody changes places for a trifle."""

from __future__ import annotations

from services.core.units import GIB
from services.gpu.readings import Holding
from tests.fakes.gpu_snapshots import gpu, stranger
from ui.gpus.processes import Order


def order(kept: Order, *holdings: Holding) -> list[int | None]:
    """The pids in their places."""
    card = gpu(0, *holdings)
    return [holding.pid for _gpu, holding in kept.of((card, holding) for holding in holdings)]


def test_the_largest_comes_first() -> None:
    assert order(Order(), stranger(1, GIB), stranger(2, 3 * GIB), stranger(3, None)) == [2, 1, 3]


def test_two_of_nearly_the_same_size_keep_their_places() -> None:
    kept = Order()
    assert order(kept, stranger(1, 15 * GIB), stranger(2, 16 * GIB)) == [2, 1]
    assert order(kept, stranger(1, 17 * GIB), stranger(2, 16 * GIB)) == [2, 1]


def test_one_that_has_grown_much_moves_up_also_in_small_steps() -> None:
    kept = Order()
    places = [order(kept, stranger(1, size * GIB), stranger(2, 16 * GIB)) for size in range(10, 25)]
    assert places[0] == [2, 1]
    assert places[-1] == [1, 2]


def test_a_new_one_stands_where_its_size_belongs_and_one_that_went_is_forgotten() -> None:
    kept = Order()
    order(kept, stranger(1, 8 * GIB), stranger(2, 4 * GIB))
    assert order(kept, stranger(1, 8 * GIB), stranger(3, 6 * GIB), stranger(2, 4 * GIB)) == [1, 3, 2]
    assert order(kept, stranger(3, 6 * GIB)) == [3]
    assert order(kept, stranger(1, 7 * GIB), stranger(3, 7 * GIB - 1)) == [1, 3]


def test_two_that_cannot_be_told_apart_are_both_shown() -> None:
    assert order(Order(), stranger(None, GIB), stranger(None, 2 * GIB)) == [None, None]  # type: ignore[arg-type]
