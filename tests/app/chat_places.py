"""What the tests of the Chat page share: a question that was asked, and what of a page is marked."""

from __future__ import annotations

from services.app import Services
from services.store.bases import BaseRecord
from services.store.conversations import TurnRecord
from ui.owner import LOCAL

PUMP = b"# Pump\n\nThe pump of the north well starts at six in the morning."


def asked(services: Services, base: BaseRecord | None, question: str = "When does the pump start?") -> TurnRecord:
    turn = services.chat.ask(LOCAL, question, base_ids=[base.id] if base else [])
    return services.chat.wait(turn.id, 30)


def marks(html: str) -> list[str]:
    """The passage that is marked in its document, its lines as one; nothing where none is."""
    lines = [part.partition("</mark>")[0] for part in html.split("<mark>")[1:]]
    return [" ".join(lines)] if lines else []
