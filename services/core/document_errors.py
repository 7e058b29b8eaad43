"""The errors of documents that cannot be read as they are; part of the tree in `errors`."""

from __future__ import annotations

from services.core.errors import DocumentError
from services.core.i18n import N_


class PasswordWrong(DocumentError):
    message = N_("The password that was given does not open “{name}”.")
    remedy = N_("Try it again with the right password; the one that was given has been forgotten.")


class Damaged(DocumentError):
    message = N_("“{name}” is damaged and cannot be opened: {reason}.")
    remedy = N_("Open it in the program that made it, save it again, and add the new file.")


class Garbled(DocumentError):
    message = N_("The text of “{name}” comes out garbled on pages {pages}.")
    remedy = N_(
        "Export the document again with its fonts embedded, or install text recognition with "
        "`lectern engine install ocr` and try it again."
    )


class ReaderCrashed(DocumentError):
    message = N_("Reading “{name}” crashed the reader ({attempts} attempts).")
    remedy = N_("The file is probably damaged: save it again in the program that made it, and add the new file.")


class ReaderTimeout(DocumentError):
    message = N_("Reading “{name}” took longer than {seconds} seconds and was ended.")
    remedy = N_("Split it into smaller files, or raise the limit {setting} in the settings file.")
