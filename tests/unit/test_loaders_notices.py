"""Notices read as sentences."""

from __future__ import annotations

import string

import pytest

from services.knowledge.loaders.numbers import numbers_text
from services.knowledge.notices import TEMPLATES, render
from services.knowledge.types import Notice


@pytest.mark.parametrize("code", TEMPLATES)
def test_every_template_is_filled_by_its_params(code):
    fields = [field for _, field, _, _ in string.Formatter().parse(TEMPLATES[code]) if field]
    shown = render(Notice(code, {field: f"<{field}>" for field in fields}))
    assert all(f"<{field}>" in shown for field in fields)


def test_a_notice_without_its_params_still_reads():
    assert "?" in render(Notice("pages_unreadable", {"total": 3}))


def test_an_unknown_code_stands_for_itself():
    assert render(Notice("from_the_future", {"x": 1})) == "from_the_future"


def test_page_numbers_are_joined_to_ranges():
    assert numbers_text([3, 7, 9, 10, 11]) == "3, 7, 9–11"
