"""A prompt as the parts that it is made of: a person can see what the model is sent, and what each part costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.core.i18n import N_
from services.llm.protocol import Message

Kind = Literal["instruction", "system_prompt", "summary", "examples", "memory", "passages", "question"]
Role = Literal["system", "user", "assistant"]
KINDS: dict[Kind, str] = {
    "instruction": N_("Instruction"),
    "system_prompt": N_("System prompt"),
    "summary": N_("Summary"),
    "examples": N_("Examples"),
    "memory": N_("Earlier turns"),
    "passages": N_("Passages"),
    "question": N_("Question"),
}
"""What each part is called, in the order in which they are sent: the fixed ones first, so that prefix caches work."""
JOINT = "\n\n"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a prompt. One that is `joined` goes into the message of the part before it."""

    kind: Kind
    role: Role
    text: str
    joined: bool = False

    def row(self, count: Callable[[str], int]) -> dict[str, Any]:
        """As stored with a turn."""
        row = {"kind": self.kind, "role": self.role, "text": self.text, "joined": self.joined}
        return {**row, "tokens": count(self.text)}


def messages_of(parts: Iterable[Part]) -> list[Message]:
    """The messages that are sent."""
    messages: list[Message] = []
    for part in parts:
        if part.joined and messages:
            messages[-1] = Message(part.role, f"{messages[-1].content}{JOINT}{part.text}")
        else:
            messages.append(Message(part.role, part.text))
    return messages


def tokens_by_kind(rows: Sequence[dict[str, Any]]) -> dict[Kind, int]:
    """Tokens of each kind of part, as rows tell them, in the order of `KINDS`."""
    found: dict[Kind, int] = {}
    for kind in KINDS:
        tokens = [int(row["tokens"]) for row in rows if row["kind"] == kind]
        if tokens:
            found[kind] = sum(tokens)
    return found
