"""E-mail: who wrote what to whom and when, the body, and attachments read by the loaders of their own formats."""

from __future__ import annotations

import re
import tempfile
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from services.core.errors import DocumentError, TooLarge
from services.knowledge.loaders import detect
from services.knowledge.loaders.assembly import Assembly
from services.knowledge.loaders.decoding import decode
from services.knowledge.loaders.html import write_page
from services.knowledge.loaders.protocol import Limits, Sample
from services.knowledge.types import Extracted, Notice

SHOWN = ("From", "To", "Cc", "Date")
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_TELLING = re.compile(
    rb"^(?:from|to|date|message-id|mime-version|received|return-path|delivered-to|subject):", re.I | re.M
)
ENOUGH_TELLING = 3
DEEPEST = 3
"""Messages and attachments within each other; what lies deeper is named only."""


class EmlLoader:
    """Reads messages as they are saved by mail programs (RFC 5322); nothing that they link to is fetched."""

    media_types = ("message/rfc822",)
    extensions = (".eml",)
    textual = False

    def claims(self, sample: Sample) -> bool:
        """Header lines from the first one on, with enough of those that every message has."""
        head = re.split(rb"\r?\n\r?\n", sample.head.lstrip(b"\xef\xbb\xbf\r\n"), maxsplit=1)[0]
        telling = {found.lower() for found in _TELLING.findall(head)}
        wanted = 1 if sample.suffix in self.extensions else ENOUGH_TELLING
        return _HEADER.match(head) is not None and len(telling) >= wanted and sample.textual

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        from email import message_from_bytes
        from email.policy import default

        message = message_from_bytes(path.read_bytes(), policy=default)
        letter = _Letter(Assembly(name, limits), limits)
        letter.write(message, 1)
        return letter.assembly.extracted(self.media_types[0], letter.notices())


class _Letter:
    """A message as it is written down, those within it included."""

    def __init__(self, assembly: Assembly, limits: Limits) -> None:
        self.assembly = assembly
        self._limits = limits
        self._unread: list[str] = []

    def notices(self) -> list[Notice]:
        """The attachments that were not read."""
        return [Notice("attachments_unread", {"names": ", ".join(self._unread)})] if self._unread else []

    def write(self, message: EmailMessage, depth: int) -> None:
        """Headers, body and attachments; `depth` counts the messages around it."""
        self.assembly.heading(_header(message, "Subject"), min(depth, 9))
        lines = [f"{name}: {value}" for name in SHOWN if (value := _header(message, name))]
        self.assembly.paragraph("\n".join(lines))
        body = message.get_body(("plain", "html"))
        if body is not None:
            self._body(cast(EmailMessage, body))
        for part in message.iter_attachments() if message.is_multipart() else ():
            self._attachment(part, depth)

    def _body(self, part: EmailMessage) -> None:
        text = _text(part)
        if part.get_content_subtype() == "html":
            write_page(self.assembly, text, "", with_title=False)
        else:
            self.assembly.paragraph(text)

    def _attachment(self, part: EmailMessage, depth: int) -> None:
        if part.get_content_type() == "message/rfc822" and depth < DEEPEST:
            inner = part.get_payload()
            for message in inner if isinstance(inner, list) else ():
                self.write(cast(EmailMessage, message), depth + 1)
            return
        name, content = part.get_filename() or "", part.get_payload(decode=True)
        if not isinstance(content, bytes) or not content.strip():
            return
        if part.get_content_disposition() != "attachment" and part.get_content_maintype() == "image":
            return  # a picture within the text, such as a logo
        self.assembly.heading(name or part.get_content_type(), min(depth + 1, 9))
        document = self._read(name or "attachment", content) if depth < DEEPEST else None
        if document is None:
            self._unread.append(name or part.get_content_type())
        else:
            self.assembly.insert(document, min(depth + 1, 8))

    def _read(self, name: str, content: bytes) -> Extracted | None:
        with tempfile.TemporaryDirectory(prefix="lectern-mail-") as folder:
            path = Path(folder, "attachment")
            path.write_bytes(content)
            try:
                detect.check_archive(path, name, self._limits)
                loader = detect.choose_loader(path, name)
                return None if EmlLoader.extensions == loader.extensions else loader.load(path, name, self._limits)
            except TooLarge:
                raise
            except DocumentError:
                return None


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, IndexError, AttributeError, KeyError):  # the standard library stumbles over broken headers
        return ""


def _text(part: EmailMessage) -> str:
    """A part's text; its charset is looked at like any declared encoding."""
    content = part.get_payload(decode=True)
    return decode(content, part.get_content_charset()).text if isinstance(content, bytes) else ""


LOADER = EmlLoader()
