"""The product's source files, read and parsed once for the tests that hold rules over all of them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("services", "ui", "pages")
TOP = ("Home.py", "web.py")
Node = TypeVar("Node", bound=ast.AST)


@cache
def modules() -> tuple[Path, ...]:
    """Every Python file that is part of the product."""
    inside = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return (*inside, *(ROOT / name for name in TOP if (ROOT / name).exists()))


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def relative(path: Path) -> str:
    """A file's path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def at(path: Path, node: ast.expr | ast.stmt) -> str:
    """Where a node stands, as editors open it."""
    return f"{relative(path)}:{node.lineno}"


def nodes(path: Path, kind: type[Node]) -> Iterator[Node]:
    """The nodes of one kind in a file."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, kind))


def imported(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every module or name that a file imports, with dots."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, f"{node.module or ''}.{alias.name}") for alias in node.names)


def dotted(node: ast.expr) -> str:
    """The dotted name of an expression such as `os.environ`; empty where it is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def kept_files() -> list[Path]:
    """Every file that git keeps or would keep."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [path for name in listed if name and (path := ROOT / name).is_file()]
