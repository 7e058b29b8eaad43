"""Text can be read on what it stands on, in both modes: contrasts as WCAG 2 defines them, of the colours in use."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.unit.sources import ROOT

MODES = ("light", "dark")
TEXT, SIGN = 4.5, 3.0
"""The least contrast of text, and of what is no text: icons, rings around what has the focus."""
STYLE = (ROOT / "ui/style.css").read_text("utf-8")
THEME: dict[str, Any] = tomllib.loads((ROOT / ".streamlit/config.toml").read_text("utf-8"))["theme"]


def own(name: str, mode: str) -> str:
    """A colour of the style sheet."""
    found = re.search(rf"--lectern-{name}: light-dark\((#\w{{6}}), (#\w{{6}})\);", STYLE)
    assert found, name
    return found[1 + MODES.index(mode)]


def grounds(mode: str) -> dict[str, str]:
    """What text stands on."""
    theme = THEME[mode]
    return {
        "page": theme["backgroundColor"],
        "panel": theme["secondaryBackgroundColor"],
        "menu": theme["sidebar"]["backgroundColor"],
        "drawer": own("page", mode),
        "own panel": own("panel", mode),
    }


def contrast(one: str, other: str) -> float:
    lights = sorted((light(one), light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def light(colour: str) -> float:
    """Relative luminance of "#rrggbb"."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def blended(over: str, share: float, under: str) -> str:
    """A colour of which only a share covers another."""
    pairs = [(int(over[place : place + 2], 16), int(under[place : place + 2], 16)) for place in (1, 3, 5)]
    return "#" + "".join(f"{round(top * share + below * (1 - share)):02x}" for top, below in pairs)


def test_contrast_is_reckoned_as_the_standard_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["text", "muted", "link", "green", "amber", "red", "grey"])
def test_each_colour_of_words_can_be_read_everywhere(name: str, mode: str) -> None:
    contrasts = {ground: contrast(own(name, mode), colour) for ground, colour in grounds(mode).items()}
    assert min(contrasts.values()) >= TEXT, contrasts


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["textColor", "linkColor", "codeTextColor", "greenColor", "orangeColor", "redColor"])
def test_each_colour_of_the_theme_can_be_read_everywhere(name: str, mode: str) -> None:
    contrasts = {ground: contrast(THEME[mode][name], colour) for ground, colour in grounds(mode).items()}
    assert min(contrasts.values()) >= TEXT, contrasts


@pytest.mark.parametrize("mode", MODES)
def test_words_on_a_coloured_ground_can_be_read(mode: str) -> None:
    link, page = own("link", mode), own("page", mode)
    share = re.search(r"color-mix\(in srgb, var\(--lectern-link\) (\d+)%, transparent\)", STYLE)
    assert share
    assert contrast(own("text", mode), own("mark", mode)) >= TEXT
    assert contrast(link, blended(link, int(share[1]) / 100, page)) >= TEXT
    assert contrast("#ffffff", THEME[mode]["primaryColor"]) >= TEXT


@pytest.mark.parametrize("mode", MODES)
def test_what_has_the_focus_is_ringed_in_a_colour_that_can_be_seen(mode: str) -> None:
    ring = re.search(r":focus-visible \{[^}]*outline: \d+px solid var\(--lectern-([a-z]+)\)", STYLE)
    assert ring, "one rule rings everything that has the focus"
    contrasts = {ground: contrast(own(ring[1], mode), colour) for ground, colour in grounds(mode).items()}
    assert min(contrasts.values()) >= SIGN, contrasts


@pytest.mark.parametrize("mode", MODES)
def test_a_field_that_has_the_focus_has_an_edge_that_can_be_seen(mode: str) -> None:
    theme = THEME[mode]
    fields = [*grounds(mode).values(), theme["sidebar"]["secondaryBackgroundColor"]]
    assert min(contrast(theme["primaryColor"], ground) for ground in fields) >= SIGN


@pytest.mark.parametrize("mode", MODES)
def test_style_sheet_and_theme_agree(mode: str) -> None:
    pairs = {"text": "textColor", "page": "backgroundColor", "border": "borderColor", "link": "linkColor"}
    pairs |= {"panel": "secondaryBackgroundColor", "green": "greenColor", "amber": "orangeColor", "red": "redColor"}
    assert {name: own(name, mode) for name in pairs} == {name: THEME[mode][key] for name, key in pairs.items()}
