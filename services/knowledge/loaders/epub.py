"""E-books: the chapters in the order of the spine, with their headings; nothing is fetched, no picture is read."""

from __future__ import annotations

import posixpath
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from services.core.document_errors import Damaged
from services.core.errors import Encrypted
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.loaders.assembly import Assembly
from services.knowledge.loaders.decoding import decode
from services.knowledge.loaders.html import write_page
from services.knowledge.loaders.protocol import Limits, Sample
from services.knowledge.types import Extracted, Notice

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
CHAPTERS = ("application/xhtml+xml", "text/html")
FONT_OBFUSCATION = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


class EpubLoader:
    """EPUB 2 and 3."""

    media_types = ("application/epub+zip",)
    extensions = (".epub",)
    textual = False

    def claims(self, sample: Sample) -> bool:
        """An archive with the container that names the book's parts."""
        return CONTAINER in sample.members

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        from lxml.etree import XMLSyntaxError  # type: ignore[import-untyped]

        try:
            with zipfile.ZipFile(path) as book:
                _check_protection(book, name)
                assembly, missing = Assembly(name, limits), []
                root = _parsed(book.read(CONTAINER))
                package = root.xpath("string(//*[local-name()='rootfile'][1]/@full-path)")
                missing = _write(assembly, book, package, name)
        except (zipfile.BadZipFile, XMLSyntaxError, KeyError, EOFError, ValueError, NotImplementedError) as error:
            reason = phrase(N_("its parts do not fit together ({error})"), error=type(error).__name__)
            raise Damaged(name=name, reason=reason) from error
        notices = [Notice("chapters_missing", {"names": ", ".join(missing)})] if missing else []
        return assembly.extracted(self.media_types[0], notices)


def _write(assembly: Assembly, book: zipfile.ZipFile, package: str, name: str) -> list[str]:
    """Write the chapters down; the names of those that the book lacks."""
    root = _parsed(book.read(package))
    title = root.xpath("string(//*[local-name()='metadata']/*[local-name()='title'][1])")
    assembly.heading(title, 1)
    parts = {
        item.get("id"): posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(item.get("href", ""))))
        for item in root.xpath("//*[local-name()='manifest']/*[local-name()='item']")
        if item.get("media-type") in CHAPTERS
    }
    members, missing = set(book.namelist()), []
    for reference in root.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref"):
        part = parts.get(reference)
        if part in members:
            write_page(assembly, decode(book.read(part), "utf-8").text, name, with_title=False)
        elif part:
            missing.append(part)
    return missing


def _check_protection(book: zipfile.ZipFile, name: str) -> None:
    """Raises: Encrypted where more than fonts is."""
    if ENCRYPTION in book.namelist():
        methods = _parsed(book.read(ENCRYPTION)).xpath("//*[local-name()='EncryptionMethod']/@Algorithm")
        if any(method not in FONT_OBFUSCATION for method in methods):
            raise Encrypted(name=name)


def _parsed(source: bytes) -> Any:
    from lxml import etree  # type: ignore[import-untyped]

    return etree.fromstring(source, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))


LOADER = EpubLoader()
