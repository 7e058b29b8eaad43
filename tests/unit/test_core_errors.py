"""Errors carry codes and parameters, and speak the reader's language."""

from __future__ import annotations

import string

import pytest

from services.core.errors import AppError, InvalidName, NameTaken, TooLarge, Unexpected, from_row, kinds


def test_codes_are_unique_and_snake_case() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(codes) == len(set(codes))
    assert all(code == code.lower() and code.replace("_", "").isalpha() for code in codes)


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.code)
def test_every_kind_has_a_message_and_a_remedy_that_render_in_both_languages(kind: type[AppError]) -> None:
    fields = {name for text in (kind.message, kind.remedy) for _, name, _, _ in string.Formatter().parse(text) if name}
    error = kind(**dict.fromkeys(fields, "x"))
    for language in ("en", "zh_CN"):
        rendered = error.render(language)
        assert rendered.message and rendered.remedy and "{" not in rendered.message + rendered.remedy


def test_a_stored_error_comes_back_as_the_same_kind() -> None:
    error = TooLarge(name="a.pdf", size="3 GiB", limit="1 GiB", setting="max_file_bytes")
    again = from_row(error.code, error.params)
    assert type(again) is TooLarge and again.render() == error.render()


def test_a_row_without_its_parameters_still_renders() -> None:
    assert "?" in from_row("too_large", None).render().message


def test_an_unknown_code_becomes_unexpected() -> None:
    assert isinstance(from_row("no_such_code", {}), Unexpected)


def test_braces_in_a_name_are_text() -> None:
    assert NameTaken(name="{name} {0}").render().message == "“{name} {0}” exists already."


def test_reasons_of_ours_are_translated_with_the_message() -> None:
    error = InvalidName(name="x", reason="it is empty", limit=80)
    assert "it is empty" in error.render("en").message
    assert "it is empty" not in error.render("zh_CN").message
