"""The documents that a field offers: of a large base the first ones, or those whose name has what one looks for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import streamlit as st

from services.app import Services
from services.core.errors import NotFoundError
from services.knowledge.types import DocumentRow, Listing
from services.store.bases import BaseRecord
from ui.i18n import _

MOST_DOCUMENTS = 500
"""Of each base: as many as a field can offer."""


def offered(services: Services, bases: Iterable[BaseRecord], key: str) -> list[tuple[str, DocumentRow]]:
    """Documents that searches find, each with its base's id; a field for a part of the name where there are more."""
    known = list(bases)
    found = _listed(services, known, "")
    if any(listing.found > len(listing.documents) for listing in found.values()):
        part = st.text_input(
            _("Offer documents whose name contains"),
            placeholder=_("the first {n} of each base", n=MOST_DOCUMENTS),
            key=f"part-{key}",
        )
        if part.strip():
            found = _listed(services, known, part.strip())
    return [(base_id, row) for base_id, listing in found.items() for row in listing.documents]


def there(services: Services, base_ids: Iterable[str]) -> list[BaseRecord]:
    """The bases with these ids that were not deleted meanwhile."""
    found = []
    for base_id in base_ids:
        with suppress(NotFoundError):
            found.append(services.knowledge.base(base_id))
    return found


def _listed(services: Services, bases: Iterable[BaseRecord], part: str) -> dict[str, Listing]:
    return {base.id: services.knowledge.listed(base, MOST_DOCUMENTS, part=part, answering=True) for base in bases}
