"""The main job as a new user does it: create a base, drop files in, ask, check the answer against its source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.app import bootstrap
from services.core.settings import load
from tests.browser.chromium import settled
from tests.browser.conftest import ROOT, Site, serving
from tests.fakes.chat_server import ChatServer, running_chat_server
from tests.fakes.documents import write_pdf
from tests.integration.test_worker import working

pytestmark = pytest.mark.browser

ANSWER_MS = 60_000


@pytest.fixture(scope="module")
def chat_server() -> Iterator[ChatServer]:
    with running_chat_server(answer="The pump starts at six in the morning [1].", delay_s=0.05) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, chat_server: ChatServer) -> Iterator[Site]:
    """Pages, worker and a chat server, over an empty home."""
    home = tmp_path_factory.mktemp("journey")
    services = bootstrap(load(home=home, embedded=False))
    services.servers.add_remote("fake", chat_server.url)
    services.close()
    with working(home), serving(ROOT / "web.py", home) as site:
        yield site


def test_from_files_to_a_checked_answer(running: Site, page: Page, tmp_path: Path, chat_server: ChatServer) -> None:
    pdf = write_pdf(
        tmp_path / "pumps.pdf", ["Apples are kept in the cellar.", "The pump of the north well starts at six."]
    )
    note = tmp_path / "游客须知.txt"
    note.write_text("游客须知：狗必须用绳牵着，大门下午六点关闭。", "utf-8")

    page.goto(f"{running.url}/Knowledge")
    settled(page)
    page.get_by_role("button", name="Create a knowledge base").click()
    page.get_by_role("textbox", name="Name").fill("Garden")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("This knowledge base is empty")).to_be_visible()

    page.locator('input[type="file"]').set_input_files([str(pdf), str(note)])
    expect(page.locator(".lectern-badge.ready")).to_have_count(2, timeout=ANSWER_MS)
    expect(page.locator(".lectern-row", has_text="pumps.pdf")).to_contain_text("2 pages")

    page.get_by_role("link", name="Ask").click()
    settled(page)
    page.get_by_test_id("stChatInputTextArea").fill("When does the pump start?")
    page.keyboard.press("Enter")
    mark = page.locator('a[href^="#cite-"]')
    expect(mark).to_have_text("[1]", timeout=ANSWER_MS)
    mark.click()
    opened = page.locator(".lectern-passage.opened")
    expect(opened.get_by_role("img", name="page 2 of pumps.pdf")).to_be_visible(timeout=ANSWER_MS)
    expect(opened.locator(".box").first).to_be_visible()
    page.get_by_role("button", name="Show as text").click()
    expect(page.locator(".lectern-passage mark")).to_have_text("The pump of the north well starts at six.")
    expect(opened).to_contain_text("page 2")
    asked = [chat.body["messages"][-1]["content"] for chat in chat_server.chats]  # a title is asked for as well
    assert any("The pump of the north well" in content for content in asked)

    address = page.url
    assert re.search(r"conversation=\w+", address)
    page.goto(address)
    expect(page.locator('a[href^="#cite-"]')).to_have_text("[1]")


def test_a_menu_makes_way_for_its_dialog_and_sources_stay_in_sight(
    running: Site, page: Page, chat_server: ChatServer
) -> None:
    chat_server.set(delay_s=0.0, answer="The pump starts at six in the morning [1]. " + "Water rises. " * 150)
    page.goto(f"{running.url}/Chat")
    settled(page)
    page.get_by_test_id("stChatInputTextArea").fill("When does the pump start?")
    page.keyboard.press("Enter")
    actions = page.locator('[class*="st-key-lectern-actions-"]')
    expect(actions).to_have_count(1, timeout=ANSWER_MS)
    page.locator('[class*="st-key-conversation-menu-"] button:visible').first.click()
    page.get_by_role("button", name="What the chat remembers").click()
    expect(page.get_by_role("heading", name="What the chat remembers")).to_be_visible()
    expect(page.get_by_test_id("stPopoverBody")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
    expect(actions).to_be_in_viewport()
    expect(page.get_by_role("heading", name="Sources")).to_be_in_viewport()


def test_a_reload_in_mid_answer_finds_it_growing(running: Site, page: Page, chat_server: ChatServer) -> None:
    chat_server.set(delay_s=0.25, answer="one two three four five six seven eight nine ten eleven twelve")
    page.goto(f"{running.url}/Chat")
    settled(page)
    page.get_by_test_id("stChatInputTextArea").fill("Count.")
    page.keyboard.press("Enter")
    answer = page.get_by_test_id("stChatMessage").last
    expect(answer).to_contain_text("two", timeout=ANSWER_MS)
    page.reload()
    expect(answer).to_contain_text("three", timeout=ANSWER_MS)
    expect(answer).to_contain_text("twelve", timeout=ANSWER_MS)


def test_an_answer_grows_in_every_tab_and_whoever_only_reads_it_cannot_stop_it(
    running: Site, page: Page, browser: Browser, chat_server: ChatServer
) -> None:
    chat_server.set(delay_s=0.4, answer=" ".join(f"word{number}" for number in range(60)))
    page.goto(f"{running.url}/Chat")
    settled(page)
    page.get_by_test_id("stChatInputTextArea").fill("Go on.")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("word2", timeout=ANSWER_MS)
    services = bootstrap(load(home=running.home, embedded=False))
    talk = services.store.conversations.get(page.url.partition("conversation=")[2])
    assert talk
    link = f"{running.url}/Chat?shared={services.conversations.share(talk.owner_id, talk.id)}"
    services.close()
    tab, stranger = page.context.new_page(), browser.new_page(locale="en-GB")
    for other, address in ((tab, page.url), (stranger, link)):
        other.goto(address)
        expect(other.get_by_test_id("stChatMessage").last).to_contain_text("word9", timeout=ANSWER_MS)
    assert page.get_by_role("button", name="Stop").is_visible() and tab.get_by_role("button", name="Stop").is_visible()
    assert stranger.get_by_role("button", name="Stop").count() == 0, "while it grows"
    tab.get_by_role("button", name="Stop").click()
    for each in (page, tab, stranger):
        expect(each.get_by_test_id("stChatMessage").last).to_contain_text("Stopped. What was said is kept.")
    stranger.close()


def test_an_answer_is_copied_timed_and_exported(running: Site, page: Page, chat_server: ChatServer) -> None:
    chat_server.set(delay_s=0.01, answer="Water rises at **six**.")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{running.url}/Chat")
    settled(page)
    page.get_by_test_id("stChatInputTextArea").fill("When does water rise?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Copy the answer").click(timeout=ANSWER_MS)
    assert page.evaluate("navigator.clipboard.readText()") == "Water rises at **six**."
    page.get_by_role("button", name="Timing").click()
    expect(page.locator(".lectern-waterfall")).to_contain_text("writing the answer")
    page.keyboard.press("Escape")
    page.locator('[class*="st-key-conversation-menu-"] button:visible').first.click()
    for label, ending in (("Export as Markdown", ".md"), ("Export as JSON", ".json")):
        with page.expect_download() as awaited:
            page.get_by_role("button", name=label).click()
        assert awaited.value.suggested_filename.endswith(ending)
        assert "Water rises at **six**." in Path(awaited.value.path()).read_text("utf-8")


def test_stop_keeps_what_was_said(running: Site, page: Page, chat_server: ChatServer) -> None:
    chat_server.set(delay_s=0.3, answer=" word" * 60)
    page.goto(f"{running.url}/Chat")
    settled(page)
    page.get_by_test_id("stChatInputTextArea").fill("Go on.")
    page.keyboard.press("Enter")
    answer = page.get_by_test_id("stChatMessage").last
    expect(answer).to_contain_text("word word", timeout=ANSWER_MS)
    page.get_by_role("button", name="Stop").click()
    expect(answer).to_contain_text("Stopped. What was said is kept.", timeout=ANSWER_MS)
    expect(answer).to_contain_text("word word")


def test_a_thumb_that_was_given_is_seen_and_gone_once_it_is_taken_back(running: Site, page: Page) -> None:
    page.goto(f"{running.url}/Chat")
    settled(page)
    page.get_by_test_id("stChatInputTextArea").fill("Hello?")
    page.keyboard.press("Enter")
    up, given = page.get_by_role("radio", name="Thumbs up"), page.get_by_test_id("stFeedbackButtonActive")
    told = page.get_by_text("Whoever can open the Knowledge page can read")
    expect(up).to_be_visible(timeout=ANSWER_MS)
    up.click()
    expect(told).to_be_visible()
    expect(given).to_have_css("color", "rgb(67, 56, 202)")
    page.reload()
    settled(page)
    expect(given).to_have_css("color", "rgb(67, 56, 202)")
    given.click()
    expect(told).to_be_hidden()
    page.reload()
    settled(page)
    expect(up).to_be_visible()
    expect(given).to_have_count(0)
