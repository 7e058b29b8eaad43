"""`lectern kb preset`: how questions to a base are answered, where nobody chose otherwise."""

from __future__ import annotations

from typing import Annotated

import typer

from services.chat.choices import Choices
from services.cli.kb import Name, kb
from services.cli.output import failing_well, speaker


@kb.command()
def preset(
    name: Name,
    system_prompt: Annotated[str | None, typer.Option(help="further instructions to the model")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 to 2")] = None,
    top_p: Annotated[float | None, typer.Option(help="share of likely words, up to 1")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="most tokens of an answer")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="words that end the answer; may be repeated")] = None,
    top_k: Annotated[int | None, typer.Option(help="passages that are searched for")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="have no defaults any more")] = False,
) -> None:
    """Show or change the defaults of questions to a knowledge base."""
    with failing_well():
        services = speaker.services()
        base = services.knowledge.base(name)
        given = {
            "system_prompt": system_prompt,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "stop": stop or None,
            "top_k": top_k,
        }
        chosen = Choices.of(given)
        if clear:
            services.presets.clear(base.id)
        if chosen != Choices():
            services.presets.choose(base.id, chosen)
        row = services.presets.of([base.id]).row()
        speaker.emit(row, lambda: speaker.fields(row))
