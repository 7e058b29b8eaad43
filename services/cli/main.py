"""The command line's root: global options, and where each verb stands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import services
from services.cli import (
    kb_change,  # noqa: F401 - its command is one of kb
    kb_preset,  # noqa: F401 - its command is one of kb
    kb_transfer,  # noqa: F401 - its commands are those of kb
    lifecycle,
    report,
)
from services.cli.ask import ask
from services.cli.conversation import conversation
from services.cli.diagnose import diagnose
from services.cli.engine import engine
from services.cli.feedback import feedback
from services.cli.golden import golden
from services.cli.gpus import gpus
from services.cli.kb import kb
from services.cli.kb_search import search
from services.cli.kb_upkeep import rebuild, verify
from services.cli.key import key
from services.cli.model import model
from services.cli.ollama import ollama
from services.cli.output import speaker
from services.cli.plan import plan
from services.cli.server import server

app = typer.Typer(
    name="lectern",
    help="Ask your team's own documents questions, on your own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
kb.command()(search)
kb.command()(verify)
kb.command()(rebuild)
app.add_typer(kb, name="kb")
app.add_typer(server, name="server")
app.add_typer(engine, name="engine")
app.add_typer(feedback, name="feedback")
app.add_typer(golden, name="golden")
app.add_typer(model, name="model")
app.add_typer(ollama, name="ollama")
app.add_typer(conversation, name="conversation")
app.add_typer(key, name="key")
app.command()(ask)
app.command()(diagnose)
app.command()(plan)
app.command()(lifecycle.up)
app.command()(lifecycle.down)
app.command()(report.status)
app.command()(report.doctor)
app.command()(gpus)

FLAGS = {"--json": 0, "--lang": 1, "--home": 1}
"""Global options, with the number of words that follow; they may stand anywhere on the line."""


@app.callback()
def root(
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document on stdout")] = False,
    lang: Annotated[str | None, typer.Option(help="language of messages: en or zh")] = None,
    home: Annotated[str | None, typer.Option(help="folder that holds all state (instead of LECTERN_HOME)")] = None,
) -> None:
    """Take the global options."""
    speaker.configure(as_json=as_json, language=lang, home=home)


@app.command()
def version() -> None:
    """Print the version."""
    speaker.emit({"version": services.__version__}, lambda: typer.echo(services.__version__))


def hoisted(arguments: list[str]) -> list[str]:
    """The same arguments with the global options in front; nothing after "--" is touched."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            return [*front, *rest, word, *words]
        name = word.split("=", 1)[0]
        if name in FLAGS:
            front.append(word)
            if FLAGS[name] and "=" not in word:
                front.extend(value for value in [next(words, None)] if value is not None)
        else:
            rest.append(word)
    return [*front, *rest]


def main() -> None:
    """Run the command line."""
    app(args=hoisted(sys.argv[1:]), prog_name="lectern")
