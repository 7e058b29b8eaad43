"""The bookmarks of a PDF as headings of its text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from services.knowledge.types import Extracted, Heading


class Bookmark(NamedTuple):
    """A bookmark that leads to a page (from 0); level 1 is the highest."""

    page: int
    level: int
    title: str


def headings(document: Extracted, bookmarks: Iterable[Bookmark]) -> Iterator[Heading]:
    """A heading begins where its page shows the bookmark's title, or else at the top of the page."""
    for bookmark in bookmarks:
        if bookmark.page < len(document.pages):
            page = document.pages[bookmark.page]
            words = r"\s*".join(re.escape(word) for word in bookmark.title.split())
            shown = re.compile(words).search(document.text, page.start, page.end)
            yield Heading(shown.start() if shown else page.start, bookmark.level, bookmark.title)
