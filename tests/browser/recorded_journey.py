"""Plays and records a reader's way through the Chat page and a program's way through the API, on a Lectern that runs.

`python -m tests.browser.recorded_journey URL FOLDER FILE…` puts the files into a base where they are not there yet,
then, in English and in Chinese: asks the base, opens the cited page, goes on in chat, looks at what the model was sent
and what the chat remembers, and exports the conversation. Each step is photographed wide and narrow, light and dark.
At the end the official client of OpenAI asks the same by the API. Pictures, exports and `record.txt` go to FOLDER.

Questions that the files answer are given with `--ask en=…` and `--ask zh=…`. Without a GPU it takes minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import openai
from playwright.sync_api import Browser, Locator, Page, StorageState, sync_playwright

from services.core.i18n import translate
from tests.browser.chromium import FLAGS, chromium, settled
from tests.browser.screenshots import COLOURS, LOCALES, MARK, WIDTHS

ANSWER_MS = 600_000
READING_S = 1_800.0
SCROLLED_MS = 600
"""Until the page has brought its newest turn into sight."""
SETTLED = ("ready", "failed", "cancelled")
CHINESE = {"en": "en", "zh": "zh_CN"}
WITHOUT_ICONS = """element => {
  const copy = element.cloneNode(true);
  copy.querySelectorAll("[aria-hidden]").forEach(icon => icon.remove());
  return copy.innerText;
}"""
Steps = dict[str, Callable[[Page], None]]
FOLLOW_UPS = {"en": "Explain that in one short sentence to a beginner.", "zh": "用一句话向初学者解释。"}


@dataclass
class Record:
    """What was seen, on the screen and in `record.txt`."""

    folder: Path
    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Note a line."""
        print(line, flush=True)
        self.lines.append(line)
        (self.folder / "record.txt").write_text("\n".join(self.lines) + "\n", "utf-8")


@dataclass(frozen=True)
class Visit:
    """One reader: a language, a browser that remembers who it is, and where to write what was seen."""

    url: str
    language: str
    browser: Browser
    record: Record

    def word(self, text: str) -> str:
        """A word of the page as this reader sees it."""
        return translate(text, CHINESE[self.language])

    @contextmanager
    def looking(self, state: StorageState | None, across: str = "wide", colour: Any = "light") -> Any:
        """A tab of this reader's browser."""
        width, height = WIDTHS[across]
        context = self.browser.new_context(
            locale=LOCALES[self.language],
            color_scheme=colour,
            viewport={"width": width, "height": height},
            storage_state=state,
        )
        context.set_default_timeout(60_000)
        try:
            yield context.new_page()
        finally:
            context.close()

    def photograph(self, state: StorageState, address: str, steps: Steps) -> None:
        """A picture of each step, each from a fresh look at the address, in every width and colour."""
        for colour, across in product(COLOURS, WIDTHS):
            with self.looking(state, across, colour) as page:
                for name, step in steps.items():
                    look(page, address)
                    step(page)
                    settled(page)
                    page.screenshot(path=self.record.folder / f"{name}-{across}-{colour}-{self.language}.png")


