"""Requests that may take minutes, given up as soon as nobody wants their answer any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from services.llm.answering import Line

LOOK_EVERY_S = 0.2
T = TypeVar("T")


class GivenUp(Exception):
    """Nobody wants the answer any more."""


def while_wanted(ask: Callable[[Line], T], wanted: Callable[[], bool]) -> T:
    """Ask in a thread of its own, and cut its line once the answer is not wanted.

    Raises: GivenUp, and what `ask` raises.
    """
    line, answer = Line(), Future[T]()

    def run() -> None:
        try:
            answer.set_result(ask(line))
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
            answer.set_exception(error)

    # A daemon: the end of the process does not wait for a server that hangs.
    threading.Thread(target=run, name="asking", daemon=True).start()
    while not wait([answer], LOOK_EVERY_S).done:
        if not wanted():
            line.cut()
            raise GivenUp
    return answer.result()
