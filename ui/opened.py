"""The opened passage: on its page where the document has pages that can be drawn, else in the text around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from services.app import Services
from services.chat.ports import Passage
from services.core.errors import AppError, NotFoundError
from services.knowledge.positions import Region
from services.knowledge.types import Surroundings
from services.store.bases import BaseRecord
from services.store.conversations import TurnRecord
from ui import errors
from ui.citations import page_panel, passage_panel
from ui.i18n import _
from ui.widgets import icon_button, safe_text

VIEW = "chat.view"
ZOOMS = (100, 150, 200, 300)
WIDTH_PX = 900
"""Of a page image at 100 %: sharp on the widest column."""


@dataclass
class View:
    """How a passage is looked at: `page` is another than its own after turning pages."""

    passage: tuple[str, int]
    page: int | None = None
    zoom: int = 0
    as_text: bool = False


def opened_passage(
    services: Services,
    turn: TurnRecord,
    passage: Passage,
    open_passage: Callable[[str, int], None],
    close: Callable[[], None],
) -> None:
    """One passage with the ways on: previous, next, the original, back."""
    with errors.shown():
        base = _base(services, turn, passage)
        original = _original(services, base, passage) if base else None
        _head(turn, passage, original, open_passage, close)
        if original is None:
            safe_text(_("The file that was cited is not kept any more."), muted=True)
        view = st.session_state.get(VIEW)
        if not isinstance(view, View) or view.passage != (turn.id, passage.number):
            view = st.session_state[VIEW] = View((turn.id, passage.number))
        regions = _regions(services, base, passage) if base and original else ()
        if not (base and regions and _page(services, base, passage, regions, view)):
            _text(services, base, passage)


def _head(
    turn: TurnRecord,
    passage: Passage,
    original: Path | None,
    open_passage: Callable[[str, int], None],
    close: Callable[[], None],
) -> None:
    last = len(turn.passages)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False):
        icon_button(
            _("Previous passage"),
            ":material/chevron_left:",
            key="passage-before",
            disabled=passage.number <= 1,
            on_click=open_passage,
            args=(turn.id, passage.number - 1),
        )
        icon_button(
            _("Next passage"),
            ":material/chevron_right:",
            key="passage-after",
            disabled=passage.number >= last,
            on_click=open_passage,
            args=(turn.id, passage.number + 1),
        )
        safe_text(_("Passage {number} of {last}", number=passage.number, last=last), muted=True)
        if original is not None:
            _download(original, passage)
        icon_button(_("Close"), ":material/close:", key="passage-close", on_click=close)


def _page(services: Services, base: BaseRecord, passage: Passage, regions: tuple[Region, ...], view: View) -> bool:
    """Draw the page that is looked at; False where it is shown as text."""
    own = regions[0].page
    page = view.page or own
    pages = len(services.knowledge.text(base, passage.document_id, passage.revision).pages) or None
    _turning(view, page, own, pages)
    if view.as_text:
        return False
    width = WIDTH_PX * ZOOMS[view.zoom] // 100
    try:
        png = services.knowledge.page_image(base, passage.document_id, passage.revision, page, width)
    except AppError:
        safe_text(_("This page cannot be drawn; this is its text."), muted=True)
        return False
    boxes = [(region.left, region.top, region.right, region.bottom) for region in regions if region.page == page]
    page_panel(passage.document, page, passage.heading, png, boxes, number=passage.number, zoom=ZOOMS[view.zoom])
    return True


def _turning(view: View, page: int, own: int, pages: int | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False, key="lectern-turning"):
        if not view.as_text:
            _turn(view, _("Page back"), ":material/keyboard_arrow_up:", "page-before", page <= 1, page=page - 1)
            last = pages is not None and page >= pages
            _turn(view, _("Page forward"), ":material/keyboard_arrow_down:", "page-after", last, page=page + 1)
            safe_text(_("Page {page} of {pages}", page=page, pages=pages or _("n/a")), muted=True)
            if page != own:
                _turn(view, _("To the passage"), ":material/my_location:", "page-own", False, page=own)
            _turn(view, _("Smaller"), ":material/zoom_out:", "page-smaller", view.zoom == 0, zoom=view.zoom - 1)
            largest = view.zoom == len(ZOOMS) - 1
            _turn(view, _("Larger"), ":material/zoom_in:", "page-larger", largest, zoom=view.zoom + 1)
            _turn(view, _("Show as text"), ":material/notes:", "page-text", False, as_text=True)
        else:
            _turn(view, _("Show the page"), ":material/picture_as_pdf:", "page-picture", False, as_text=False)


def _turn(view: View, label: str, icon: str, key: str, disabled: bool, **changes: int | bool) -> None:
    def change() -> None:
        for name, value in changes.items():
            setattr(view, name, value)

    icon_button(label, icon, key=key, disabled=disabled, on_click=change)


def _text(services: Services, base: BaseRecord | None, passage: Passage) -> None:
    around = _surroundings(services, base, passage) if base else None
    if around is None:
        safe_text(_("The document was changed or removed since; this is the passage as it was."), muted=True)
    shown = around or Surroundings(passage.document, passage.page, passage.heading, "", passage.text, "")
    passage_panel(
        passage.document,
        shown.page,
        passage.heading or shown.heading,
        shown.before,
        shown.text,
        shown.after,
        number=passage.number,
    )


def _download(original: Path, passage: Passage) -> None:
    name = passage.document.rpartition("/")[2]
    st.download_button(
        _("Download the file that was cited"),
        data=original.read_bytes,
        file_name=name,
        mime="application/octet-stream",
        icon=":material/download:",
        type="tertiary",
        key="icon-original",
        help=_("Download the file that was cited"),
        on_click="ignore",
    )


def _base(services: Services, turn: TurnRecord, passage: Passage) -> BaseRecord | None:
    try:
        return services.knowledge.base(passage.base_id or turn.base_ids[0])
    except NotFoundError:
        return None


def _original(services: Services, base: BaseRecord, passage: Passage) -> Path | None:
    try:
        return services.knowledge.original(base, passage.document_id, passage.revision)
    except NotFoundError:
        return None


def _regions(services: Services, base: BaseRecord, passage: Passage) -> tuple[Region, ...]:
    try:
        return services.knowledge.regions(base, passage.document_id, passage.revision, *passage.found)
    except NotFoundError:
        return ()


def _surroundings(services: Services, base: BaseRecord, passage: Passage) -> Surroundings | None:
    try:
        return services.knowledge.surroundings(base, passage.document_id, passage.revision, *passage.found)
    except NotFoundError:
        return None
