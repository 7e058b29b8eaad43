"""Ruled tables in PDFs: rows under their header, cells with their places, and what only looks like a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pypdfium2
import pytest
from fpdf import FPDF
from fpdf.fonts import FontFace
from pypdf import PdfReader, PdfWriter, Transformation

from services.knowledge.loaders import pdf
from services.knowledge.loaders.protocol import Limits
from services.knowledge.positions import regions
from services.knowledge.types import Extracted
from tests.fakes.documents import TABLE, write_chinese_pdf

LIMITS = Limits(pages=100, characters=1_000_000, timeout_s=30, memory_bytes=2 << 30)
ROWS = "Part | Price | Delivery\nPart: Seal; Price: 16.50; Delivery: 2 days\nPart: Lamp; Price: 64.00; Delivery: 3 days"
PLAIN = FontFace(emphasis="")
Draw = Callable[[FPDF], object]


def read(path: Path) -> Extracted:
    return pdf.LOADER.load(path, path.name, LIMITS)


def written(path: Path, *pages: Draw) -> Path:
    """A PDF each page of which is drawn by a function."""
    made = FPDF(unit="pt", format=(600, 800))
    made.set_auto_page_break(False)
    for draw in pages:
        made.add_page()
        made.set_font("helvetica", size=12)
        draw(made)
    made.output(str(path))
    return path


def says(text: str, x: float, y: float) -> Draw:
    return lambda page: page.text(x, y, text)


def table(rows: Sequence[Sequence[str]], *, top: float = 100, heading: FontFace | None = None) -> Draw:
    """A table of three columns with lines all around."""

    def draw(page: FPDF) -> None:
        page.set_xy(50, top)
        with page.table(
            rows,
            width=480,
            align="LEFT",
            line_height=20,
            col_widths=(1, 1, 1),
            headings_style=heading or FontFace(emphasis="BOLD"),
        ):
            pass

    return draw


def both(*draws: Draw) -> Draw:
    return lambda page: [draw(page) for draw in draws]


def names_at_the_left(page: FPDF) -> None:
    page.set_xy(50, 100)
    with page.table(width=300, first_row_as_headings=False, align="LEFT") as made:
        for name, value in (("Maker", "Hydra"), ("Depth", "41"), ("Width", "38")):
            row = made.row()
            row.cell(name, style=FontFace(emphasis="BOLD"))
            row.cell(value)


def grid(page: FPDF, xs: Sequence[float], ys: Sequence[float]) -> None:
    """Lines at these places."""
    for x in xs:
        page.line(x, ys[0], x, ys[-1])
    for y in ys:
        page.line(xs[0], y, xs[-1], y)


def test_each_row_stands_under_its_header_and_the_text_around_stays(tmp_path):
    draw = both(says("Prices of the north station", 50, 80), table(TABLE), says("All prices in euro.", 50, 400))
    text = read(written(tmp_path / "t.pdf", draw)).text
    assert text == f"Prices of the north station\n\n{ROWS}\n\nAll prices in euro."


def test_a_value_is_marked_in_its_cell_and_the_repeated_header_nowhere(tmp_path):
    document = read(written(tmp_path / "t.pdf", table(TABLE)))
    start = document.text.index("Price: 64.00")
    (value,) = regions(document.boxes, document.text, start, start + len("Price: 64.00"))
    assert 210 / 600 < value.left < value.right < 370 / 600, "in the middle column"
    assert 140 / 800 < value.top < value.bottom < 160 / 800, "in the third row"
    assert not regions(document.boxes, document.text, start, start + len("Price:"))


def test_a_cell_of_several_lines_is_one_and_words_are_put_together(tmp_path):
    long = "Seals for all pumps that were built after the second war and for the valves below them"
    text = read(written(tmp_path / "t.pdf", table([TABLE[0], [long, "16.50", "2 days"], TABLE[2]]))).text
    assert f"\nPart: {long}; Price: 16.50; Delivery: 2 days\n" in text


def test_no_space_comes_into_a_chinese_cell_where_its_line_was_full(tmp_path):
    lines = "".join(f"{x} 640 m {x} 720 l S " for x in (50, 150, 250)) + "".join(
        f"50 {y} m 250 {y} l S " for y in (640, 660, 700, 720)
    )
    placed = [("部件", 60, 705), ("数量", 160, 705), ("轴封及其", 60, 685), ("螺钉", 60, 667), ("12", 160, 685)]
    text = read(write_chinese_pdf(tmp_path / "z.pdf", [*placed, ("信号灯", 60, 645), ("7", 160, 645)], lines)).text
    assert text == "部件 | 数量\n部件: 轴封及其螺钉; 数量: 12\n部件: 信号灯; 数量: 7"


def test_a_header_of_two_rows_names_each_column_by_both(tmp_path):
    def draw(page: FPDF) -> None:
        page.set_xy(50, 100)
        with page.table(width=400, num_heading_rows=2) as made:
            first = made.row()
            first.cell("Well", rowspan=2)
            first.cell("Pressure", colspan=2)
            made.row(["low", "high"])
            made.row(["North", "1.5", "3.5"])
            made.row(["South", "2.5", "4.5"])

    assert read(written(tmp_path / "t.pdf", draw)).text == (
        "Well | Pressure low | Pressure high\n"
        "Well: North; Pressure low: 1.5; Pressure high: 3.5\nWell: South; Pressure low: 2.5; Pressure high: 4.5"
    )


def test_names_at_the_left_side_are_no_header(tmp_path):
    rows = [["Maker", "Hydra", "Lyon"], ["Seller", "Pump and Sons", "Ghent"], ["Keeper", "M. Ghosh", "Ghent"]]
    expected = "\n".join(" | ".join(row) for row in rows)
    assert read(written(tmp_path / "t.pdf", table(rows, heading=PLAIN))).text == expected
    assert read(written(tmp_path / "n.pdf", names_at_the_left)).text == "Maker | Hydra\nDepth | 41\nWidth | 38"
    assert read(written(tmp_path / "h.pdf", table(rows))).text.endswith("Maker: Keeper; Hydra: M. Ghosh; Lyon: Ghent")


def cells(page: FPDF) -> None:
    for number, row in enumerate(TABLE):
        for column, cell in enumerate(row):
            page.text(60 + 100 * column, 115 + 20 * number, cell)


def open_sides(page: FPDF) -> None:
    grid(page, (150, 250), (100, 120, 140, 160))
    for y in (100, 120, 140, 160):
        page.line(50, y, 350, y)


def boxed_header(page: FPDF) -> None:
    open_sides(page)
    page.rect(50, 100, 300, 20)


def thin_rectangles(page: FPDF) -> None:
    page.set_fill_color(0)
    for at in range(4):
        page.rect(50 + 100 * at, 100, 1, 61, "F")
        page.rect(50, 100 + 20 * at, 301, 1, "F")


def shades(page: FPDF) -> None:
    page.set_fill_color(220)
    for row in range(3):
        for column in range(3):
            page.rect(50 + 100 * column, 100 + 20 * row, 99, 19, "F")


@pytest.mark.parametrize("lines", [open_sides, boxed_header, thin_rectangles, shades])
def test_lines_are_lines_however_they_are_drawn(tmp_path, lines):
    assert read(written(tmp_path / "t.pdf", both(lines, cells))).text == ROWS


def test_a_turned_page_and_lines_in_a_drawing_of_their_own_make_no_difference(tmp_path):
    path = written(tmp_path / "t.pdf", table(TABLE))
    turned = PdfWriter()
    page = turned.add_page(PdfReader(path).pages[0])
    page.add_transformation(Transformation().rotate(90).translate(800, 0))
    page.mediabox.upper_right = (800, 600)
    page.rotate(90)
    turned.write(tmp_path / "r.pdf")
    assert read(tmp_path / "r.pdf").text == ROWS

    source, nested = pypdfium2.PdfDocument(path), pypdfium2.PdfDocument.new()
    drawing = source.page_as_xobject(0, nested).as_pageobject()
    drawing.set_matrix(pypdfium2.PdfMatrix().scale(0.5, 0.5).translate(100, 100))
    sheet = nested.new_page(600, 800)
    sheet.insert_obj(drawing)
    sheet.gen_content()
    nested.save(str(tmp_path / "n.pdf"))
    assert read(tmp_path / "n.pdf").text == ROWS


def test_rows_that_no_line_parts_are_told_by_their_numbers(tmp_path):
    def draw(page: FPDF) -> None:
        grid(page, (50, 150, 250), (100, 120, 180))
        for number, (name, value) in enumerate(
            (("Well", "Depth"), ("North", "41.5"), ("South", "38.0"), ("West", "12.5"))
        ):
            page.text(60, 115 + 18 * number, name)
            page.text(160, 115 + 18 * number, value)

    expected = "Well | Depth\nWell: North; Depth: 41.5\nWell: South; Depth: 38.0\nWell: West; Depth: 12.5"
    assert read(written(tmp_path / "t.pdf", draw)).text == expected


def test_a_table_goes_on_under_its_header_on_the_next_page(tmp_path):
    rest = [["Rotor", "n/a", "9 days"], ["Shaft", "88.00", "8 days"]]
    below = table(rest, top=40, heading=PLAIN)
    going_on = "Part: Rotor; Price: n/a; Delivery: 9 days\nPart: Shaft; Price: 88.00; Delivery: 8 days"
    first, foot = table(TABLE, top=700), says("page 1", 280, 790)
    text = read(written(tmp_path / "t.pdf", both(first, foot), both(says("Prices", 50, 30), below))).text
    assert text == f"{ROWS}\n\npage 1\n\nPrices\n\n{going_on}"
    between = both(*(says(f"Line {n} of another matter", 50, 100 + 20 * n) for n in range(5)))
    text = read(written(tmp_path / "o.pdf", both(first, foot), both(between, table(rest, top=300, heading=PLAIN)))).text
    assert "Part: Shaft" not in text, "a table of its own"
    again = table([TABLE[0], *rest], top=40)
    assert read(written(tmp_path / "a.pdf", first, again)).text == f"{ROWS}\n\nPart | Price | Delivery\n{going_on}"


def words(page: FPDF) -> None:
    for number in range(16):
        page.text(60, 110 + 20 * number, f"Left line {number} tells of pumps and of the")
        page.text(320, 110 + 20 * number, f"Right line {number} tells of valves and of the")


def frame(page: FPDF) -> None:
    page.rect(20, 20, 560, 760)


def box(page: FPDF) -> None:
    page.set_fill_color(230)
    page.rect(50, 140, 240, 80, "DF")


def underlines(page: FPDF) -> None:
    for number in range(16):
        page.line(60, 113 + 20 * number, 280, 113 + 20 * number)


def columns(page: FPDF) -> None:
    grid(page, (50, 310, 570), (70, 95, 425))
    page.text(60, 85, "Pumps")
    page.text(320, 85, "Valves")


def chart(page: FPDF) -> None:
    grid(page, range(60, 561, 100), range(500, 701, 40))
    for x, y in ((65, 630), (165, 590), (265, 590), (365, 630)):
        page.text(x, y, f"{y}")


def diagram(page: FPDF) -> None:
    for x, y in ((60, 500), (300, 500), (60, 600), (300, 600)):
        page.rect(x, y, 100, 40)
        page.line(x, y + 20, x + 100, y + 20)
        page.text(x + 5, y + 15, f"Part {x}")
        page.text(x + 5, y + 35, f"Kind {y}")
    page.line(110, 540, 110, 600)
    page.line(350, 540, 350, 600)
    page.line(160, 520, 300, 520)


@pytest.mark.parametrize("lines", [frame, box, underlines, columns, chart, diagram])
def test_what_only_looks_like_a_table_leaves_the_text_as_it_was(tmp_path, lines):
    class Unruled(FPDF):  # type: ignore[misc]
        """Draws words alone."""

        def line(self, *_args: float, **_more: object) -> None:
            """Nothing."""

        def rect(self, *_args: object, **_more: object) -> None:
            """Nothing."""

    bare = Unruled(unit="pt", format=(600, 800))
    bare.add_page()
    bare.set_font("helvetica", size=12)
    both(lines, words)(bare)
    bare.output(str(tmp_path / "bare.pdf"))
    ruled, plain = read(written(tmp_path / "t.pdf", both(lines, words))), read(tmp_path / "bare.pdf")
    assert ruled.text == plain.text and ruled.boxes == plain.boxes
