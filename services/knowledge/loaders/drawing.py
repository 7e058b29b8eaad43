"""Drawing one page of an original as a picture, inside a child process with limits: native code, strangers' files."""

from __future__ import annotations

import json
import logging
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from services.core.document_errors import Damaged
from services.core.errors import AppError, Encrypted, InvalidValue, UnsupportedFormat
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.loaders.child import confine
from services.knowledge.loaders.office_pictures import FORMATS, content_of
from services.knowledge.loaders.protocol import Limits

MOST_PIXELS = 12_000_000
HEAD_BYTES = 1024
DRAWN = "PDF, PNG, JPEG, TIFF, WebP"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page (from 1) of an original that people call `name`, at most `width_px` wide."""

    path: Path
    name: str
    page: int
    width_px: int
    password: str | None = field(default=None, repr=False)


def draw(wanted: Wanted, limits: Limits, picture: str, error: str) -> None:
    """Leave the page as a PNG at `picture`, or the reason why not at `error`; the body of a child."""
    _leave(drawn, wanted, limits, picture, error)


def draw_unread(wanted: Wanted, limits: Limits, picture: str, error: str) -> None:
    """As `draw`, for text recognition: in an Office file, `page` is the number of a picture within it."""
    _leave(_unread, wanted, limits, picture, error)


def _leave(make: Callable[[Wanted], Any], wanted: Wanted, limits: Limits, picture: str, error: str) -> None:
    confine(limits, limits.timeout_s)
    logging.disable(logging.CRITICAL)
    try:
        unfinished = Path(f"{picture}.part")
        make(wanted).save(unfinished, format="PNG")
        unfinished.rename(picture)
    except AppError as failure:
        Path(error).write_text(json.dumps([failure.code, failure.params]), "utf-8")


def drawn(wanted: Wanted) -> Any:
    """The page as a PIL image, at most `MOST_PIXELS` large. Raises: Damaged, Encrypted, InvalidValue …"""
    with wanted.path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return _of_pdf(wanted) if b"%PDF-" in head else _of_picture(wanted, wanted.path, wanted.page)


def _unread(wanted: Wanted) -> Any:
    if not zipfile.is_zipfile(wanted.path):
        return drawn(wanted)
    content = content_of(wanted.path, wanted.page)
    if content is None:
        raise Damaged(name=wanted.name, reason=N_("the page cannot be drawn"))
    return _of_picture(wanted, BytesIO(content), 1)


def _of_pdf(wanted: Wanted) -> Any:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(wanted.path, password=wanted.password)
        _check_page(wanted.page, len(document))
        document.init_forms()
        sheet = document[wanted.page - 1]
        width, height = sheet.get_size()
        return sheet.render(scale=_scale(width, height, wanted.width_px)).to_pil()
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise Encrypted(name=wanted.name) from error
        raise Damaged(name=wanted.name, reason=N_("the page cannot be drawn")) from error


def _of_picture(wanted: Wanted, source: Path | BytesIO, page: int) -> Any:
    from PIL import Image, UnidentifiedImageError

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # twice as large is an error
    try:
        image = Image.open(source, formats=FORMATS)
        _check_page(page, getattr(image, "n_frames", 1))
        image.seek(page - 1)
        scale = min(1.0, _scale(*image.size, wanted.width_px))  # a picture is never enlarged
        return image.convert("RGB").resize([max(1, round(side * scale)) for side in image.size])
    except UnidentifiedImageError as error:
        raise UnsupportedFormat(name=wanted.name, kind=phrase(N_("no pages to draw")), supported=DRAWN) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Damaged(name=wanted.name, reason=N_("the page cannot be drawn")) from error


def _scale(width: float, height: float, width_px: int) -> float:
    """From the page's units to pixels: as wide as asked, unless the page is so high that it would be too large."""
    if min(width, height) <= 0:
        return 1.0
    scale = width_px / width
    return float(min(scale, (MOST_PIXELS / (width * height)) ** 0.5))


def _check_page(page: int, pages: int) -> None:
    if not 1 <= page <= pages:
        raise InvalidValue(field=N_("page"), value=page, reason=N_("the document has no such page"))
