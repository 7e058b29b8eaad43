"""Pictures: scans and photographs, whose text only text recognition can give; each frame is a page."""

from __future__ import annotations

import warnings
from pathlib import Path

from services.core.document_errors import Damaged
from services.core.i18n import N_
from services.knowledge.loaders.assembly import Assembly, check_pages
from services.knowledge.loaders.numbers import numbers_text
from services.knowledge.loaders.office_pictures import FORMATS
from services.knowledge.loaders.protocol import Aids, Limits, Sample
from services.knowledge.types import Extracted, Notice

SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")


class ImageLoader:
    """Has no text of its own: it says how many pages there are, and takes what was recognised on them."""

    media_types = ("image/png", "image/jpeg", "image/tiff", "image/webp")
    extensions = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
    textual = False

    def claims(self, sample: Sample) -> bool:
        """The signature of a kind of picture."""
        webp = sample.head[:4] == b"RIFF" and sample.head[8:12] == b"WEBP"
        return webp or sample.head.startswith(SIGNATURES)

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        return self.load_with(path, name, limits, Aids())

    def load_with(self, path: Path, name: str, limits: Limits, aids: Aids) -> Extracted:
        """See HelpedLoader.load_with."""
        frames, media_type = _look(path, name)
        check_pages(frames, name, limits)
        assembly, read = Assembly(name, limits), []
        for number in range(1, frames + 1):
            found = aids.recognised.get(number, ())
            assembly.page_of(found)
            if found:
                read.append(number)
            else:
                aids.unread.append(number)
        params = {"pages": numbers_text(read), "total": frames}
        return assembly.extracted(media_type, [Notice("pages_recognised", params)])


def _look(path: Path, name: str) -> tuple[int, str]:
    """Frames and kind of a picture, without decoding it. Raises: Damaged."""
    from PIL import Image

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        with Image.open(path, formats=FORMATS) as image:
            frames: int = getattr(image, "n_frames", 1)
            return frames, Image.MIME[image.format or ""]
    except Image.DecompressionBombError as error:
        raise Damaged(name=name, reason=N_("the picture is far too large")) from error
    except (OSError, ValueError, SyntaxError, KeyError) as error:
        raise Damaged(name=name, reason=N_("it is no picture that can be opened")) from error


LOADER = ImageLoader()
