"""Presentations and workbooks: order, headings, tables, the numbers of charts, values as they are shown."""

from __future__ import annotations

import datetime
import zipfile
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from services.core.document_errors import Damaged
from services.core.errors import NoExtractableText, TooLarge
from services.knowledge.loaders import pptx, xlsx
from services.knowledge.loaders.cells import shown
from services.knowledge.loaders.child import read_here
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.tables import table_texts
from services.knowledge.types import Extracted
from tests.fakes.documents import HANZI, WORDS, add_slide, write_pptx, write_xlsx

LIMITS = Limits(pages=100, characters=1_000_000, timeout_s=30, memory_bytes=2 << 30)
BOX = (Inches(1), Inches(1), Inches(4), Inches(3))


def slides(folder: Path, fill: Any) -> Extracted:
    return pptx.LOADER.load(write_pptx(folder / "s.pptx", fill), "s.pptx", LIMITS)


def book(folder: Path, **sheets: list[list[Any]]) -> Extracted:
    return xlsx.LOADER.load(write_xlsx(folder / "b.xlsx", sheets), "b.xlsx", LIMITS)


def test_slides_are_pages_with_their_titles_and_notes(tmp_path):
    def fill(show):
        add_slide(show, "Station", WORDS).notes_slide.notes_text_frame.text = "Say it slowly."
        add_slide(show, "价格", HANZI)

    document = slides(tmp_path, fill)
    first, second = (document.text[page.start : page.end] for page in document.pages)
    assert first == f"Station\n\n{WORDS}\n\nNotes: Say it slowly."
    assert second == f"价格\n\n{HANZI}"
    assert [(heading.title, heading.start) for heading in document.headings] == [
        (page_title, page.start) for page_title, page in zip(("Station", "价格"), document.pages, strict=True)
    ]


def test_the_numbers_inside_charts_are_read(tmp_path):
    def fill(show):
        bars: Any = CategoryChartData(number_format="0.0%")  # type: ignore[no-untyped-call]
        bars.categories = ["North", "南"]
        bars.add_series("2023", (0.125, 0.5))
        bars.add_series("2024", (0.25, None))
        add_slide(show, "Bars", "").shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *BOX, bars)
        points: Any = XyChartData()  # type: ignore[no-untyped-call]
        points.add_series("Pump").add_data_point(1.5, 20)
        add_slide(show, "Points", "").shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, *BOX, points)

    text = slides(tmp_path, fill).text
    assert "North; 2023: 12.5%; 2024: 25.0%\n南; 2023: 50.0%" in text
    assert text.endswith("Pump\n1.5 | 20") or "1.5; Pump: 20" in text


def test_tables_and_groups_of_slides_are_read_from_the_top_down(tmp_path):
    def fill(show):
        slide = add_slide(show, "Table", "")
        low = slide.shapes.add_textbox(Inches(1), Inches(6), Inches(2), Inches(1))
        low.text_frame.text = "below"
        group = slide.shapes.add_group_shape()
        group.shapes.add_textbox(Inches(1), Inches(5), Inches(2), Inches(1)).text_frame.text = "in a group"
        table = slide.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(2), Inches(1)).table
        for row, cells in enumerate((("Part", "Price"), ("Seal", "16.50"))):
            for column, text in enumerate(cells):
                table.cell(row, column).text = text

    text = slides(tmp_path, fill).text
    assert text == "Table\n\nPart | Price\nPart: Seal; Price: 16.50\n\nin a group\n\nbelow"


def test_hidden_slides_and_sheets_are_read_and_said(tmp_path):
    def fill(show):
        add_slide(show, "One", "a")
        add_slide(show, "Two", "b")._element.set("show", "0")

    (notice,) = slides(tmp_path, fill).notices
    assert (notice.code, notice.params) == ("slides_hidden", {"pages": "2"})
    path = write_xlsx(tmp_path / "h.xlsx", {"Open": [["a", "b"]], "Secret": [["c", "d"]]})
    workbook = openpyxl.load_workbook(path)
    workbook["Secret"].sheet_state = "veryHidden"
    workbook.save(path)
    document = xlsx.LOADER.load(path, "h.xlsx", LIMITS)
    assert [heading.title for heading in document.headings] == ["Open", "Secret (hidden)"]
    assert [(notice.code, notice.params) for notice in document.notices] == [("sheets_hidden", {"sheets": "Secret"})]


