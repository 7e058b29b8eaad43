"""The Models page in a real browser: it fits a phone, and a download is followed and stopped while the page is open."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from services.app import bootstrap
from services.core.settings import load
from services.hub.downloads import DownloadWish
from tests.browser.chromium import settled
from tests.browser.conftest import ROOT, Site, serving
from tests.fakes.model_hub import Hub, model_hub
from tests.fakes.models_on_disk import folder_model, gguf_model
from tests.integration.test_worker import working

pytestmark = pytest.mark.browser

NAME = "Org/Small"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Hub]]:
    """The product with a worker, a hub that holds a model back at its half, and two models on the disk."""
    home, folder = tmp_path_factory.mktemp("models-home"), tmp_path_factory.mktemp("models")
    folder_model(folder / "a-rather-long-name-of-a-model-that-has-to-be-broken-somewhere-7b-instruct")
    gguf_model(folder / "small-Q4_K_M.gguf")
    with model_hub() as hub:
        hub.add(NAME, config__json=b"{}", model__safetensors=random.Random(5).randbytes(8_000_000))
        hub.stall_at = "model.safetensors"
        services = bootstrap(load(home=home, embedded=False))
        services.choose(hf_endpoint=hub.url, model_folders=[str(folder)])
        services.downloads.wish(DownloadWish("hf", NAME))
        services.close()
        with working(home), serving(ROOT / "web.py", home) as site:
            assert hub.stalled.wait(60)
            yield site, hub


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_page(desk: tuple[Site, Hub], page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{desk[0].url}/Models")
    settled(page)
    expect(page.get_by_text("small-Q4_K_M.gguf", exact=True)).to_be_visible()
    assert page.locator('[data-testid="stMain"]').evaluate("main => main.scrollWidth <= main.clientWidth")


def test_a_download_is_followed_and_cancelled_and_says_what_it_keeps(desk: tuple[Site, Hub], page: Page) -> None:
    page.goto(f"{desk[0].url}/Models")
    settled(page)
    rows = page.locator(".st-key-lectern-downloads")
    expect(rows).to_contain_text("model.safetensors")
    expect(rows.locator("progress")).to_have_attribute("max", "7")
    rows.get_by_role("button", name="Cancel").click()
    expect(rows).to_contain_text("cancelled")
    expect(rows).to_contain_text("of it are kept")
    rows.get_by_role("button", name=f"Remove {NAME}").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(rows).to_have_count(0)
    assert not list((Path(desk[0].home) / "models" / ".loading").iterdir())


def test_a_server_is_made_of_a_model_and_the_page_of_servers_follows(desk: tuple[Site, Hub], page: Page) -> None:
    page.goto(f"{desk[0].url}/Models")
    settled(page)
    page.get_by_role("button", name="Start a server").last.click()
    page.get_by_role("dialog").get_by_role("button", name="Add the server").click()
    page.wait_for_url("**/Servers")
    expect(page.locator('[data-testid="stMain"]')).to_contain_text("small-Q4_K_M")
    expect(page.locator('[data-testid="stMain"]')).to_contain_text("stopped")
