"""Plain text in any encoding."""

from __future__ import annotations

from pathlib import Path

from services.core.document_errors import Garbled
from services.core.errors import NoExtractableText, TooLarge
from services.core.units import bytes_text
from services.knowledge.loaders.assembly import check_characters, normalise
from services.knowledge.loaders.decoding import HOPELESS, decode, undoubled
from services.knowledge.loaders.protocol import Limits, Sample
from services.knowledge.types import Extracted, Notice

LONGEST_CHARACTER_BYTES = 4


def read_text(path: Path, name: str, limits: Limits, declared: str | None = None) -> tuple[str, tuple[Notice, ...]]:
    """The text of a file, and a notice where its encoding is a guess.

    Raises: TooLarge, Garbled.
    """
    size = path.stat().st_size
    most = limits.characters * LONGEST_CHARACTER_BYTES
    if size > most:
        raise TooLarge(name=name, size=bytes_text(size), limit=bytes_text(most), setting="max_characters")
    decoded = decode(path.read_bytes(), declared)
    if decoded.score < HOPELESS:
        raise Garbled(name=name, pages="1")
    check_characters(len(decoded.text), name, limits)
    guessed = () if decoded.sure else (Notice("encoding_guessed", {"encoding": decoded.encoding}),)
    return decoded.text, guessed


def plain(path: Path, name: str, limits: Limits, media_type: str) -> Extracted:
    """A file whose text is kept as it stands, without headings.

    Raises: TooLarge, Garbled, NoExtractableText.
    """
    raw, notices = read_text(path, name, limits)
    text = normalise(undoubled(raw)).strip()
    if not text:
        raise NoExtractableText(name=name, pages=1)
    return Extracted(text, media_type, notices=notices)


class TextLoader:
    """The text as it stands; headings are not guessed."""

    media_types = ("text/plain",)
    extensions = (".txt", ".text", ".log")
    textual = True

    def claims(self, sample: Sample) -> bool:
        """Never: what is no other kind of text is plain text."""
        return False

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        return plain(path, name, limits, self.media_types[0])


LOADER = TextLoader()
