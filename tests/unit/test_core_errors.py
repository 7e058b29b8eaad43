"""Errors carry codes and parameters, and speak the reader's language."""

from __future__ import annotations

import json
import string

import pytest

from services.core.document_errors import Damaged
from services.core.errors import (
    AppError,
    IllegalTransition,
    InvalidName,
    InvalidSetting,
    NameTaken,
    TooLarge,
    Unexpected,
    from_row,
    kinds,
)
from services.core.hub_errors import ModelNotFound
from services.core.phrases import phrase


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


def test_words_with_figures_are_translated_also_after_a_row_has_kept_them() -> None:
    size, limit = (phrase("{count} pages", count=count) for count in ("20,001", "20,000"))
    error = TooLarge(name="a.pdf", size=size, limit=limit, setting="max_pages")
    again = from_row(error.code, json.loads(json.dumps(error.params)))
    assert again.render().message == "“a.pdf” is too large: 20,001 pages, the limit is 20,000 pages."
    assert "20,001 页" in again.render("zh_CN").message and "pages" not in again.render("zh_CN").message


def test_braces_in_a_part_of_a_phrase_are_text() -> None:
    error = Damaged(name="x", reason=phrase("there are only {names}", names="{name} {0}"))
    assert "there are only {name} {0}" in error.render().message


def test_states_are_called_what_the_pages_call_them() -> None:
    error = IllegalTransition(name="far", state="unreachable", wanted="stopped")
    assert error.render().message == "“far” is not reachable; it cannot be stopped now."
    assert "无法连接" in error.render("zh_CN").message


def test_where_a_setting_came_from_is_translated() -> None:
    assert "（来源：环境变量）" in InvalidSetting(key="x", origin="environment", reason="").render("zh_CN").message


def test_the_place_where_a_model_was_looked_for_is_translated() -> None:
    error = ModelNotFound(place="This machine", name="org/model")
    assert error.render().message == "This machine has no model “org/model”."
    assert error.render("zh_CN").message == "没有找到模型“org/model”（本机）。"
