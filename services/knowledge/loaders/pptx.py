"""PowerPoint: each slide is a page with its title as heading, texts, tables, the numbers of charts, and notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from services.core.document_errors import Damaged
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.loaders.assembly import Assembly, check_pages
from services.knowledge.loaders.charts import DRAWING, chart_lines, diagram_lines, is_chart
from services.knowledge.loaders.numbers import numbers_text
from services.knowledge.loaders.office_pictures import Pictures
from services.knowledge.loaders.protocol import Aids, Limits, Sample
from services.knowledge.loaders.rows import row_lines
from services.knowledge.types import Extracted, Notice

NOTES = "Notes: "
DEEPEST_GROUP = 50


class PptxLoader:
    """Reads slides through python-pptx; nothing is rendered."""

    media_types = ("application/vnd.openxmlformats-officedocument.presentationml.presentation",)
    extensions = (".pptx", ".pptm", ".ppsx", ".potx")
    textual = False

    def claims(self, sample: Sample) -> bool:
        """An archive with PowerPoint's main part."""
        return "ppt/presentation.xml" in sample.members

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        return self.load_with(path, name, limits, Aids())

    def load_with(self, path: Path, name: str, limits: Limits, aids: Aids) -> Extracted:
        """See HelpedLoader.load_with."""
        from lxml.etree import XMLSyntaxError  # type: ignore[import-untyped]
        from pptx.exc import PythonPptxError
        from pptx.package import Package

        try:
            slides = Package.open(str(path)).presentation_part.presentation.slides
            check_pages(len(slides), name, limits)
            assembly, pictures, hidden = Assembly(name, limits), Pictures(path, aids), []
            for number, slide in enumerate(slides, 1):
                _write(assembly, slide, pictures)
                if slide.element.get("show") == "0":
                    hidden.append(number)
        except (PythonPptxError, XMLSyntaxError, KeyError, AttributeError, ValueError, TypeError) as error:
            reason = phrase(N_("its parts do not fit together ({error})"), error=type(error).__name__)
            raise Damaged(name=name, reason=reason) from error
        notices = [Notice("slides_hidden", {"pages": numbers_text(hidden)})] if hidden else []
        return assembly.extracted(self.media_types[0], [*notices, *pictures.notices()])


def _write(assembly: Assembly, slide: Any, pictures: Pictures) -> None:
    title = slide.shapes.title
    heading = " ".join(title.text_frame.text.split()) if title is not None and title.has_text_frame else ""
    shapes = _in_reading_order(slide.shapes, title)
    blocks = [text for shape in shapes for text in _texts(shape, slide.part, 0)]
    related = {name: one.target_part for name, one in slide.part.rels.items() if not one.is_external}.get
    blocks += [text for shape in shapes for text in pictures.texts(shape.element, related)]
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None and frame.text.strip():
        blocks.append(NOTES + frame.text.strip())
    assembly.page_with_heading(heading, blocks)


def _in_reading_order(shapes: Iterable[Any], title: Any) -> list[Any]:
    """From the top down, from left to right; the title is the heading and stands before them."""
    others = [shape for shape in shapes if title is None or shape.shape_id != title.shape_id]
    return sorted(others, key=lambda shape: (shape.top or 0, shape.left or 0))


def _texts(shape: Any, part: Any, depth: int) -> Iterator[str]:
    from pptx.enum.shapes import MSO_SHAPE_TYPE

    if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
        if depth > DEEPEST_GROUP:
            raise ValueError("groups are nested too deeply")
        for inner in _in_reading_order(shape.shapes, None):
            yield from _texts(inner, part, depth + 1)
    elif shape.has_text_frame:
        yield "\n".join(_paragraphs(shape.text_frame))
    elif getattr(shape, "has_table", False):
        rows = [[_cell(row, column) for column in range(len(shape.table.columns))] for row in shape.table.rows]
        yield "\n".join(row_lines(rows))
    elif shape.element.tag.endswith("}graphicFrame"):
        yield from _of_frame(shape.element, part)


def _cell(row: Any, column: int) -> str:
    cell = row.cells[column]
    return "" if cell.is_spanned else str(cell.text)


def _paragraphs(frame: Any) -> Iterator[str]:
    for paragraph in frame.paragraphs:
        text = paragraph.text.replace("\v", "\n").strip()
        if text:
            yield f"{'  ' * paragraph.level}- {text}" if paragraph.level else text


def _of_frame(element: Any, part: Any) -> Iterator[str]:
    """Charts and diagrams lie in parts of their own, named by the frame."""
    for reference in element.iter():
        for attribute, value in reference.attrib.items():
            if attribute.startswith("{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"):
                blob = part.related_part(value).blob
                if is_chart(reference.tag):
                    yield "\n".join(chart_lines(blob))
                elif attribute.endswith("}dm") and reference.tag.startswith(DRAWING):
                    yield "\n".join(diagram_lines(blob))


LOADER = PptxLoader()
