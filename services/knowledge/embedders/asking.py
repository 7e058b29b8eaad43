"""How an embedder behind a server is asked: for work that may end at any moment, or for somebody who waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

Wanted = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Manner:
    """`wanted`: whether the vectors are still wanted, looked at while a server is waited for; None: they always are.

    `quick`: somebody waits, so that a server gets a few seconds and no second try.
    `wake`: whether a server that somebody has stopped is started; work in the background is no reason to.
    """

    wanted: Wanted | None = None
    quick: bool = False
    wake: bool = True


PATIENT = Manner()
_manner: ContextVar[Manner] = ContextVar("manner", default=PATIENT)


def manner() -> Manner:
    """How embedders are to be asked in this thread now."""
    return _manner.get()


@contextmanager
def while_wanted(wanted: Wanted) -> Iterator[None]:
    """Ask for work in the background, which gives up within a moment once this says that nobody wants the vectors.

    `Unwanted` is raised then. A server that somebody has stopped stays so.
    """
    with _set(Manner(wanted=wanted, wake=False)):
        yield


@contextmanager
def for_a_question() -> Iterator[None]:
    """Ask for somebody who waits for the answer to a question."""
    with _set(Manner(quick=True)):
        yield


@contextmanager
def looking() -> Iterator[None]:
    """Ask to see whether there is an answer, without starting anything for it."""
    with _set(Manner(quick=True, wake=False)):
        yield


@contextmanager
def _set(manner: Manner) -> Iterator[None]:
    before = _manner.set(manner)
    try:
        yield
    finally:
        _manner.reset(before)
