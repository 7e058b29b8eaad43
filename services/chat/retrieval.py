"""A question's passages: searched, and fitted into what the server's context leaves for them."""

from __future__ import annotations

from services.chat.budget import fit, passage_budget
from services.chat.ports import Passage, PassageSearch, Target
from services.chat.prompts import fixed_messages, question_language
from services.chat.running import Running
from services.core.clock import Stopwatch
from services.llm.protocol import ChatModel

UNKNOWN_CONTEXT = 4096
"""Taken where a server does not tell its context length: what small servers have at least."""


def retrieve(
    running: Running, search: PassageSearch, model: ChatModel, target: Target, answer_tokens: int, watch: Stopwatch
) -> list[Passage]:
    """Search what a turn asks of, and store the passages that the model will be shown with it."""
    turn = running.change(state="retrieving")
    found = search(str(turn.base_id), turn.question, int(turn.settings["top_k"]))
    watch.timings_ms.update(found.timings_ms)
    passages: list[Passage] = []
    if found.passages:
        with watch.step("fit"):
            fixed = fixed_messages(question_language(turn.question))
            budget = passage_budget(
                model.context_length() or UNKNOWN_CONTEXT,
                model.count_tokens("\n".join(message.content for message in fixed)),
                model.count_tokens(turn.question),
                answer_tokens,
                target.passage_cap,
            )
            passages = fit(found.passages, budget, model.count_tokens)
    running.change(base_name=found.base_name, passages=[passage.row() for passage in passages])
    running.write()
    return passages
