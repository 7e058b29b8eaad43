"""The GPUs page in a real browser: it ticks without moving, keeps its charts, and fits a telephone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import PATIENCE_MS
from tests.browser.conftest import ROOT, Site, serving
from tests.browser.test_frame import Witness
from tests.fakes.gpu_box import SCENES, GpuBox, gpu_box, ticking

pytestmark = pytest.mark.browser

TICKS = 3
REMEMBER = """() => {
    window.charts = [...document.querySelectorAll('[data-testid="stVegaLiteChart"] svg.marks')];
    window.blank = 0;
    const watch = () => {
        const drawn = document.querySelectorAll('.lectern-gpus :is(.gpu, tbody tr), .lectern-ledger').length;
        if (drawn !== 8 + 24 + 3) window.blank += 1;
        window.watching = requestAnimationFrame(watch);
    };
    watch();
    return window.charts.length;
}"""
SAME_CHARTS = """() => {
    const now = [...document.querySelectorAll('[data-testid="stVegaLiteChart"] svg.marks')];
    return now.length === window.charts.length && now.every((chart, place) => chart === window.charts[place]);
}"""
REDRAWN = """before => {
    return document.querySelector('[data-testid="stVegaLiteChart"] svg.marks').innerHTML !== before;
}"""
PLACES = """() => [...document.querySelectorAll(
    'h1, h2, h3, .lectern-gpus :is(.gpu, .gauge, tr, th, td), .lectern-row, svg.marks, button'
)].map(element => {
    const box = element.getBoundingClientRect();
    return [element.tagName, ...[box.top, box.left, box.height].map(Math.round)];
})"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, GpuBox]]:
    """The pages of a machine with eight GPUs, whose worker is played."""
    home = tmp_path_factory.mktemp("gpus")
    with ticking(gpu_box(home, SCENES["eight"], past_s=120)) as watched, serving(ROOT / "web.py", home) as site:
        yield site, watched


def opened(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/GPUs")
    expect(page.locator(".lectern-gpus .gpu")).to_have_count(8, timeout=PATIENCE_MS)
    expect(page.locator('[data-testid="stVegaLiteChart"] svg.marks')).to_have_count(6, timeout=PATIENCE_MS)
    page.wait_for_function("document.fonts.status === 'loaded'")


def ticked(page: Page, times: int) -> None:
    """Wait until the figures have changed so many times."""
    for _time in range(times):
        before = page.locator(".lectern-gpus .cards").inner_text()
        page.wait_for_function(
            "before => document.querySelector('.lectern-gpus .cards')?.innerText !== before", arg=before
        )


@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_stays_put_while_it_ticks(box: tuple[Site, GpuBox], page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, box[0])
    ticked(page, 1)
    before, charts = page.evaluate(PLACES), page.evaluate(REMEMBER)
    ticked(page, TICKS)
    assert charts == 6 and page.evaluate(PLACES) == before
    assert page.evaluate("window.blank") == 0


def test_charts_get_new_points_and_are_never_made_anew(box: tuple[Site, GpuBox], page: Page) -> None:
    opened(page, box[0])
    page.evaluate(REMEMBER)
    chart = page.locator('[data-testid="stVegaLiteChart"] svg.marks').first
    before = chart.evaluate("svg => svg.innerHTML")
    page.wait_for_function(REDRAWN, arg=before)
    assert page.evaluate(SAME_CHARTS)


def test_nothing_is_refused_and_nobody_else_is_asked(box: tuple[Site, GpuBox], page: Page) -> None:
    witness = Witness(page)
    opened(page, box[0])
    ticked(page, 1)
    # Streamlit looks for itself below a deep link's path first.
    assert [text for text in witness.complaints if "404" not in text] == []
    assert witness.foreign(box[0].url) == []


def test_a_telephone_shows_everything_without_scrolling_sideways(box: tuple[Site, GpuBox], page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, box[0])
    wide = page.evaluate(
        """() => [...document.querySelectorAll('.lectern-gpus *, .lectern-row, .lectern-lines, svg.marks')]
            .filter(element => element.getBoundingClientRect().right > 391).map(element => element.outerHTML)"""
    )
    main = page.get_by_test_id("stMain")
    assert wide == [] and main.evaluate("main => main.scrollWidth <= main.clientWidth")
    expect(page.locator(".lectern-gpus .processes tbody tr")).to_have_count(24)


def test_stopping_is_asked_while_the_page_ticks_and_then_wished(box: tuple[Site, GpuBox], page: Page) -> None:
    site, watched = box
    opened(page, site)
    page.get_by_role("button", name="Stop").last.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("embeddings")
    ticked(page, 2)
    dialog.get_by_role("button", name="Stop").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Stop").last).to_be_disabled()
    known = watched.store.servers.get("embeddings")
    assert known and known.wish == "stopped"
