"""How commands speak: JSON or lines on stdout, errors on stderr, in the reader's language."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services import app
from services.core import log
from services.core.errors import AppError, InvalidValue, Unexpected, from_row
from services.core.i18n import N_, language_of
from services.core.phrases import fill, state_word
from services.core.settings import Settings, load, locale_name

STATE_FIELDS = ("state", "wish")
"""Fields of rows that hold the code of a state: JSON keeps it, people read its word."""


class Speaker:
    """What one run of the command line was told about its output, and its services once they are needed."""

    def __init__(self) -> None:
        self.json = False
        self.language = "en"
        self.home: str | None = None
        self._services: app.Services | None = None

    def configure(self, *, as_json: bool, language: str | None, home: str | None) -> None:
        """Take over the global options; JSON is English unless a language was asked for."""
        self.json = as_json
        self.home = home
        self.language = language_of(language) if language else "en" if as_json else language_of(locale_name())

    def settings(self, **arguments: Any) -> Settings:
        """The settings of this run."""
        return load(home=self.home, **arguments)

    def services(self) -> app.Services:
        """The services of this run, joined when first asked for."""
        if self._services is None:
            settings = self.settings()
            settings.layout.create()
            log.configure(settings.layout.logs, "cli")
            self._services = app.bootstrap(settings)
        return self._services

    def close(self) -> None:
        """Let go of the services, if there were any."""
        if self._services:
            self._services.close()
            self._services = None

    def say(self, message: str, /, **params: Any) -> str:
        """A message in the reader's language."""
        return fill(message, params, self.language)

    def emit(self, value: Any, text: Callable[[], None]) -> None:
        """Print the JSON document, or else what `text` prints."""
        if self.json:
            json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
            sys.stdout.write("\n")
        else:
            text()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Print rows under translated column names; what is None reads "n/a"."""
        table = Table(box=None, pad_edge=False)
        for column in columns:
            table.add_column(self.say(column), overflow="fold")
        for row in rows:
            table.add_row(*(Text("n/a" if value is None else str(value)) for value in row))
        console().print(table)

    def values(self, row: Mapping[str, Any], keys: Iterable[str]) -> list[Any]:
        """Values of a row as people read them: a state by its word, an error as message and remedy."""
        return [self._value(key, row.get(key)) for key in keys]

    def fields(self, row: Mapping[str, Any]) -> None:
        """Print a row as a table of its fields."""
        self.table([N_("field"), N_("value")], list(zip(row, self.values(row, row), strict=True)))

    def _value(self, key: str, value: Any) -> Any:
        if key in STATE_FIELDS and isinstance(value, str):
            return state_word(value, self.language)
        if key == "diagnosis":
            return " ".join(f"{each['cause']} {each['remedy']}" for each in value[:1])
        return f"{value['message']} {value['remedy']}" if key == "error" and value else value

    def line(self, message: str, /, **params: Any) -> None:
        """Print one translated line."""
        typer.echo(self.say(message, **params))

    def error_row(self, code: str | None, params: Any) -> dict[str, str] | None:
        """A stored error as `{code, message, remedy}`."""
        if not code:
            return None
        rendered = from_row(code, params).render(self.language)
        return {"code": rendered.code, "message": rendered.message, "remedy": rendered.remedy}


@cache
def console() -> Console:
    """Standard output as rich sees it."""
    return Console(soft_wrap=True)


speaker = Speaker()


@contextmanager
def failing_well() -> Iterator[None]:
    """Turn errors into words on stderr and exit code 1."""
    try:
        yield
    except AppError as error:
        _complain(error)
        raise typer.Exit(1) from None
    except (typer.Exit, typer.Abort, KeyboardInterrupt, BrokenPipeError):
        raise  # click ends quietly when whoever reads our output has gone
    except Exception as error:
        _complain(Unexpected(incident=log.incident(logging.getLogger(__name__), error, "command line")))
        raise typer.Exit(1) from error
    finally:
        speaker.close()


def write_file(path: Path, text: str) -> None:
    """Write a file that somebody named. Raises: InvalidValue where that cannot be done."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InvalidValue(field=N_("file"), value=str(path), reason=N_("it cannot be written")) from error


def _complain(error: AppError) -> None:
    rendered = error.render(speaker.language)
    if speaker.json:
        row = {"code": rendered.code, "message": rendered.message, "remedy": rendered.remedy}
        typer.echo(json.dumps(row, ensure_ascii=False), err=True)
    else:
        typer.secho(rendered.message, err=True, fg=typer.colors.RED)
        typer.echo(rendered.remedy, err=True)
