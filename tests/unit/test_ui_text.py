"""Texts of strangers in HTML and in Markdown labels."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ui.text import html_text, markdown_text

HOSTILE = [
    "<img src=\"x\" onerror='1'>",
    "![x](http://blocked.example/a.png)",
    "[a](javascript:1)",
    ":material/home:",
    "$x$",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_html_text_holds_no_character_that_html_knows(text: str) -> None:
    assert not set("<>\"'") & set(html_text(text))


@pytest.mark.parametrize(
    "text", [*HOSTILE, "# head", "- item", "1. item", "a\n\nb", "www.blocked.example", "a@b.example"]
)
def test_markdown_text_reads_as_it_was_written(text: str) -> None:
    assert rendered(text) == " ".join(text.split())


@pytest.mark.parametrize("text", ["$x$", ":material/home:", ":red[x]", "~x~"])
def test_what_only_streamlit_reads_as_markdown_is_escaped_too(text: str) -> None:
    assert not re.search(r"(?<!\\)[$:~\[\]]", markdown_text(text))


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60))
def test_any_text_survives_as_a_markdown_label(text: str) -> None:
    assert rendered(text) == " ".join(text.split())


def rendered(text: str) -> str:
    """What a Markdown reader shows: plain text only, or the test fails."""
    tokens = MarkdownIt("js-default", {"linkify": False}).parse(markdown_text(text))
    kinds = {token.type for token in tokens} - {"paragraph_open", "paragraph_close", "inline"}
    assert not kinds
    children = [child for token in tokens for child in token.children or []]
    assert {child.type for child in children} <= {"text", "text_special"}
    return "".join(child.content for child in children)
