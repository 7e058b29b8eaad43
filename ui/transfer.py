"""Whole bases in and out: export, import, and the folders that a base follows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import streamlit as st

from services.app import Services
from services.core.errors import from_row
from services.core.units import MIB, bytes_text
from services.knowledge.service import BaseSummary
from services.knowledge.transfer.folders import FolderState
from services.store.bases import BaseRecord
from services.store.jobs import DONE, FAILED, WISHED, WORKING
from ui import errors, i18n
from ui.i18n import _, ngettext
from ui.rebuilding import change_dialog
from ui.widgets import icon_button, progress_row, remark, row, safe_text

POLL_S = 1.0
DOWNLOAD_LIMIT_BYTES = 400 * MIB
"""A browser's download passes through this process's memory; larger bases go out by the command line."""
CHOSEN = "knowledge.base"
_HINT = """
[role="dialog"] [data-testid="stFileUploaderDropzoneInstructions"] span::after {{ content: "{words}"; }}
"""
"""The uploader behind the dialog says what a base takes; the one in it takes something else."""


def menu(services: Services, summary: BaseSummary) -> None:
    """What can be done with a whole base."""
    dialogs: dict[str, Callable[[], None]] = {
        ":material/download: " + _("Export"): lambda: _export_dialog(services, summary),
        ":material/upload: " + _("Import"): lambda: import_dialog(services),
        ":material/folder_open: " + _("Folders"): lambda: _folders_dialog(services, summary.base),
    }
    if summary.base.change is None:
        dialogs[":material/tune: " + _("Change")] = lambda: change_dialog(services, summary)
    chosen = st.menu_button(_("More"), list(dialogs), icon=":material/more_horiz:", key="knowledge.more")
    if chosen:
        dialogs[chosen]()


def _export_dialog(services: Services, summary: BaseSummary) -> None:
    @st.dialog(_("Export a knowledge base"))
    def ask() -> None:
        with errors.shown():
            safe_text(summary.base.name)
            words = _("One file with documents, chunks and vectors; Lectern imports it again, here or elsewhere.")
            safe_text(words, muted=True)
            size = services.knowledge.size_bytes(summary.base)
            if size > DOWNLOAD_LIMIT_BYTES:
                told = _("It holds {size}, which is more than a browser should load. On the machine itself:")
                safe_text(told.format(size=bytes_text(size)), muted=True)
                st.code(f"lectern kb export {summary.base.id} base.zip", language=None)
                return
            st.download_button(
                _("Download"),
                data=lambda: _written(services, summary.base),
                file_name=f"{summary.base.name}.zip",
                mime="application/zip",
                type="primary",
                icon=":material/download:",
                on_click="ignore",
            )

    ask()


def _written(services: Services, base: BaseRecord) -> bytes:
    with tempfile.TemporaryDirectory(prefix="lectern-export-") as folder:
        return services.transfer.archives.write(base, Path(folder, "base.zip")).path.read_bytes()


def import_dialog(services: Services) -> None:
    """Ask for the file that an export has written, or for the two files of LangChain's FAISS store."""

    @st.dialog(_("Import a knowledge base"))
    def ask() -> None:
        with errors.shown():
            words = _("A file that Lectern has exported, or the two files of a LangChain FAISS folder:")
            safe_text(f"{words} index.faiss, index.pkl", muted=True)
            st.html(f"<style>{_HINT.format(words='.zip, .faiss, .pkl')}</style>")
            files: Any = st.file_uploader(
                _("Files"), type=["zip", "faiss", "pkl"], accept_multiple_files=True, label_visibility="collapsed"
            )
            name = st.text_input(_("Name"), max_chars=80, placeholder=_("empty: the name that it had"))
            if st.button(_("Import"), type="primary"):
                place = st.empty()
                if not files:
                    place.caption(_("Choose the file first."))
                    return

                def tell(done: int, total: int) -> None:
                    with place:
                        progress_row(_("Importing; stay on this page until it is done"), done, total, "")

                st.session_state[CHOSEN] = _imported(services, files, name.strip(), tell).id
                st.rerun()

    ask()


def _imported(services: Services, files: list[Any], name: str, tell: Callable[[int, int], None]) -> BaseRecord:
    with tempfile.TemporaryDirectory(prefix="lectern-import-") as folder:
        langchain = any(file.name.endswith((".faiss", ".pkl")) for file in files)
        for file in files:
            _copy(file, Path(folder, f"index{Path(file.name).suffix}" if langchain else "base.zip"))
        if langchain:
            return services.transfer.langchain.run(Path(folder), name or "LangChain", tell).base
        return services.transfer.archives.read(Path(folder, "base.zip"), name or None, tell)


def _copy(source: BinaryIO, target: Path) -> None:
    with target.open("wb") as into:
        while block := source.read(MIB):
            into.write(block)


def _folders_dialog(services: Services, base: BaseRecord) -> None:
    folders = services.transfer.folders

    @st.dialog(_("Folders of this machine"), width="large")
    def ask() -> None:
        with errors.shown():
            safe_text(
                _("Each look takes in the new and changed files of a followed folder, and takes gone ones away."),
                muted=True,
            )
            if folders.roots:
                roots = ", ".join(str(root) for root in folders.roots)
                safe_text(_("Allowed: {folders}", folders=roots), muted=True, small=True)
                with st.form("follow", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
                    path = st.text_input(
                        _("Folder"),
                        placeholder=_("for example: {path}", path="/srv/documents"),
                        label_visibility="collapsed",
                    )
                    if st.form_submit_button(_("Follow"), type="primary"):
                        folders.wish(folders.follow(base, path))
            else:
                safe_text(_("No folder is allowed yet. Whoever runs Lectern allows them when it starts:"))
                st.code("LECTERN_FOLDER_ROOTS=/srv/documents make run", language=None)
            st.fragment(run_every=POLL_S)(_folder_list)(services, base)

    ask()


def _folder_list(services: Services, base: BaseRecord) -> None:
    with errors.shown():
        for state in services.transfer.folders.states(base):
            _folder(services, state)


def _folder(services: Services, state: FolderState) -> None:
    folders, folder, job = services.transfer.folders, state.folder, state.job
    underway = job is not None and job.state in (WISHED, WORKING)
    with row(folder.path, _found(state), code=True) as beneath:
        if icon_button(_("Look again"), ":material/sync:", key=f"sync-{folder.id}", disabled=underway):
            folders.wish(folder)
            st.rerun(scope="fragment")
        forget = _("Stop following; the documents stay")
        if icon_button(forget, ":material/link_off:", key=f"forget-{folder.id}", disabled=underway):
            folders.unfollow(folder)
            st.rerun(scope="fragment")
    with beneath:
        if job and underway:
            progress_row(_("Looking at the files"), job.done, job.total, _("files"))
        if job and job.state == FAILED:
            remark(from_row(job.error_code or "", job.error_params).render(i18n.language()))
        for name, code, params in state.found.refusals if state.found and job and job.state == DONE else []:
            safe_text(f"{name}: {from_row(code, params).render(i18n.language()).message}", muted=True, small=True)


def _found(state: FolderState) -> list[str]:
    found = state.found
    if found is None:
        return [_("not looked at yet")]
    words = [
        ngettext("{n} new", "{n} new", found.new),
        ngettext("{n} changed", "{n} changed", found.changed),
        ngettext("{n} gone", "{n} gone", found.gone),
        ngettext("{n} unchanged", "{n} unchanged", found.same),
    ]
    return [*words, ngettext("{n} refused", "{n} refused", found.refused)] if found.refused else words
