"""Pictures of a document's pages, drawn in child processes when somebody looks, and kept for the next one who does.

A kept picture is derived: any of them may be deleted at any moment. Its name is made of the original's SHA-256, so that
it never shows another revision.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import tempfile
import threading
from pathlib import Path

from services.core.document_errors import Damaged
from services.core.errors import InvalidValue, from_row
from services.core.i18n import N_
from services.core.units import GIB, MIB
from services.knowledge.loaders import drawing
from services.knowledge.loaders.confined import Allowance, Confined, OutOfTime
from services.knowledge.loaders.protocol import Limits

WIDTHS_PX = range(16, 4001)
KEPT_BYTES = 256 * MIB
"""Of one base's pictures; the ones that nobody looked at for longest go first."""
LIMITS = Limits(pages=0, characters=0, timeout_s=30, memory_bytes=2 * GIB)
AT_ONCE = 2


class PageImages:
    """Draws pages of originals. Thread-safe; several processes may share a folder."""

    def __init__(self, limits: Limits = LIMITS, kept_bytes: int = KEPT_BYTES) -> None:
        self._limits = limits
        self._kept_bytes = kept_bytes
        self._confined = Confined(drawing.__name__)
        self._seats = threading.Semaphore(AT_ONCE)

    def png(self, folder: Path, original: Path, name: str, page: int, width_px: int) -> bytes:
        """The picture of a page (from 1) as PNG, `width_px` wide, or less where the page is extremely high.

        Args:
            folder: where this base's pictures are kept.

        Raises: InvalidValue, Encrypted, UnsupportedFormat, Damaged.
        """
        if width_px not in WIDTHS_PX:
            raise InvalidValue(field="width_px", value=width_px, reason=N_("it must be from 16 to 4000"))
        kept = folder / f"{original.name}-{page}-{width_px}.png"
        try:
            os.utime(kept)  # looked at now
            return kept.read_bytes()
        except OSError:  # not there, or made room for another one just now
            pass
        with self._seats:
            return self._draw(kept, original, name, page, width_px)

    def _draw(self, kept: Path, original: Path, name: str, page: int, width_px: int) -> bytes:
        with tempfile.TemporaryDirectory(prefix="lectern-page-") as scratch:
            picture, error = Path(scratch, "page.png"), Path(scratch, "error.json")
            arguments = (drawing.Wanted(original, name, page, width_px), self._limits, str(picture), str(error))
            with contextlib.suppress(OutOfTime):  # said below, for then there is no picture
                self._confined.run(drawing.draw, arguments, Allowance(self._limits.timeout_s), lambda: False)
            if error.exists():
                raise from_row(*json.loads(error.read_text("utf-8")))
            if not picture.exists():
                raise Damaged(name=name, reason=N_("the page cannot be drawn"))
            drawn = picture.read_bytes()
            self._keep(kept, picture)
        return drawn

    def _keep(self, kept: Path, picture: Path) -> None:
        """Keep a picture if the disk has room for it; make room for it among the others."""
        try:
            kept.parent.mkdir(exist_ok=True)
            unfinished = kept.with_name(f"{secrets.token_hex(8)}.part")
            shutil.copyfile(picture, unfinished)
            unfinished.replace(kept)
            _make_room(kept.parent, self._kept_bytes)
        except OSError:
            return


def _make_room(folder: Path, most_bytes: int) -> None:
    found = sorted(((path.stat(), path) for path in folder.iterdir()), key=lambda pair: -pair[0].st_mtime)
    total = 0
    for state, path in found:
        total += state.st_size
        if total > most_bytes:
            path.unlink(missing_ok=True)
