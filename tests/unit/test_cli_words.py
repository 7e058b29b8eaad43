"""Global options may stand anywhere on the line, and codes become words."""

from __future__ import annotations

from services.cli.main import hoisted
from services.cli.output import Speaker


def test_global_options_move_to_the_front() -> None:
    assert hoisted(["kb", "list", "--json", "--lang", "zh"]) == ["--json", "--lang", "zh", "kb", "list"]
    assert hoisted(["kb", "list", "--home=/x"]) == ["--home=/x", "kb", "list"]


def test_what_follows_two_dashes_stays() -> None:
    assert hoisted(["ask", "base", "--", "--json"]) == ["ask", "base", "--", "--json"]


def test_an_option_without_its_value_is_left_for_the_parser() -> None:
    assert hoisted(["status", "--lang"]) == ["--lang", "status"]


def test_rows_are_read_in_words_of_the_language() -> None:
    speaker = Speaker()
    speaker.configure(as_json=False, language="zh", home=None)
    row = {"name": "ready", "state": "unreachable", "wish": "running", "pid": None}
    assert speaker.values(row, row) == ["ready", "无法连接", "运行中", None]


def test_an_error_is_read_as_message_and_remedy() -> None:
    row = {"error": {"code": "x", "message": "It failed.", "remedy": "Try again."}}
    assert Speaker().values(row, row) == ["It failed. Try again."]
