"""Lines that were broken for a page are joined to paragraphs, and nothing of the text is lost."""

from __future__ import annotations

import pytest

from ui.flowing import flowing, is_typeset, one_line
from ui.readable import marked_html

ENGLISH = """Pumps of the north
The pump of the north well starts at six in the morn-
ing and runs for forty minutes, unless somebody has
turned the self-
locking valve that stands beside the old mill house.
It stops.
- The first thing that is to be looked at is the valve
- The second one is the pressure of the water in it."""
CHINESE = """京津冀城市群内部呈现创业风险投资
的“三中心”结构——北京、天津和唐山市，这三大
城市是京津冀城市群创业风险投资的三大集聚中
心。
2.3 创业风险投资网络密度以北京为高密中心逐步"""


def test_a_line_that_was_full_goes_on_and_a_short_one_ends_a_paragraph() -> None:
    assert flowing(ENGLISH).split("\n") == [
        "Pumps of the north",
        "The pump of the north well starts at six in the morn-ing and runs for forty minutes, unless somebody has "
        "turned the self-",
        "locking valve that stands beside the old mill house. It stops.",
        "- The first thing that is to be looked at is the valve",
        "- The second one is the pressure of the water in it.",
    ]


def test_rows_of_a_table_stay_lines_of_their_own() -> None:
    rows = (
        "Part | Price in euro | Delivery\nPart: Seal; Price in euro: 16.50\nLamp; Price in euro: 64; Delivery: 3 days"
    )
    text = f"These are the prices of the parts\n{rows}\nand that was the last of the parts\nof which there are prices"
    assert flowing(text).split("\n") == [
        "These are the prices of the parts",
        *rows.split("\n"),
        "and that was the last of the parts of which there are prices",
    ]


def test_no_space_comes_between_chinese_letters() -> None:
    first, second = flowing(CHINESE).split("\n")
    assert first == CHINESE.partition("\n2.3")[0].replace("\n", "") and second.startswith("2.3 ")
    assert one_line("风险\n投资  of\nChina\n 京 津") == "风险投资 of China 京 津"


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, "", "\n\n", "one", "a\n\nb\n", " indented\n\ttext"])
def test_only_white_space_changes(text: str) -> None:
    assert "".join(flowing(text).split()) == "".join(one_line(text).split()) == "".join(text.split())


def test_a_passage_is_marked_across_the_lines_that_were_joined() -> None:
    before, _, after = ENGLISH.partition("ing and runs for forty minutes")
    html = marked_html(before, "ing and runs for forty minutes", after, typeset=True)
    assert "in the morn-<mark>ing and runs for forty minutes</mark>, unless somebody has turned" in html
    assert is_typeset("Report.PDF") and not is_typeset("pdf.txt")
