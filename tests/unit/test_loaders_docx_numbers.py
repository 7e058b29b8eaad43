"""The numbers of Word's lists and headings: counted as Word counts them, written in its forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from docx.oxml import parse_xml

from services.knowledge.loaders import docx
from services.knowledge.loaders.docx_numbers import WORD, number_text
from services.knowledge.loaders.protocol import Limits
from tests.fakes.documents import write_docx

LIMITS = Limits(pages=100, characters=1_000_000, timeout_s=30, memory_bytes=2 << 30)
W = f'xmlns:w="{WORD[1:-1]}"'


def level(depth: int, form: str, pattern: str, start: int = 1, more: str = "") -> str:
    return (
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="{start}"/><w:numFmt w:val="{form}"/>{more}'
        f'<w:lvlText w:val="{pattern}"/></w:lvl>'
    )


def listed(list_id: int, depth: int = 0) -> str:
    return f'<w:pPr {W}><w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{list_id}"/></w:numPr></w:pPr>'


class Writer:
    """A document with lists of its own; the ids of python-docx's template end below 90."""

    def __init__(self, word) -> None:
        self.word = word
        self.root = word.part.numbering_part.element

    def family(self, id: int, *levels: str) -> None:
        first = self.root.find(f"{WORD}num")
        first.addprevious(parse_xml(f'<w:abstractNum {W} w:abstractNumId="{id}">{"".join(levels)}</w:abstractNum>'))

    def list(self, id: int, family: int, overrides: str = "") -> None:
        self.root.append(parse_xml(f'<w:num {W} w:numId="{id}"><w:abstractNumId w:val="{family}"/>{overrides}</w:num>'))

    def line(self, text: str, list_id: int | None = None, depth: int = 0, style: str | None = None) -> None:
        paragraph = self.word.add_paragraph(text, style=style)._p
        if list_id is not None:
            properties = paragraph.get_or_add_pPr()
            properties.append(parse_xml(listed(list_id, depth))[0])


def text_of(path: Path) -> list[str]:
    return docx.LOADER.load(path, path.name, LIMITS).text.split("\n\n")


def test_a_list_within_a_list_counts_anew_and_the_outer_one_goes_on(tmp_path):
    def fill(word):
        writer = Writer(word)
        writer.family(90, level(0, "decimal", "%1."), level(1, "lowerLetter", "(%2)"), level(2, "lowerRoman", "%1.%3"))
        writer.list(91, 90)
        for text, depth in (("a", 0), ("b", 1), ("c", 1), ("d", 2), ("e", 0), ("f", 1)):
            writer.line(text, 91, depth)

    assert text_of(write_docx(tmp_path / "l.docx", fill)) == ["1. a", "(a) b", "(b) c", "1.i d", "2. e", "(a) f"]


def test_lists_of_one_family_go_on_unless_one_says_where_it_begins(tmp_path):
    def fill(word):
        writer = Writer(word)
        writer.family(90, level(0, "decimal", "%1)", start=3))
        writer.list(91, 90)
        writer.list(92, 90)
        writer.list(93, 90, '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride>')
        for text, list_id in (("a", 91), ("b", 92), ("c", 93), ("d", 93), ("e", 91)):
            writer.line(text, list_id)

    assert text_of(write_docx(tmp_path / "g.docx", fill)) == ["3) a", "4) b", "7) c", "8) d", "9) e"]


def test_headings_carry_the_numbers_of_their_style(tmp_path):
    def fill(word):
        writer = Writer(word)
        legal = "<w:isLgl/>"
        writer.family(
            90,
            level(0, "chineseCountingThousand", "第%1章"),
            level(1, "decimal", "%1.%2", more=legal),
            level(2, "none", ""),
        )
        writer.list(91, 90)
        for number in (1, 2):
            properties = word.styles[f"Heading {number}"].element.get_or_add_pPr()
            properties.append(parse_xml(listed(91, number - 1))[0])
        for text, depth in (("总则", 1), ("适用范围", 2), ("请假", 1), ("年假", 2), ("病假", 2)):
            word.add_heading(text, depth)
        writer.line("no number", 91, 2)
        writer.line("not in a list", 0)

    path = write_docx(tmp_path / "h.docx", fill)
    found = docx.LOADER.load(path, path.name, LIMITS)
    titles = [heading.title for heading in found.headings]
    assert titles == ["第一章 总则", "1.1 适用范围", "第二章 请假", "2.1 年假", "2.2 病假"]
    assert found.text.split("\n\n")[-2:] == ["no number", "not in a list"]


def test_a_style_takes_the_list_of_the_style_that_it_is_based_on(tmp_path):
    def fill(word):
        writer = Writer(word)
        writer.family(90, level(0, "upperRoman", "%1 –"), level(1, "bullet", "\uf0b7"))
        writer.list(91, 90)
        word.styles["Body Text"].element.get_or_add_pPr().append(parse_xml(listed(91))[0])
        child = word.styles.add_style("Clause", 1)
        child.base_style = word.styles["Body Text"]
        writer.line("a", style="Clause")
        writer.line("b", style="Clause")
        writer.line("c", 91, 1)
        writer.line("d", 400)

    assert text_of(write_docx(tmp_path / "s.docx", fill)) == ["I – a", "II – b", "- c", "- d"]


@pytest.mark.parametrize(
    ("number", "form", "expected"),
    [
        (1, "decimal", "1"),
        (7, "decimalZero", "07"),
        (12, "decimalZero", "12"),
        (26, "lowerLetter", "z"),
        (28, "upperLetter", "BB"),
        (1994, "lowerRoman", "mcmxciv"),
        (48, "upperRoman", "XLVIII"),
        (10, "chineseCounting", "十"),
        (12, "chineseCounting", "十二"),
        (20, "japaneseCounting", "二十"),
        (105, "chineseCountingThousand", "一百零五"),
        (110, "chineseCountingThousand", "一百一十"),
        (1005, "chineseCountingThousand", "一千零五"),
        (32_000, "chineseCountingThousand", "三万二千"),
        (10_203, "chineseCountingThousand", "一万零二百零三"),
        (3, "decimalEnclosedCircle", "③"),
        (21, "decimalEnclosedCircle", "21"),
        (5, "none", ""),
        (5, "hebrew1", "5"),
        (0, "upperRoman", "0"),
    ],
)
def test_numbers_are_written_in_words_forms(number, form, expected):
    assert number_text(number, form) == expected