# the page -------------------------------------------------------------------------------------------------------------
def played(visit: Visit, base_id: str, question: str) -> None:
    """The way of one reader."""
    say = visit.record.say
    say(f"== {visit.language} ==")
    with visit.looking(None) as page:
        page.goto(f"{visit.url}/Chat?base={base_id}")
        settled(page)
        ask(page, question)
        address, state = page.url, page.context.storage_state()
        say(f"question   {question}\nanswer     {answer_of(page)}")
        say(f"facts      {told(page, '[data-testid=stChatMessage] .lectern-facts')}")
        say(f"checks     {told(page, '.lectern-checks')}")
        open_citation(page)
        boxes = page.locator(".lectern-passage.opened .box").count()
        opened = page.locator(".lectern-passage.opened")
        say(f"opened     {opened.locator('.name').inner_text()} · {opened.locator('.lectern-facts').inner_text()}")
        say(f"           {boxes} boxes on the picture of its page")
        steps: Steps = {
            "1-answer": lambda _: None,
            "2-citation": open_citation,
            "3-timing": lambda tab: tab.get_by_role("button", name=visit.word("Timing")).last.click(),
            "4-settings": lambda tab: tab.locator('[class*="st-key-settings-"] button:visible').first.click(),
            "5-comment": lambda tab: comment(tab, visit.word("Keep it as a golden question")),
        }
        visit.photograph(state, address, steps)
        look(page, address)
        page.locator('[class*="st-key-mode-"] button:visible').first.click()
        settled(page)
        ask(page, FOLLOW_UPS[visit.language])
        say(f"follow-up  {FOLLOW_UPS[visit.language]}\nanswer     {answer_of(page)}")
        sent(page)
        say(f"sent       {told(page, '[role=dialog] .lectern-facts')}")
        close_dialog(page)
        memory(page)
        say(f"memory     {told(page, '[role=dialog] .lectern-facts')}")
        close_dialog(page)
        for ending in ("md", "json"):
            say(f"exported   {exported(visit, page, ending)}")
    visit.photograph(
        state, address, {"6-follow-up": lambda _: None, "7-sent": sent, "8-memory": memory, "9-menu": menu}
    )


def look(page: Page, address: str) -> None:
    """Open a conversation, drawn to its last turn."""
    page.goto(address)
    page.locator('[class*="st-key-lectern-actions-"]').last.wait_for()
    settled(page)
    page.wait_for_timeout(SCROLLED_MS)


