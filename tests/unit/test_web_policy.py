"""The content security policy: from here only, and Streamlit's own inline script by its hash."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser
from pathlib import Path

import streamlit

from ui.policy import content_security_policy


class InlineScripts(HTMLParser):
    """Collects the text of scripts without an address."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and "src" not in dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts.append(data)
            self._inside = False


def directives() -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in content_security_policy().split(";"))


def test_every_inline_script_of_the_installed_streamlit_is_allowed_by_its_hash() -> None:
    parser = InlineScripts()
    parser.feed((Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8"))
    assert parser.texts
    for text in parser.texts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in directives()["script-src"]


def test_no_directive_allows_another_host_or_inline_scripts() -> None:
    for name, sources in directives().items():
        assert not any("." in source or source in ("*", "http:", "https:") for source in sources.split()), name
    assert "'unsafe-inline'" not in directives()["script-src"]
    assert directives()["frame-ancestors"] == "'none'"
