"""The command line, run within this process over a home of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from services.cli.main import app, hoisted


@dataclass
class Shell:
    """Runs commands over one home."""

    home: Path

    def json(self, *words: str) -> Any:
        """The one JSON document that a command prints."""
        done = self._run(*words, "--json")
        assert (done.exit_code, done.stderr) == (0, ""), done.stderr
        return json.loads(done.stdout)

    def text(self, *words: str) -> str:
        """What a command prints for people, in English where no --lang is given."""
        done = self._run(*words, *(() if "--lang" in words else ("--lang", "en")))
        assert done.exit_code == 0, done.stderr
        return done.stdout

    def aside(self, *words: str) -> str:
        """What a command that does its work tells people on stderr, in English."""
        done = self._run(*words, "--lang", "en")
        assert done.exit_code == 0, done.stderr
        return done.stderr

    def error(self, *words: str) -> dict[str, str]:
        """The error that a command ends with, as JSON; nothing else is printed."""
        done = self._run(*words, "--json")
        assert (done.exit_code, done.stdout) == (1, "")
        row: dict[str, str] = json.loads(done.stderr)
        assert set(row) == {"code", "message", "remedy"} and all(row.values())
        return row

    def usage(self, *words: str) -> int:
        """The exit code of a command that is wrongly used."""
        return self._run(*words).exit_code

    def _run(self, *words: str) -> Result:
        return CliRunner().invoke(app, hoisted([*words, "--home", str(self.home)]))
