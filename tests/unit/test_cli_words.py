"""Global options may stand anywhere on the line."""

from __future__ import annotations

from services.cli.main import hoisted


def test_global_options_move_to_the_front() -> None:
    assert hoisted(["kb", "list", "--json", "--lang", "zh"]) == ["--json", "--lang", "zh", "kb", "list"]
    assert hoisted(["kb", "list", "--home=/x"]) == ["--home=/x", "kb", "list"]


def test_what_follows_two_dashes_stays() -> None:
    assert hoisted(["ask", "base", "--", "--json"]) == ["ask", "base", "--", "--json"]


def test_an_option_without_its_value_is_left_for_the_parser() -> None:
    assert hoisted(["status", "--lang"]) == ["--lang", "status"]
