"""Photographs every page, wide and narrow, light and dark, English and Chinese.

`python -m tests.browser.screenshots URL FOLDER`
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import FLAGS, chromium, settled

WIDTHS = {"wide": (1440, 900), "narrow": (390, 844)}
COLOURS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
MARK = 'a[href^="#cite-"]'
ANSWER_MS = 180_000


def addresses(page: Page, url: str) -> list[str]:
    """The pages that the menu leads to."""
    page.goto(url)
    settled(page)
    links = page.locator('[data-testid="stSidebar"] [data-testid="stPageLink-NavLink"]')
    return [str(links.nth(index).get_attribute("href")) for index in range(links.count())]


def photograph(url: str, folder: Path) -> None:
    """Write a picture of each page in each width, colour and language, and of a conversation with its source."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for language, locale in LOCALES.items():
            context = browser.new_context(locale=locale)
            conversation, visitor = asked(context.new_page(), url), context.storage_state()
            context.close()
            for colour, width in product(COLOURS, WIDTHS):
                across, down = WIDTHS[width]
                context = browser.new_context(
                    locale=locale,
                    color_scheme=colour,
                    viewport={"width": across, "height": down},
                    storage_state=visitor,
                )
                page = context.new_page()
                for name, address in views(page, url, conversation):
                    page.goto(address)
                    settled(page)
                    if name == "Source":
                        page.locator(MARK).first.click()
                        page.wait_for_selector(".lectern-passage.opened")
                        settled(page)
                    if name == "GPUs":
                        page.set_viewport_size({"width": across, "height": whole(page)})
                        settled(page)
                    page.screenshot(path=folder / f"{name}-{width}-{colour}-{language}.png")
                    page.set_viewport_size({"width": across, "height": down})
                context.close()
        browser.close()


def whole(page: Page) -> int:
    """The height that shows all of the GPUs page, charts included."""
    page.wait_for_selector(".lectern-gpus .host")
    page.wait_for_timeout(2_000)
    return int(page.get_by_test_id("stMainBlockContainer").evaluate("block => block.scrollHeight")) + 20


def views(page: Page, url: str, conversation: str) -> list[tuple[str, str]]:
    """What is photographed: names and addresses."""
    found = []
    for address in addresses(page, url):
        name = address.rstrip("/").rpartition("/")[2] or "Home"
        found.append((name, f"{url.rstrip('/')}/{'' if name == 'Home' else name}"))
    return [*found, ("Conversation", conversation), ("Source", conversation)] if conversation else found


def asked(page: Page, url: str) -> str:
    """Ask the first sample question; the conversation's address, empty where no sample documents wait to be asked."""
    page.goto(f"{url.rstrip('/')}/Chat")
    settled(page)
    suggestion = page.locator('[class*="st-key-suggestion-"] button')
    if not suggestion.count():
        return ""
    suggestion.first.click()
    page.wait_for_selector(MARK, timeout=ANSWER_MS)
    page.locator('[class*="st-key-stop-"]').wait_for(state="detached", timeout=ANSWER_MS)
    return page.url


if __name__ == "__main__":
    photograph(sys.argv[1], Path(sys.argv[2]))
