"""What the documents say is what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from services.cli.main import app
from services.core.settings import PREFIX, Settings
from tests.unit.sources import ROOT, kept_files, relative

READMES = ("README.md", "README.zh-CN.md")
ARCHITECTURE_LINES = 250
ADR_SECTIONS = ("Context", "Options", "Decision", "Consequences", "Held by")


def documents() -> list[Path]:
    return [path for path in kept_files() if path.suffix == ".md"]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = []
    for path in documents():
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8")):
            if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                broken.append(f"{relative(path)}: {target}")
    assert broken == []


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_names_every_setting_with_its_default(readme: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|([^\n]*)\|$", read(readme), re.MULTILINE))
    assert {name for name in rows if name in Settings.model_fields} == set(Settings.model_fields)
    for name in Settings.model_fields:
        assert f"`{PREFIX}{name.upper()}`" in rows[name], name


def test_the_readmes_have_the_same_sections() -> None:
    shape = [
        [(len(marks), index) for index, marks in enumerate(re.findall(r"^(#+) ", read(name), re.MULTILINE))]
        for name in READMES
    ]
    assert shape[0] == shape[1]


def test_the_readmes_show_the_same_commands() -> None:
    blocks = [re.findall(r"^```sh\n(.*?)^```", read(name), re.MULTILINE | re.DOTALL) for name in READMES]
    commands = [
        [line.split("#", maxsplit=1)[0].strip() for block in found for line in block.splitlines()] for found in blocks
    ]
    assert commands[0] == commands[1]


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for path in documents():
        named = set(re.findall(r"`(?:[A-Z]+=\S+ )*make ([a-z][a-z-]*)", path.read_text("utf-8")))
        assert named <= targets, relative(path)


def test_the_map_is_short_and_names_what_exists() -> None:
    text = read("ARCHITECTURE.md")
    assert len(text.splitlines()) <= ARCHITECTURE_LINES
    named = re.findall(r"`((?:services|ui|pages|tests|tools|docs|requirements)/[\w./-]*)`", text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("decision", sorted((ROOT / "docs/adr").glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_a_decision_names_the_test_that_holds_it(decision: Path) -> None:
    text = decision.read_text("utf-8")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == ADR_SECTIONS
    held_by = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text.partition("## Held by")[2])
    assert held_by
    for path, test in held_by:
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in read(path), f"{path}::{test}"


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/adr").glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers


def commands(group: TyperGroup, prefix: str = "") -> Iterator[str]:
    """Every command of the command line, as it is typed."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_lists_every_command(readme: str) -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    groups = "|".join(f"{name} " for name, command in root.commands.items() if isinstance(command, TyperGroup))
    listed = set(re.findall(rf"^\| `((?:{groups})?[a-z]+(?:-[a-z]+)*)\b[^`]*` \|", read(readme), re.MULTILINE))
    assert set(commands(root)) <= listed
