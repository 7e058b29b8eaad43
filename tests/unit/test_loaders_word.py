"""What hangs on the paragraphs of a Word document: comments, formulae, the numbers of charts, headers and footers."""

from __future__ import annotations

from pathlib import Path

import pytest
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml

from services.knowledge.loaders import docx
from services.knowledge.loaders.formulae import formula
from services.knowledge.loaders.protocol import Limits
from tests.fakes.documents import HANZI, WORDS, write_docx

LIMITS = Limits(pages=100, characters=1_000_000, timeout_s=30, memory_bytes=2 << 30)
OFFICE = "http://schemas.openxmlformats.org"
MATH = f'xmlns:m="{OFFICE}/officeDocument/2006/math"'
CHART = f"""<c:chartSpace xmlns:c="{OFFICE}/drawingml/2006/chart"><c:chart><c:plotArea><c:barChart><c:ser>
  <c:tx><c:strRef><c:strCache><c:pt idx="0"><c:v>2024</c:v></c:pt></c:strCache></c:strRef></c:tx>
  <c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>North</c:v></c:pt></c:strCache></c:strRef></c:cat>
  <c:val><c:numRef><c:numCache><c:formatCode>0.0</c:formatCode><c:pt idx="0"><c:v>3.14159</c:v></c:pt></c:numCache>
  </c:numRef></c:val></c:ser></c:barChart></c:plotArea></c:chart></c:chartSpace>"""


def text_of(path: Path) -> str:
    return docx.LOADER.load(path, path.name, LIMITS).text


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def test_comments_stand_below_what_they_are_about(tmp_path):
    def fill(word):
        paragraph = word.add_paragraph(WORDS)
        word.add_comment(paragraph.runs, text="每天核对。", author="王伟")
        word.add_paragraph(HANZI)

    assert text_of(write_docx(tmp_path / "c.docx", fill)) == f"{WORDS}\n\nComment (王伟): 每天核对。\n\n{HANZI}"


def test_headers_and_footers_are_read_once_and_page_numbers_are_not(tmp_path):
    def fill(word):
        word.add_paragraph(WORDS)
        word.sections[0].header.paragraphs[0].text = "Station manual"
        word.sections[0].footer.paragraphs[0].text = "7"
        word.add_section().header.is_linked_to_previous = False
        word.sections[1].header.paragraphs[0].text = "Station manual"

    assert text_of(write_docx(tmp_path / "h.docx", fill)) == f"{WORDS}\n\nStation manual"


def test_the_numbers_of_a_chart_stand_where_it_is(tmp_path):
    def fill(word):
        part = Part(PackURI("/word/charts/chart1.xml"), "application/xml", CHART.encode(), word.part.package)
        name = word.part.relate_to(part, f"{OFFICE}/officeDocument/2006/relationships/chart")
        word.add_paragraph(WORDS)._p.append(
            parse_xml(
                f'<w:r xmlns:w="{OFFICE}/wordprocessingml/2006/main"><w:drawing>'
                f'<c:chart xmlns:c="{OFFICE}/drawingml/2006/chart" r:id="{name}" '
                f'xmlns:r="{OFFICE}/officeDocument/2006/relationships"/></w:drawing></w:r>'
            )
        )
        word.add_paragraph(HANZI)

    assert text_of(write_docx(tmp_path / "n.docx", fill)) == f"{WORDS}\n\n2024\nNorth | 3.1\n\n{HANZI}"


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (f"<m:f><m:num>{run('a+b')}</m:num><m:den>{run('2')}</m:den></m:f>", "(a+b)/2"),
        (f"<m:sSup><m:e>{run('x')}</m:e><m:sup>{run('n-1')}</m:sup></m:sSup>", "x^(n-1)"),
        (f"<m:sSub><m:e>{run('x')}</m:e><m:sub>{run('i')}</m:sub></m:sSub>", "x_i"),
        (f"<m:rad><m:deg/><m:e>{run('b')}</m:e></m:rad>", "√(b)"),
        (
            '<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr>'
            f"<m:sub>{run('k=0')}</m:sub><m:sup>{run('n')}</m:sup><m:e>{run('k')}</m:e></m:nary>",
            "∑_(k=0)^(n) k",
        ),
        (f"<m:d><m:e>{run('a')}</m:e><m:e>{run('b')}</m:e></m:d>", "(a|b)"),
        (f"<m:sSup><m:e><m:d><m:e>{run('x+a')}</m:e></m:d></m:e><m:sup>{run('2')}</m:sup></m:sSup>", "(x+a)^2"),
        (f"<m:m><m:mr><m:e>{run('1')}</m:e><m:e>{run('2')}</m:e></m:mr></m:m>", "1, 2"),
    ],
)
def test_a_formula_keeps_its_structure(inside, expected):
    assert formula(parse_xml(f"<m:oMath {MATH}>{inside}</m:oMath>")) == expected
