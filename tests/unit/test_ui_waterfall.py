"""Bars of an answer's time: one scale from zero to the whole, each with its unit."""

from __future__ import annotations

from ui.waterfall import waterfall_html


def test_each_step_begins_where_the_one_before_ended() -> None:
    html = waterfall_html(
        {"embed": 100.0, "dense": 100.0, "first_token": 300.0, "generate": 500.0, "total": 1000.0}, 20
    )
    assert [part.partition("%")[0] for part in html.split("left:")[1:]] == ["0.00", "10.00", "20.00", "50.00"]
    assert [part.partition("%")[0] for part in html.split("width:")[1:]] == ["10.00", "10.00", "30.00", "50.00"]
    assert "40.0 tokens/s" in html and "1.0 s" in html


def test_what_did_not_happen_has_no_bar_and_nothing_measured_has_no_table() -> None:
    html = waterfall_html({"queue": 0.3, "embed": 1.0, "rerank": 0.0}, None)
    assert "embedding" in html and "reranking" not in html and "waiting" not in html
    assert waterfall_html({}, None) == waterfall_html({"total": 5.0}, None) == ""
