"""What stands on a PDF's page beside its own text: the values of form fields, and notes that people added."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2.raw as pdfium

from services.knowledge.loaders.assembly import normalise
from services.knowledge.positions import Piece

MOST_ANNOTATIONS = 2_000
NOTES = (pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_FREETEXT)
NO_VALUE = ("", "Off")


class Forms:
    """Reads the form fields and notes of an opened document's pages."""

    def __init__(self, document: Any) -> None:
        self._environment = None
        if document.get_formtype() != pdfium.FORMTYPE_NONE:
            document.init_forms()
            self._environment = document.formenv

    def pieces(self, page: Any) -> Iterator[Piece]:
        """A line for each field that has a value, and for each note."""
        for number in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), MOST_ANNOTATIONS)):
            annotation = pdfium.FPDFPage_GetAnnot(page.raw, number)
            if annotation:
                text = self._text(annotation)
                pdfium.FPDFPage_CloseAnnot(annotation)
                if cleaned := " ".join(normalise(text).split()):
                    yield Piece("\n")
                    yield Piece(cleaned)

    def _text(self, annotation: Any) -> str:
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        if kind in NOTES:
            return _string(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size))
        if kind != pdfium.FPDF_ANNOT_WIDGET or self._environment is None:
            return ""
        form = self._environment.raw
        value = _string(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size))
        if value in NO_VALUE:
            return ""
        label = _string(
            lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldAlternateName(form, annotation, buffer, size)
        ) or _string(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldName(form, annotation, buffer, size))
        return f"{label}: {value}" if label else value


def _string(read: Callable[[Any, int], int]) -> str:
    """A string of pdfium's: asked first for its size in bytes, then for its UTF-16."""
    size = read(None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    read(ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")
