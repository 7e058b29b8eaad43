"""HTML: what a reader of the page would read, without scripts, styles, navigation and forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.core.document_errors import Damaged
from services.core.i18n import N_
from services.knowledge.loaders.assembly import Assembly, normalise
from services.knowledge.loaders.protocol import Limits, Sample
from services.knowledge.loaders.rows import row_lines
from services.knowledge.loaders.text import read_text
from services.knowledge.types import Extracted

HEADINGS = {f"h{level}": level for level in range(1, 7)}
DROPPED = frozenset(
    ("head", "script", "style", "noscript", "template", "svg", "nav", "footer", "button", "select", "input", "textarea",
     "iframe", "object", "embed", "applet", "audio", "video", "canvas", "map", "dialog")
)  # fmt: skip
DROPPED_ROLES = frozenset(("navigation", "search", "contentinfo", "dialog", "menu", "menubar"))
INLINE = frozenset(
    ("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
     "ins", "kbd", "label", "mark", "q", "rb", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
     "time", "tt", "u", "var", "wbr")
)  # fmt: skip
RUBY_READING = frozenset(("rt", "rp"))
_SPACES = re.compile(r"[ \t\r\n\f]+")
_DOCTYPE = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html[\s>])", re.I | re.DOTALL)
_DECLARED = re.compile(rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)


class HtmlLoader:
    """Fetches nothing: links and pictures are only names."""

    media_types = ("text/html", "application/xhtml+xml")
    extensions = (".html", ".htm", ".xhtml")
    textual = True

    def claims(self, sample: Sample) -> bool:
        """Text that opens like a page."""
        head = sample.head[:4096].replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
        return _DOCTYPE.match(head) is not None and sample.textual

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        raw, notices = read_text(path, name, limits, _declared(path))
        assembly = Assembly(name, limits)
        write_page(assembly, raw, name)
        return assembly.extracted(self.media_types[0], notices)


def write_page(assembly: Assembly, source: str, name: str, *, with_title: bool = True) -> None:
    """Write down what a reader of a page sees. Raises: Damaged where it is nested too deeply."""
    root = _parse(source, name)
    if root is None:
        return
    title = " ".join("".join(root.xpath("//head/title[1]//text()")).split())
    if with_title and title and not root.xpath("//h1[normalize-space()]"):
        assembly.heading(title, 1)
    _Walk(assembly).through(root)


def _declared(path: Path) -> str | None:
    with path.open("rb") as file:
        found = _DECLARED.search(file.read(4096))
    return found[1].decode("ascii", "replace") if found else None


def _parse(text: str, name: str) -> Any:
    from lxml import etree, html  # type: ignore[import-untyped]

    parser = html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(normalise(text).encode(), parser=parser, ensure_head_body=True)
    except etree.ParserError:
        return None  # nothing but comments
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" or "depth" in entry.message for entry in parser.error_log):
        raise Damaged(name=name, reason=N_("its elements are nested too deeply"))
    return root


class _Walk:
    """Goes through a page without recursion, however deep it is nested, and writes down its blocks."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._buffer: list[str] = []
        self._preformatted = 0

    def through(self, root: Any) -> None:
        """Write down everything below `root`."""
        from lxml import etree

        walker = etree.iterwalk(root, events=("start", "end"))
        for event, element in walker:
            if event == "end":
                self._leave(element)
            elif _dropped(element):
                walker.skip_subtree()
            elif element.tag == "table" and _is_grid(element):
                self._flush()
                self._assembly.paragraph("\n".join(row_lines(_grid(element))))
                walker.skip_subtree()
            else:
                self._enter(element)
        self._flush()

    def _enter(self, element: Any) -> None:
        if element.tag == "br":
            self._buffer.append("\x00")
        elif element.tag not in INLINE:
            self._flush()
        if element.tag == "pre":
            self._preformatted += 1
        if element.tag == "li":
            self._buffer.append("- ")
        self._buffer.append(self._shown(element.text))

    def _leave(self, element: Any) -> None:
        if element.tag in HEADINGS:
            self._assembly.heading(self._taken().replace("\n", " "), HEADINGS[element.tag])
        elif element.tag not in INLINE and element.tag != "br":
            self._flush()
        if element.tag == "pre":
            self._preformatted -= 1
        self._buffer.append(self._shown(element.tail))

    def _shown(self, text: str | None) -> str:
        return (text or "").replace("\n", "\x00") if self._preformatted else _SPACES.sub(" ", text or "")

    def _taken(self) -> str:
        joined = "".join(self._buffer)
        self._buffer.clear()
        lines = joined.split("\x00")
        return "\n".join(line if self._preformatted else re.sub(" +", " ", line).strip() for line in lines)

    def _flush(self) -> None:
        text = self._taken()
        if text.strip() not in ("", "-"):
            self._assembly.paragraph(text)


def _dropped(element: Any) -> bool:
    if element.tag in DROPPED or element.tag in RUBY_READING:
        return True
    read = element.get
    hidden = read("hidden") is not None or read("aria-hidden") == "true" or _HIDDEN_STYLE.search(read("style") or "")
    return bool(hidden) or read("role") in DROPPED_ROLES


def _is_grid(table: Any) -> bool:
    """A table of values, not one that lays out a page: no table, heading or list inside, and more than one column."""
    if table.xpath("boolean(.//table or .//h1 or .//h2 or .//h3 or .//ul or .//ol or .//form)"):
        return False
    return bool(table.xpath("boolean(.//tr[count(td | th) > 1])"))


def _grid(table: Any) -> Iterator[list[str]]:
    for row in table.xpath(".//tr"):
        cells: list[str] = []
        for cell in row.xpath("td | th"):
            words = cell.xpath(".//text()[not(ancestor::script or ancestor::style)]")
            width = cell.get("colspan", "1").strip()
            cells += [_SPACES.sub(" ", " ".join(words)), *[""] * (min(int(width), 64) - 1 if width.isdecimal() else 0)]
        yield cells


LOADER = HtmlLoader()
