"""What a thinking model says to itself, told apart from its answer while it streams."""

from __future__ import annotations

from services.llm.protocol import Event, ReasoningDelta, TextDelta

_PAIRS = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<|channel>thought", "<channel|>"))
_CLOSERS = tuple(closer for _, closer in _PAIRS)


class Thoughts:
    """Sorts the pieces of one answer: `answer` and `reasoning` as they stand after each `take`.

    A tag counts only where an answer begins. A template may have written the opening one itself, so that only the
    closing one comes: what stands before it is then reasoning as well.
    """

    def __init__(self) -> None:
        self.answer = ""
        self.reasoning = ""
        self._said = ""
        self._thought = ""
        """What came as reasoning of its own, beside the answer."""

    def hear(self, event: Event) -> None:
        """The next event of the answer's stream; what is no text is passed over."""
        if isinstance(event, TextDelta):
            self.take(event.text)
        elif isinstance(event, ReasoningDelta):
            self.think(event.text)

    def take(self, text: str) -> None:
        """The next piece of the answer, tags included."""
        self._said += text
        self._sort()

    def think(self, text: str) -> None:
        """The next piece of what the server itself has told apart."""
        self._thought += text
        self._sort()

    def _sort(self) -> None:
        inner, self.answer = _split(self._said)
        self.reasoning = "\n\n".join(part for part in (self._thought.strip(), inner.strip()) if part)


def _split(said: str) -> tuple[str, str]:
    """Reasoning and answer of what was said so far; what may become a tag is neither yet."""
    begun = said.lstrip()
    for opener, closer in _PAIRS:
        if begun.startswith(opener):
            inner, closed, rest = begun[len(opener) :].partition(closer)
            return (inner, rest.lstrip()) if closed else (_before(inner, closer), "")
        if begun and opener.startswith(begun):
            return "", ""
    for closer in _CLOSERS:
        inner, closed, rest = said.partition(closer)
        if closed and "```" not in inner:
            return inner, rest.lstrip()
    return "", said


def _before(text: str, tag: str) -> str:
    """A text without the beginning of a tag at its end."""
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return text[:-length]
    return text
