"""The frame in a real browser: what it loads, what it refuses to load, its languages, its citations."""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.request
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import settled
from tests.browser.conftest import ROOT, Site, serving

pytestmark = pytest.mark.browser

OWN_SCHEMES = ("data:", "blob:")


class Witness:
    """Everything that a tab asked for and complained about."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._heard(message.type, message.text))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def foreign(self, own: str) -> list[str]:
        """What was asked of other hosts."""
        return [url for url in self.requests if not url.startswith((own, own.replace("http", "ws"), *OWN_SCHEMES))]


def opened(page: Page, site: Site, path: str = "") -> None:
    page.goto(f"{site.url}/{path}")
    settled(page)


def test_home_loads_without_a_complaint_and_asks_nobody_else(site: Site, page: Page) -> None:
    witness = Witness(page)
    opened(page, site)
    expect(page).to_have_title("Home · Lectern")
    assert witness.complaints == []
    assert witness.foreign(site.url) == []


def test_the_fonts_are_our_own(site: Site, page: Page) -> None:
    witness = Witness(page)
    opened(page, site)
    assert any(url.endswith("inter-latin-wght-normal.woff2") for url in witness.requests)
    assert page.evaluate("document.fonts.check('15px \"Inter Variable\"')")


def test_charts_tables_uploads_and_citations_work_under_the_policy(gallery: Site, page: Page, tmp_path: Path) -> None:
    witness = Witness(page)
    opened(page, gallery, "Gallery")
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    expect(page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible()
    file = tmp_path / "手册.txt"
    file.write_text("returns", "utf-8")
    page.locator('input[type="file"]').set_input_files(file)
    expect(page.get_by_text("uploaded: ['手册.txt']")).to_be_visible()
    # Streamlit looks for itself below a deep link's path first; nothing else may be missing or refused.
    assert [text for text in witness.complaints if "404" not in text] == []
    assert witness.foreign(gallery.url) == []


def test_a_remote_image_is_refused_by_the_browser(gallery: Site, page: Page) -> None:
    opened(page, gallery, "Gallery")
    witness = Witness(page)
    page.get_by_text("Remote image").click()
    expect(page.locator('img[src="http://blocked.example/page.png"]')).to_have_count(1)
    settled(page)
    assert any("Content Security Policy" in text and "blocked.example" in text for text in witness.complaints)


def test_hostile_texts_are_shown_as_text(gallery: Site, page: Page) -> None:
    witness = Witness(page)
    opened(page, gallery, "Gallery")
    expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()
    expect(page).to_have_title("Gallery · Lectern")
    assert page.locator('.stHtml img:not([src="./app/static/icon.svg"]), img[src*="blocked.example"]').count() == 0
    assert witness.foreign(gallery.url) == []


@pytest.mark.parametrize("width", [1440, 390])
def test_a_citation_opens_its_passage_without_moving_the_page(gallery: Site, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, gallery, "Gallery")
    before = page.url
    mark = page.get_by_role("link", name="[1]", exact=True)
    top = mark.bounding_box()
    mark.click()
    expect(page.get_by_text("opened: ('turn-7', 1)")).to_be_attached()
    passage = page.locator(".lectern-passage mark")
    expect(passage).to_be_in_viewport()
    settled(page)
    assert (page.url, mark.bounding_box()) == (before, top)
    page.get_by_role("button", name="Close", exact=True).click()
    expect(passage).to_have_count(0)


def test_a_citation_opens_with_the_keyboard(gallery: Site, page: Page) -> None:
    opened(page, gallery, "Gallery")
    page.get_by_role("link", name="[3]", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("opened: ('turn-7', 3)")).to_be_visible()


def test_closing_a_source_gives_the_focus_back_to_its_mark(gallery: Site, page: Page) -> None:
    opened(page, gallery, "Gallery")
    mark = page.get_by_role("link", name="[1]", exact=True)
    mark.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".lectern-passage mark")).to_be_visible()
    page.get_by_role("button", name="Close", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".lectern-passage mark")).to_have_count(0)
    expect(mark).to_be_focused()


def test_what_has_the_focus_wears_a_ring(gallery: Site, page: Page) -> None:
    opened(page, gallery, "Gallery")
    for _step in range(20):
        page.keyboard.press("Tab")
        ring = page.evaluate("(() => { const s = getComputedStyle(document.activeElement); return s.outline; })()")
        name = page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        assert "solid 2px" in ring or name.startswith("<input"), name


@pytest.mark.parametrize("colour", ["light", "dark"])
def test_a_dialog_has_the_colours_of_the_page(
    gallery: Site, browser: Browser, colour: Literal["light", "dark"]
) -> None:
    context = browser.new_context(color_scheme=colour)
    page = context.new_page()
    opened(page, gallery, "Gallery")
    muted = page.locator('[data-testid="stMain"] .lectern-muted').first.evaluate("e => getComputedStyle(e).color")
    page.get_by_role("button", name="Open a dialog").click()
    words = page.get_by_role("dialog").locator(".lectern-muted")
    assert words.evaluate("e => getComputedStyle(e).color") == muted
    context.close()


def test_sources_stand_beside_the_answer_where_there_is_room(gallery: Site, page: Page) -> None:
    opened(page, gallery, "Gallery")
    mark = page.get_by_role("link", name="[1]", exact=True)
    mark.click()
    passage = page.locator(".lectern-passage").bounding_box()
    answer = page.locator("p", has=mark).bounding_box()
    assert passage and answer
    assert passage["x"] >= answer["x"] + answer["width"]


def test_errors_are_shown_with_message_remedy_and_id(gallery: Site, page: Page) -> None:
    opened(page, gallery, "Gallery")
    alerts = page.get_by_role("alert")
    expect(alerts.nth(0)).to_contain_text("There is no knowledge base named")
    expect(alerts.nth(0)).to_contain_text("Look at the list of knowledge bases")
    text = alerts.nth(1).inner_text()
    incident = re.search(r"log id ([0-9a-f]{8})", text)
    assert incident
    assert "a bug" not in text
    assert f"[{incident[1]}] page: RuntimeError('a bug')" in (gallery.home / "logs" / "web.log").read_text("utf-8")
    page.get_by_role("button", name="Failing callback").click()
    expect(alerts).to_have_count(3)


def test_the_page_speaks_the_browsers_language_until_another_is_chosen(site: Site, browser: Browser) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    opened(page, site)
    picker = page.get_by_test_id("stSidebar").get_by_role("combobox")
    expect(picker).to_have_value("简体中文")
    picker.click()
    page.get_by_role("option", name="English").click()
    expect(picker).to_have_value("English")
    settled(page)
    page.reload()
    settled(page)
    expect(picker).to_have_value("English")
    context.close()


def test_each_browser_gets_one_owner_cookie(site: Site, browser: Browser) -> None:
    values = []
    for _visitor in range(2):
        context = browser.new_context()
        page = context.new_page()
        opened(page, site)
        page.reload()
        settled(page)
        owners = [cookie for cookie in context.cookies() if cookie["name"] == "lectern_owner"]
        assert [(owner["httpOnly"], owner["sameSite"]) for owner in owners] == [(True, "Lax")]
        values.append(owners[0]["value"])
        context.close()
    assert values[0] != values[1]


@pytest.mark.parametrize("colour", ["light", "dark"])
def test_what_is_primary_or_chosen_is_readable_in_both_modes(
    gallery: Site, browser: Browser, colour: Literal["light", "dark"]
) -> None:
    context = browser.new_context(color_scheme=colour)
    page = context.new_page()
    opened(page, gallery, "Gallery")
    button = page.get_by_role("button", name="Create", exact=True)
    colours = button.evaluate("e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]")
    chosen = page.get_by_role("radio", name="1 h", exact=True).evaluate("e => getComputedStyle(e).color")
    behind = page.get_by_test_id("stApp").evaluate("e => getComputedStyle(e).backgroundColor")
    context.close()
    assert contrast(*colours) >= 4.5
    assert contrast(chosen, behind) >= 5  # its own tint takes some of it


def test_health_says_version_and_worker(site: Site) -> None:
    with urllib.request.urlopen(site.url + "/healthz", timeout=10) as answer:
        health = json.load(answer)
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert health["status"] == "ok"
    assert health["worker"] == {"running": False}


def test_health_is_503_when_the_state_database_cannot_be_read(tmp_path: Path) -> None:
    with serving(ROOT / "web.py", tmp_path) as site:
        with sqlite3.connect(tmp_path / "state.sqlite3") as database:
            database.execute("DROP TABLE workers")
        assert site.answers() == 503


def test_the_pages_run_without_the_api(tmp_path: Path, page: Page) -> None:
    with serving(ROOT / "Home.py", tmp_path, ready="/_stcore/health") as site:
        opened(page, site)
        expect(page).to_have_title("Home · Lectern")
        assert not page.get_by_role("alert").count()


def contrast(*colours: str) -> float:
    """The contrast of two CSS colours such as "rgb(1, 2, 3)", as WCAG 2 defines it."""
    lights = []
    for colour in colours:
        channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(lights) / min(lights)
