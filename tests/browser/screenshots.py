"""Photographs every page, wide and narrow, light and dark, English and Chinese.

`python -m tests.browser.screenshots URL FOLDER`
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import FLAGS, chromium, settled

WIDTHS = {"wide": (1440, 900), "narrow": (390, 844)}
COLOURS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LOCALES = {"en": "en-GB", "zh": "zh-CN"}


def addresses(page: Page, url: str) -> list[str]:
    """The pages that the menu leads to."""
    page.goto(url)
    settled(page)
    links = page.locator('[data-testid="stSidebar"] [data-testid="stPageLink-NavLink"]')
    return [str(links.nth(index).get_attribute("href")) for index in range(links.count())]


def photograph(url: str, folder: Path) -> None:
    """Write one picture for each page, width, colour and language."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for language, locale in LOCALES.items():
            for colour in COLOURS:
                for width, (across, down) in WIDTHS.items():
                    context = browser.new_context(
                        locale=locale, color_scheme=colour, viewport={"width": across, "height": down}
                    )
                    page = context.new_page()
                    for address in addresses(page, url):
                        name = address.rstrip("/").rpartition("/")[2] or "Home"
                        page.goto(f"{url.rstrip('/')}/{'' if name == 'Home' else name}")
                        settled(page)
                        page.screenshot(path=folder / f"{name}-{width}-{colour}-{language}.png")
                    context.close()
        browser.close()


if __name__ == "__main__":
    photograph(sys.argv[1], Path(sys.argv[2]))
