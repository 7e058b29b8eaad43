"""The figures of the retrieval benchmark, on orders whose figures can be reckoned by hand."""

from __future__ import annotations

import math

import pytest

from bench.retrieval import scored


def test_the_best_order_has_everything() -> None:
    assert scored(["a", "b", "x"], {"a": 3, "b": 1}) == (1.0, 1.0)


def test_a_worse_order_gains_less() -> None:
    ndcg, recall = scored(["x", "b", "a"], {"a": 3, "b": 1})
    best = 3 + 1 / math.log2(3)
    assert ndcg == pytest.approx((1 / math.log2(3) + 3 / 2) / best)
    assert recall == 1.0


def test_what_stands_behind_the_tenth_place_counts_nothing() -> None:
    ranked = [f"x{number}" for number in range(10)] + ["a"]
    assert scored(ranked, {"a": 1}) == (0.0, 0.0)


def test_more_relevant_documents_than_places_are_no_loss_of_gain() -> None:
    grades = {f"d{number}": 1 for number in range(20)}
    ndcg, recall = scored(list(grades), grades)
    assert ndcg == pytest.approx(1.0)
    assert recall == 0.5
