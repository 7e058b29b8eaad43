"""The errors that people meet when whole bases come in or go out; part of the tree in `errors`."""

from __future__ import annotations

from services.core.errors import AccessError, ConflictError, IntegrityError, NotFoundError
from services.core.i18n import N_


class ArchiveRefused(IntegrityError):
    message = N_("“{name}” cannot be imported: {reason}.")
    remedy = N_("Check that the whole file was copied, and that Lectern has exported it.")


class LangchainRefused(IntegrityError):
    message = N_("The folder “{name}” cannot be imported: {reason}.")
    remedy = N_("Give the folder that `FAISS.save_local` wrote, with its two files index.faiss and index.pkl.")


class ZipRefused(IntegrityError):
    message = N_("The files in “{name}” were not added: {reason}.")
    remedy = N_("Unpack it yourself and add the files, or pack fewer of them.")


class FolderNotAllowed(AccessError):
    message = N_("The folder {path} may not be read: it lies in none of the allowed folders.")
    remedy = N_("Whoever runs Lectern can allow it with LECTERN_FOLDER_ROOTS, folders separated by colons.")


class FolderNotFound(NotFoundError):
    message = N_("There is no folder {path} that can be read.")
    remedy = N_("Check its path and that the user who runs Lectern may open it.")


class FolderEmptied(ConflictError):
    message = N_("The folder {path} is empty, but held {count} files at the last look; nothing was removed.")
    remedy = N_("Mount its disk and look again; or stop following it and remove the documents yourself.")
