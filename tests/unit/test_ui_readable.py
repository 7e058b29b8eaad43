"""Documents as readable text: nothing of a stranger's is rendered, and the passage stays marked."""

from __future__ import annotations

import pytest

from ui.readable import marked_html


@pytest.mark.parametrize(
    ("parts", "html"),
    [
        (("a ", "b", " c"), "a <mark>b</mark> c"),
        (("", "one\n\ntwo", "\nthree"), "<mark>one\n\ntwo</mark>\nthree"),
        (("", "<b>x</b>", ""), "<mark>&lt;b&gt;x&lt;/b&gt;</mark>"),
    ],
)
def test_plain_text_is_marked_as_it_stands(parts: tuple[str, str, str], html: str) -> None:
    assert marked_html(*parts) == html


@pytest.mark.parametrize(
    ("parts", "html"),
    [
        (
            ("# Pump\n\n", "It **starts** at `six`.", "\n"),
            '<span class="heading">Pump</span>\n\n<mark>It starts at six.</mark>\n',
        ),
        (
            ("", "## Pond\n- koi", "\n- carp"),
            '<span class="heading"><mark>Pond</mark></span>\n<mark>• koi</mark>\n• carp',
        ),
        (("see ", "[the manual](http://evil.example)", ""), "see <mark>the manual</mark>"),
        (("", "![x](http://evil.example/a.png)<img src=x>", ""), "<mark>x&lt;img src=x&gt;</mark>"),
        (("```\n", "# no heading", "\n```"), '\n<span class="code"><mark># no heading</mark></span>\n'),
        (("| a | b |\n|---|---|\n", "| 1 | 2 |", ""), "a  b\n\n<mark>1  2</mark>"),
    ],
)
def test_markdown_is_read_without_its_signs(parts: tuple[str, str, str], html: str) -> None:
    assert marked_html(*parts, markdown=True) == html
