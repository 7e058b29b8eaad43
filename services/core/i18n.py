"""Messages in the reader's language, from gettext catalogues kept as readable .po files.

The source text is English and is its own key. A catalogue is compiled in memory when it is first used, so that an
installation needs no build step and the repository no binary.
"""

from __future__ import annotations

import gettext
import io
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
DEFAULT_LANGUAGE = "en"
DOMAIN = "lectern"
LOCALE_DIR = Path(__file__).resolve().parent.parent / "locale"


def N_(message: str) -> str:
    """Mark a message for translation where it is written but not yet shown."""
    return message


def language_of(locale: str | None) -> str:
    """The supported language nearest to a locale such as "zh-Hans-CN" or "en_GB.UTF-8"."""
    head = (locale or "").replace("_", "-").split(".")[0].split("-")[0].lower()
    return {"zh": "zh_CN", "en": "en"}.get(head, DEFAULT_LANGUAGE)


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """The compiled catalogue of a language; the source language needs none."""
    path = LOCALE_DIR / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    if language == DEFAULT_LANGUAGE or not path.exists():
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def translate(message: str, language: str = DEFAULT_LANGUAGE, **params: object) -> str:
    """A message in a language, its `{placeholders}` filled in."""
    text = catalogue(language).gettext(message) if message else ""
    return text.format(**params) if params else text


def translate_plural(singular: str, plural: str, n: int, language: str = DEFAULT_LANGUAGE, **params: object) -> str:
    """The form of a message that goes with the number `n`; `{n}` may stand in it."""
    return catalogue(language).ngettext(singular, plural, n).format(n=n, **params)
