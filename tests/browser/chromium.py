"""A real Chromium for the browser tests: which one, how it is started, and when a page has come to rest."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 30_000


def chromium() -> str:
    """The browser's path. Without one the test is skipped; in CI it fails."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    reason = f"none of {', '.join(NAMES)} is installed: `apt install chromium`"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def settled(page: Page) -> None:
    """Wait until Streamlit has drawn the page: its script has run, nothing is a skeleton any more, fonts are there."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=PATIENCE_MS)
    page.wait_for_function(
        """() => document.querySelector('[data-testid="stSidebar"], [data-testid="stMain"]')
            && !document.querySelector('[data-testid="stSkeleton"]') && document.fonts.status === "loaded" """,
        timeout=PATIENCE_MS,
    )
    page.wait_for_timeout(300)
