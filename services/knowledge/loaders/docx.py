"""Word documents: paragraphs, headings, tables, text boxes, formulae, charts, notes, comments, in their order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from services.core.document_errors import Damaged
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.loaders.assembly import Assembly
from services.knowledge.loaders.charts import CHART, chart_lines
from services.knowledge.loaders.docx_numbers import BULLET, WORD, Listed, Numbering, listed_in
from services.knowledge.loaders.formulae import MATH, formula
from services.knowledge.loaders.office_pictures import Pictures
from services.knowledge.loaders.protocol import Aids, Limits, Sample
from services.knowledge.loaders.rows import row_lines
from services.knowledge.types import Extracted

RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
BREAKS = {f"{WORD}tab": "\t", f"{WORD}br": "\n", f"{WORD}cr": "\n", f"{WORD}noBreakHyphen": "-"}
CONTAINERS = {f"{WORD}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "smartTag", "moveTo")}
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
SKIPPED = {FALLBACK, f"{WORD}del", f"{WORD}moveFrom", f"{WORD}pPr", f"{WORD}rPr", f"{WORD}instrText"}
NOTE_PARTS = ("footnotes", "endnotes")
EDGE_PARTS = ("header", "footer")
COMMENT = "Comment"
NO_LIST = "0"
MOST_GENERATIONS = 20
_HEADING_STYLE = re.compile(r"(?:heading|标题)\s*([1-9])", re.IGNORECASE)


class DocxLoader:
    """Reads the document's XML through python-docx's packaging; no style or picture is rendered."""

    media_types = ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",)
    extensions = (".docx", ".docm", ".dotx")
    textual = False

    def claims(self, sample: Sample) -> bool:
        """An archive with Word's main part."""
        return "word/document.xml" in sample.members

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        return self.load_with(path, name, limits, Aids())

    def load_with(self, path: Path, name: str, limits: Limits, aids: Aids) -> Extracted:
        """See HelpedLoader.load_with."""
        from docx.opc.exceptions import OpcError
        from docx.package import Package
        from lxml.etree import XMLSyntaxError  # type: ignore[import-untyped]

        try:
            main = Package.open(str(path)).main_document_part
            pictures = Pictures(path, aids)
            walk = _Walk(Assembly(name, limits), main, pictures)
            walk.blocks(main.element.body)
            for notes in _roots(main, NOTE_PARTS):
                walk.blocks(notes)
            walk.edges(list(_roots(main, EDGE_PARTS)))
        except (OpcError, XMLSyntaxError, KeyError, AttributeError, ValueError) as error:
            reason = phrase(N_("its parts do not fit together ({error})"), error=type(error).__name__)
            raise Damaged(name=name, reason=reason) from error
        return walk.assembly.extracted(self.media_types[0], pictures.notices())


class _Walk:
    """Goes through blocks in order and writes them down."""

    def __init__(self, assembly: Assembly, main: Any, pictures: Pictures) -> None:
        self.assembly = assembly
        self._main = main
        self._pictures = pictures
        self._styles = _styles(main)
        self._numbering = Numbering(next(_roots(main, ("numbering",)), None))
        self._comments = dict(_comments(main))

    def blocks(self, parent: Any) -> None:
        """Every paragraph and table below an element, those inside content controls included."""
        for element in parent.iterchildren():
            if element.tag == f"{WORD}p":
                self._paragraph(element)
            elif element.tag == f"{WORD}tbl":
                self.assembly.paragraph("\n".join(row_lines(_rows(element))))
                self._shown(element)
            elif element.tag in CONTAINERS or element.tag in (f"{WORD}footnote", f"{WORD}endnote"):
                self.blocks(element)

    def _paragraph(self, element: Any) -> None:
        text = "".join(_pieces(element))
        chosen = element.find(f"{WORD}pPr/{WORD}pStyle")
        style = self._styles.get(_value(chosen), _Style(None, None))
        outline = element.find(f"{WORD}pPr/{WORD}outlineLvl")
        level = style.level if outline is None else _outline_level(outline)
        label = self._label(listed_in(element.find(f"{WORD}pPr")), style.listed)
        if level:
            self.assembly.heading(text if label == BULLET else f"{label} {text}", level)
        elif text.strip():
            self.assembly.paragraph(f"{label} {text.strip()}" if label else text)
        self._anchored(element)

    def _label(self, own: Listed | None, styled: Listed | None) -> str:
        """What Word shows before a paragraph; what it says itself goes before what its style says."""
        if own and not own.list_id and styled:
            own = Listed(styled.list_id, own.depth)
        listed = own or styled
        return self._numbering.label(listed) if listed and listed.list_id != NO_LIST else ""

    def _anchored(self, element: Any) -> None:
        """What hangs on a paragraph: the numbers of its charts, and the comments on it."""
        for inner in element.iter(f"{CHART}chart", f"{WORD}commentReference"):
            if inner.tag == f"{CHART}chart":
                part = self._main.related_parts.get(inner.get(RELATION))
                self.assembly.paragraph("\n".join(chart_lines(part.blob)) if part is not None else "")
            else:
                self.assembly.paragraph(self._comments.pop(inner.get(f"{WORD}id"), ""))
        self._shown(element)

    def _shown(self, element: Any) -> None:
        """What was recognised on pictures."""
        for text in self._pictures.texts(element, self._main.related_parts.get):
            self.assembly.paragraph(text)

    def edges(self, roots: Sequence[Any]) -> None:
        """Headers and footers, once each, after the body: they say what the whole document is."""
        texts = [" ".join("\n".join(_lines_of(root)).split()) for root in roots]
        for text in dict.fromkeys(texts):
            if sum(letter.isalpha() for letter in text) > 2:  # more than a page's number
                self.assembly.paragraph(text)


