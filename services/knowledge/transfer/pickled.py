"""A reader for the one kind of pickle that LangChain's FAISS store writes. Nothing in the file is run.

The opcodes are listed by the standard library's `pickletools`, which executes none of them, and are interpreted here on
plain values: text, numbers, lists, sets and dicts. A class that the file names becomes a `Named` record of its state,
and only those classes that the caller expects; everything else is refused.

Source: the opcodes as `pickletools.dis` documents them, protocols 2 to 5.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

STEPS_LIMIT = 500_000_000
"""Opcodes that are followed at most: a chunk takes about forty."""


class Refused(ValueError):
    """The file holds something that no docstore of LangChain holds; the text says what, in English."""


@dataclass
class Named:
    """An object that the file describes: its class by name, and the state it was given."""

    of: str
    state: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Class:
    name: str


_MARK = object()
_PUSHED: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
    "MARK": lambda: _MARK,
}
_CONSTANTS = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "INT", "LONG", "FLOAT"} | {
    *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")
}
_IGNORED = {"PROTO", "FRAME"}


def read_pickled(raw: bytes, classes: Collection[str]) -> Any:
    """What a pickle describes, as plain values.

    Args:
        classes: full names that may occur, such as "langchain_core.documents.base.Document".

    Raises: Refused.
    """
    machine = _Machine(frozenset(classes))
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(raw)):
            if count > STEPS_LIMIT:
                raise Refused("it is too long")
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except Refused:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(f"it is damaged ({error})") from error
    raise Refused("it ends too early")


class _Machine:
    """A stack of values and marks, and the memo."""

    def __init__(self, classes: frozenset[str]) -> None:
        self._classes = classes
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], None]] = {
            "MEMOIZE": lambda _: self._memo.__setitem__(len(self._memo), self._stack[-1]),
            "BINPUT": lambda slot: self._memo.__setitem__(slot, self._stack[-1]),
            "LONG_BINPUT": lambda slot: self._memo.__setitem__(slot, self._stack[-1]),
            "BINGET": lambda slot: self._stack.append(self._memo[slot]),
            "LONG_BINGET": lambda slot: self._stack.append(self._memo[slot]),
            "STACK_GLOBAL": lambda _: self._class(*self._take(2)),
            "GLOBAL": lambda named: self._class(*named.split(" ", 1)),
            "NEWOBJ": lambda _: self._new(*self._take(2)),
            "BUILD": lambda _: self._build(*self._take(2)),
            "SETITEM": lambda _: self._set_items(self._take(2)),
            "SETITEMS": lambda _: self._set_items(self._after_mark()),
            "APPEND": lambda _: self._append(self._take(1)),
            "APPENDS": lambda _: self._append(self._after_mark()),
            "ADDITEMS": lambda _: self._add(self._after_mark()),
            "TUPLE": lambda _: self._stack.append(tuple(self._after_mark())),
            "TUPLE1": lambda _: self._stack.append(tuple(self._take(1))),
            "TUPLE2": lambda _: self._stack.append(tuple(self._take(2))),
            "TUPLE3": lambda _: self._stack.append(tuple(self._take(3))),
        }

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self._stack.append(_PUSHED[name]())
        elif name in _CONSTANTS:
            self._stack.append(argument)
        elif name in self._steps:
            self._steps[name](argument)
        elif name not in _IGNORED:
            raise Refused(f"it holds an instruction that a docstore does not need ({name})")

    def pop(self) -> Any:
        return self._take(1)[0]

    def _take(self, count: int) -> list[Any]:
        if len(self._stack) < count or any(value is _MARK for value in self._stack[-count:]):
            raise Refused("it is damaged")
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _after_mark(self) -> list[Any]:
        places = (at for at in range(len(self._stack) - 1, -1, -1) if self._stack[at] is _MARK)
        place = next(places, None)
        if place is None:
            raise Refused("it is damaged")
        taken = self._stack[place + 1 :]
        del self._stack[place:]
        return taken

    def _class(self, module: Any, name: Any) -> None:
        full = f"{module}.{name}"
        if full not in self._classes:
            raise Refused(f"it names {full[:120]}, which a docstore does not hold")
        self._stack.append(_Class(full))

    def _new(self, of: Any, arguments: Any) -> None:
        if not isinstance(of, _Class) or arguments != ():
            raise Refused("it makes an object in a way that a docstore does not")
        self._stack.append(Named(of.name))

    def _build(self, target: Any, state: Any) -> None:
        if not isinstance(target, Named) or not isinstance(state, dict):
            raise Refused("it gives a state to what has none")
        target.state.update(state)
        self._stack.append(target)

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise Refused("it is damaged")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _append(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise Refused("it is damaged")
        self._stack[-1].extend(items)

    def _add(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], set):
            raise Refused("it is damaged")
        self._stack[-1].update(items)