def test_each_row_repeats_its_header_and_merged_cells_their_value(tmp_path):
    path = write_xlsx(
        tmp_path / "m.xlsx", {"Tools": [["Hall", "Part", "Price"], ["North", "Seal", 16.5], [None, "灯", 3]]}
    )
    workbook = openpyxl.load_workbook(path)
    workbook["Tools"].merge_cells("A2:A3")
    workbook.save(path)
    text = xlsx.LOADER.load(path, "m.xlsx", LIMITS).text
    assert text.splitlines()[-2:] == ["Hall: North; Part: Seal; Price: 16.5", "Hall: North; Part: 灯; Price: 3"]


def test_a_formula_without_a_result_is_said(tmp_path):
    document = book(tmp_path, Sums=[["a", "b"], [1, "=A2+1"]])
    assert [(notice.code, notice.params) for notice in document.notices] == [
        ("formulas_without_results", {"sheets": "Sums"})
    ]
    assert document.text == "Sums\n\na | b\na: 1"


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (45, "General", "45"),
        (0.1 + 0.2, "General", "0.3"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (-1234.5, '"¥"#,##0.00;[Red]("¥"#,##0.00)', "(¥1,234.50)"),
        (0.256, "0.0%", "25.6%"),
        (2.5, "0", "3"),
        (3.0, "0.##", "3"),
        (12345, "0.00E+00", "1.23E+04"),
        (1500000, "#,##0,", "1,500"),
        (7, '0"年"', "7年"),
        (0, '#,##0;-#,##0;"–"', "–"),
        (True, "General", "TRUE"),
        (None, "General", ""),
        (datetime.datetime(2024, 3, 5), "mm-dd-yy", "2024-03-05"),
        (datetime.datetime(2024, 3, 5), 'yyyy"年"m"月"d"日"', "2024年3月5日"),
        (datetime.datetime(2024, 3, 5, 14, 7), "d-mmm-yy h:mm AM/PM", "5-Mar-24 2:07 PM"),
        (datetime.datetime(2024, 3, 5, 14, 7, 9), "yyyy-mm-dd hh:mm:ss", "2024-03-05 14:07:09"),
        (datetime.time(6, 5), "h:mm", "6:05"),
        (datetime.timedelta(hours=30, minutes=5), "[h]:mm", "30:05:00"),
    ],
)
def test_values_are_shown_as_their_format_shows_them(value, code, expected):
    assert shown(value, code) == expected


def test_tables_beside_each_other_and_headers_above_a_gap():
    beside = [["a", "b", "", "c", "d"], ["1", "2", "", "3", "4"], ["5", "6", "", "7", "8"]]
    assert list(table_texts(beside)) == ["a | b\na: 1; b: 2\na: 5; b: 6\nc | d\nc: 3; d: 4\nc: 7; d: 8"]
    apart = [["", "Sales", "Profit"], ["", "", ""], ["North", "12", "3"], [""], ["South", "9", "1"]]
    assert list(table_texts(apart))[1:] == ["North; Sales: 12; Profit: 3", "South; Sales: 9; Profit: 1"]


def test_an_empty_a_damaged_and_an_inflated_workbook_are_refused_by_name(tmp_path):
    with pytest.raises(NoExtractableText):
        book(tmp_path, Empty=[])
    broken = tmp_path / "broken.xlsx"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(Damaged):
        xlsx.LOADER.load(broken, "broken.xlsx", LIMITS)
    bomb = tmp_path / "bomb.pptx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ppt/presentation.xml", b"0" * 5_000_000)
    assert bomb.stat().st_size < 20_000
    small = Limits(pages=9, characters=9, timeout_s=9, memory_bytes=2 << 30, unpacked_bytes=1_000_000)
    outcome = read_here(bomb, "bomb.pptx", small)
    assert (outcome.code, outcome.params["setting"]) == (TooLarge.code, "max_unpacked_bytes")