class _Style(NamedTuple):
    """What a paragraph style says about the paragraph's part in the text."""

    level: int | None
    listed: Listed | None


def _styles(main: Any) -> dict[str, _Style]:
    """The styles of headings and lists, by style id."""
    styles: dict[str, _Style] = {}
    found = {style.get(f"{WORD}styleId", ""): style for style in main.styles.element.findall(f"{WORD}style")}
    for name, style in found.items():
        title = _value(style.find(f"{WORD}name")).strip()
        named = _HEADING_STYLE.fullmatch(title)
        outline = style.find(f"{WORD}pPr/{WORD}outlineLvl")
        level = 1 if title.lower() == "title" else _outline_level(outline) if outline is not None else None
        styles[name] = _Style(int(named[1]) if named else level, _inherited(name, found))
    return styles


def _inherited(name: str, styles: Mapping[str, Any]) -> Listed | None:
    """The list that a style names, or else the style that it is based on."""
    for _generation in range(MOST_GENERATIONS):
        style = styles.get(name)
        if style is None:
            break
        if listed := listed_in(style.find(f"{WORD}pPr")):
            return listed
        name = _value(style.find(f"{WORD}basedOn"))
    return None


def _value(element: Any) -> str:
    found: str = element.get(f"{WORD}val", "") if element is not None else ""
    return found


def _outline_level(outline: Any) -> int | None:
    value = _value(outline)
    return int(value) + 1 if value.isdigit() and int(value) < 9 else None  # 9 is body text


def _pieces(element: Any) -> Iterator[str]:
    """The text of a paragraph in order; a text box anchored in it stands on lines of its own."""
    for child in element.iterchildren():
        if child.tag in SKIPPED:
            continue
        if child.tag == f"{WORD}t":
            yield child.text or ""
        elif child.tag == f"{MATH}oMath":
            yield formula(child)
        elif child.tag in BREAKS:
            yield BREAKS[child.tag]
        elif child.tag == f"{WORD}p":
            yield "\n"
            yield from _pieces(child)
        elif isinstance(child.tag, str):
            yield from _pieces(child)


def _rows(table: Any) -> Iterator[list[str]]:
    """The rows of a table; a cell that spans rows is repeated in each, one that spans columns stands once."""
    above: list[str] = []
    for row in _inside(table, f"{WORD}tr"):
        cells: list[str] = []
        for cell in _inside(row, f"{WORD}tc"):
            merge = cell.find(f"{WORD}tcPr/{WORD}vMerge")
            goes_on = merge is not None and _value(merge) != "restart"
            text = above[len(cells)] if goes_on and len(cells) < len(above) else _cell_text(cell)
            width = _value(cell.find(f"{WORD}tcPr/{WORD}gridSpan"))
            cells += [text, *[""] * (min(int(width), 64) - 1 if width.isdigit() else 0)]
        above = cells
        yield cells


def _inside(parent: Any, tag: str) -> Iterator[Any]:
    for child in parent.iterchildren():
        if child.tag == tag:
            yield child
        elif child.tag in CONTAINERS:
            yield from _inside(child, tag)


def _cell_text(cell: Any) -> str:
    lines: list[str] = []
    for child in cell.iterchildren():
        if child.tag == f"{WORD}p":
            lines.append("".join(_pieces(child)))
        elif child.tag == f"{WORD}tbl":
            lines += row_lines(_rows(child))
        elif child.tag in CONTAINERS:
            lines.append(_cell_text(child))
    return "\n".join(lines)


def _roots(main: Any, kinds: Sequence[str]) -> Iterator[Any]:
    """The parts of these kinds that belong to the document."""
    from docx.oxml.parser import parse_xml

    for relation in main.rels.values():
        if not relation.is_external and relation.reltype.rsplit("/", 1)[-1] in kinds:
            yield parse_xml(relation.target_part.blob)


def _comments(main: Any) -> Iterator[tuple[str, str]]:
    """What reviewers wrote, by the id under which a paragraph names it."""
    for root in _roots(main, ("comments",)):
        for comment in root.iterfind(f"{WORD}comment"):
            author = comment.get(f"{WORD}author", "").strip()
            text = " ".join("\n".join(_lines_of(comment)).split())
            if text:
                yield comment.get(f"{WORD}id", ""), f"{COMMENT}{f' ({author})' if author else ''}: {text}"


def _lines_of(element: Any) -> Iterator[str]:
    """The paragraphs of a small part, tables included."""
    for paragraph in element.iter(f"{WORD}p"):
        yield "".join(_pieces(paragraph))


LOADER = DocxLoader()