def ask(page: Page, question: str) -> None:
    """Ask, and wait until the answer has come to its end."""
    turns = page.get_by_test_id("stChatMessage").count()
    page.get_by_test_id("stChatInputTextArea").fill(question)
    page.keyboard.press("Enter")
    page.get_by_test_id("stChatMessage").nth(turns + 1).wait_for(timeout=ANSWER_MS)
    page.locator('[class*="st-key-lectern-actions-"]').nth(turns // 2).wait_for(timeout=ANSWER_MS)
    settled(page)


def open_citation(page: Page) -> None:
    """Press the first mark and wait for the picture of its page."""
    page.locator(MARK).first.click()
    page.locator(".lectern-passage.opened img").wait_for()
    page.locator(".lectern-passage.opened .box").first.wait_for()


def sent(page: Page) -> None:
    """Open what the model was sent for the last answer."""
    page.locator('[class*="st-key-icon-sent-"] button:visible').last.click()
    page.locator("[role=dialog] .lectern-facts").wait_for()


def memory(page: Page) -> None:
    """Open what the chat remembers."""
    menu(page)
    page.locator(".st-key-show-memory button").click()
    page.locator("[role=dialog] .lectern-facts").wait_for()


def menu(page: Page) -> None:
    """Open what can be done with the conversation."""
    page.locator('[class*="st-key-conversation-menu-"] button:visible').first.click()
    page.locator(".st-key-show-memory").wait_for()


def comment(page: Page, golden: str) -> None:
    """Open the comment on the last answer, and say that it shall be kept as a golden question."""
    page.locator('[class*="st-key-icon-comment-"] button:visible').last.click()
    page.get_by_role("dialog").get_by_text(golden).click()


def close_dialog(page: Page) -> None:
    """Close the dialog that is open; no menu lies over it."""
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    settled(page)


def exported(visit: Visit, page: Page, ending: str) -> str:
    """Download the conversation; the file's name and size."""
    menu(page)
    with page.expect_download() as caught:
        page.locator(f".st-key-export-{ending} button").click()
    path = visit.record.folder / f"export-{visit.language}.{ending}"
    caught.value.save_as(path)
    page.keyboard.press("Escape")
    settled(page)
    return f"{caught.value.suggested_filename}, {path.stat().st_size} bytes"


def answer_of(page: Page) -> str:
    """The last answer as it is read."""
    last = page.get_by_test_id("stChatMessage").last.get_by_test_id("stMarkdownContainer")
    return " ".join(last.first.inner_text().split())


def told(page: Page, selector: str) -> str:
    """What stands at the last place of its kind; nothing where there is none."""
    found: Locator = page.locator(selector)
    return " ".join(str(found.last.evaluate(WITHOUT_ICONS)).split()) if found.count() else "–"


# the API --------------------------------------------------------------------------------------------------------------
def filled(url: str, name: str, files: Sequence[Path]) -> str:
    """The id of a base that has these files, each read to its end."""
    with httpx.Client(base_url=f"{url}/v1", timeout=120) as http:
        known = {base["name"]: base["id"] for base in http.get("/knowledge_bases").json()["data"]}
        base_id = known.get(name) or http.post("/knowledge_bases", json={"name": name}).raise_for_status().json()["id"]
        documents = f"/knowledge_bases/{base_id}/documents"
        there = {row["document"] for row in http.get(documents).json()["data"]}
        for file in files:
            if file.name not in there:
                with file.open("rb") as content:
                    http.post(documents, files={"file": (file.name, content)}).raise_for_status()
        deadline = time.monotonic() + READING_S
        while any(row["state"] not in SETTLED for row in http.get(documents).json()["data"]):
            assert time.monotonic() < deadline, "the files were not read in time"
            time.sleep(1)
    return str(base_id)


def asked_by_a_program(url: str, base: str, question: str, record: Record) -> None:
    """The same question by OpenAI's client, streamed."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="any", timeout=ANSWER_MS / 1000, max_retries=0)
    messages: Any = [{"role": "user", "content": question}]
    text, pieces, last = "", 0, None
    for last in client.chat.completions.create(model=f"kb:{base}", messages=messages, stream=True):
        piece = last.choices[0].delta.content or ""
        text, pieces = text + piece, pieces + bool(piece)
    ours: dict[str, Any] = (last.model_extra or {}).get("lectern", {}) if last else {}
    record.say(f"== openai, kb:{base}, stream ==\nquestion   {question}\nanswer     {text} ({pieces} pieces)")
    for citation in ours["citations"]:
        place = {key: citation[key] for key in ("document", "page", "start", "end", "supported")}
        record.say(f"citation   [{citation['marker']}] {place}")
    for passage in ours["passages"]:
        begin = " ".join(passage["text"].split())[:70]
        record.say(f"passage    [{passage['number']}] {passage['document']}, page {passage['page']}: {begin}…")
    record.say(f"timings    {ours['timings_ms']}\nserver     {ours['server']}, {ours['model']}")


def main() -> None:
    """Play it."""
    parser = argparse.ArgumentParser(description="Play and record a reader's and a program's way.")
    parser.add_argument("url", help="where Lectern's pages are, such as http://127.0.0.1:8501")
    parser.add_argument("folder", type=Path, help="where pictures and record go")
    parser.add_argument("files", type=Path, nargs="+", help="documents for the base; PDF, so that pages are shown")
    parser.add_argument("--base", default="Papers", help="name of the base")
    parser.add_argument("--ask", action="append", required=True, metavar="LANGUAGE=QUESTION", help="en=… or zh=…")
    given = parser.parse_args()
    url, questions = given.url.rstrip("/"), dict(words.split("=", 1) for words in given.ask)
    given.folder.mkdir(parents=True, exist_ok=True)
    record = Record(given.folder)
    base_id = filled(url, given.base, given.files)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for language, question in questions.items():
            played(Visit(url, language, browser, record), base_id, question)
        browser.close()
    for question in questions.values():
        asked_by_a_program(url, given.base, question, record)


if __name__ == "__main__":
    main()
