"""Pictures inside Word and PowerPoint files: which of them may hold text, and what was recognised on them."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from services.knowledge.loaders.protocol import Aids
from services.knowledge.types import Notice

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
LEAST_SIDE_PX, LEAST_AREA_PX = 40, 30_000
"""What is smaller is an icon, a bullet or a line."""
MOST = 200
MOST_BYTES = 64 * 1024**2
EMBEDDED = (
    ("{http://schemas.openxmlformats.org/drawingml/2006/main}blip", "embed"),
    ("{urn:schemas-microsoft-com:vml}imagedata", "id"),
)
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def numbered(path: Path) -> dict[str, int]:
    """The numbers, from 1, of all pictures in an Office file, by their names within it."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(one.filename for one in archive.infolist() if _kept(one))
    return {name: number for number, name in enumerate(names, 1)}


def content_of(path: Path, number: int) -> bytes | None:
    """The picture of this number; None where there is none."""
    name = next((name for name, each in numbered(path).items() if each == number), None)
    if name is None:
        return None
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _kept(member: zipfile.ZipInfo) -> bool:
    return "/media/" in member.filename and 0 < member.file_size <= MOST_BYTES


class Pictures:
    """Those of one file, as a loader comes to them; each is shown once, where it stands first."""

    def __init__(self, path: Path, aids: Aids) -> None:
        self._numbers = numbered(path)
        self._aids = aids
        self._met: set[int] = set()
        self._recognised = 0
        self._unread = 0

    def texts(self, element: Any, related: Callable[[str], Any | None]) -> Iterator[str]:
        """What was recognised on the pictures below an element; `related` finds a part by its relation's id."""
        for tag, attribute in EMBEDDED:
            for reference in element.iter(tag):
                found = related(reference.get(_RELATION + attribute, ""))
                if found is not None and (text := self._text(found)):
                    yield text

    def notices(self) -> list[Notice]:
        """How many were recognised, and how many nobody has looked at."""
        counts = (("pictures_recognised", self._recognised), ("pictures_unread", self._unread))
        return [Notice(code, {"count": count}) for code, count in counts if count]

    def _text(self, part: Any) -> str:
        number = self._numbers.get(str(part.partname).lstrip("/"))
        if number is None or number in self._met or len(self._met) >= MOST or not _may_hold_text(part.blob):
            return ""
        self._met.add(number)
        if number not in self._aids.recognised:
            self._aids.unread.append(number)
            self._unread += 1
            return ""
        text = "".join(piece.text for piece in self._aids.recognised[number]).strip()
        self._recognised += bool(text)
        return text


def _may_hold_text(blob: bytes) -> bool:
    from PIL import Image

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        with Image.open(BytesIO(blob), formats=FORMATS) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # a drawing made of lines, or nothing that can be opened
    return min(width, height) >= LEAST_SIDE_PX and width * height >= LEAST_AREA_PX
